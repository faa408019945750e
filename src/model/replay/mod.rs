//! A provider that answers from recordings.
//!
//! A request is found again by role, dialect and content. Where several recorded answers fit,
//! that of the same job is taken, of its execution with the same ordinal first, in the order
//! in which they were recorded; one execution gets none of them twice. Where no content is the
//! same, the requests of the same job are compared without what two equal runs say differently
//! ([`steady`]). What then is not found was not recorded: that is never guessed.
//!
//! Invariant: what is answered depends on who asks, on what and on what that execution was
//! answered before, not on what other jobs do meanwhile.

mod difference;
mod steady;

use super::exchange::{Ending, Outline, RecordedAnswer, canonical, piece, whole, without_messages};
use super::tape::Tape;
use super::wire::{Dialect, ProviderAnswer};
use super::{Exchange, JobSubject, ModelError};
use crate::domain::{BlobId, CallId, CallSettlement, CallStatus, JobId, Recording, Role};
use difference::ReplayDifference;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests that are looked at for the nearest one.
const NEIGHBORS: usize = 200;

/// A recorded call with what the books say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its traffic.
    pub recording: Recording,
    /// What it was made for.
    pub subject: JobId,
    /// Role of the model.
    pub role: Role,
    /// Which execution of its job it belongs to, counting those that came to an end, from 1;
    /// none: that execution was broken off.
    pub execution: Option<u32>,
    /// How it ended, if that is known.
    pub settlement: Option<CallSettlement>,
}

type Load = dyn Fn(&BlobId) -> Result<Vec<u8>, String> + Send + Sync;

/// What was recorded, ready to answer.
pub struct Replay {
    calls: Vec<Recorded>,
    /// Calls by role, dialect and digest, in order.
    by_content: HashMap<(Role, Dialect, String), Vec<usize>>,
    place_of: HashMap<CallId, usize>,
    load: Box<Load>,
    state: Mutex<ReplayState>,
}

#[derive(Default)]
struct ReplayState {
    /// What each execution has been answered.
    used: HashMap<Lane, HashSet<usize>>,
    /// And what last.
    last: HashMap<Lane, usize>,
    /// Outlines without what varies, of the jobs that needed them.
    steady: HashMap<usize, Outline>,
    replayed: Replayed,
    missing: Option<String>,
}

/// One execution of one job.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Lane {
    subject: JobId,
    role: Role,
    execution: u32,
}

impl Lane {
    fn of(who: &JobSubject) -> Self {
        Self {
            subject: who.subject.clone(),
            role: who.role,
            execution: who.execution,
        }
    }
}

/// How many calls were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Calls in all.
    pub calls: u64,
    /// Calls that were the same but for times, durations, addresses and temporary names.
    pub steadied: u64,
}

/// A recorded answer.
#[derive(Debug)]
struct Replaying {
    /// The answer; none: the caller had gone away before anything came.
    heard: Option<RecordedAnswer>,
    /// What the books say about it.
    settlement: Option<CallSettlement>,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replay({} calls)", self.calls.len())
    }
}

