//! Chat Completions to Messages and back: requests, replies, and the events of a stream.
//!
//! Everything is a pure function of JSON. Invariants:
//! - nothing that a tool loop needs is lost: ids of calls, parallel calls, failures of tools,
//!   system texts, why the model ended, and usage with its cached and reasoning tokens;
//! - thinking blocks come back to the caller in the field `thinking_blocks` of a message and,
//!   sent back by it, are in the next request what they were; a caller that drops them loses
//!   the thinking and nothing else;
//! - what has no counterpart is refused by its name, or is in the list of what is ignored;
//! - a stream folded to a whole reply is the whole reply translated.

mod back;
mod cache;
mod family;
mod fields;
mod parts;
mod reply;
mod stream;
mod thinking;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

pub(super) use back::{reply as reply_to_chat, request as request_to_chat};
pub(super) use fields::{Target, request};
pub(super) use stream::{Chunks, StreamFault};

use super::ModelError;
use serde_json::{Value, json};

/// Returns the refusal of a request, with the name of the field that it is about.
fn refuse(param: &str, what: impl Into<String>) -> ModelError {
    ModelError::Refused {
        status: 400,
        error: json!({
            "message": what.into(),
            "type": "invalid_request_error",
            "param": param,
            "code": "unsupported_value",
        }),
    }
}

/// Returns the texts of a content: a string, or a list of parts of which only text counts.
fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Messages takes no block of text without a visible character.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
