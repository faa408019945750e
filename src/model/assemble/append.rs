//! Adds text to a field of a message.

use serde_json::{Map, Value};

/// Appends to a text; a field that is missing, null or no text becomes one.
pub(super) fn append(fields: &mut Map<String, Value>, name: &str, more: &str) {
    match fields.get_mut(name) {
        Some(Value::String(text)) => text.push_str(more),
        Some(other) => *other = Value::from(more),
        None => {
            fields.insert(name.to_owned(), Value::from(more));
        }
    }
}
