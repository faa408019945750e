//! A request as it leaves: pure.
//!
//! Whoever asks is not believed. Invariants: the model, the number of answers and whether
//! they are streamed are not the caller's to say; its limit of output tokens can only lower
//! the configured one; and nothing passes that makes the provider reach beyond the model,
//! such as a search, a program of its own or an address to fetch: the caller has no network,
//! and shall not get one there. What is not known to be harmless is refused by name.

use super::bound;
use super::clip::clip;
use super::error::ModelError;
use super::wire::Dialect;
use crate::domain::Tokens;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of Chat Completions that pass.
const CHAT_FIELDS: [&str; 38] = [
    "cache_control",
    "chat_template_kwargs",
    "frequency_penalty",
    "function_call",
    "functions",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "logit_bias",
    "logprobs",
    "messages",
    "metadata",
    "min_p",
    "modalities",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "reasoning_effort",
    "repeat_penalty",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "stop",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "typical_p",
    "user",
    "verbosity",
];

/// Fields of Messages that pass.
const MESSAGES_FIELDS: [&str; 16] = [
    "anthropic_beta",
    "anthropic_version",
    "cache_control",
    "context_management",
    "messages",
    "metadata",
    "output_config",
    "output_format",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Fields that are left out without a word: they are the host's to say.
const OWN_FIELDS: [&str; 5] = ["model", "service_tier", "store", "stream", "stream_options"];

/// What the kinds of tools of Messages begin with that the caller runs itself.
const OWN_TOOLS: [&str; 5] = ["bash_", "computer_", "custom", "memory_", "text_editor_"];

/// A request that may leave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) body: Arc<Value>,
    /// Whether the caller wants to see the usage of a stream.
    pub(super) with_usage: bool,
    /// What it can use at most.
    pub(super) most: Tokens,
}

/// What a configured model says of the requests that it is sent.
pub(super) struct RequestRules<'a> {
    /// Its name.
    pub(super) model: &'a str,
    /// Whether it takes images.
    pub(super) takes_images: bool,
    /// The most tokens that one answer may have.
    pub(super) max_output_tokens: u64,
}

/// Returns a request as it leaves, or why it does not.
pub(super) fn prepare(
    dialect: Dialect,
    request: &Value,
    rules: &RequestRules<'_>,
) -> Result<Outgoing, ModelError> {
    let mut body = check(dialect, request, rules.takes_images)?;
    let limit = limit(dialect, request, rules.max_output_tokens);
    let name = match dialect {
        Dialect::Chat => "max_completion_tokens",
        Dialect::Messages => "max_tokens",
    };
    body.insert(name.to_owned(), json!(limit));
    body.insert("model".to_owned(), json!(rules.model));
    let body = Arc::new(Value::Object(body));
    let most = Tokens {
        input: bound::input_at_most(&body),
        output: limit,
        ..Tokens::default()
    };
    Ok(Outgoing {
        body,
        with_usage: dialect == Dialect::Messages
            || request["stream_options"]["include_usage"] == true,
        most,
    })
}

/// Returns the fields that pass.
fn check(
    dialect: Dialect,
    request: &Value,
    takes_images: bool,
) -> Result<Map<String, Value>, ModelError> {
    let fields = request
        .as_object()
        .ok_or_else(|| refused("the request is no JSON object"))?;
    if !fields.get("messages").is_some_and(Value::is_array) {
        return Err(refused("the request has no list `messages`"));
    }
    check_values(dialect, fields)?;
    check_content(dialect, fields, takes_images)?;
    check_tools(dialect, fields)?;
    passing(dialect, fields)
}

