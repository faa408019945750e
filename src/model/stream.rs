//! A reply as it comes: events for the caller, and the books at its end.
//!
//! Invariant: the call is settled exactly once, at its end, at its failure, or when the
//! stream is dropped; what was not counted then is settled at the most it can have been.

use super::assemble::Fold;
use super::call::CallError;
use super::chunks::{self, DONE};
use super::configured::Model;
use super::error::ModelError;
use super::first::{CUT, Came};
use super::ledger::OpenCall;
use super::pace::{Permit, Signal};
use super::reply::{self, AnswerAbout, Reply};
use super::seen::Line;
use super::wire::{Dialect, Event};
use crate::domain::CallStatus;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Time for what is still to come of a stream that has said all but what it used.
const AFTERMATH: Duration = Duration::from_secs(2);

/// The events of one streamed reply, as the provider sent them, to the last: `[DONE]` in Chat
/// Completions, `message_stop` in Messages. Nothing follows an error.
#[must_use = "a stream that is dropped is settled as abandoned"]
pub struct ReplyStream {
    events: BoxStream<'static, Result<Event, ModelError>>,
    /// What is to be passed on before anything else is asked for.
    ready: VecDeque<Event>,
    dialect: Dialect,
    with_usage: bool,
    /// None when nothing more is to be read: the call is settled.
    open: Option<(Open, Fold)>,
}

/// A call whose answer is on its way.
pub(super) struct Open {
    pub(super) model: Arc<Model>,
    pub(super) request: Arc<Value>,
    pub(super) call: OpenCall,
    pub(super) line: Line,
    pub(super) began: Instant,
    /// Held to the end: the call is in flight until then.
    pub(super) permit: Permit,
    /// Dropped last: after the settlement is on its way.
    pub(super) under_way: TaskTrackerToken,
}

/// What an event is for.
enum StreamTurn {
    Pass,
    Hide,
    /// The last one.
    End,
}

impl ReplyStream {
    pub(super) fn new(dialect: Dialect, with_usage: bool, came: Came, open: Open) -> Self {
        let none = stream::empty().boxed();
        let (events, ready, open) = match came {
            Came::Stream(first, rest) => {
                let first = stream::once(async { Ok(first) });
                let fold = Fold::new(dialect);
                (
                    first.chain(rest).boxed(),
                    VecDeque::new(),
                    Some((open, fold)),
                )
            }
            Came::Whole(reply) => {
                let events = chunks::events(dialect, &reply.body, with_usage);
                open.answered(reply);
                (none, events.into(), None)
            }
        };
        Self {
            events,
            ready,
            dialect,
            with_usage,
            open,
        }
    }

    /// Takes in one event; an error where it is none.
    fn take_in(&mut self, event: &Event) -> Result<StreamTurn, ModelError> {
        let Some((open, fold)) = &mut self.open else {
            return Ok(StreamTurn::Hide);
        };
        if self.dialect == Dialect::Chat && event.data.trim() == DONE {
            return Ok(StreamTurn::End);
        }
        let data: Map<String, Value> = serde_json::from_str(&event.data).map_err(|error| {
            reply::unusable(
                open.model.name(),
                &format!("an event is no JSON object: {error}"),
            )
        })?;
        let turn = match self.dialect {
            Dialect::Chat if !self.with_usage && is_usage_alone(&data) => StreamTurn::Hide,
            Dialect::Messages if data.get("type").is_some_and(|kind| kind == "message_stop") => {
                StreamTurn::End
            }
            Dialect::Chat | Dialect::Messages => StreamTurn::Pass,
        };
        fold.push_data(data);
        Ok(turn)
    }

    /// Settles what was answered in full.
    fn finish(&mut self) {
        if let Some((open, fold)) = self.open.take() {
            let reply = open.reply(fold);
            open.answered(reply);
        }
    }

    /// Settles what failed in the middle.
    fn fail(&mut self, error: ModelError) -> CallError {
        let heard = Signal::of(&Err::<(), _>(error.clone()));
        let error = CallError::from(after_begin(error));
        if let Some((open, fold)) = self.open.take() {
            open.hear(heard);
            open.broken(fold, CallStatus::Failed, Some(&error));
        }
        error
    }

