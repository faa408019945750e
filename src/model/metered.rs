//! The one way to a model: every call is booked, bounded, retried and written down here.

use super::ledger::{Bound, Ledger};
use super::request::{Outgoing, other_dialect, prepare};
use super::transcript::Recorder;
use super::wire::{Answer, Dialect};
use super::{
    Books, CallError, Denied, Intent, Model, ModelError, Reply, ReplyStream, Retry, chunks,
};
use crate::domain::{CallStatus, CallSubject, Role, Tokens, Usd};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
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
        // Declared first, so that it goes last: after the settlement is on its way.
        let _under_way = self.ledger.begin();
        let mut line = Line::begin(self, request);
        let result = match prepare(Dialect::Chat, request, &self.model) {
            Ok(outgoing) => self.ask(&outgoing, &mut line.tries).await,
            Err(refused) => Err(refused.into()),
        };
        line.end(&result);
        result
    }

    /// Answers a Chat Completions request with a stream, under the same rules. A call is
    /// tried again only while nothing of its stream has come; the usage at the end is passed
    /// on where the request asks for it. Dropping the stream ends the call.
    pub async fn stream(self: &Arc<Self>, request: &Value) -> Result<ReplyStream, CallError> {
        let reply = self.complete(request).await?;
        let with_usage = request["stream_options"]["include_usage"] == true;
        let mut events = chunks::chat(&reply.body);
        if !with_usage {
            events.remove(events.len() - 2);
        }
        Ok(ReplyStream::new(
            stream::iter(events.into_iter().map(Ok)).boxed(),
        ))
    }

    /// Returns whether requests of this dialect are answered.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.model.speaks(dialect)
    }

    /// Answers a Messages request, verbatim but for what is not the caller's to say; refused
    /// where the provider speaks another dialect.
    pub async fn messages(&self, request: &Value) -> Result<Reply, CallError> {
        let _request = request;
        Err(other_dialect().into())
    }

    /// Answers a Messages request with a stream, under the same rules as [`Self::stream`].
    pub async fn stream_messages(
        self: &Arc<Self>,
        request: &Value,
    ) -> Result<ReplyStream, CallError> {
        let _request = request;
        Err(other_dialect().into())
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

    /// Waits until no call is under way and all their settlements are recorded.
    pub async fn settled(&self) {
        self.ledger.settled().await;
    }

    async fn ask(&self, outgoing: &Outgoing, tries: &mut u32) -> Result<Reply, CallError> {
        let bound = Bound {
            tokens: outgoing.most,
            cost: self.model.price().cost(outgoing.most),
        };
        let body = &outgoing.body;
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
        let began = Instant::now();
        let result = match self.model.send(Dialect::Chat, body, false).await {
            Ok(Answer::Whole(answer)) => {
                self.model
                    .read(Dialect::Chat, answer, body, began.elapsed())
            }
            Ok(Answer::Stream(_)) => unreachable!(),
            Err(error) => Err(error),
        };
        match &result {
            Ok(reply) => {
                open.settle_as(
                    CallStatus::Answered,
                    reply.tokens,
                    reply.estimated,
                    reply.cost,
                )
                .await;
            }
            Err(ModelError::Refused { .. }) => {
                open.settle(CallStatus::Refused, Tokens::default(), Usd::default())
                    .await;
            }
            Err(ModelError::Failed { may_be_charged, .. }) if *may_be_charged => {
                open.settle_unknown(CallStatus::Failed).await;
            }
            Err(ModelError::Failed { .. } | ModelError::Unusable { .. }) => {
                open.settle(CallStatus::Failed, Tokens::default(), Usd::default())
                    .await;
            }
        }
        Ok((seed, result))
    }

    fn note(&self, line: &Line<'_>, result: Option<&Result<Reply, CallError>>) {
        let mut seen = self.seen();
        seen.requests += 1;
        match result {
            Some(Err(CallError::Denied(Denied::Budget { .. }))) => seen.out_of_budget = true,
            Some(Err(CallError::Model(
                ModelError::Failed { what, .. } | ModelError::Unusable { what },
            ))) => {
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

#[cfg(test)]
mod tests {
    use super::Allowance;
    use crate::domain::{CallStatus, Tokens, Usd};
    use crate::model::CallError;
    use crate::model::fixture::{HELLO, Program, Remembered, Row, metered, request};
    use crate::model::{Denied, Model, ModelError, ModelSettings, Price, transcript};
    use futures_util::FutureExt as _;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn the_intent_is_durable_before_the_program_starts() {
        let program = Program::new("test -e marker || exit 9\n");
        let path = program.path("model.sh");
        let script = format!("test -e marker || exit 9\n{HELLO}");
        crate::sys::durable::write(&path, script.as_bytes()).expect("the script can be written");
        let books = Arc::new(Remembered::marking(program.path("marker")));
        let metered = metered(program.model(), books.clone(), Allowance::default());
        metered.complete(&request("hi")).await.expect("a reply");
        assert_eq!(books.endings(), [CallStatus::Answered]);
        let rows = books.rows();
        let [Row::Intended(_, intent), Row::Settled(settlement)] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(intent.model, "test-model");
        assert!(intent.at_most_tokens > 1000, "{intent:?}");
        assert_eq!((settlement.tokens.input, settlement.tokens.output), (10, 2));
    }

    #[tokio::test]
    async fn what_leaves_is_decided_here() {
        let script = format!("cat > request.json\n{HELLO}");
        let program = Program::new(&script);
        let (metered, _) = program.metered();
        let mut sent = request("hi");
        sent["model"] = json!("gpt-expensive");
        sent["stream"] = json!(true);
        sent["stream_options"] = json!({"include_usage": true});
        sent["max_tokens"] = json!(1_000_000);
        sent["temperature"] = json!(0.5);
        metered.complete(&sent).await.expect("a reply");
        let got = std::fs::read(program.path("request.json")).expect("it was written");
        let got: Value = serde_json::from_slice(&got).expect("it is JSON");
        assert_eq!(
            got,
            json!({
                "model": "test-model",
                "messages": sent["messages"],
                "max_completion_tokens": 1000,
                "temperature": 0.5,
            })
        );
        for odd in [json!(7), json!({}), json!({"messages": [], "n": 2})] {
            let error = metered.complete(&odd).await.expect_err("refused");
            assert!(
                matches!(
                    error,
                    CallError::Model(ModelError::Refused { status: 400, .. })
                ),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn every_try_is_booked() {
        // Fails twice, then answers.
        let script = format!("echo x >> tries; test $(wc -l < tries) -ge 3 || exit 1\n{HELLO}");
        let program = Program::new(&script);
        let (metered, books) = program.metered();
        metered.complete(&request("hi")).await.expect("a reply");
        let (failed, answered) = (CallStatus::Failed, CallStatus::Answered);
        assert_eq!(books.endings(), [failed, failed, answered]);
        assert_eq!(metered.provider_failure(), None);
        let text = transcript::render(&metered.transcript_bytes(), 10_000);
        assert!(
            text.contains("[call 1] finish=stop tokens=10/2 tries=3"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_failure_that_stays_is_told_and_booked_at_its_bound() {
        let program = Program::new("exit 1");
        let settings = ModelSettings {
            price: Some(Price::PerMillion {
                input: Usd(1_000_000),
                output: Usd(1_000_000),
            }),
            ..program.settings()
        };
        let model = Model::new(settings).expect("the settings are right");
        let books = Arc::new(Remembered::default());
        let metered = metered(model, books.clone(), Allowance::default());
        metered
            .complete(&request("hi"))
            .await
            .expect_err("it fails");
        assert_eq!(books.endings(), [CallStatus::Failed; 3]);
        let failure = metered.provider_failure().expect("the provider failed");
        assert_eq!(failure, "`/bin/sh` ended with exit code 1");
        // What the program did before it failed is not known: the most it can have cost.
        for rows in books.rows().chunks(2) {
            let [Row::Intended(_, intent), Row::Settled(settlement)] = rows else {
                panic!("{rows:?}")
            };
            assert_eq!(settlement.cost, intent.at_most);
            assert_eq!(settlement.tokens.total(), intent.at_most_tokens);
            assert!(settlement.cost > Usd(1000));
        }
    }

    #[tokio::test]
    async fn a_failure_that_used_nothing_costs_nothing() {
        let script = r#"echo '{"error":{"type":"server_error"}}'"#;
        let program = Program::new(script);
        let books = Arc::new(Remembered::default());
        let allowance = Allowance {
            calls: Some(1),
            ..Allowance::default()
        };
        let metered = metered(program.model(), books.clone(), allowance);
        for _ in 0..2 {
            let error = metered
                .complete(&request("hi"))
                .await
                .expect_err("it fails");
            assert!(matches!(error, CallError::Model(ModelError::Failed { .. })));
        }
        assert_eq!(books.endings(), [CallStatus::Failed; 6]);
        assert!(!metered.is_out_of_budget());
        for row in books.rows() {
            if let Row::Settled(settlement) = row {
                assert_eq!((settlement.tokens, settlement.cost), Default::default());
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again_and_overflows_are_counted() {
        let script = r#"cat > request.json
            if grep -q short request.json
            then echo '{"choices":[{"message":{"content":"ok"}}]}'
            else echo '{"error":{"code":"context_length_exceeded"}}'
            fi"#;
        let program = Program::new(script);
        let (metered, books) = program.metered();
        for (content, overflows, unhandled) in [
            ("long", 1, false),
            ("short", 1, false),
            ("long", 2, false),
            ("long", 3, true),
            ("short", 3, true),
        ] {
            let result = metered.complete(&request(content)).await;
            assert_eq!(result.is_ok(), content == "short", "{result:?}");
            assert_eq!(metered.context_overflows(), overflows);
            assert_eq!(metered.has_unhandled_overflow(), unhandled);
        }
        let (refused, answered) = (CallStatus::Refused, CallStatus::Answered);
        assert_eq!(
            books.endings(),
            [refused, answered, refused, refused, answered]
        );
    }

    #[tokio::test]
    async fn an_allowance_holds_under_concurrency() {
        let program = Program::new(HELLO);
        let books = Arc::new(Remembered::default());
        let allowance = Allowance {
            calls: Some(5),
            ..Allowance::default()
        };
        let metered = metered(program.model(), books.clone(), allowance);
        let sent = request("hi");
        let calls = (0..20).map(|_| metered.complete(&sent));
        let results = futures_util::future::join_all(calls).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
        assert_eq!(books.endings(), [CallStatus::Answered; 5]);
        assert!(metered.is_out_of_budget());
        let error = metered.complete(&sent).await.expect_err("used up");
        assert_eq!(
            error.to_object()["message"],
            "the job's allowance of 5 model calls is used up"
        );
    }

    #[tokio::test]
    async fn tokens_and_money_are_reserved_and_given_back() {
        let program = Program::new(HELLO);
        let settings = ModelSettings {
            price: Some(Price::PerMillion {
                input: Usd(1_000_000),
                output: Usd(1_000_000),
            }),
            ..program.settings()
        };
        // One call can use at most some 1,100 tokens and micro-dollars, and uses 12.
        for allowance in [
            Allowance {
                tokens: Some(1200),
                ..Allowance::default()
            },
            Allowance {
                cost: Some(Usd(1200)),
                ..Allowance::default()
            },
        ] {
            let model = Model::new(settings.clone()).expect("the settings are right");
            let metered = metered(model, Arc::new(Remembered::default()), allowance);
            let sent = request("hi");
            let (first, second) = tokio::join!(metered.complete(&sent), metered.complete(&sent));
            let denied = [first, second].into_iter().filter_map(Result::err);
            let denied: Vec<CallError> = denied.collect();
            assert!(
                matches!(
                    denied.as_slice(),
                    [CallError::Denied(Denied::Budget { .. })]
                ),
                "{denied:?}"
            );
            metered
                .complete(&sent)
                .await
                .expect("the reservation is free again");
        }
    }

    #[tokio::test]
    async fn the_books_can_deny() {
        let program = Program::new(HELLO);
        let what = "the run's budget of $1.0000 is used up".to_owned();
        let books = Arc::new(Remembered::denying_from(2, Denied::Budget { what }));
        let metered = metered(program.model(), books.clone(), Allowance::default());
        metered.complete(&request("hi")).await.expect("a reply");
        let error = metered.complete(&request("hi")).await.expect_err("denied");
        assert_eq!(error.to_object()["type"], "budget_exceeded");
        assert!(metered.is_out_of_budget());
        assert_eq!(books.endings(), [CallStatus::Answered]);
    }

    #[tokio::test]
    async fn a_dropped_call_is_settled_as_abandoned() {
        let program = Program::new("echo > started; sleep 300");
        let (metered, books) = program.metered();
        let sent = request("hi");
        let started = async {
            while !program.path("started").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = metered.complete(&sent) => panic!("it hangs"),
            () = started => {}
        }
        metered.settled().await;
        assert_eq!(books.endings(), [CallStatus::Abandoned]);
        let rows = books.rows();
        let [Row::Intended(_, intent), Row::Settled(settlement)] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(settlement.tokens.total(), intent.at_most_tokens);
        let text = transcript::render(&metered.transcript_bytes(), 10_000);
        assert!(text.contains("[call 1] error=abandoned"), "{text}");
        // The job can go on.
        metered.settled().await;
    }

    #[tokio::test]
    async fn a_call_dropped_before_it_left_used_nothing() {
        let program = Program::new("echo > started; sleep 300");
        let books = Arc::new(Remembered::marking(program.path("marker")));
        let metered = metered(program.model(), books.clone(), Allowance::default());
        let sent = request("hi");
        // The caller asks, and is gone before the books have answered.
        let answer = metered.complete(&sent).now_or_never();
        assert_eq!(answer, None);
        metered.settled().await;
        assert_eq!(books.endings(), [CallStatus::Abandoned]);
        let Some(Row::Settled(settlement)) = books.rows().pop() else {
            panic!("the last row settles")
        };
        assert_eq!(settlement.tokens, Tokens::default());
        assert!(!program.path("started").exists());
    }
}
