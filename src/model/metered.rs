//! The one way to a model: every call is booked, bounded, retried and written down here.

use super::ledger::{Bound, Ledger};
use super::transcript::Recorder;
use super::{Books, Denied, Intent, Model, ModelError, Reply, Retry};
use crate::domain::{CallStatus, CallSubject, Role, Tokens, Usd};
use serde_json::{Map, Value, json};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a job may use; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Model calls.
    pub calls: Option<u64>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// Money.
    pub cost: Option<Usd>,
}

/// Whose calls these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSubject {
    /// What they are for.
    pub subject: CallSubject,
    /// Execution of the job within this process.
    pub execution: u32,
    /// Role of the model.
    pub role: Role,
}

/// A model in the hands of one job.
pub struct Metered {
    model: Arc<Model>,
    job: JobSubject,
    retry: Retry,
    ledger: Arc<Ledger>,
    seen: Mutex<Seen>,
}

/// What was seen of the job's calls so far.
#[derive(Default)]
struct Seen {
    recorder: Recorder,
    requests: u64,
    out_of_budget: bool,
    provider_failure: Option<String>,
    overflows: u64,
    overflows_in_a_row: u64,
    unhandled_overflow: bool,
}

/// Why a call gave no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// It never left.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The model gave none.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl CallError {
    /// Returns the error as an object in OpenAI's dialect: `message`, `type`, `param`, `code`.
    pub fn to_object(&self) -> Value {
        let kind = match self {
            Self::Denied(Denied::Budget { .. }) => "budget_exceeded",
            Self::Denied(Denied::Stopping) => "stopping",
            Self::Model(ModelError::Refused { error, .. }) => return error.clone(),
            Self::Model(ModelError::Failed { .. }) => "server_error",
        };
        json!({"message": self.to_string(), "type": kind, "param": null, "code": null})
    }
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metered({}, {:?})", self.model.name(), self.job)
    }
}

impl Metered {
    /// Puts a model into the hands of a job.
    pub fn new(
        model: Arc<Model>,
        books: Arc<dyn Books>,
        job: JobSubject,
        allowance: Allowance,
    ) -> Self {
        Self {
            model,
            job,
            retry: Retry::default(),
            ledger: Arc::new(Ledger::new(books, allowance)),
            seen: Mutex::default(),
        }
    }

    /// Returns it with another patience.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns the model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Answers a Chat Completions request: intent on the books, request, settlement; again
    /// for each further try after a failure that allows it.
    ///
    /// The model's name, streaming and the number of choices are not the caller's to say,
    /// and its limit of output tokens can only lower the configured one. Dropping the future
    /// ends the call: it is settled as abandoned.
    pub async fn complete(&self, request: &Value) -> Result<Reply, CallError> {
        let mut line = Line::begin(self, request);
        let result = match self.prepare(request) {
            Ok(body) => self.ask(&body, &mut line.tries).await,
            Err(refused) => Err(refused.into()),
        };
        line.end(&result);
        result
    }