    /// Settles what ended without a last event, if it was all there; else it was cut off.
    fn run_out(&mut self) -> Option<Result<Event, CallError>> {
        let (open, fold) = self.open.as_ref()?;
        if !fold.is_complete() {
            let error = reply::unusable(open.model.name(), CUT);
            return Some(Err(self.fail(error)));
        }
        self.finish();
        // Some servers leave it out, and some clients wait for it.
        Some(Ok(match self.dialect {
            Dialect::Chat => Event::unnamed(DONE),
            Dialect::Messages => Event::named("message_stop", r#"{"type":"message_stop"}"#),
        }))
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
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.open.is_none() {
                return Poll::Ready(None);
            }
            let item = match ready!(self.events.poll_next_unpin(context)) {
                None => return Poll::Ready(self.run_out()),
                Some(Err(error)) => Err(error),
                Some(Ok(event)) => self.take_in(&event).map(|turn| (event, turn)),
            };
            match item {
                Ok((_, StreamTurn::Hide)) => {}
                Ok((event, StreamTurn::Pass)) => return Poll::Ready(Some(Ok(event))),
                Ok((event, StreamTurn::End)) => {
                    self.finish();
                    return Poll::Ready(Some(Ok(event)));
                }
                Err(error) => return Poll::Ready(Some(Err(self.fail(error)))),
            }
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        let Some((open, fold)) = self.open.take() else {
            return;
        };
        match Handle::try_current() {
            // Clients may leave after the last word; what it cost comes just behind it.
            Ok(runtime) if fold.is_complete() => {
                let events = std::mem::replace(&mut self.events, stream::empty().boxed());
                runtime.spawn(open.wind_up(fold, events));
            }
            Ok(_) | Err(_) => open.broken(fold, CallStatus::Abandoned, None),
        }
    }
}

impl Open {
    /// Reads what is left of a complete answer, and settles it.
    async fn wind_up(
        self,
        mut fold: Fold,
        mut events: BoxStream<'static, Result<Event, ModelError>>,
    ) {
        let rest = async {
            while let Some(Ok(event)) = events.next().await {
                fold.push(&event);
            }
        };
        // Without the rest the usage is not known, and settled as a guess.
        let _in_time = tokio::time::timeout(AFTERMATH, rest).await;
        let reply = self.reply(fold);
        self.answered(reply);
    }

    fn reply(&self, fold: Fold) -> Reply {
        let latency = self.began.elapsed();
        let dialect = self.line.dialect();
        let about = AnswerAbout::new(dialect, &self.request, self.model.served(), latency);
        let reply = reply::read_streamed(fold.finish(), &about);
        self.call.tape().as_recorded(reply)
    }

    fn answered(self, reply: Reply) {
        self.call.answered(&reply);
        self.line.end(&Ok(reply));
        drop(self.permit);
        drop(self.under_way);
    }

    /// Tells the pace what a stream ended with that had begun well: a provider may ask for
    /// fewer calls at any moment. Other failures in the middle are this call's alone.
    fn hear(&self, heard: Signal) {
        let is_overload = matches!(heard, Signal::SlowDown { .. });
        if is_overload && self.model.replay().is_none() {
            self.permit.hear(heard);
        }
    }

    /// Settles what ended too early: at what was counted, if that was said, or at the most.
    fn broken(self, fold: Fold, status: CallStatus, error: Option<&CallError>) {
        if let Some(error) = error {
            self.call.tell(error);
        }
        let is_complete = fold.is_complete();
        let reply = self.reply(fold);
        if is_complete && !reply.estimated {
            self.call.counted(status, &reply);
        } else {
            self.call.unknown(status);
        }
        match error {
            Some(error) => self.line.end(&Err(error.clone())),
            None => drop(self.line),
        }
        drop(self.permit);
        drop(self.under_way);
    }
}

/// Returns whether a chunk says what was used, and nothing else.
fn is_usage_alone(chunk: &Map<String, Value>) -> bool {
    let choices = chunk.get("choices").and_then(Value::as_array);
    choices.is_some_and(Vec::is_empty) && chunk.get("usage").is_some_and(Value::is_object)
}

/// What has begun may be charged, whatever the provider says at its end.
fn after_begin(error: ModelError) -> ModelError {
    match error {
        ModelError::Failed {
            what, retry_after, ..
        } => ModelError::Failed {
            what,
            retryable: false,
            may_be_charged: true,
            retry_after,
        },
        ModelError::Busy {
            what, retry_after, ..
        } => ModelError::Failed {
            what,
            retryable: false,
            may_be_charged: true,
            retry_after,
        },
        other @ (ModelError::Refused { .. } | ModelError::Unusable { .. }) => other,
    }
}
