//! From what a provider answered to a reply: pure, strict about what is used, tolerant of
//! what is missing.

use super::{ModelError, Price};
use crate::domain::{Tokens, Usd};
use crate::sys::clock::now_ms;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A count of tokens beyond this is nonsense, not usage.
const MOST_TOKENS: u64 = 1_000_000_000;

/// What a request is called that is longer than the model's context.
const CONTEXT_OVERFLOW: &str = "context_length_exceeded";

/// What servers say of such a request, in lower case.
const OVERFLOWS: [&str; 15] = [
    // OpenAI, vLLM, DeepSeek, OpenRouter.
    "maximum context length",
    // Anthropic, Ollama.
    "prompt is too long",
    "prompt too long",
    // llama.cpp.
    "exceeds the available context size",
    "exceed context size",
    // LiteLLM.
    "contextwindowexceedederror",
    "context window",
    // OpenAI, of newer models.
    "context_length_exceeded",
    // SGLang, Ollama, LM Studio.
    "longer than the model's context length",
    "exceeds the context length",
    "model is loaded with context length",
    // xAI, Gemini, Bedrock, TGI.
    "maximum prompt length",
    "exceeds the maximum number of tokens",
    "input is too long",
    "`inputs` tokens + `max_new_tokens` must be",
];

/// A model's answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// A complete Chat Completions response.
    pub body: Value,
    /// Tokens used.
    pub tokens: Tokens,
    /// Whether the provider said nothing about tokens, so that they are a guess
    /// (a quarter of the characters).
    pub estimated: bool,
    /// Money spent.
    pub cost: Usd,
    /// From the request to the end of the answer.
    pub latency: Duration,
}

impl Reply {
    /// Returns the text of the first choice.
    pub fn text(&self) -> String {
        self.message().map(content_text).unwrap_or_default()
    }

    /// Returns why the first choice ended, such as `stop`, `length` or `tool_calls`.
    pub fn finish_reason(&self) -> &str {
        self.body["choices"][0]["finish_reason"]
            .as_str()
            .unwrap_or("stop")
    }

    /// Returns the message of the first choice.
    pub fn message(&self) -> Option<&Value> {
        self.body.pointer("/choices/0/message")
    }
}

/// Returns the text of a message: a string, or the text parts of a list.
pub(super) fn content_text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("[{}]", part["type"].as_str().unwrap_or("unknown part")),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Returns the message of an error object.
pub(super) fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap_or("no message")
}

/// Returns whether an error object says that the request was too long for the model.
pub(super) fn is_context_overflow(error: &Value) -> bool {
    let kinds = [&error["code"], &error["type"]];
    let text = message(error).to_lowercase();
    kinds
        .iter()
        .any(|kind| **kind == CONTEXT_OVERFLOW || **kind == "exceed_context_size_error")
        || OVERFLOWS.iter().any(|said| text.contains(said))
}

/// Reads a provider's answer: a response, or an error in OpenAI's dialect.
pub(super) fn read(
    mut body: Value,
    request: &Value,
    model: &str,
    price: Price,
    latency: Duration,
) -> Result<Reply, ModelError> {
    if let Some(error) = body.get_mut("error").filter(|error| !error.is_null()) {
        return Err(read_error(error.take(), false));
    }
    complete(&mut body, model).map_err(|what| ModelError::Failed {
        what: format!("the reply of model `{model}` is unusable: {what}"),
        retryable: true,
        may_be_charged: true,
        retry_after: None,
    })?;
    let (tokens, estimated) = match usage(&body) {
        Some(tokens) => (tokens, false),
        None => (estimate(request, &body), true),
    };
    if estimated {
        body["usage"] = json!({
            "prompt_tokens": tokens.input,
            "completion_tokens": tokens.output,
            "total_tokens": tokens.total(),
        });
    }
    Ok(Reply {
        body,
        tokens,
        estimated,
        cost: price.cost(tokens),
        latency,
    })
}

