//! What was seen of a job's calls: its transcript, and what they say of agent and provider.

use super::pace::Pace;
use super::transcript::TranscriptRecorder;
use super::wire::Dialect;
use super::{CallError, Denied, ModelError, Reply, Scope, translate};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What kept a job's calls from going on, by whose doing it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallsEnd {
    /// The run's budget is used up.
    RunBudget,
    /// The provider failed the last call that reached it.
    Provider(String),
    /// The job's or the attempt's allowance is used up.
    Allowance(String),
}

/// What was seen of the job's calls so far.
pub(super) struct Seen {
    state: Mutex<SeenState>,
    pace: Pace,
}

#[derive(Default)]
struct SeenState {
    recorder: TranscriptRecorder,
    requests: u64,
    out_of_budget: Option<String>,
    cut_by_run: bool,
    provider_failure: Option<String>,
    unusable: Option<ModelError>,
    overflows: u64,
    overflows_in_a_row: u64,
    unhandled_overflow: bool,
    met_outage: bool,
    /// Calls that wait for the provider now, and since when there is one.
    waiting: u32,
    waits_since: Option<Instant>,
    waited: Duration,
}

/// A call that waits for the provider.
#[must_use = "it waits until this is dropped"]
pub(super) struct Waiting<'a>(&'a Seen);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        if state.waiting == 0
            && let Some(since) = state.waits_since.take()
        {
            state.waited += since.elapsed();
        }
    }
}

impl Seen {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            state: Mutex::default(),
            pace,
        }
    }

    /// Counts the time until the value is dropped as one in which the provider is waited for.
    pub(super) fn wait(&self) -> Waiting<'_> {
        let mut state = self.state();
        state.waiting += 1;
        state.waits_since.get_or_insert_with(Instant::now);
        drop(state);
        Waiting(self)
    }

    /// Returns for how long at least one call waited for the provider.
    pub(super) fn waited(&self) -> Duration {
        let state = self.state();
        let now = state.waits_since.map(|since| since.elapsed());
        state.waited + now.unwrap_or_default()
    }

    pub(super) fn calls_end(&self) -> Option<CallsEnd> {
        let state = self.state();
        if state.cut_by_run {
            return Some(CallsEnd::RunBudget);
        }
        let provider = state.provider_failure.clone().map(CallsEnd::Provider);
        let allowance = || state.out_of_budget.clone().map(CallsEnd::Allowance);
        provider.or_else(allowance)
    }

    pub(super) fn has_met_outage(&self) -> bool {
        self.state().met_outage
    }

    pub(super) fn requests(&self) -> u64 {
        self.state().requests
    }

    pub(super) fn out_of_budget(&self) -> Option<String> {
        self.state().out_of_budget.clone()
    }

    pub(super) fn is_cut_by_run(&self) -> bool {
        self.state().cut_by_run
    }

    pub(super) fn provider_failure(&self) -> Option<String> {
        self.state().provider_failure.clone()
    }

    /// Returns the error after which no call of this job is tried any more.
    pub(super) fn unusable(&self) -> Option<ModelError> {
        self.state().unusable.clone()
    }

    pub(super) fn overflows(&self) -> u64 {
        self.state().overflows
    }

    pub(super) fn has_unhandled_overflow(&self) -> bool {
        self.state().unhandled_overflow
    }

    pub(super) fn transcript_bytes(&self) -> Vec<u8> {
        self.state().recorder.to_bytes()
    }

    fn state(&self) -> MutexGuard<'_, SeenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeenState {
    fn note(&mut self, line: &Line, result: Option<&Result<Reply, CallError>>) {
        self.requests += 1;
        match result {
            Some(Err(CallError::Denied(Denied::Budget { scope, what, .. }))) => match scope {
                Scope::Job | Scope::Attempt => self.out_of_budget = Some(what.clone()),
                Scope::Run => self.cut_by_run = true,
            },
            Some(Err(CallError::Model(error @ ModelError::Unusable { what }))) => {
                self.provider_failure = Some(what.clone());
                self.unusable = Some(error.clone());
            }
            Some(Err(CallError::Model(
                ModelError::Busy { what, .. } | ModelError::Failed { what, .. },
            ))) => {
                self.provider_failure = Some(what.clone());
            }
            Some(Ok(_) | Err(CallError::Model(ModelError::Refused { .. }))) => {
                self.provider_failure = None;
            }
            // Whoever gives up while nobody is answered has not failed by itself.
            None => {
                if let Some(what) = line.seen.pace.trouble() {
                    self.provider_failure = Some(what);
                    self.met_outage = true;
                }
            }
            Some(Err(CallError::Denied(Denied::Stopping))) => {}
        }
        match result {
            Some(Err(CallError::Model(error))) if error.is_context_overflow() => {
                self.overflows += 1;
                self.overflows_in_a_row += 1;
                self.unhandled_overflow |= self.overflows_in_a_row > 1;
            }
            Some(Ok(_)) => self.overflows_in_a_row = 0,
            Some(Err(_)) | None => {}
        }
        let latency = line.began.elapsed();
        match line.dialect {
            Dialect::Chat => self
                .recorder
                .record(&line.request, result, latency, line.tries),
            // Transcripts know one dialect.
            Dialect::Messages => {
                let request = translate::request_to_chat(&line.request);
                let result = result.cloned().map(|result| {
                    result.map(|reply| Reply {
                        body: translate::reply_to_chat(&reply.body),
                        ..reply
                    })
                });
                self.recorder
                    .record(&request, result.as_ref(), latency, line.tries);
            }
        }
    }
}

/// One call on its way into the transcript; written as abandoned where it is dropped.
pub(super) struct Line {
    seen: Arc<Seen>,
    dialect: Dialect,
    request: Arc<Value>,
    began: Instant,
    pub(super) tries: u32,
    is_written: bool,
}

impl Line {
    pub(super) fn begin(seen: Arc<Seen>, dialect: Dialect, request: Arc<Value>) -> Self {
        Self {
            seen,
            dialect,
            request,
            began: Instant::now(),
            tries: 0,
            is_written: false,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn end(mut self, result: &Result<Reply, CallError>) {
        self.write(Some(result));
    }

    fn write(&mut self, result: Option<&Result<Reply, CallError>>) {
        self.is_written = true;
        self.seen.state().note(self, result);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(None);
        }
    }
}
