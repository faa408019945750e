//! A response as server-sent events, each within its time and all within their size.

use super::key::{self, Key};
use super::{LIMIT, ServerAbout};
use crate::model::wire::Event;
use crate::model::{ModelError, verdict};
use eventsource_stream::{EventStreamError, Eventsource as _};
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use reqwest::Response;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// What a response gives a name to that has none.
const UNNAMED: &str = "message";

/// Returns the events of a response; nothing follows an error.
pub(super) fn decode(
    response: Response,
    about: Arc<ServerAbout>,
    key: Option<Key>,
    deadline: Instant,
) -> BoxStream<'static, Result<Event, ModelError>> {
    let server = about.server.clone();
    let events = bytes(response, about, deadline).eventsource();
    let events = events.map(move |event| match event {
        Ok(event) => read(event.event, event.data, key.as_ref()),
        Err(EventStreamError::Transport(error)) => Err(error),
        Err(EventStreamError::Utf8(_)) => Err(odd(&server, "it holds what is no UTF-8")),
        Err(EventStreamError::Parser(_)) => Err(odd(&server, "it holds what is no event")),
    });
    until_error(events).boxed()
}

/// Returns the bytes of a response: each part within the time for silence, all within the
/// call's, and no more than may be.
fn bytes(
    response: Response,
    about: Arc<ServerAbout>,
    deadline: Instant,
) -> impl Stream<Item = Result<impl AsRef<[u8]>, ModelError>> + Send {
    stream::unfold((response, 0), move |(mut response, read)| {
        let about = about.clone();
        async move {
            let part = match about.part(&mut response, deadline).await.transpose()? {
                Ok(part) if read + part.len() > LIMIT => Err(about.too_large(LIMIT)),
                part => part,
            };
            let read = read + part.as_ref().map_or(0, |part| part.len());
            Some((part, (response, read)))
        }
    })
}

fn until_error(
    events: impl Stream<Item = Result<Event, ModelError>> + Send,
) -> impl Stream<Item = Result<Event, ModelError>> + Send {
    events.scan(false, |has_failed, event| {
        let event = (!*has_failed).then_some(event);
        *has_failed |= matches!(event, Some(Err(_)));
        ready(event)
    })
}

/// Returns an event as the provider sent it, or the error that it says.
fn read(name: String, data: String, key: Option<&Key>) -> Result<Event, ModelError> {
    let data = key::redact(key, data);
    let name = Some(name).filter(|name| name != UNNAMED);
    if let Some(error) = said_error(name.as_deref(), &data) {
        return Err(verdict::read(error, true));
    }
    Ok(Event { name, data })
}

/// Returns the error that an event says: by its name, or as its one field of weight.
fn said_error(name: Option<&str>, data: &str) -> Option<Value> {
    let is_named = name == Some("error");
    if !is_named && !data.contains("\"error\"") {
        return None;
    }
    let mut body: Value = match serde_json::from_str(data) {
        Ok(body) => body,
        Err(_no_json) => return is_named.then(|| Value::String(data.to_owned())),
    };
    let error = match body.get_mut("error").map(Value::take) {
        Some(error) if !error.is_null() => error,
        _ if is_named || body["object"] == "error" => body,
        _ => return None,
    };
    Some(error)
}

fn odd(server: &str, what: &str) -> ModelError {
    ModelError::Failed {
        what: format!("the answer of `{server}` cannot be read: {what}"),
        retryable: true,
        may_be_charged: true,
        retry_after: None,
    }
}
