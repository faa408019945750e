//! A request as it leaves: pure.
//!
//! Whoever asks is not believed. Invariants: the model, the number of answers and whether
//! they are streamed are not the caller's to say; its limit of output tokens can only lower
//! the configured one; and nothing passes that makes the provider reach beyond the model,
//! such as a search, a program of its own or an address to fetch: the caller has no network,
//! and shall not get one there. What is not known to be harmless is refused by name.

use super::wire::Dialect;
use super::{Model, ModelError};
use crate::domain::Tokens;
use serde_json::{Map, Value, json};
use std::io;

/// Fields of Chat Completions that pass.
const CHAT_FIELDS: [&str; 36] = [
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
const MESSAGES_FIELDS: [&str; 14] = [
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

/// Tokens that one image can be at most, with any model and at any size.
const IMAGE_TOKENS: u64 = 50_000;
/// Tokens that a provider may add to explain tools to the model, and again for each of a kind
/// that it describes itself.
const TOOL_TOKENS: u64 = 1024;

/// A request that may leave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) body: Value,
    /// Whether the caller wants to see the usage of a stream.
    pub(super) with_usage: bool,
    /// What it can use at most.
    pub(super) most: Tokens,
}

/// Returns a request as it leaves, or why it does not.
pub(super) fn prepare(
    dialect: Dialect,
    request: &Value,
    model: &Model,
) -> Result<Outgoing, ModelError> {
    let fields = request
        .as_object()
        .ok_or_else(|| refused("the request is no JSON object"))?;
    if !fields.get("messages").is_some_and(Value::is_array) {
        return Err(refused("the request has no list `messages`"));
    }
    let images = check_content(dialect, fields, model.takes_images())?;
    let tools = check_tools(dialect, fields)?;
    let with_usage =
        dialect == Dialect::Messages || request["stream_options"]["include_usage"] == true;
    let mut body = passing(dialect, fields)?;
    let limit = limit(dialect, fields, model.max_output_tokens());
    let name = match dialect {
        Dialect::Chat => "max_completion_tokens",
        Dialect::Messages => "max_tokens",
    };
    body.insert(name.to_owned(), json!(limit));
    body.insert("model".to_owned(), json!(model.name()));
    let body = Value::Object(body);
    let most = Tokens {
        // No tokenizer makes more tokens than there are bytes.
        input: json_len(&body) + images * IMAGE_TOKENS + tools * TOOL_TOKENS,
        output: limit,
        ..Tokens::default()
    };
    Ok(Outgoing {
        body,
        with_usage,
        most,
    })
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
                let what = format!(
                    "`{}` is not passed on to the model",
                    super::clip(other, 100)
                );
                return Err(refused(&what));
            }
        }
    }
    Ok(body)
}

/// Returns the limit of output tokens, which the caller may give its present or its former
/// name.
fn limit(dialect: Dialect, fields: &Map<String, Value>, configured: u64) -> u64 {
    let names: &[&str] = match dialect {
        Dialect::Chat => &["max_completion_tokens", "max_tokens"],
        Dialect::Messages => &["max_tokens"],
    };
    let asked = names.iter().find_map(|name| fields.get(*name)?.as_u64());
    asked.unwrap_or(configured).clamp(1, configured)
}

/// Returns how often a provider may add a description of tools of its own.
fn check_tools(dialect: Dialect, fields: &Map<String, Value>) -> Result<u64, ModelError> {
    let tools = fields.get("tools").and_then(Value::as_array);
    let tools = tools.map_or(&[][..], Vec::as_slice);
    let mut described = u64::from(!tools.is_empty());
    for (index, tool) in tools.iter().enumerate() {
        let kind = match dialect {
            Dialect::Chat => tool["type"].as_str(),
            Dialect::Messages => tool["type"].as_str().or(Some("custom")),
        };
        let is_callers = match (dialect, kind) {
            (Dialect::Chat, Some(kind)) => ["function", "custom"].contains(&kind),
            (Dialect::Messages, Some(kind)) => OWN_TOOLS.iter().any(|own| kind.starts_with(own)),
            // What says no kind is a function to some servers, and an error to the others.
            (_, None) => true,
        };
        if !is_callers {
            return Err(refused(&format!(
                "`tools[{index}]` is of the kind `{}`, which the provider would run itself; \
                 only tools that you run pass",
                super::clip(kind.unwrap_or_default(), 100)
            )));
        }
        described += u64::from(kind.is_some_and(|kind| !["function", "custom"].contains(&kind)));
    }
    Ok(described)
}

/// Checks what messages hold beside text; returns how many images.
fn check_content(
    dialect: Dialect,
    fields: &Map<String, Value>,
    takes_images: bool,
) -> Result<u64, ModelError> {
    let mut images = 0;
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
            let at = || format!("`messages[{index}]`");
            let outside = match (dialect, part["type"].as_str()) {
                (Dialect::Chat, Some("image_url")) => {
                    images += 1;
                    let url = part["image_url"]
                        .as_str()
                        .or(part["image_url"]["url"].as_str());
                    !url.is_some_and(|url| url.starts_with("data:"))
                }
                (Dialect::Chat, Some("file")) => {
                    images += 1;
                    !part["file"]["file_data"]
                        .as_str()
                        .is_some_and(|data| data.starts_with("data:"))
                }
                (Dialect::Messages, Some("image" | "document")) => {
                    images += 1;
                    let kind = part["source"]["type"].as_str();
                    !kind.is_some_and(|kind| ["base64", "text", "content"].contains(&kind))
                }
                _ => false,
            };
            if outside {
                return Err(refused(&format!(
                    "{} refers to something elsewhere, which the provider would have to fetch; \
                     send it along (`data:…`)",
                    at()
                )));
            }
            if images > 0 && !takes_images {
                return Err(refused(&format!(
                    "{} holds an image, which this role's model does not take",
                    at()
                )));
            }
        }
    }
    Ok(images)
}

fn refused(what: &str) -> ModelError {
    ModelError::Refused {
        status: 400,
        error: json!({
            "message": what, "type": "invalid_request_error", "param": null, "code": null,
        }),
    }
}

/// Returns how many bytes a value has as JSON, without writing it anywhere.
fn json_len(value: &Value) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(u64::MAX, |()| count.0)
}