/// Checks the values of what is decided here and does not pass as it is: nobody behind this
/// would say that they are wrong.
fn check_values(dialect: Dialect, fields: &Map<String, Value>) -> Result<(), ModelError> {
    let wrong = |name: &str, is_right: fn(&Value) -> bool| {
        let value = fields.get(name).filter(|value| !value.is_null());
        value.is_some_and(|value| !is_right(value))
    };
    if wrong("stream", Value::is_boolean) {
        return Err(refused_at("stream", "`stream` must be `true` or `false`"));
    }
    for name in limits(dialect) {
        if wrong(name, |limit| limit.as_u64().is_some_and(|limit| limit > 0)) {
            let what = format!("`{name}` must be a whole number of at least 1");
            return Err(refused_at(name, &what));
        }
    }
    if dialect == Dialect::Chat && wrong("modalities", |kinds| *kinds == json!(["text"])) {
        let what = "`modalities` must be `[\"text\"]`: sound is not passed on to the model";
        return Err(refused_at("modalities", what));
    }
    Ok(())
}

/// Returns what a dialect calls the limit of output tokens, the present name first.
fn limits(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &["max_completion_tokens", "max_tokens"],
        Dialect::Messages => &["max_tokens"],
    }
}

/// Returns the error for a dialect that the provider does not speak.
pub(super) fn other_dialect() -> ModelError {
    let what = "this role's model is not served by Anthropic: \
                use `POST /v1/chat/completions`, which works with every provider";
    ModelError::Refused {
        status: 404,
        error: json!({
            "message": what, "type": "not_found_error", "param": null, "code": null,
        }),
    }
}

fn passing(
    dialect: Dialect,
    fields: &Map<String, Value>,
) -> Result<Map<String, Value>, ModelError> {
    let known: &[&str] = match dialect {
        Dialect::Chat => &CHAT_FIELDS,
        Dialect::Messages => &MESSAGES_FIELDS,
    };
    let mut body = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "n" if dialect == Dialect::Chat => match value {
                Value::Null => {}
                n if n.as_u64() == Some(1) => {}
                _ => return Err(refused("`n` must be 1: one answer per call")),
            },
            "max_completion_tokens" | "max_tokens" => {}
            name if OWN_FIELDS.contains(&name) => {}
            known_name if known.contains(&known_name) => {
                body.insert(name.clone(), value.clone());
            }
            _ if value.is_null() => {}
            other => {
                let what = format!("`{}` is not passed on to the model", clip(other, 100));
                return Err(refused(&what));
            }
        }
    }
    Ok(body)
}

/// Returns the limit of output tokens, which the caller may give its present or its former
/// name.
fn limit(dialect: Dialect, request: &Value, configured: u64) -> u64 {
    let names = limits(dialect);
    let asked = names.iter().find_map(|name| request.get(*name)?.as_u64());
    asked.unwrap_or(configured).clamp(1, configured)
}

/// Checks that the caller runs all of its tools itself.
fn check_tools(dialect: Dialect, fields: &Map<String, Value>) -> Result<(), ModelError> {
    let tools = fields.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        // What names no kind is a tool of the caller's, or an error to the provider.
        let Some(kind) = tool["type"].as_str() else {
            continue;
        };
        let is_callers = match dialect {
            Dialect::Chat => ["function", "custom"].contains(&kind),
            Dialect::Messages => OWN_TOOLS.iter().any(|own| kind.starts_with(own)),
        };
        if !is_callers {
            return Err(refused(&format!(
                "`tools[{index}]` is of the kind `{}`, which the provider would run itself; \
                 only tools that you run pass",
                clip(kind, 100)
            )));
        }
    }
    Ok(())
}

