//! Requests to a provider's server over HTTP.
//!
//! Invariants: a key leaves only in the one header that is meant for it, to the one server
//! that is configured (redirects are not followed), and stands in no message; a call ends
//! within its time, and so does every silence of a server that is answering; whatever a
//! server does becomes a [`ModelError`] that says whose fault it is and whether it may have
//! been charged; no answer is larger than [`LIMIT`].
//!
//! There is one client for each model, whose connections are used again.

mod client;
mod events;
mod fault;
mod key;
mod place;
mod trust;

use super::wire::ProviderAnswer;
use super::{ModelError, ModelSettings, SettingsError};
use key::Key;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

pub(super) use place::{chat_url, messages_url};

/// Most bytes of an answer, whole or streamed.
const LIMIT: usize = 64 << 20;
/// Most bytes that are read of an error.
const ERROR_LIMIT: usize = 64 << 10;

/// What is particular to one provider's service.
pub(super) struct Service {
    /// Where requests go.
    pub url: Url,
    /// The header that carries the key.
    pub key_header: &'static str,
    /// What stands before the key in it.
    pub key_prefix: &'static str,
    /// The variable that holds the key where the settings name none and the server is the
    /// provider's own.
    pub key_env: &'static str,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
}

/// A server that answers requests.
pub(super) struct Http {
    client: Client,
    url: Url,
    headers: HeaderMap,
    key_header: HeaderName,
    key_prefix: &'static str,
    // A missing key is told when it is asked for, not when settings are only looked at.
    key: Result<Option<Key>, SettingsError>,
    about: Arc<ServerAbout>,
}

/// What messages and time-outs need to know, also while a stream goes on.
#[derive(Debug)]
struct ServerAbout {
    /// The server, without anything that could be secret.
    server: String,
    model: String,
    /// Whose refusal of the key is said how.
    key_name: Option<String>,
    timeout: Duration,
    idle_timeout: Duration,
    connect_timeout: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.about.server)
    }
}

impl Http {
    /// Makes the client; nothing is sent yet.
    pub(super) fn new(settings: &ModelSettings, service: Service) -> Result<Self, SettingsError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in service.headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers.extend(client::headers(settings)?);
        let key = Key::find(settings, service.key_env);
        Ok(Self {
            client: client::make(settings, &service.url)?,
            about: Arc::new(ServerAbout {
                server: place::shown(&service.url),
                model: settings.model.clone(),
                key_name: key.as_ref().ok().and_then(|key| Some(key.as_ref()?.name())),
                timeout: settings.timeout,
                idle_timeout: settings.idle_timeout,
                connect_timeout: settings.connect_timeout,
            }),
            url: service.url,
            headers,
            key_header: HeaderName::from_static(service.key_header),
            key_prefix: service.key_prefix,
            key,
        })
    }

    /// Checks that the key is there, without sending anything.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.key.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Sends one request. Asked for a stream, a server may all the same answer whole.
    pub(super) async fn post(
        &self,
        body: &Value,
        stream: bool,
    ) -> Result<ProviderAnswer, ModelError> {
        self.post_with(body, stream, &[]).await
    }

    /// Sends one request with headers of its own, which take the place of the usual ones; a
    /// value that no header can have is left out.
    pub(super) async fn post_with(
        &self,
        body: &Value,
        stream: bool,
        own: &[(&'static str, String)],
    ) -> Result<ProviderAnswer, ModelError> {
        let deadline = Instant::now() + self.about.timeout;
        let mut headers = self.headers.clone();
        for (name, value) in own {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let response = self.head(body, headers, stream, deadline).await?;
        let is_stream = stream && is_event_stream(&response);
        let key = self.key.as_ref().ok().and_then(Option::as_ref);
        if is_stream {
            let about = self.about.clone();
            let events = events::decode(response, about, key.cloned(), deadline);
            return Ok(ProviderAnswer::Stream(events));
        }
        let bytes = self.about.read(response, LIMIT, deadline).await?;
        let text = key::redact(key, String::from_utf8_lossy(&bytes));
        match serde_json::from_str(&text) {
            Ok(body) => Ok(ProviderAnswer::Whole(body)),
            Err(error) => Err(self.about.malformed(&error, &text)),
        }
    }

    /// Returns a response that is no error.
    async fn head(
        &self,
        body: &Value,
        headers: HeaderMap,
        stream: bool,
        deadline: Instant,
    ) -> Result<Response, ModelError> {
        let about = &self.about;
        let key = match &self.key {
            Ok(key) => key.as_ref(),
            Err(error) => {
                let what = error.to_string();
                return Err(ModelError::Unusable { what });
            }
        };
        let accept = match stream {
            true => "text/event-stream",
            false => "application/json",
        };
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(headers)
            .header(ACCEPT, accept)
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header(&self.key_header, key.header(self.key_prefix)?);
        }
        // A server that streams says something soon; another one only when it has finished.
        let patience = match stream {
            true => about.idle_timeout.min(about.timeout),
            false => about.timeout,
        };
        let until = deadline.min(Instant::now() + patience);
        let response = match timeout_at(until, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(about.unsent(error)),
            Err(_elapsed) => return Err(about.silent(patience)),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // An error whose text cannot be had is still that error.
        let read = about.read(response, ERROR_LIMIT, deadline).await;
        let bytes = read.unwrap_or_default();
        let text = key::redact(key, String::from_utf8_lossy(&bytes));
        Err(fault::from_status(about, status, &headers, &text))
    }
}

impl ServerAbout {
    /// Returns the next part of a response, or nothing at its end.
    async fn part(
        &self,
        response: &mut Response,
        deadline: Instant,
    ) -> Result<Option<impl Deref<Target = [u8]> + AsRef<[u8]> + Send + use<>>, ModelError> {
        let idle = Instant::now() + self.idle_timeout;
        match timeout_at(idle.min(deadline), response.chunk()).await {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(error)) => Err(self.cut(error)),
            Err(_elapsed) => Err(self.stalled(idle < deadline)),
        }
    }

    /// Returns the rest of a response.
    async fn read(
        &self,
        mut response: Response,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>, ModelError> {
        let mut bytes = Vec::new();
        while let Some(part) = self.part(&mut response, deadline).await? {
            if bytes.len() + part.len() > limit {
                return Err(self.too_large(limit));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"))
}

#[cfg(test)]
mod tests;
