//! A reply as it comes: events for the caller, and the books at its end.

use super::CallError;
use super::wire::Event;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The events of one streamed reply, as the provider sent them, to the last: `[DONE]` in Chat
/// Completions, `message_stop` in Messages. Nothing follows an error.
#[must_use = "a stream that is dropped is settled as abandoned"]
pub struct ReplyStream {
    events: BoxStream<'static, Result<Event, CallError>>,
}

impl ReplyStream {
    pub(super) fn new(events: BoxStream<'static, Result<Event, CallError>>) -> Self {
        Self { events }
    }
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyStream(…)")
    }
}

impl Stream for ReplyStream {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}