/// Decides whose fault an error is, from what the provider calls it. `has_begun` says that
/// an answer was on its way already, so that it may be charged.
pub(super) fn read_error(error: Value, has_begun: bool) -> ModelError {
    let error = error_object(error);
    let field = |name: &str| error[name].as_str().unwrap_or("");
    let status = ["status", "code"]
        .iter()
        .find_map(|name| error[*name].as_u64())
        .and_then(|status| u16::try_from(status).ok());
    let is_providers = status.is_some_and(|status| status == 429 || (500..600).contains(&status))
        || [field("type"), field("code")].iter().any(|name| {
            [
                "rate_limit",
                "server_error",
                "overloaded",
                "internal_server_error",
                "internal_error",
                "api_error",
                "timeout_error",
            ]
            .iter()
            .any(|start| name.to_ascii_lowercase().starts_with(start))
        });
    if is_providers {
        let kind = [field("type"), field("code"), "an error"];
        let kind = kind.iter().find(|name| !name.is_empty()).unwrap_or(&"");
        return ModelError::Failed {
            what: format!("the model's provider reports {kind}: {}", field("message")),
            retryable: true,
            may_be_charged: has_begun,
            retry_after: None,
        };
    }
    let status = status.filter(|status| (400..500).contains(status));
    refused_with(status.unwrap_or(400), error)
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
pub(super) fn refused_with(status: u16, mut error: Value) -> ModelError {
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

/// Fills in what clients rely on and a small program may leave out.
fn complete(body: &mut Value, model: &str) -> Result<(), String> {
    let fields = body.as_object_mut().ok_or("it is no JSON object")?;
    let choices = fields
        .get_mut("choices")
        .and_then(Value::as_array_mut)
        .filter(|choices| !choices.is_empty())
        .ok_or("it has no `choices`")?;
    // One choice is what was asked for; more could only be charged twice and used once.
    choices.truncate(1);
    for (index, choice) in choices.iter_mut().enumerate() {
        let choice = choice.as_object_mut().ok_or("a choice is no object")?;
        let message = choice
            .get_mut("message")
            .and_then(Value::as_object_mut)
            .ok_or("a choice has no `message`")?;
        message.insert("role".to_owned(), json!("assistant"));
        message.entry("content").or_insert(Value::Null);
        let calls = match message.get("tool_calls") {
            None | Some(Value::Null) => {
                message.remove("tool_calls");
                false
            }
            Some(Value::Array(calls)) => {
                check_tool_calls(calls)?;
                !calls.is_empty()
            }
            Some(_) => return Err("`tool_calls` is no list".to_owned()),
        };
        choice.insert("index".to_owned(), json!(index));
        if !choice.get("finish_reason").is_some_and(Value::is_string) {
            let reason = if calls { "tool_calls" } else { "stop" };
            choice.insert("finish_reason".to_owned(), json!(reason));
        }
    }
    let seconds = now_ms() / 1000;
    for (name, default) in [
        ("id", json!("chatcmpl-dgm")),
        ("object", json!("chat.completion")),
        ("created", json!(seconds)),
        ("model", json!(model)),
    ] {
        fields.entry(name).or_insert(default);
    }
    Ok(())
}

fn check_tool_calls(calls: &[Value]) -> Result<(), String> {
    for call in calls {
        if !call["id"].is_string() {
            return Err("a tool call has no `id`".to_owned());
        }
        if !call["function"]["name"].is_string() || !call["function"]["arguments"].is_string() {
            return Err("a tool call has no `function` with `name` and `arguments`".to_owned());
        }
    }
    Ok(())
}

fn usage(body: &Value) -> Option<Tokens> {
    let usage = body.get("usage")?;
    let count = |path: &str| {
        usage
            .pointer(path)
            .and_then(Value::as_u64)
            .filter(|count| *count <= MOST_TOKENS)
    };
    let input = count("/prompt_tokens")?;
    let output = count("/completion_tokens")?;
    let part = |path: &str, whole: u64| count(path).unwrap_or(0).min(whole);
    Some(Tokens {
        input,
        cached: part("/prompt_tokens_details/cached_tokens", input),
        output,
        reasoning: part("/completion_tokens_details/reasoning_tokens", output),
        ..Tokens::default()
    })
}

fn estimate(request: &Value, body: &Value) -> Tokens {
    let quarter = |value: &Value| (value.to_string().chars().count() as u64).div_ceil(4);
    Tokens {
        input: quarter(&request["messages"]) + request.get("tools").map_or(0, quarter),
        output: quarter(&body["choices"]),
        ..Tokens::default()
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::domain::{Tokens, Usd};
    use crate::model::{ModelError, Price, Reply};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn read_value(body: Value) -> Result<Reply, ModelError> {
        let request = json!({"messages": [{"role": "user", "content": "hello"}]});
        let price = Price::PerMillion {
            input: Usd(1_000_000),
            output: Usd(2_000_000),
        };
        read(body, &request, "m", price, Duration::ZERO)
    }

    #[test]
    fn a_small_reply_is_completed() {
        let reply = read_value(json!({"choices": [{"message": {"content": "hi"}}]}))
            .expect("the reply is usable");
        assert_eq!(reply.text(), "hi");
        assert_eq!(reply.finish_reason(), "stop");
        assert!(reply.estimated && reply.tokens.input > 0 && reply.tokens.output > 0);
        assert_eq!(reply.body["object"], "chat.completion");
        assert_eq!(reply.body["model"], "m");
        assert_eq!(reply.body["choices"][0]["message"]["role"], "assistant");
        assert_eq!(reply.body["usage"]["prompt_tokens"], reply.tokens.input);
    }

    #[test]
    fn usage_is_taken_with_its_parts() {
        let reply = read_value(json!({
            "choices": [{"message": {"content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ]}}],
            "usage": {
                "prompt_tokens": 100, "completion_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 400}
            }
        }))
        .expect("the reply is usable");
        assert_eq!(reply.finish_reason(), "tool_calls");
        assert!(!reply.estimated);
        let tokens = Tokens {
            input: 100,
            cached: 60,
            output: 10,
            reasoning: 10,
            ..Tokens::default()
        };
        assert_eq!((reply.tokens, reply.cost), (tokens, Usd(120)));
    }

    #[test]
    fn nonsense_usage_is_not_believed() {
        for usage in [
            json!({"prompt_tokens": -1, "completion_tokens": 1}),
            json!({"prompt_tokens": u64::MAX, "completion_tokens": 1}),
            json!({"prompt_tokens": "7", "completion_tokens": 1}),
            json!([]),
        ] {
            let body = json!({"choices": [{"message": {}}], "usage": usage});
            assert!(read_value(body).expect("the reply is usable").estimated);
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let overflow = read_value(json!({"error": {
            "message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"
        }}))
        .expect_err("an error");
        assert!(overflow.is_context_overflow());
        assert!(matches!(overflow, ModelError::Refused { status: 400, .. }));

        let plain = read_value(json!({"error": "no"})).expect_err("an error");
        let ModelError::Refused { status, error } = &plain else {
            panic!("{plain}")
        };
        assert_eq!((*status, &error["message"]), (400, &json!("no")));
        assert!(!plain.is_context_overflow());

        for error in [
            json!({"type": "rate_limit_error", "message": "slow down"}),
            json!({"type": "server_error"}),
            json!({"code": 529}),
            json!({"status": 429, "message": "x"}),
        ] {
            let error = read_value(json!({"error": error})).expect_err("an error");
            assert!(
                matches!(
                    error,
                    ModelError::Failed {
                        retryable: true,
                        may_be_charged: false,
                        retry_after: None,
                        ..
                    }
                ),
                "{error:?}"
            );
        }
        let gone = read_value(json!({"error": {"status": 404}})).expect_err("an error");
        assert!(matches!(gone, ModelError::Refused { status: 404, .. }));
    }

    #[test]
    fn unusable_replies_are_failures_of_the_provider() {
        for (body, what) in [
            (json!(7), "no JSON object"),
            (json!({}), "no `choices`"),
            (json!({"choices": []}), "no `choices`"),
            (json!({"choices": [7]}), "no object"),
            (json!({"choices": [{}]}), "no `message`"),
            (
                json!({"choices": [{"message": {"tool_calls": 7}}]}),
                "no list",
            ),
            (
                json!({"choices": [{"message": {"tool_calls": [{}]}}]}),
                "no `id`",
            ),
            (
                json!({"choices": [{"message": {"tool_calls": [{"id": "x"}]}}]}),
                "no `function`",
            ),
        ] {
            let error = read_value(body).expect_err("unusable");
            assert!(error.to_string().contains(what), "{error}");
            assert!(matches!(error, ModelError::Failed { .. }));
        }
    }
}
