//! Provider `openai`: any server that speaks Chat Completions.
//!
//! Requests and answers pass as they are. What is added: the settings' own fields, the name
//! under which the server knows the limit of output tokens, and the question for the usage
//! of a stream.

use super::http::{Http, Service, chat_url};
use super::settings::LimitField;
use super::settings::OPENAI_KEY_ENV;
use super::wire::ProviderAnswer;
use super::{ModelError, ModelSettings, SettingsError};
use serde_json::{Map, Value, json};

/// Where OpenAI's own server is.
const BASE_URL: &str = "https://api.openai.com/v1";

/// A model behind a server that speaks Chat Completions.
#[derive(Debug)]
pub(super) struct OpenAiModel {
    http: Http,
    limit_field: LimitField,
    extra_body: Map<String, Value>,
}

impl OpenAiModel {
    /// Takes over checked settings.
    pub(super) fn new(settings: &ModelSettings) -> Result<Self, SettingsError> {
        let service = Service {
            url: chat_url(settings.base_url.as_deref().unwrap_or(BASE_URL))?,
            key_header: "authorization",
            key_prefix: "Bearer ",
            key_env: OPENAI_KEY_ENV,
            headers: &[],
        };
        Ok(Self {
            http: Http::new(settings, service)?,
            limit_field: settings.limit_field,
            extra_body: settings.extra_body.clone(),
        })
    }

    /// Checks that the key is there.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.http.check()
    }

    /// Sends a request whose limit of output tokens has its present name.
    pub(super) async fn send(
        &self,
        body: &Value,
        stream: bool,
    ) -> Result<ProviderAnswer, ModelError> {
        self.http.post(&self.outgoing(body, stream), stream).await
    }

    fn outgoing(&self, body: &Value, stream: bool) -> Value {
        let mut body = body.clone();
        let Some(fields) = body.as_object_mut() else {
            return body;
        };
        let present = LimitField::MaxCompletionTokens.name();
        if let Some(limit) = fields.shift_remove(present) {
            fields.insert(self.limit_field.name().to_owned(), limit);
        }
        fields.extend(self.extra_body.clone());
        if stream {
            fields.insert("stream".to_owned(), json!(true));
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        body
    }
}