impl Replay {
    /// Makes a provider of recorded calls, in the order of recording; `load` returns the
    /// content of a blob.
    pub fn new(
        calls: Vec<Recorded>,
        load: impl Fn(&BlobId) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        let mut by_content: HashMap<_, Vec<usize>> = HashMap::new();
        let mut place_of = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            let recording = &call.recording;
            place_of.insert(recording.call, place);
            if let Some(dialect) = Dialect::from_name(&recording.dialect) {
                let key = (call.role, dialect, recording.digest.clone());
                by_content.entry(key).or_default().push(place);
            }
        }
        Self {
            calls,
            by_content,
            place_of,
            load: Box::new(load),
            state: Mutex::default(),
        }
    }

    /// Returns how many calls were answered so far.
    pub fn replayed(&self) -> Replayed {
        self.state().replayed
    }

    /// Returns what was asked and not recorded, if something was: nothing that follows can be
    /// what it was in the recorded run.
    pub fn missing(&self) -> Option<String> {
        self.state().missing.clone()
    }

    /// Answers a request as it was answered then.
    pub(super) async fn answer(
        &self,
        tape: &Tape,
        dialect: Dialect,
        body: &Value,
    ) -> Result<ProviderAnswer, ModelError> {
        let found = self.find(tape.who(), dialect, body)?;
        tape.replay(found.settlement.clone());
        found.answer().await
    }

    /// Returns whether the request whose answer was given last was sent once more.
    pub(super) fn is_tried_again(&self, tape: &Tape) -> bool {
        let lane = Lane::of(tape.who());
        let state = self.state();
        let Some(last) = state.last.get(&lane).map(|place| &self.calls[*place]) else {
            return false;
        };
        self.calls.iter().any(|call| {
            call.recording.tried == tape.tried() + 1
                && call.recording.digest == last.recording.digest
                && (&call.subject, call.role, call.execution)
                    == (&last.subject, last.role, last.execution)
        })
    }

    /// Returns the recorded answer to a request.
    fn find(
        &self,
        who: &JobSubject,
        dialect: Dialect,
        body: &Value,
    ) -> Result<Replaying, ModelError> {
        let lane = Lane::of(who);
        let outline = Exchange::new(dialect, false, body).outline().clone();
        let mut state = self.state();
        let exact = self.exact(&state, &lane, dialect, &outline);
        let found = exact.or_else(|| self.steadied(&mut state, &lane, dialect, body));
        let Some(place) = found else {
            let what = self.not_recorded(&state, &lane, dialect, body, &outline);
            state.missing.get_or_insert_with(|| what.clone());
            return Err(ModelError::Unusable { what });
        };
        state.last.insert(lane.clone(), place);
        state.used.entry(lane).or_default().insert(place);
        state.replayed.calls += 1;
        state.replayed.steadied += u64::from(exact.is_none());
        drop(state);
        self.load_answer(place)
    }

    /// Returns the best of the calls with exactly this request.
    fn exact(
        &self,
        state: &ReplayState,
        lane: &Lane,
        dialect: Dialect,
        outline: &Outline,
    ) -> Option<usize> {
        let key = (lane.role, dialect, outline.digest());
        let places = self.by_content.get(&key)?.iter().copied();
        self.best(state, lane, places)
    }

    fn best(
        &self,
        state: &ReplayState,
        lane: &Lane,
        places: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        let used = state.used.get(lane);
        places
            .filter(|place| !used.is_some_and(|used| used.contains(place)))
            .min_by_key(|place| {
                let call = &self.calls[*place];
                let is_own = call.subject == lane.subject;
                let is_twin = is_own && call.execution == Some(lane.execution);
                let is_abandoned = call.recording.answer.is_none()
                    || call.settlement.as_ref().map(|it| it.status) == Some(CallStatus::Abandoned);
                let is_broken_off = call.execution.is_none();
                (!is_twin, !is_own, is_abandoned, is_broken_off, *place)
            })
    }

    /// Returns the best of the job's calls whose request differs only in what always varies.
    fn steadied(
        &self,
        state: &mut ReplayState,
        lane: &Lane,
        dialect: Dialect,
        body: &Value,
    ) -> Option<usize> {
        let places: Vec<usize> = self.of_job(lane, dialect).collect();
        let wanted = steady_outline(body).digest();
        let mut same = Vec::new();
        for place in places {
            if self
                .steady_of(state, place)
                .is_some_and(|it| it.digest() == wanted)
            {
                same.push(place);
            }
        }
        self.best(state, lane, same.into_iter())
    }

    fn of_job(&self, lane: &Lane, dialect: Dialect) -> impl Iterator<Item = usize> {
        let is_own = move |call: &Recorded| {
            call.role == lane.role
                && call.subject == lane.subject
                && call.recording.dialect == dialect.name()
        };
        (0..self.calls.len()).filter(move |place| is_own(&self.calls[*place]))
    }

    /// Returns the outline of a recorded request without what varies. Each stored piece of a
    /// conversation is read once.
    fn steady_of<'a>(&self, state: &'a mut ReplayState, place: usize) -> Option<&'a Outline> {
        if !state.steady.contains_key(&place) {
            let recording = &self.calls[place].recording;
            let stored = (self.load)(&recording.request).ok()?;
            let stored: Value = serde_json::from_slice(&stored).ok()?;
            let own = steady_outline(&stored);
            let outline = match recording.base {
                None => own,
                Some((base, kept)) => {
                    let base = self.place_of.get(&base).filter(|base| **base < place)?;
                    let base = self.steady_of(state, *base)?;
                    let mut messages = base.messages.clone();
                    messages.truncate(usize::try_from(kept).ok()?);
                    messages.extend(own.messages);
                    let is_all = stored.as_object().is_some_and(|fields| fields.len() > 1);
                    let rest = if is_all { own.rest } else { base.rest };
                    Outline { rest, messages }
                }
            };
            state.steady.insert(place, outline);
        }
        state.steady.get(&place)
    }

    /// Returns a recorded request.
    fn request(&self, place: usize) -> Option<Value> {
        let mut chain = vec![place];
        while let Some((base, _)) = self.calls[*chain.last()?].recording.base {
            let base = self.place_of.get(&base)?;
            if base >= chain.last()? {
                return None;
            }
            chain.push(*base);
        }
        let mut body = None;
        for place in chain.into_iter().rev() {
            let recording = &self.calls[place].recording;
            let stored = (self.load)(&recording.request).ok()?;
            let kept = recording.base.map(|(_, kept)| kept);
            body = Some(whole(&stored, body.zip(kept))?);
        }
        body
    }

    fn load_answer(&self, place: usize) -> Result<Replaying, ModelError> {
        let call = &self.calls[place];
        let unreadable = |why: String| ModelError::Unusable {
            what: format!(
                "the recorded answer to call {} cannot be read: {why}",
                call.recording.call.0
            ),
        };
        let heard = match &call.recording.answer {
            None => None,
            Some(blob) => {
                let bytes = (self.load)(blob).map_err(unreadable)?;
                let heard = RecordedAnswer::decode(&bytes);
                Some(heard.ok_or_else(|| unreadable("it is no answer".to_owned()))?)
            }
        };
        Ok(Replaying {
            heard,
            settlement: call.settlement.clone(),
        })
    }

    fn not_recorded(
        &self,
        state: &ReplayState,
        lane: &Lane,
        dialect: Dialect,
        body: &Value,
        outline: &Outline,
    ) -> String {
        let who = format!("the {} model of {}", lane.role, told(&lane.subject));
        let count = outline.len();
        let asked = format!("{who} was asked what was not recorded ({count} messages)");
        let own: Vec<usize> = self.of_job(lane, dialect).collect();
        let others = || {
            let of_role = |place: &usize| self.calls[*place].role == lane.role;
            (0..self.calls.len()).filter(of_role).collect()
        };
        let places = if own.is_empty() { others() } else { own };
        let Some((place, recorded)) = self.nearest(&places, outline) else {
            return format!("{asked}; nothing is recorded of the role `{}`", lane.role);
        };
        let call = &self.calls[place];
        let near = format!(
            "the nearest recorded request is that of call {}, for {}",
            call.recording.call.0,
            told(&call.subject)
        );
        match difference::first(&recorded, body) {
            Some(ReplayDifference {
                at,
                recorded,
                asked: now,
            }) => format!(
                "{asked}; {near}; the first difference is at `{at}`:\n  recorded: {recorded}\n  \
                 asked:    {now}"
            ),
            None => {
                let used = state.used.get(lane).map_or(0, HashSet::len);
                format!(
                    "{asked}: call {} asked the same, but its answer was given already \
                     ({used} calls were answered)",
                    call.recording.call.0
                )
            }
        }
    }

    /// Returns the request with most messages in common at its beginning, of these the one
    /// with the nearest number of messages.
    fn nearest(&self, places: &[usize], outline: &Outline) -> Option<(usize, Value)> {
        let mut by_length: Vec<usize> = places.to_vec();
        let far = |place: &usize| {
            self.calls[*place]
                .recording
                .messages
                .abs_diff(outline.len())
        };
        by_length.sort_by_key(far);
        let mut best: Option<(usize, usize, Value)> = None;
        for place in by_length.into_iter().take(NEIGHBORS) {
            let Some(body) = self.request(place) else {
                continue;
            };
            let other = Exchange::new(Dialect::Chat, false, &body);
            let common = other.outline().common(outline);
            if best.as_ref().is_none_or(|(most, _, _)| common > *most) {
                best = Some((common, place, body));
            }
        }
        best.map(|(_, place, body)| (place, body))
    }

    fn state(&self) -> MutexGuard<'_, ReplayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replaying {
    /// Answers as it was answered then. Where the caller had gone away, nothing more comes: it
    /// will go away again.
    async fn answer(self) -> Result<ProviderAnswer, ModelError> {
        match self.heard {
            None => std::future::pending().await,
            Some(RecordedAnswer::Whole(body)) => Ok(ProviderAnswer::Whole(body)),
            Some(RecordedAnswer::Error(error)) => Err(error),
            Some(RecordedAnswer::Events(events, ending)) => {
                let events = stream::iter(events.into_iter().map(Ok));
                Ok(ProviderAnswer::Stream(match ending {
                    Ending::Complete => events.boxed(),
                    Ending::Broken(error) => events.chain(stream::iter([Err(error)])).boxed(),
                    Ending::Left => events.chain(stream::pending()).boxed(),
                }))
            }
        }
    }
}

fn steady_outline(body: &Value) -> Outline {
    let messages = body["messages"].as_array().into_iter().flatten();
    let digest = |value: &Value| piece(&canonical(&steady::steady(value)));
    Outline {
        rest: digest(&without_messages(body)),
        messages: messages.map(digest).collect(),
    }
}

fn told(subject: &JobId) -> String {
    match subject {
        JobId::Attempt(attempt) => format!("attempt {attempt}"),
        JobId::Evaluation(key) => format!("the evaluation of {key}"),
        JobId::Regrade(key) => format!("the regrade of {key}"),
        JobId::Manual => "somebody by hand".to_owned(),
    }
}

#[cfg(test)]
mod tests;
