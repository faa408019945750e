//! What a grader needs of a row, read leniently.

use super::classic;
use super::grade::{EvalType, GradeFacts, Parser};
use serde_json::{Map, Value};

/// Why a row cannot be graded with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// It is no table.
    #[error("the row is no JSON object, but {is}")]
    NoObject {
        /// What it is.
        is: &'static str,
    },
    /// Something is not there.
    #[error("`{key}` is missing")]
    Missing {
        /// What.
        key: &'static str,
    },
    /// Something is not as it should be.
    #[error("`{key}` {why}")]
    Wrong {
        /// What.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads the facts that decide a grade from a row, whose keys may be written in small letters.
pub fn facts(row: &Value) -> Result<GradeFacts, FactsError> {
    let row = object(row)?;
    // Older rows name neither; their repository tells.
    let known = text(row, "repo")?.and_then(classic::parser);
    let given = |key, known: Option<&'static str>| match (text(row, key)?, known) {
        (None, Some(known)) => Ok(known),
        _ => required(row, key),
    };
    let parser = given("log_parser", known.map(|(parser, _)| parser))?;
    let eval_type = given("eval_type", known.map(|(_, eval_type)| eval_type))?;
    let parser = Parser::named(parser).ok_or_else(|| FactsError::Wrong {
        key: "log_parser",
        why: format!(
            "names a parser that is not known: `{}`",
            parser.escape_debug()
        ),
    })?;
    let eval_type = EvalType::named(eval_type).ok_or_else(|| FactsError::Wrong {
        key: "eval_type",
        why: format!(
            "is neither `pass_and_fail` nor `fail_only`, but `{}`",
            eval_type.escape_debug()
        ),
    })?;
    Ok(GradeFacts {
        instance_id: required(row, "instance_id")?.to_owned(),
        version: text(row, "version")?.unwrap_or("").to_owned(),
        parser,
        eval_type,
        fail_to_pass: tests(row, "FAIL_TO_PASS")?,
        pass_to_pass: tests(row, "PASS_TO_PASS")?,
    })
}

/// Returns the row as an object.
pub(super) fn object(row: &Value) -> Result<&Map<String, Value>, FactsError> {
    row.as_object()
        .ok_or(FactsError::NoObject { is: kind(row) })
}

/// Returns a value under its key or under the same in small letters.
fn value<'a>(row: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    row.get(key)
        .or_else(|| row.get(&key.to_ascii_lowercase()))
        .filter(|value| !value.is_null())
}

/// Returns a text, if there is one.
pub(super) fn text<'a>(
    row: &'a Map<String, Value>,
    key: &'static str,
) -> Result<Option<&'a str>, FactsError> {
    match value(row, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(FactsError::Wrong {
            key,
            why: format!("must be a text, but is {}", kind(other)),
        }),
    }
}

/// Returns a text that must be there and say something.
pub(super) fn required<'a>(
    row: &'a Map<String, Value>,
    key: &'static str,
) -> Result<&'a str, FactsError> {
    match text(row, key)? {
        None => Err(FactsError::Missing { key }),
        Some("") => Err(FactsError::Wrong {
            key,
            why: "is empty".to_owned(),
        }),
        Some(text) => Ok(text),
    }
}

/// Returns a list of tests, which older rows hold as the text of a JSON list.
pub(super) fn tests(
    row: &Map<String, Value>,
    key: &'static str,
) -> Result<Vec<String>, FactsError> {
    let wrong = |why: String| FactsError::Wrong { key, why };
    let parsed;
    let list = match value(row, key) {
        None => return Err(FactsError::Missing { key }),
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text)
                .map_err(|error| wrong(format!("is a text, but not of a JSON list: {error}")))?;
            &parsed
        }
        Some(list) => list,
    };
    let Value::Array(list) = list else {
        return Err(wrong(format!(
            "must be a list of tests, but is {}",
            kind(list)
        )));
    };
    list.iter()
        .map(|test| match test {
            Value::String(test) => Ok(test.clone()),
            other => Err(wrong(format!("lists {}, which is no test", kind(other)))),
        })
        .collect()
}

/// Returns what kind of value it is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
