//! What a verifier says: Harbor's contract to the letter.
//!
//! `reward.json` wins over `reward.txt`; the exit code of the test script means nothing; and
//! nothing is made up: whatever is not a finite number is an error, never a zero.

use crate::domain::FileTree;
use serde_json::Value;

/// Most bytes of a reward file that are read; a number needs few.
const MOST_BYTES: usize = 64 << 10;

/// Reads the reward from the files that the verifier left in `/logs/verifier`.
pub(super) fn read(files: &FileTree) -> Result<f64, String> {
    for (name, parse) in [
        ("reward.json", from_json as fn(&str) -> Result<f64, String>),
        ("reward.txt", from_text),
    ] {
        let Some(file) = files.get(name) else {
            continue;
        };
        if file.bytes.is_empty() {
            return Err(format!("the verifier left an empty `{name}`"));
        }
        if file.bytes.len() > MOST_BYTES {
            return Err(format!(
                "the verifier's `{name}` is larger than {MOST_BYTES} bytes"
            ));
        }
        let text = std::str::from_utf8(&file.bytes)
            .map_err(|_| format!("the verifier's `{name}` is not UTF-8"))?;
        return parse(text).map_err(|why| format!("the verifier's `{name}` {why}"));
    }
    Err("the verifier left no reward: neither `reward.json` nor `reward.txt`".to_owned())
}

fn from_text(text: &str) -> Result<f64, String> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => finite(number),
        Err(_) => Err(format!("is not a number: `{}`", excerpt(text))),
    }
}

fn from_json(text: &str) -> Result<f64, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| unparsable(text, &error))?;
    let Value::Object(rewards) = value else {
        return Err(format!(
            "is not an object of numbers: `{}`",
            excerpt(text.trim())
        ));
    };
    let mut numbers = Vec::with_capacity(rewards.len());
    for (key, value) in &rewards {
        let number = match value {
            Value::Bool(on) => f64::from(u8::from(*on)),
            Value::Number(number) => finite(
                number
                    .as_f64()
                    .ok_or_else(|| format!("holds a number out of range in `{key}`"))?,
            )?,
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                return Err(format!(
                    "holds something else than a number in `{key}`: `{}`",
                    excerpt(&value.to_string())
                ));
            }
        };
        numbers.push((key.as_str(), number));
    }
    match numbers.as_slice() {
        [] => Err("holds no number".to_owned()),
        [(_, only)] => Ok(*only),
        several => several
            .iter()
            .find(|(key, _)| *key == "reward")
            .map(|(_, number)| *number)
            .ok_or_else(|| "holds several numbers, and none is called `reward`".to_owned()),
    }
}

/// JSON proper has no NaN, but verifiers written in Python produce it: say what it is.
fn unparsable(text: &str, error: &serde_json::Error) -> String {
    if text.contains("NaN") || text.contains("Infinity") {
        return format!("holds no finite number: `{}`", excerpt(text.trim()));
    }
    format!("is not JSON: {error}")
}

fn finite(number: f64) -> Result<f64, String> {
    if number.is_finite() {
        Ok(number)
    } else {
        Err(format!("holds no finite number: `{number}`"))
    }
}

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    short.escape_debug().to_string()
}
