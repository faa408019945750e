//! What the error object of a provider means: whose fault it is, and one shape for all.

use super::ModelError;
use super::error_object::{CONTEXT_OVERFLOW, is_context_overflow};
use serde_json::{Map, Value, json};

/// Decides whose fault an error is, from what the provider calls it. `has_begun` says that
/// an answer was on its way already, so that it may be charged.
pub(super) fn read(error: Value, has_begun: bool) -> ModelError {
    let error = error_object(error);
    let field = |name: &str| error[name].as_str().unwrap_or("");
    let status = ["status", "code"]
        .iter()
        .find_map(|name| error[*name].as_u64())
        .and_then(|status| u16::try_from(status).ok());
    let is_called = |starts: &[&str]| {
        [field("type"), field("code")].iter().any(|name| {
            let name = name.to_ascii_lowercase();
            starts.iter().any(|start| name.starts_with(start))
        })
    };
    let is_busy = matches!(status, Some(429 | 529)) || is_called(&["rate_limit", "overloaded"]);
    let is_failed = status.is_some_and(|status| (500..600).contains(&status))
        || is_called(&[
            "server_error",
            "internal_server_error",
            "internalservererror",
            "internal_error",
            "api_error",
            "timeout_error",
        ]);
    if is_busy || is_failed {
        let kind = [field("type"), field("code"), "an error"];
        let kind = kind.iter().find(|name| !name.is_empty()).unwrap_or(&"");
        let what = format!("the model's provider reports {kind}: {}", field("message"));
        return if is_busy {
            ModelError::Busy {
                what,
                may_be_charged: has_begun,
                retry_after: None,
            }
        } else {
            ModelError::Failed {
                what,
                retryable: true,
                may_be_charged: has_begun,
                retry_after: None,
            }
        };
    }
    let status = status.filter(|status| (400..500).contains(status));
    refusal(status.unwrap_or(400), error)
}

/// Returns whatever a provider says as an error object with a message.
pub(super) fn error_object(error: Value) -> Value {
    let mut error = match error {
        Value::Object(fields) => fields,
        Value::String(text) => Map::from_iter([("message".to_owned(), Value::String(text))]),
        other => Map::from_iter([("message".to_owned(), Value::String(other.to_string()))]),
    };
    if !error.get("message").is_some_and(Value::is_string) {
        error.insert("message".to_owned(), json!("no message"));
    }
    Value::Object(error)
}

/// Returns the refusal that an error object says, with the fields that clients rely on and
/// one name for what every provider calls otherwise: a request longer than the context.
pub(super) fn refusal(status: u16, mut error: Value) -> ModelError {
    if is_context_overflow(&error) {
        error["code"] = json!(CONTEXT_OVERFLOW);
    }
    if let Some(fields) = error.as_object_mut() {
        for (name, default) in [
            ("type", json!("invalid_request_error")),
            ("param", Value::Null),
            ("code", Value::Null),
        ] {
            fields.entry(name).or_insert(default);
        }
    }
    ModelError::Refused { status, error }
}

#[cfg(test)]
mod tests {
    use super::{is_context_overflow, read};
    use crate::model::ModelError;
    use serde_json::json;

    #[test]
    fn every_server_has_its_own_words_for_a_request_that_is_too_long() {
        for error in [
            // OpenAI.
            json!({"code": "context_length_exceeded", "message": "Your input exceeds …"}),
            json!({"message": "This model's maximum context length is 8192 tokens. However, …"}),
            // vLLM.
            json!({"object": "error", "code": 400, "type": "BadRequestError", "message":
                "This model's maximum context length is 4096 tokens. However, you requested 5000"}),
            // llama.cpp.
            json!({"code": 400, "type": "exceed_context_size_error", "message":
                "the request exceeds the available context size, try increasing it"}),
            // Ollama.
            json!({"message": "prompt too long; exceeded max context length by 7 tokens"}),
            json!({"message": "the input length exceeds the context length"}),
            // LiteLLM.
            json!({"code": "400", "type": null, "message":
                "litellm.ContextWindowExceededError: litellm.BadRequestError: …"}),
            // Anthropic.
            json!({"type": "invalid_request_error", "message":
                "prompt is too long: 210000 tokens > 200000 maximum"}),
            // SGLang, LM Studio, xAI, Gemini, Bedrock.
            json!({"message": "The input (9000 tokens) is longer than the model's context length"}),
            json!({"message": "However, the model is loaded with context length of only 4096"}),
            json!({"message": "This model's maximum prompt length is 131072 but …"}),
            json!({"message": "The input token count (1) exceeds the maximum number of tokens"}),
            json!({"message": "Input is too long for requested model."}),
        ] {
            let verdict = read(error.clone(), false);
            let ModelError::Refused { status: 400, error } = &verdict else {
                panic!("{verdict:?}")
            };
            assert!(is_context_overflow(error), "{error}");
            assert!(verdict.is_context_overflow());
            assert_eq!(error["code"], "context_length_exceeded");
        }
        for error in [
            json!({"message": "max_tokens is too large"}),
            json!({"message": "messages: text content blocks must be non-empty"}),
        ] {
            assert!(!read(error, false).is_context_overflow());
        }
    }

    #[test]
    fn what_the_provider_did_is_not_the_requests_fault() {
        for (error, is_busy) in [
            (
                json!({"type": "overloaded_error", "message": "Overloaded"}),
                true,
            ),
            (json!({"type": "InternalServerError", "code": 500}), false),
            (json!({"code": 429, "message": "slow down"}), true),
            (json!({"code": "server_error"}), false),
        ] {
            // What was on its way may be charged, whatever was said at its end.
            match read(error.clone(), true) {
                ModelError::Busy {
                    may_be_charged: true,
                    ..
                } => assert!(is_busy),
                ModelError::Failed {
                    retryable: true,
                    may_be_charged: true,
                    ..
                } => assert!(!is_busy),
                other => panic!("{other:?}"),
            }
            match read(error, false) {
                ModelError::Busy {
                    may_be_charged: false,
                    ..
                } => assert!(is_busy),
                ModelError::Failed {
                    retryable: true,
                    may_be_charged: false,
                    ..
                } => {
                    assert!(!is_busy);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
