//! What an agent is told of a call that failed: pure.
//!
//! Invariant: what it is told is about its own request. Where the provider is, what of the
//! host is wrong, whose account pays and what its key looks like stay on the host, where the
//! transcript, the run's status and `dgm doctor --models` say them in full.

use super::{ModelError, error_object};
use regex::{Captures, Regex};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// What takes the place of something that is not the agent's to know.
const HIDDEN: &str = "[…]";

/// Returns the error object that an agent gets, in OpenAI's dialect.
pub(super) fn object(error: &ModelError) -> Value {
    let said = |kind: &str, message: &str| json!({"message": message, "type": kind, "param": null, "code": null});
    match error {
        ModelError::Refused { error, .. } => refusal(error),
        ModelError::Busy { .. } => said(
            "rate_limit_error",
            "the model's provider still asks for fewer calls",
        ),
        ModelError::Failed { .. } => said(
            "server_error",
            "the model's provider failed; the run's log says how",
        ),
        ModelError::Unusable { .. } => said(
            "authentication_error",
            "the model cannot be asked; the run's log says why",
        ),
    }
}

/// Returns the fields of a refusal that clients go by; what else a provider adds is about its
/// own servers and its customer.
fn refusal(error: &Value) -> Value {
    let field = |name: &str| match &error[name] {
        Value::String(text) => Value::String(text_of(text)),
        Value::Number(number) => Value::Number(number.clone()),
        _ => Value::Null,
    };
    json!({
        "message": text_of(error_object::message(error)),
        "type": field("type"),
        "param": field("param"),
        "code": field("code"),
    })
}

/// Returns a provider's words without addresses, keys, and names of accounts.
fn text_of(text: &str) -> String {
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)
            [a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\x22`<>)\]}]+     # an address with a scheme
            | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                   # of a mailbox
            | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b           # of a machine
            | \b(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{2,5}\b",
        )
    });
    // Keys and accounts by how they begin; and whatever is shown with its middle starred out.
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)
            \b(?:Bearer|Basic)\s+\S+
            | \b(?:sk|pk|rk|key|org|proj|project|acct|account|workspace|wrkspc|user|team|gsk|xai|hf|nvapi|r8)[-_][\w*.…-]{3,}
            | \bAIza[\w*.…-]{4,}
            | \b\w+\*{3,}\w*",
        )
    });
    let text = ADDRESS.replace_all(text, HIDDEN);
    let text = NAME.replace_all(&text, |found: &Captures<'_>| {
        let word = &found[0];
        // `user-defined` and `key_value` are words like others.
        let is_word = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || "-_.".contains(c));
        if is_word {
            word.to_owned()
        } else {
            HIDDEN.to_owned()
        }
    });
    text.into_owned()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("invariant: the pattern is right")
}

#[cfg(test)]
mod tests {
    use super::{object, text_of};
    use crate::model::ModelError;
    use serde_json::json;

    #[test]
    fn hides_addresses_keys_and_accounts() {
        let said = [
            "Incorrect API key provided: sk-proj-abc***xyz. See https://platform.example/keys.",
            "Rate limit in organization org-Ab12Cd34 on tokens, user-7f2 of acct_99AbCd.",
            "upstream http://10.1.2.3:8000/v1 (10.1.2.3:8000, gpu-7.corp.local:8443) said no",
            "key abcd1234****wxyz of ann@corp.example, Bearer abc.def, AIzaSyA1234567",
        ]
        .map(text_of);
        insta::assert_snapshot!(said.join("\n"), @r"
        Incorrect API key provided: […] See […]
        Rate limit in organization […] on tokens, […] of […]
        upstream […] ([…], […]) said no
        key […] of […], […] […]
        ");
    }

    #[test]
    fn leaves_what_an_agent_can_act_on() {
        for text in [
            "This model's maximum context length is 8192 tokens. However, you requested 9000.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "messages.3.content.0: `tool_use` ids were found without `tool_result`: toolu_01A09q90",
            "Invalid schema for function 'f': user-defined key_value in /properties/a is not 1.2.3",
            "`tools[0]` is of the kind `web_search_20250305`, which the provider would run itself",
            "",
        ] {
            assert_eq!(text_of(text), text);
        }
    }

    #[test]
    fn a_refusal_has_its_four_fields_and_no_other() {
        let error = ModelError::Refused {
            status: 400,
            error: json!({
                "message": "no such tool in org-Ab12Cd34", "type": "invalid_request_error",
                "param": "tools", "code": 400, "metadata": {"raw": "host"}, "user_id": "user_1",
            }),
        };
        assert_eq!(
            object(&error),
            json!({
                "message": "no such tool in […]", "type": "invalid_request_error",
                "param": "tools", "code": 400,
            })
        );
        let error = ModelError::Refused {
            status: 400,
            error: json!({"type": {"a": 1}}),
        };
        let empty = json!({"message": "no message", "type": null, "param": null, "code": null});
        assert_eq!(object(&error), empty);
    }
}
