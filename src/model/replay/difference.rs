//! The first difference between two requests, for a reader: where it is, and both values.

use serde_json::Value;

/// Characters of a value that are shown.
const SHOWN: usize = 160;
/// Of these, characters before the difference.
const BEFORE: usize = 40;

/// Where two values begin to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplayDifference {
    /// Path to the place, such as `messages[3].content`.
    pub at: String,
    /// What was recorded there.
    pub recorded: String,
    /// What is asked now.
    pub asked: String,
}

/// Returns the first difference; none where there is none.
pub(super) fn first(recorded: &Value, asked: &Value) -> Option<ReplayDifference> {
    find(recorded, asked, String::new())
}

fn find(recorded: &Value, asked: &Value, at: String) -> Option<ReplayDifference> {
    if recorded == asked {
        return None;
    }
    match (recorded, asked) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            // What was said before tells more than the settings.
            names.sort_by_key(|name| (*name != "messages", *name));
            names.into_iter().find_map(|name| {
                let at = match at.as_str() {
                    "" => name.clone(),
                    at => format!("{at}.{name}"),
                };
                in_place(a.get(name), b.get(name), at)
            })
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).find_map(|index| {
            let at = format!("{at}[{index}]");
            in_place(a.get(index), b.get(index), at)
        }),
        (Value::String(a), Value::String(b)) => {
            let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
            let from = same.saturating_sub(BEFORE);
            Some(ReplayDifference {
                at,
                recorded: excerpt(a, from),
                asked: excerpt(b, from),
            })
        }
        _ => in_place(Some(recorded), Some(asked), at),
    }
}

fn in_place(
    recorded: Option<&Value>,
    asked: Option<&Value>,
    at: String,
) -> Option<ReplayDifference> {
    match (recorded, asked) {
        (None, None) => None,
        (Some(a), Some(b)) if kind(a) == kind(b) && is_deep(a) => find(a, b, at),
        (a, b) if a == b => None,
        (a, b) => Some(ReplayDifference {
            at,
            recorded: shown(a),
            asked: shown(b),
        }),
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

fn is_deep(value: &Value) -> bool {
    value.is_object() || value.is_array() || value.is_string()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| cut(&value.to_string(), 0))
}

/// Returns a part of a text as JSON, so that nothing in it can steer a terminal.
fn excerpt(text: &str, from: usize) -> String {
    let part: String = text.chars().skip(from).collect();
    let start = if from > 0 { "…" } else { "" };
    format!("{start}{}", cut(&Value::String(part).to_string(), 0))
}

fn cut(text: &str, from: usize) -> String {
    let mut shown: String = text.chars().skip(from).take(SHOWN).collect();
    if text.chars().count() > from + SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::first;
    use serde_json::{Value, json};

    fn told(recorded: Value, asked: Value) -> String {
        first(&recorded, &asked).map_or_else(
            || "the same".to_owned(),
            |found| format!("{}: {} / {}", found.at, found.recorded, found.asked),
        )
    }

    #[test]
    fn names_the_place_and_shows_both_sides() {
        let request = |content: &str| json!({"messages": [{"role": "user", "content": content}]});
        assert_eq!(told(request("a"), request("a")), "the same");
        assert_eq!(
            told(request("one two"), request("one six")),
            r#"messages[0].content: "one two" / "one six""#
        );
        let long = format!("{}x\u{1b}", "-".repeat(500));
        let other = format!("{}y{}", "-".repeat(500), "z".repeat(500));
        let dashes = "-".repeat(40);
        assert_eq!(
            told(request(&long), request(&other)),
            format!(
                r#"messages[0].content: …"{dashes}x\u001b" / …"{dashes}y{}…"#,
                "z".repeat(118)
            )
        );
        assert_eq!(
            told(
                json!({"a": 1, "messages": [1]}),
                json!({"a": 2, "messages": [1, 2]})
            ),
            "messages[1]: nothing / 2"
        );
        assert_eq!(
            told(json!({"t": {"a": [1]}}), json!({"t": {"a": {"b": 1}}})),
            r#"t.a: [1] / {"b":1}"#
        );
    }
}
