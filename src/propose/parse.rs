//! From a model's text to a proposal, strictly; what is wrong is said so that the model can
//! mend it.

use crate::domain::Proposal;
use serde_json::{Map, Value};

/// Most characters of one field.
const LONGEST_FIELD: usize = 50_000;
/// Most bytes of an answer that is looked at.
const LONGEST_ANSWER: usize = 1 << 20;
/// Most candidates for the object that are looked at.
const MOST_CANDIDATES: usize = 1000;

/// Reads the first JSON object of the text, bare, fenced or between prose, as a proposal.
pub(super) fn proposal(text: &str) -> Result<Proposal, String> {
    if text.len() > LONGEST_ANSWER {
        return Err("it is far too long".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::proposal;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use serde_json::{Value, json};

    fn answer() -> Value {
        json!({
            "log_summarization": "It stopped.",
            "potential_improvements": ["a {b}", "c"],
            "improvement_proposal": "Go on.",
            "implementation_suggestion": "Use `}` and \"{\".",
            "problem_description": "# Title\nText",
            "confidence": 0.9,
        })
    }

    #[test]
    fn an_answer_is_found_where_it_is() {
        let json = serde_json::to_string_pretty(&answer()).expect("it is JSON");
        for text in [
            json.clone(),
            format!("```json\n{json}\n```"),
            format!("I looked at {{all of}} it. {json} Is {{\"that\": 1}} fine?"),
            format!("{json}\n{json}"),
        ] {
            let proposal = proposal(&text).expect("the proposal is found");
            assert_eq!(proposal.title(), "Title");
            assert_eq!(proposal.potential_improvements, ["a {b}", "c"]);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut wrong = vec![
            proposal("no").expect_err("no proposal"),
            proposal("{\"log_summarization\": ").expect_err("cut off"),
        ];
        for (key, value) in [
            ("log_summarization", Value::Null),
            ("log_summarization", json!(" ")),
            ("potential_improvements", json!("one")),
            ("potential_improvements", json!(["one", 2])),
            ("problem_description", json!("x".repeat(50_001))),
        ] {
            let mut odd = answer();
            odd[key] = value;
            wrong.push(proposal(&odd.to_string()).expect_err("it is odd"));
        }
        let mut odd = answer();
        odd.as_object_mut()
            .expect("an object")
            .shift_remove("implementation_suggestion");
        wrong.push(proposal(&odd.to_string()).expect_err("it is odd"));
        insta::assert_snapshot!(wrong.join("\n"), @r"
        it holds no complete JSON object
        it holds no complete JSON object
        `log_summarization` is no string
        `log_summarization` is empty
        `potential_improvements` is no list
        `potential_improvements` holds something that is no string
        `problem_description` is longer than 50000 characters
        the key `implementation_suggestion` is missing
        ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            let _read = proposal(&text);
            let _read = proposal(&format!("{{{text}"));
        }

        /// Whatever stands in the fields and around the object, it is read as it was written.
        #[test]
        fn what_was_written_is_read(
            field in "\\PC{0,20}[{}\"a]",
            before in "[^{]{0,20}",
            after in any::<String>(),
        ) {
            let mut given = answer();
            given["problem_description"] = json!(field);
            let read = proposal(&format!("{before}{given}{after}"));
            prop_assert_eq!(read.map(|read| read.problem_description), Ok(field));
        }
    }
}