/// Checks what messages hold beside text.
fn check_content(
    dialect: Dialect,
    fields: &Map<String, Value>,
    takes_images: bool,
) -> Result<(), ModelError> {
    let messages = fields.get("messages").and_then(Value::as_array);
    for (index, message) in messages.into_iter().flatten().enumerate() {
        let mut parts: Vec<&Value> = message["content"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        while let Some(part) = parts.pop() {
            // Results of tools hold parts of their own.
            parts.extend(part["content"].as_array().into_iter().flatten());
            let (is_image, is_elsewhere) = nature(dialect, part);
            if is_image && !takes_images {
                return Err(refused(&format!(
                    "`messages[{index}]` holds an image, which this role's model does not take"
                )));
            }
            if is_elsewhere {
                return Err(refused(&format!(
                    "`messages[{index}]` refers to something elsewhere, which the provider \
                     would have to fetch: send the data itself"
                )));
            }
        }
    }
    Ok(())
}

/// Returns whether a part of a message is an image, and whether it only says where something
/// is.
fn nature(dialect: Dialect, part: &Value) -> (bool, bool) {
    let is_data = |value: &Value| value.as_str().is_some_and(|url| url.starts_with("data:"));
    let kind = part["type"].as_str().unwrap_or_default();
    match (dialect, kind) {
        (Dialect::Chat, "image_url" | "input_image") => {
            let url = &part["image_url"];
            (true, !is_data(url) && !is_data(&url["url"]))
        }
        (Dialect::Chat, "video_url" | "audio_url") => {
            let url = &part[kind];
            (false, !is_data(url) && !is_data(&url["url"]))
        }
        (Dialect::Chat, "file" | "input_file") => {
            let file = part.get("file").unwrap_or(part);
            (false, !file["file_data"].is_string())
        }
        (Dialect::Messages, "image" | "document") => {
            let source = part["source"]["type"].as_str();
            let is_here = source.is_some_and(|kind| ["base64", "text", "content"].contains(&kind));
            (kind == "image", !is_here)
        }
        // A file that was put elsewhere before, for tools that the provider runs.
        (Dialect::Messages, "container_upload") => (false, true),
        _ => (false, false),
    }
}

fn refused(what: &str) -> ModelError {
    refused_with(Value::Null, what)
}

/// Returns the refusal of a field's value.
fn refused_at(field: &str, what: &str) -> ModelError {
    refused_with(json!(field), what)
}

fn refused_with(param: Value, what: &str) -> ModelError {
    ModelError::Refused {
        status: 400,
        error: json!({
            "message": what, "type": "invalid_request_error", "param": param, "code": null,
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::fixture::{Program, request};
    use crate::model::wire::Dialect;
    use crate::model::{Model, ModelError, ModelSettings, Price};
    use serde_json::{Value, json};

    fn model(images: bool) -> Model {
        let program = Program::new("");
        let settings = ModelSettings {
            images,
            price: Some(Price::Free),
            ..program.settings()
        };
        Model::new(settings).expect("the settings are right")
    }

    fn refusal(dialect: Dialect, fields: Value) -> Option<String> {
        let mut request = request("hi");
        for (name, value) in fields.as_object().expect("fields") {
            request[name] = value.clone();
        }
        let checked = super::check(dialect, &request, true);
        match checked {
            Ok(_) => None,
            Err(ModelError::Refused { status: 400, error }) => {
                Some(error["message"].as_str().expect("a message").to_owned())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_passes_that_would_give_the_caller_a_network() {
        let chat = |fields| refusal(Dialect::Chat, fields);
        let messages = |fields| refusal(Dialect::Messages, fields);
        let content = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
        let said = [
            chat(json!({"web_search_options": {}})),
            chat(json!({"plugins": [{"id": "web"}]})),
            chat(json!({"models": ["another"]})),
            chat(json!({"tools": [{"type": "function"}, {"type": "web_search_preview"}]})),
            chat(content(
                json!({"type": "image_url", "image_url": {"url": "https://a/x.png"}}),
            )),
            chat(content(json!({"type": "file", "file": {"file_id": "f"}}))),
            messages(json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]})),
            messages(json!({"mcp_servers": []})),
            messages(json!({"container": "c"})),
            messages(content(
                json!({"type": "image", "source": {"type": "url", "url": "u"}}),
            )),
            messages(content(json!({"type": "tool_result", "content": [
                {"type": "document", "source": {"type": "file", "file_id": "f"}}]}))),
        ]
        .map(|said| said.expect("it is refused"));
        insta::assert_snapshot!(said.join("\n"), @r"
        `web_search_options` is not passed on to the model
        `plugins` is not passed on to the model
        `models` is not passed on to the model
        `tools[1]` is of the kind `web_search_preview`, which the provider would run itself; only tools that you run pass
        `messages[0]` refers to something elsewhere, which the provider would have to fetch: send the data itself
        `messages[0]` refers to something elsewhere, which the provider would have to fetch: send the data itself
        `tools[0]` is of the kind `web_fetch_20250910`, which the provider would run itself; only tools that you run pass
        `mcp_servers` is not passed on to the model
        `container` is not passed on to the model
        `messages[0]` refers to something elsewhere, which the provider would have to fetch: send the data itself
        `messages[0]` refers to something elsewhere, which the provider would have to fetch: send the data itself
        ");
        for fields in [
            json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}]}),
            json!({"temperature": 0, "reasoning_effort": "high", "seed": 7, "user": "me"}),
            json!({"unknown": null}),
            content(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}})),
            content(json!({"type": "text", "text": "https://a"})),
        ] {
            assert_eq!(chat(fields.clone()), None, "{fields}");
        }
        for fields in [
            json!({"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "system": "s"}),
            content(json!({"type": "image", "source": {"type": "base64", "data": "AA"}})),
        ] {
            assert_eq!(messages(fields.clone()), None, "{fields}");
        }
    }

    #[test]
    fn wrong_values_of_what_is_decided_here_are_refused_by_name() {
        for (dialect, field, value, right) in [
            (Dialect::Chat, "stream", json!("true"), json!(true)),
            (Dialect::Chat, "stream", json!(1), json!(null)),
            (Dialect::Messages, "stream", json!("true"), json!(false)),
            (Dialect::Chat, "max_tokens", json!(0), json!(1)),
            (Dialect::Chat, "max_tokens", json!(-5), json!(null)),
            (Dialect::Chat, "max_tokens", json!("7"), json!(7)),
            (Dialect::Chat, "max_completion_tokens", json!(7.5), json!(7)),
            (Dialect::Messages, "max_tokens", json!(0), json!(9)),
            (
                Dialect::Chat,
                "modalities",
                json!(["audio"]),
                json!(["text"]),
            ),
            (
                Dialect::Chat,
                "modalities",
                json!(["text", "audio"]),
                json!(null),
            ),
            (Dialect::Chat, "modalities", json!("text"), json!(["text"])),
        ] {
            let mut asked = request("hi");
            asked[field] = value.clone();
            let error = super::check(dialect, &asked, true).expect_err("it is refused");
            let ModelError::Refused { status: 400, error } = error else {
                panic!("{error:?}")
            };
            assert_eq!(error["param"], field, "{value}");
            let message = error["message"].as_str().expect("a message");
            assert!(
                message.starts_with(&format!("`{field}` must be ")),
                "{message}"
            );
            asked[field] = right.clone();
            super::check(dialect, &asked, true).expect("it passes");
        }
    }

    #[test]
    fn images_are_refused_where_the_model_takes_none() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}});
        let request = json!({"messages": [{"role": "user", "content": [image]}]});
        let outgoing = model(true)
            .prepare(Dialect::Chat, &request)
            .expect("it passes");
        assert!(outgoing.most.input > 10_000, "{:?}", outgoing.most);
        let error = model(false)
            .prepare(Dialect::Chat, &request)
            .expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the model refused the request: `messages[0]` holds an image, which this role's \
             model does not take"
        );
    }

    #[test]
    fn the_limit_of_output_can_only_be_lowered() {
        let model = model(true);
        for (name, asked, expected) in [
            ("max_tokens", json!(10), 10),
            ("max_completion_tokens", json!(1_000_000), 1000),
            ("max_tokens", json!(1), 1),
            ("max_tokens", json!(null), 1000),
            ("seed", json!(1), 1000),
        ] {
            let mut request = request("hi");
            request[name] = asked;
            let outgoing = model.prepare(Dialect::Chat, &request).expect("it passes");
            assert_eq!(outgoing.body["max_completion_tokens"], expected);
            assert_eq!(outgoing.body.get("max_tokens"), None);
            assert_eq!(outgoing.most.output, expected);
        }
    }
}
