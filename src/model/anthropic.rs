//! Provider `anthropic`: a server that speaks Messages.
//!
//! A Messages request passes as it is. A Chat Completions request is translated, and so is
//! its answer, whole or event by event; [`super::translate`] knows how.

use super::assemble::Fold;
use super::http::{Http, Service, messages_url};
use super::settings::ANTHROPIC_KEY_ENV;
use super::translate::{self, Chunks, StreamFault, Target};
use super::wire::{Dialect, Event, ProviderAnswer};
use super::{ModelError, ModelSettings, SettingsError, verdict};
use crate::sys::clock::now_ms;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};

/// Where Anthropic's own server is.
const BASE_URL: &str = "https://api.anthropic.com";
/// The version of the API that translated requests are written in. It is the one that still
/// has `temperature` and the like for the models that take them.
const VERSION: &str = "2023-06-01";

/// Fields of a request that stand for headers of the client: the version of the API that it
/// was written for, and the trial features that it uses.
const VERSION_FIELD: &str = "anthropic_version";
const BETA_FIELD: &str = "anthropic_beta";

/// What the names of trial features begin with that change neither what a call costs nor
/// whom the provider talks to. Others do not pass.
const HARMLESS_BETAS: [&str; 8] = [
    "context-management-",
    "effort-",
    "extended-cache-ttl-",
    "fine-grained-tool-streaming-",
    "interleaved-thinking-",
    "prompt-caching-",
    "structured-outputs-",
    "token-efficient-tools-",
];

/// Answers with a higher limit may take longer than a connection stays open on which nothing
/// comes, so they are asked for as streams, and put together here.
const LONGEST_WHOLE: u64 = 20_000;

/// A model behind a server that speaks Messages.
#[derive(Debug)]
pub(super) struct AnthropicModel {
    http: Http,
    model: String,
    max_output_tokens: u64,
    extra_body: Map<String, Value>,
}

impl AnthropicModel {
    /// Takes over checked settings.
    pub(super) fn new(settings: &ModelSettings) -> Result<Self, SettingsError> {
        let service = Service {
            url: messages_url(settings.base_url.as_deref().unwrap_or(BASE_URL))?,
            key_header: "x-api-key",
            key_prefix: "",
            key_env: ANTHROPIC_KEY_ENV,
            headers: &[("anthropic-version", VERSION)],
        };
        Ok(Self {
            http: Http::new(settings, service)?,
            model: settings.model.clone(),
            max_output_tokens: settings.output_limit(),
            extra_body: settings.extra_body.clone(),
        })
    }

    /// Checks that the key is there.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.http.check()
    }

    /// Sends a request in either dialect; the answer is in the same.
    pub(super) async fn send(
        &self,
        dialect: Dialect,
        body: &Value,
        stream: bool,
    ) -> Result<ProviderAnswer, ModelError> {
        let (mut body, headers) = match dialect {
            Dialect::Chat => {
                let target = Target {
                    model: &self.model,
                    max_output_tokens: self.max_output_tokens,
                };
                (translate::request(body, target)?, Vec::new())
            }
            Dialect::Messages => verbatim(body),
        };
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.extra_body.clone());
        }
        let is_long = body["max_tokens"].as_u64() > Some(LONGEST_WHOLE);
        if stream || is_long {
            body["stream"] = json!(true);
        }
        let answer = self.http.post_with(&body, stream || is_long, &headers);
        let answer = match answer.await? {
            ProviderAnswer::Stream(events) if !stream => {
                ProviderAnswer::Whole(self.fold(events).await?)
            }
            answer => answer,
        };
        Ok(match dialect {
            Dialect::Messages => answer,
            Dialect::Chat => match answer {
                ProviderAnswer::Whole(body) => ProviderAnswer::Whole(to_chat(body)),
                ProviderAnswer::Stream(events) => ProviderAnswer::Stream(chunks(events)),
            },
        })
    }

    /// Puts a whole answer together.
    async fn fold(
        &self,
        mut events: BoxStream<'static, Result<Event, ModelError>>,
    ) -> Result<Value, ModelError> {
        let mut fold = Fold::new(Dialect::Messages);
        while let Some(event) = events.try_next().await? {
            fold.push(&event);
        }
        if fold.is_complete() {
            return Ok(fold.finish());
        }
        let model = &self.model;
        Err(unreadable(&format!(
            "the reply of model `{model}` was cut off: the stream ended before the answer did"
        )))
    }
}