    /// Returns how many requests came, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.seen().requests
    }

    /// Returns whether a call was denied because an allowance or a budget is used up.
    pub fn is_out_of_budget(&self) -> bool {
        self.seen().out_of_budget
    }

    /// Returns what the provider failed with, if the last call that reached it failed so.
    pub fn provider_failure(&self) -> Option<String> {
        self.seen().provider_failure.clone()
    }

    /// Returns how many requests were longer than the model's context.
    pub fn context_overflows(&self) -> u64 {
        self.seen().overflows
    }

    /// Returns whether two such requests came in a row: nobody had handled the first.
    pub fn has_unhandled_overflow(&self) -> bool {
        self.seen().unhandled_overflow
    }

    /// Returns the calls so far as lines of JSON; [`super::transcript`] describes them.
    pub fn transcript_bytes(&self) -> Vec<u8> {
        self.seen().recorder.to_bytes()
    }

    /// Waits until the settlements of all calls that have ended are recorded.
    pub async fn settled(&self) {
        self.ledger.settled().await;
    }

    async fn ask(&self, body: &Value, tries: &mut u32) -> Result<Reply, CallError> {
        let bound = self.bound(body);
        loop {
            *tries += 1;
            let (seed, result) = self.ask_once(body, bound).await?;
            match result {
                Err(ModelError::Failed {
                    retryable: true,
                    what,
                    ..
                }) if let Some(pause) = self.retry.pause(*tries, seed) => {
                    tracing::debug!(call = seed, tried = *tries, what, "trying again");
                    tokio::time::sleep(pause).await;
                }
                result => return Ok(result?),
            }
        }
    }

    async fn ask_once(
        &self,
        body: &Value,
        bound: Bound,
    ) -> Result<(u64, Result<Reply, ModelError>), Denied> {
        let intent = Intent {
            subject: self.job.subject.clone(),
            execution: self.job.execution,
            role: self.job.role,
            model: self.model.name().to_owned(),
            at_most: bound.cost,
            at_most_tokens: bound.tokens.total(),
        };
        let mut open = self.ledger.open(intent, bound).await?;
        let seed = open.id().0;
        open.leaves();
        let result = self.model.complete(body).await;
        match &result {
            Ok(reply) => {
                open.settle(CallStatus::Answered, reply.tokens, reply.cost)
                    .await;
            }
            Err(ModelError::Refused { .. }) => {
                open.settle(CallStatus::Refused, Tokens::default(), Usd::default())
                    .await;
            }
            Err(ModelError::Failed { may_be_charged, .. }) if *may_be_charged => {
                open.settle_unknown(CallStatus::Failed).await;
            }
            Err(ModelError::Failed { .. }) => {
                open.settle(CallStatus::Failed, Tokens::default(), Usd::default())
                    .await;
            }
        }
        Ok((seed, result))
    }

    /// Returns the request as it leaves.
    fn prepare(&self, request: &Value) -> Result<Value, ModelError> {
        let mut body = request
            .as_object()
            .ok_or_else(|| refused("the request is no JSON object"))?
            .clone();
        if !body.get("messages").is_some_and(Value::is_array) {
            return Err(refused("the request has no list `messages`"));
        }
        match body.remove("n") {
            None | Some(Value::Null) => {}
            Some(n) if n.as_u64() == Some(1) => {}
            Some(_) => return Err(refused("`n` must be 1: one answer per call")),
        }
        body.remove("stream");
        body.remove("stream_options");
        let limit = self.model.max_output_tokens();
        let asked = take_limit(&mut body).unwrap_or(limit);
        body.insert(
            "max_completion_tokens".to_owned(),
            json!(asked.clamp(1, limit)),
        );
        body.insert("model".to_owned(), json!(self.model.name()));
        Ok(Value::Object(body))
    }

    /// Returns what the prepared request can use at most: no tokenizer makes more tokens
    /// than there are bytes.
    fn bound(&self, body: &Value) -> Bound {
        let limit = self.model.max_output_tokens();
        let tokens = Tokens {
            input: json_len(body),
            output: body["max_completion_tokens"].as_u64().unwrap_or(limit),
            ..Tokens::default()
        };
        Bound {
            tokens,
            cost: self.model.price().cost(tokens),
        }
    }

    fn note(&self, line: &Line<'_>, result: Option<&Result<Reply, CallError>>) {
        let mut seen = self.seen();
        seen.requests += 1;
        match result {
            Some(Err(CallError::Denied(Denied::Budget { .. }))) => seen.out_of_budget = true,
            Some(Err(CallError::Model(ModelError::Failed { what, .. }))) => {
                seen.provider_failure = Some(what.clone());
            }
            Some(Ok(_) | Err(CallError::Model(ModelError::Refused { .. }))) => {
                seen.provider_failure = None;
            }
            Some(Err(CallError::Denied(Denied::Stopping))) | None => {}
        }
        match result {
            Some(Err(CallError::Model(error))) if error.is_context_overflow() => {
                seen.overflows += 1;
                seen.overflows_in_a_row += 1;
                seen.unhandled_overflow |= seen.overflows_in_a_row > 1;
            }
            Some(Ok(_)) => seen.overflows_in_a_row = 0,
            Some(Err(_)) | None => {}
        }
        seen.recorder
            .record(line.request, result, line.began.elapsed(), line.tries);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call on its way into the transcript; written as abandoned where it is dropped.
struct Line<'a> {
    metered: &'a Metered,
    request: &'a Value,
    began: Instant,
    tries: u32,
    is_written: bool,
}

impl<'a> Line<'a> {
    fn begin(metered: &'a Metered, request: &'a Value) -> Self {
        Self {
            metered,
            request,
            began: Instant::now(),
            tries: 0,
            is_written: false,
        }
    }

    fn end(mut self, result: &Result<Reply, CallError>) {
        self.is_written = true;
        self.metered.note(&self, Some(result));
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            self.metered.note(self, None);
        }
    }
}

fn refused(what: &str) -> ModelError {
    ModelError::Refused {
        status: 400,
        error: json!({
            "message": what, "type": "invalid_request_error", "param": null, "code": null,
        }),
    }
}

/// Takes out the limit of output tokens, under its present and its former name.
fn take_limit(body: &mut Map<String, Value>) -> Option<u64> {
    let present = body.remove("max_completion_tokens");
    let former = body.remove("max_tokens");
    [present, former]
        .into_iter()
        .flatten()
        .find_map(|limit| limit.as_u64())
}

/// Returns how many bytes a value has as JSON, without writing it anywhere.
fn json_len(value: &Value) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(u64::MAX, |()| count.0)
}
