//! What is taken down of one try while it is under way, and what a replay says of it.
//!
//! Invariant: a tape sees what a provider is sent and what it answers, and changes neither.

use super::exchange::{Ending, Exchange, RecordedAnswer, Traffic};
use super::wire::{Dialect, Event, ProviderAnswer};
use super::{JobSubject, ModelError, Reply};
use crate::domain::{CallSettlement, CallStatus};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The tape of one try.
#[derive(Debug)]
pub(super) struct Tape {
    who: Arc<JobSubject>,
    /// Which try of its request it is, from 1.
    tried: u32,
    keeps: bool,
    state: Mutex<TapeState>,
}

#[derive(Debug, Default)]
struct TapeState {
    sent: Option<(Dialect, bool, Arc<Value>)>,
    heard: Option<RecordedAnswer>,
    replayed: Option<CallSettlement>,
}

impl Tape {
    /// Returns the tape of a try; without `keeps` it takes nothing down.
    pub(super) fn new(who: Arc<JobSubject>, tried: u32, keeps: bool) -> Arc<Self> {
        Arc::new(Self {
            who,
            tried,
            keeps,
            state: Mutex::default(),
        })
    }

    /// Returns whose try it is.
    pub(super) fn who(&self) -> &JobSubject {
        &self.who
    }

    /// Returns which try of its request it is.
    pub(super) fn tried(&self) -> u32 {
        self.tried
    }

    /// Takes down what is sent.
    pub(super) fn send(&self, dialect: Dialect, streamed: bool, body: &Arc<Value>) {
        if self.keeps {
            self.state().sent = Some((dialect, streamed, body.clone()));
        }
    }

    /// Takes down what is answered, to the end.
    pub(super) fn hear(
        self: &Arc<Self>,
        answer: Result<ProviderAnswer, ModelError>,
    ) -> Result<ProviderAnswer, ModelError> {
        if !self.keeps {
            return answer;
        }
        match answer {
            Ok(ProviderAnswer::Whole(body)) => {
                self.state().heard = Some(RecordedAnswer::Whole(body.clone()));
                Ok(ProviderAnswer::Whole(body))
            }
            Ok(ProviderAnswer::Stream(events)) => {
                self.state().heard = Some(RecordedAnswer::Events(Vec::new(), Ending::Left));
                let tape = self.clone();
                let events = events.inspect(move |event| tape.add(event));
                let tape = self.clone();
                // The end of a stream is nothing that `inspect` sees.
                let end = stream::once(async move { tape.end() }).filter_map(async |()| None);
                Ok(ProviderAnswer::Stream(events.chain(end).boxed()))
            }
            Err(error) => {
                self.state().heard = Some(RecordedAnswer::Error(error.clone()));
                Err(error)
            }
        }
    }

    fn add(&self, event: &Result<Event, ModelError>) {
        if let Some(RecordedAnswer::Events(events, ending)) = &mut self.state().heard {
            match event {
                Ok(event) => events.push(event.clone()),
                Err(error) => *ending = Ending::Broken(error.clone()),
            }
        }
    }

    fn end(&self) {
        if let Some(RecordedAnswer::Events(_, ending @ Ending::Left)) = &mut self.state().heard {
            *ending = Ending::Complete;
        }
    }

    /// Takes down what the books said of the recorded call.
    pub(super) fn replay(&self, settlement: Option<CallSettlement>) {
        self.state().replayed = settlement;
    }

    /// Returns what the books said of the recorded call, if this is one and ended so.
    pub(super) fn replayed(&self, status: CallStatus) -> Option<CallSettlement> {
        let replayed = self.state().replayed.clone();
        replayed.filter(|recorded| recorded.status == status)
    }

    /// Returns a reply that used what the recorded one did, whatever prices are now.
    pub(super) fn as_recorded(&self, reply: Reply) -> Reply {
        match self.replayed(CallStatus::Answered) {
            None => reply,
            Some(recorded) => Reply {
                tokens: recorded.tokens,
                estimated: recorded.estimated,
                cost: recorded.cost,
                ..reply
            },
        }
    }

    /// Returns what was taken down, if anything was sent.
    pub(super) fn traffic(&self) -> Option<Traffic> {
        let (sent, heard) = {
            let mut state = self.state();
            (state.sent.take()?, state.heard.take())
        };
        let (dialect, streamed, body) = sent;
        let mut exchange = Exchange::new(dialect, streamed, &body);
        exchange.tried = self.tried;
        exchange.answer = heard.map(|heard| complete(heard).encode());
        let who = self.who.clone();
        Some(Traffic { who, exchange })
    }

    fn state(&self) -> MutexGuard<'_, TapeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last event of a stream is its end, though nobody reads on to see that nothing follows.
fn complete(heard: RecordedAnswer) -> RecordedAnswer {
    match heard {
        RecordedAnswer::Events(events, Ending::Left) if events.last().is_some_and(is_last) => {
            RecordedAnswer::Events(events, Ending::Complete)
        }
        heard => heard,
    }
}

fn is_last(event: &Event) -> bool {
    event.data.trim() == "[DONE]" || event.name.as_deref() == Some("message_stop")
}
