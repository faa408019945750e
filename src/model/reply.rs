//! From what a provider answered to a reply: pure, strict about what is used, tolerant of
//! what is missing.

use super::error::ModelError;
use super::price::Price;
use super::wire::Dialect;
use super::{usage, verdict};
use crate::domain::{Tokens, Usd};
use crate::sys::clock::now_ms;
use serde_json::{Value, json};
use std::time::Duration;

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

/// What an answer belongs to.
pub(super) struct AnswerAbout<'a> {
    dialect: Dialect,
    request: &'a Value,
    model: &'a str,
    price: Price,
    latency: Duration,
}

impl<'a> AnswerAbout<'a> {
    pub(super) fn new(
        dialect: Dialect,
        request: &'a Value,
        (model, price): (&'a str, Price),
        latency: Duration,
    ) -> Self {
        Self {
            dialect,
            request,
            model,
            price,
            latency,
        }
    }

    /// Returns a body as a reply, with its usage, or with an estimate in place of it.
    fn reply(&self, mut body: Value) -> Reply {
        let counted = usage::counted(self.dialect, &body);
        let estimated = counted.is_none();
        let tokens = counted.unwrap_or_else(|| usage::estimate(self.request, &body));
        if estimated {
            body["usage"] = usage::written(self.dialect, tokens);
        }
        Reply {
            body,
            tokens,
            estimated,
            cost: self.price.cost(tokens),
            latency: self.latency,
        }
    }
}

/// Reads a provider's answer: a response, or an error.
pub(super) fn read(mut body: Value, about: &AnswerAbout<'_>) -> Result<Reply, ModelError> {
    if let Some(error) = body.get_mut("error").filter(|error| !error.is_null()) {
        return Err(verdict::read(error.take(), false));
    }
    match about.dialect {
        Dialect::Chat => complete(&mut body, about.model),
        Dialect::Messages => check_message(&body),
    }
    .map_err(|what| unusable(about.model, &what))?;
    Ok(about.reply(body))
}

/// Reads what the events of a stream came to; what was passed on is taken as it is.
pub(super) fn read_streamed(body: Value, about: &AnswerAbout<'_>) -> Reply {
    about.reply(body)
}

/// Returns the error for an answer that nobody can use.
pub(super) fn unusable(model: &str, what: &str) -> ModelError {
    ModelError::Failed {
        what: format!("the reply of model `{model}` is unusable: {what}"),
        retryable: true,
        may_be_charged: true,
        retry_after: None,
    }
}

/// Checks that there is a message; it is passed on as it is.
fn check_message(body: &Value) -> Result<(), String> {
    match body["content"].is_array() {
        true => Ok(()),
        false => Err("it has no `content`".to_owned()),
    }
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
                message.shift_remove("tool_calls");
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

#[cfg(test)]
mod tests {
    use super::{AnswerAbout, read};
    use crate::domain::{Tokens, Usd};
    use crate::model::wire::Dialect;
    use crate::model::{ModelError, Price, Reply};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn read_value(body: Value) -> Result<Reply, ModelError> {
        let request = json!({"messages": [{"role": "user", "content": "hello"}]});
        let about = AnswerAbout {
            dialect: Dialect::Chat,
            request: &request,
            model: "m",
            price: Price::plain(Usd(1_000_000), Usd(2_000_000)),
            latency: Duration::ZERO,
        };
        read(body, &about)
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
            json!({"code": 529}),
            json!({"status": 429, "message": "x"}),
        ] {
            let error = read_value(json!({"error": error})).expect_err("an error");
            assert!(matches!(error, ModelError::Busy { .. }), "{error:?}");
        }
        let failed = read_value(json!({"error": {"type": "server_error"}})).expect_err("an error");
        assert!(
            matches!(
                failed,
                ModelError::Failed {
                    retryable: true,
                    may_be_charged: false,
                    retry_after: None,
                    ..
                }
            ),
            "{failed:?}"
        );
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
