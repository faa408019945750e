//! What a verifier says: Harbor's contract to the letter.
//!
//! `reward.json` wins over `reward.txt`; the exit code of the test script means nothing; and
//! nothing is made up: whatever is not a finite number is an error, never a zero.

use crate::domain::FileTree;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of a reward file that are read; a number needs few.
const MOST_BYTES: usize = 64 << 10;

/// Numbers by name, as a verifier gives them.
pub(super) type Rewards = BTreeMap<String, f64>;

/// What a verifier gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reward {
    /// The numbers.
    pub(super) values: Rewards,
    /// The file they stand in.
    pub(super) text: Arc<[u8]>,
}

/// Reads the reward from the files that the verifier left in `/logs/verifier`.
pub(super) fn read(files: &FileTree) -> Result<Reward, String> {
    for (name, parse) in [
        (
            "reward.json",
            from_json as fn(&str) -> Result<Rewards, String>,
        ),
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
        let values = parse(text).map_err(|why| format!("the verifier's `{name}` {why}"))?;
        return Ok(Reward {
            values,
            text: file.bytes.clone(),
        });
    }
    Err("the verifier left no reward: neither `reward.json` nor `reward.txt`".to_owned())
}

impl Reward {
    /// Returns the one number that counts.
    pub(super) fn value(&self) -> Result<f64, String> {
        single(&self.values).map_err(|why| format!("the verifier's `reward.json` {why}"))
    }
}

/// Returns the one number that counts: the only one, or of several the one called `reward`.
pub(super) fn single(rewards: &Rewards) -> Result<f64, String> {
    let mut numbers = rewards.values();
    match (numbers.next(), numbers.next()) {
        (None, _) => Err("holds no number".to_owned()),
        (Some(only), None) => Ok(*only),
        (Some(_), Some(_)) => rewards
            .get("reward")
            .copied()
            .ok_or_else(|| "holds several numbers, and none is called `reward`".to_owned()),
    }
}

fn from_text(text: &str) -> Result<Rewards, String> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => Ok(Rewards::from([("reward".to_owned(), finite(number)?)])),
        Err(_) => Err(format!("is not a number: `{}`", excerpt(text))),
    }
}

fn from_json(text: &str) -> Result<Rewards, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| unparsable(text, &error))?;
    let Value::Object(rewards) = value else {
        return Err(format!(
            "is not an object of numbers: `{}`",
            excerpt(text.trim())
        ));
    };
    let mut numbers = Rewards::new();
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
        numbers.insert(key.clone(), number);
    }
    Ok(numbers)
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

#[cfg(test)]
mod tests {
    use crate::domain::{FileTree, TreePath};

    fn read(files: &FileTree) -> Result<f64, String> {
        super::read(files)?.value()
    }

    fn logs(files: &[(&str, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (name, text) in files {
            let path = TreePath::new(name).expect("a good path");
            tree.insert(path, text.as_bytes(), false);
        }
        tree
    }

    #[test]
    fn takes_numbers() {
        for (files, reward) in [
            (&[("reward.txt", "1")][..], 1.0),
            (&[("reward.txt", " 0.25\n")], 0.25),
            (&[("reward.txt", "-1e-3")], -0.001),
            (&[("reward.json", "{\"reward\": 0.5}")], 0.5),
            (&[("reward.json", "{\"passed\": true}")], 1.0),
            (&[("reward.json", "{\"passed\": false}")], 0.0),
            (&[("reward.json", "{\"speed\": 3, \"reward\": 1}")], 1.0),
            // Both files: the JSON wins, whichever is better.
            (
                &[("reward.json", "{\"reward\": 0}"), ("reward.txt", "1")],
                0.0,
            ),
        ] {
            assert_eq!(read(&logs(files)), Ok(reward), "{files:?}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn makes_nothing_up() {
        for (files, why) in [
            (
                &[][..],
                "the verifier left no reward: neither `reward.json` nor `reward.txt`",
            ),
            // A name that stands in a template's comment; Harbor does not read it either.
            (
                &[("rewards.json", "{\"reward\": 1}")],
                "the verifier left no reward: neither `reward.json` nor `reward.txt`",
            ),
            (
                &[("reward.txt", "")],
                "the verifier left an empty `reward.txt`",
            ),
            (
                &[("reward.json", "")],
                "the verifier left an empty `reward.json`",
            ),
            (
                &[("reward.txt", " \n")],
                "the verifier's `reward.txt` is not a number: ``",
            ),
            (
                &[("reward.txt", "passed")],
                "the verifier's `reward.txt` is not a number: `passed`",
            ),
            (
                &[("reward.txt", "1 1")],
                "the verifier's `reward.txt` is not a number: `1 1`",
            ),
            (
                &[("reward.txt", "nan")],
                "the verifier's `reward.txt` holds no finite number: `NaN`",
            ),
            (
                &[("reward.txt", "-inf")],
                "the verifier's `reward.txt` holds no finite number: `-inf`",
            ),
            (
                &[("reward.txt", "1e999")],
                "the verifier's `reward.txt` holds no finite number: `inf`",
            ),
            (
                &[("reward.json", "{\"reward\": NaN}")],
                "the verifier's `reward.json` holds no finite number: `{\\\"reward\\\": NaN}`",
            ),
            (
                &[("reward.json", "{\"reward\": -Infinity}")],
                "the verifier's `reward.json` holds no finite number: \
                 `{\\\"reward\\\": -Infinity}`",
            ),
            (
                &[("reward.json", "{\"reward\": {\"mean\": 1}}")],
                "the verifier's `reward.json` holds something else than a number in `reward`: \
                 `{\\\"mean\\\":1}`",
            ),
            (
                &[("reward.json", "{\"reward\": \"1\"}")],
                "the verifier's `reward.json` holds something else than a number in `reward`: \
                 `\\\"1\\\"`",
            ),
            (
                &[("reward.json", "{\"reward\": null}")],
                "the verifier's `reward.json` holds something else than a number in `reward`: \
                 `null`",
            ),
            (
                &[("reward.json", "1")],
                "the verifier's `reward.json` is not an object of numbers: `1`",
            ),
            (
                &[("reward.json", "[1]")],
                "the verifier's `reward.json` is not an object of numbers: `[1]`",
            ),
            (
                &[("reward.json", "{}")],
                "the verifier's `reward.json` holds no number",
            ),
            (
                &[("reward.json", "{\"a\": 1, \"b\": 0}")],
                "the verifier's `reward.json` holds several numbers, and none is called `reward`",
            ),
            // A broken JSON file is not passed over for the other one.
            (
                &[("reward.json", "{"), ("reward.txt", "1")],
                "the verifier's `reward.json` is not JSON: EOF while parsing an object at line 1 \
                 column 1",
            ),
        ] {
            assert_eq!(read(&logs(files)), Err(why.to_owned()), "{files:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_text() {
        let mut tree = FileTree::new();
        let path = TreePath::new("reward.txt").expect("a good path");
        tree.insert(path.clone(), &[0xff, 0x31][..], false);
        assert_eq!(
            read(&tree),
            Err("the verifier's `reward.txt` is not UTF-8".to_owned())
        );
        tree.insert(path, vec![b'1'; 100_000], false);
        assert_eq!(
            read(&tree),
            Err("the verifier's `reward.txt` is larger than 65536 bytes".to_owned())
        );
    }
}