/// Returns a Messages request as it leaves, and the headers that it asks for.
fn verbatim(body: &Value) -> (Value, Vec<(&'static str, String)>) {
    let mut body = body.clone();
    let mut headers = Vec::new();
    let Some(fields) = body.as_object_mut() else {
        return (body, headers);
    };
    if let Some(Value::String(version)) = fields.shift_remove(VERSION_FIELD)
        && is_date(&version)
    {
        headers.push(("anthropic-version", version));
    }
    let asked = fields.shift_remove(BETA_FIELD).unwrap_or_default();
    let asked = asked.as_array().map_or(&[][..], Vec::as_slice);
    let betas: Vec<&str> = asked
        .iter()
        .filter_map(Value::as_str)
        .filter(|beta| HARMLESS_BETAS.iter().any(|known| beta.starts_with(known)))
        .collect();
    if !betas.is_empty() {
        headers.push(("anthropic-beta", betas.join(",")));
    }
    keep_thinking_below_limit(fields);
    (body, headers)
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A budget of thinking must be below the limit of output tokens, which may have been lowered
/// on the way; where there is no room for the least budget, there is no thinking.
fn keep_thinking_below_limit(fields: &mut Map<String, Value>) {
    const LEAST: u64 = 1024;
    let limit = fields.get("max_tokens").and_then(Value::as_u64);
    let budget = fields.get("thinking");
    let budget = budget.and_then(|thinking| thinking["budget_tokens"].as_u64());
    let (Some(limit), Some(budget)) = (limit, budget) else {
        return;
    };
    if budget < limit {
        return;
    }
    if limit > LEAST {
        fields["thinking"]["budget_tokens"] = json!(limit - 1);
    } else {
        fields.shift_remove("thinking");
    }
}

/// An error that is said with a status of success is left to be read as the error it is.
fn to_chat(body: Value) -> Value {
    let is_error = body.get("error").is_some_and(|error| !error.is_null());
    // What has no content is no message, and no answer either.
    let is_message = body["content"].is_array();
    if is_error || !is_message {
        return body;
    }
    translate::reply_to_chat(&body)
}

/// Returns the events of Messages as chunks of Chat Completions, each as soon as it comes.
fn chunks(
    events: BoxStream<'static, Result<Event, ModelError>>,
) -> BoxStream<'static, Result<Event, ModelError>> {
    let mut chunks = Chunks::new(now_ms() / 1000);
    let mut has_failed = false;
    let translated = events.map(move |event| {
        if has_failed {
            return Vec::new();
        }
        let translated = event.and_then(|event| chunks.push(&event).map_err(fault));
        match translated {
            Ok(chunks) => chunks.into_iter().map(Ok).collect(),
            Err(error) => {
                has_failed = true;
                vec![Err(error)]
            }
        }
    });
    translated.flat_map(stream::iter).boxed()
}

fn fault(fault: StreamFault) -> ModelError {
    match fault {
        StreamFault::Error(error) => verdict::read(error, true),
        StreamFault::Unreadable(what) => unreadable(&format!(
            "the model's provider sent what is unusable: {what}"
        )),
    }
}

fn unreadable(what: &str) -> ModelError {
    ModelError::Failed {
        what: what.to_owned(),
        retryable: true,
        may_be_charged: true,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{to_chat, verbatim};
    use serde_json::{Value, json};

    #[test]
    fn a_messages_request_passes_as_it_is() {
        let body = json!({
            "model": "m", "max_tokens": 100,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": "hi"}],
        });
        assert_eq!(verbatim(&body), (body, Vec::new()));
    }

    #[test]
    fn only_harmless_headers_of_the_client_pass() {
        let body = json!({
            "max_tokens": 100,
            "anthropic_version": "2026-10-21",
            "anthropic_beta": [
                "interleaved-thinking-2025-05-14", "mcp-client-2025-04-04", 7,
                "fine-grained-tool-streaming-2025-05-14", "fast-mode-2026-02-01",
            ],
        });
        let betas = "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14";
        assert_eq!(
            verbatim(&body),
            (
                json!({"max_tokens": 100}),
                vec![
                    ("anthropic-version", "2026-10-21".to_owned()),
                    ("anthropic-beta", betas.to_owned()),
                ],
            )
        );
        for odd in [
            json!("bedrock-2023-05-31"),
            json!("2023-06-01\r\nx: y"),
            json!(7),
        ] {
            let body = json!({"anthropic_version": odd, "anthropic_beta": "fast-mode"});
            assert_eq!(verbatim(&body), (json!({}), Vec::new()));
        }
    }

    #[test]
    fn thinking_keeps_below_the_limit() {
        let thinking = |limit: u64, budget: u64| -> Value {
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            verbatim(&json!({"max_tokens": limit, "thinking": thinking})).0
        };
        assert_eq!(thinking(9000, 8000)["thinking"]["budget_tokens"], 8000);
        assert_eq!(thinking(4000, 8000)["thinking"]["budget_tokens"], 3999);
        assert_eq!(thinking(1000, 8000), json!({"max_tokens": 1000}));
        let adaptive = json!({"max_tokens": 5, "thinking": {"type": "adaptive"}});
        assert_eq!(verbatim(&adaptive).0, adaptive);
    }

    #[test]
    fn what_is_no_message_is_not_made_one() {
        for body in [
            json!({"type": "error", "error": {"type": "api_error"}}),
            json!({}),
            json!(7),
        ] {
            assert_eq!(to_chat(body.clone()), body);
        }
        let message = json!({"content": [], "stop_reason": "end_turn"});
        assert_eq!(to_chat(message)["choices"][0]["finish_reason"], "stop");
    }
}
