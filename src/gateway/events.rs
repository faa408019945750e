//! A streamed reply on its way to the client, event by event.
//!
//! Invariant: an event is asked for when the client takes it, never ahead, so that a client
//! which reads slowly slows its provider down instead of filling the memory.

use super::body::Share;
use crate::model::{CallError, Dialect, Event, ReplyStream};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Returns the answer that passes a reply on as it comes.
pub(super) fn answer(reply: ReplyStream, dialect: Dialect, share: Share) -> Response {
    let mut answer = Response::new(Body::from_stream(Passing {
        reply: Some(reply),
        dialect,
        _share: share,
    }));
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The bytes of a reply's events; after an error there are no more.
struct Passing {
    reply: Option<ReplyStream>,
    dialect: Dialect,
    _share: Share,
}

impl Stream for Passing {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(reply) = &mut self.reply else {
            return Poll::Ready(None);
        };
        let event = match reply.poll_next_unpin(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {
                self.reply = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(event))) => event,
            Poll::Ready(Some(Err(error))) => {
                self.reply = None;
                failure(&error, self.dialect)
            }
        };
        Poll::Ready(Some(Ok(encode(&event))))
    }
}

/// Returns the event that says in a dialect why a reply is not whole.
fn failure(error: &CallError, dialect: Dialect) -> Event {
    let body = error.to_body(dialect).to_string();
    match dialect {
        Dialect::Chat => Event::unnamed(body),
        Dialect::Messages => Event::named("error", body),
    }
}

/// Returns an event as it is written.
fn encode(event: &Event) -> Bytes {
    let name = event.name.as_deref().unwrap_or_default();
    let mut text = String::with_capacity(event.data.len() + name.len() + 24);
    if !name.is_empty() {
        text.extend(["event: ", name, "\n"]);
    }
    for line in event.data.split('\n') {
        text.extend(["data: ", line, "\n"]);
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::encode;
    use crate::model::Event;

    #[test]
    fn events_are_written_as_the_standard_has_them() {
        assert_eq!(encode(&Event::unnamed("[DONE]")), "data: [DONE]\n\n");
        assert_eq!(
            encode(&Event::named("ping", "{\"a\":\n1}")),
            "event: ping\ndata: {\"a\":\ndata: 1}\n\n"
        );
    }
}
