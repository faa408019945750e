//! What a verifier says: Harbor's contract to the letter.
//!
//! `reward.json` wins over `reward.txt`; the exit code of the test script means nothing; and
//! nothing is made up: whatever is not a finite number is an error, never a zero.

use crate::domain::{FileTree, NoReward, Rewards};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Most bytes of a reward file that are read; a number needs few.
const MOST_BYTES: usize = 64 << 10;

/// Why there is no reward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardFault {
    /// Which of the ways of having none.
    pub kind: NoReward,
    /// The same as a sentence for a reader.
    pub why: String,
}

impl RewardFault {
    /// Returns one with its sentence.
    pub fn new(kind: NoReward, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { kind, why }
    }

    /// Returns it with another sentence.
    pub(super) fn saying(self, say: impl FnOnce(&str) -> String) -> Self {
        let why = say(&self.why);
        Self { why, ..self }
    }
}

impl fmt::Display for RewardFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What a verifier gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reward {
    /// The numbers.
    pub(super) values: Rewards,
    /// The file they stand in.
    pub(super) text: Arc<[u8]>,
}

/// Reads the reward from the files that the verifier left in `/logs/verifier`.
pub(super) fn read(files: &FileTree) -> Result<Reward, RewardFault> {
    let unreadable = |why: String| RewardFault::new(NoReward::Unreadable, why);
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
            let why = format!("the verifier left an empty `{name}`");
            return Err(RewardFault::new(NoReward::Empty, why));
        }
        if file.bytes.len() > MOST_BYTES {
            return Err(unreadable(format!(
                "the verifier's `{name}` is larger than {MOST_BYTES} bytes"
            )));
        }
        let text = std::str::from_utf8(&file.bytes)
            .map_err(|_| unreadable(format!("the verifier's `{name}` is not UTF-8")))?;
        let values =
            parse(text).map_err(|why| unreadable(format!("the verifier's `{name}` {why}")))?;
        return Ok(Reward {
            values,
            text: file.bytes.clone(),
        });
    }
    Err(RewardFault::new(
        NoReward::Missing,
        "the verifier left no reward: neither `reward.json` nor `reward.txt`",
    ))
}

impl Reward {
    /// Returns the number that counts.
    pub(super) fn value(&self, key: Option<&str>) -> Result<f64, RewardFault> {
        single(&self.values, key)
    }
}

/// Returns the number that counts: the one of the name that the task gives, else the one called
/// `reward`, else the least, so that much of one makes up for nothing of another.
pub(super) fn single(rewards: &Rewards, key: Option<&str>) -> Result<f64, RewardFault> {
    let unreadable = |what: String| {
        let why = format!("the verifier's reward holds no {what}");
        RewardFault::new(NoReward::Unreadable, why)
    };
    if let Some(key) = key {
        let found = rewards.get(key).copied();
        return found.ok_or_else(|| unreadable(format!("`{key}`, which `reward_key` names")));
    }
    let least = || rewards.values().copied().reduce(f64::min);
    let found = rewards.get("reward").copied().or_else(least);
    found.ok_or_else(|| unreadable("number".to_owned()))
}

/// Returns what is worth keeping beside the number that counts: nothing where it is all.
pub(super) fn beside(rewards: Rewards) -> Rewards {
    match rewards.len() == 1 && rewards.contains_key("reward") {
        true => Rewards::new(),
        false => rewards,
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
    use super::RewardFault;
    use crate::domain::{FileTree, NoReward, TreePath};

    fn read(files: &FileTree) -> Result<f64, RewardFault> {
        super::read(files)?.value(None)
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
            (&[("reward.json", "{\"accuracy\": 1, \"speed\": 0.5}")], 0.5),
            (&[("reward.json", "{\"accuracy\": 0, \"speed\": 300}")], 0.0),
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
                "the verifier's reward holds no number",
            ),
            // A broken JSON file is not passed over for the other one.
            (
                &[("reward.json", "{"), ("reward.txt", "1")],
                "the verifier's `reward.json` is not JSON: EOF while parsing an object at line 1 \
                 column 1",
            ),
        ] {
            let last = files.first().map(|(name, text)| (*name, text.is_empty()));
            let expected = match last {
                None | Some(("rewards.json", _)) => NoReward::Missing,
                Some((_, true)) => NoReward::Empty,
                Some((_, false)) => NoReward::Unreadable,
            };
            let expected = RewardFault::new(expected, why);
            assert_eq!(read(&logs(files)), Err(expected), "{files:?}");
        }
    }

    #[test]
    fn a_task_may_name_the_number_that_counts() {
        let files = logs(&[("reward.json", "{\"accuracy\": 1, \"reward\": 0}")]);
        let read = super::read(&files).expect("readable");
        assert_eq!(read.value(Some("accuracy")), Ok(1.0));
        assert_eq!(read.value(None), Ok(0.0));
        assert_eq!(
            read.value(Some("speed")),
            Err(RewardFault::new(
                NoReward::Unreadable,
                "the verifier's reward holds no `speed`, which `reward_key` names"
            ))
        );
    }

    #[test]
    fn a_plain_reward_is_not_kept_twice() {
        let kept = |text: &str| {
            let read = super::read(&logs(&[("reward.json", text)]));
            super::beside(read.expect("readable").values).len()
        };
        assert_eq!(kept("{\"reward\": 1}"), 0);
        assert_eq!(kept("{\"passed\": true}"), 1);
        assert_eq!(kept("{\"reward\": 1, \"speed\": 2}"), 2);
    }

    #[test]
    fn refuses_what_is_no_text() {
        let unreadable = |why| Err(RewardFault::new(NoReward::Unreadable, why));
        let mut tree = FileTree::new();
        let path = TreePath::new("reward.txt").expect("a good path");
        tree.insert(path.clone(), &[0xff, 0x31][..], false);
        assert_eq!(
            read(&tree),
            unreadable("the verifier's `reward.txt` is not UTF-8")
        );
        tree.insert(path, vec![b'1'; 100_000], false);
        assert_eq!(
            read(&tree),
            unreadable("the verifier's `reward.txt` is larger than 65536 bytes")
        );
    }
}
