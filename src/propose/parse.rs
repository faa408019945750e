//! From a model's text to a proposal, strictly; what is wrong is said so that the model can
//! mend it.

use crate::domain::Proposal;
use serde_json::{Map, Value};

/// Most characters of one field.
const LONGEST_FIELD: usize = 50_000;
/// Most candidates for the object that are looked at.
const MOST_CANDIDATES: usize = 1000;

/// Reads the first JSON object of the text, bare, fenced or between prose, as a proposal.
pub(super) fn proposal(text: &str) -> Result<Proposal, String> {
    let fields = first_object(text).ok_or("it holds no complete JSON object")?;
    Ok(Proposal {
        log_summarization: string(&fields, "log_summarization")?,
        potential_improvements: strings(&fields, "potential_improvements")?,
        improvement_proposal: string(&fields, "improvement_proposal")?,
        implementation_suggestion: string(&fields, "implementation_suggestion")?,
        problem_description: string(&fields, "problem_description")?,
    })
}

/// Returns the first part of the text that is a JSON object. Braces in prose are passed over.
fn first_object(text: &str) -> Option<Map<String, Value>> {
    text.match_indices('{')
        .take(MOST_CANDIDATES)
        .find_map(|(start, _)| {
            let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter();
            match values.next() {
                Some(Ok(Value::Object(fields))) => Some(fields),
                Some(Ok(_) | Err(_)) | None => None,
            }
        })
}

fn string(fields: &Map<String, Value>, key: &str) -> Result<String, String> {
    let text = match fields.get(key) {
        None => return Err(format!("the key `{key}` is missing")),
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("`{key}` is no string")),
    };
    checked(text, key)
}

fn strings(fields: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let items = match fields.get(key) {
        None => return Err(format!("the key `{key}` is missing")),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(format!("`{key}` is no list")),
    };
    items
        .iter()
        .map(|item| match item {
            Value::String(text) => checked(text, key),
            _ => Err(format!("`{key}` holds something that is no string")),
        })
        .collect()
}

fn checked(text: &str, key: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("`{key}` is empty"));
    }
    if text.chars().count() > LONGEST_FIELD {
        return Err(format!("`{key}` is longer than {LONGEST_FIELD} characters"));
    }
    Ok(text.to_owned())
}
