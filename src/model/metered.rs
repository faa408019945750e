//! The one way to a model: every call is booked, bounded, retried and written down here.

use super::ledger::{Bound, FailedTry, Ledger, OpenCall};
use super::pace::Permit;
use super::request::Outgoing;
use super::retry::Tried;
use super::seen::{CallsEnd, Line, Seen};
use super::stream::Open;
use super::subject::JobSubject;
use super::tape::Tape;
use super::wire::Dialect;
use super::{
    Allowance, Books, CallError, Intent, Limit, Model, ModelError, Reply, ReplyStream, Retry,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A model in the hands of one job.
pub struct Metered {
    model: Arc<Model>,
    job: Arc<JobSubject>,
    retry: Retry,
    ledger: Arc<Ledger>,
    seen: Arc<Seen>,
    asks_again: bool,
}

/// A try that was answered, and that is still to be settled.
struct AnsweredTry<T> {
    what: T,
    call: OpenCall,
    permit: Permit,
    began: Instant,
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
            retry: model.retry(),
            seen: Arc::new(Seen::new(model.pace().clone())),
            model,
            job: Arc::new(job),
            ledger: Arc::new(Ledger::new(books, allowance)),
            asks_again: false,
        }
    }

    /// Returns it so that calls leave also after one has found the model unusable: somebody may
    /// have corrected that meanwhile.
    #[must_use]
    pub fn asking_again(mut self) -> Self {
        self.asks_again = true;
        self
    }

    /// Returns it with another patience.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Has somebody told why tries fail, each before it is settled; the first who asks is.
    pub fn tell_failures(&self, witness: mpsc::UnboundedSender<FailedTry>) {
        self.ledger.tell(witness);
    }

    /// Returns the model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Returns whether requests of this dialect are answered.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.model.speaks(dialect)
    }

    /// Answers a Chat Completions request: intent on the books, request, settlement; again
    /// for each further try after a failure that allows it.
    ///
    /// The model's name, streaming and the number of choices are not the caller's to say,
    /// and its limit of output tokens can only lower the configured one. Dropping the future
    /// ends the call: it is settled as abandoned. The reply does not wait until its
    /// settlement is durable; [`Self::settled`] does.
    pub async fn complete(&self, request: &Value) -> Result<Reply, CallError> {
        self.whole(Dialect::Chat, request).await
    }

    /// Answers a Chat Completions request with a stream, under the same rules. A call is
    /// tried again only while nothing of its stream has come; the usage at the end is passed
    /// on where the request asks for it. Dropping the stream ends the call.
    pub async fn stream(&self, request: &Value) -> Result<ReplyStream, CallError> {
        self.streamed(Dialect::Chat, request).await
    }

    /// Answers a Messages request, verbatim but for what is not the caller's to say; refused
    /// where the provider speaks another dialect.
    pub async fn messages(&self, request: &Value) -> Result<Reply, CallError> {
        self.whole(Dialect::Messages, request).await
    }

    /// Answers a Messages request with a stream, under the same rules as [`Self::stream`].
    pub async fn stream_messages(&self, request: &Value) -> Result<ReplyStream, CallError> {
        self.streamed(Dialect::Messages, request).await
    }

    /// Returns how many requests came, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.seen.requests()
    }

    /// Returns what kept the calls from going on, the run's budget before the provider, and
    /// that before the job's own allowance.
    pub fn calls_end(&self) -> Option<CallsEnd> {
        self.seen.calls_end()
    }

    /// Returns which allowance it was that a call was denied for, and how large it is.
    pub fn out_of_budget(&self) -> Option<String> {
        self.seen.out_of_budget()
    }

    /// Returns the limit of the job that a call did not fit into although the job had used
    /// nothing yet: it never will.
    pub fn unaffordable(&self) -> Option<Limit> {
        self.ledger.unaffordable()
    }

    /// Returns whether a call was denied because the run's budget is used up. What the job
    /// did without it says nothing about the agent.
    pub fn is_cut_by_run(&self) -> bool {
        self.seen.is_cut_by_run()
    }

    /// Returns what the provider failed with, if the last call that reached it failed so.
    pub fn provider_failure(&self) -> Option<String> {
        self.seen.provider_failure()
    }

    /// Returns whether a call was given up by its caller while nobody was answered.
    pub fn has_met_outage(&self) -> bool {
        self.seen.has_met_outage()
    }

    /// Returns for how long at least one call waited: for its turn, or for another try.
    pub fn waited(&self) -> Duration {
        self.seen.waited()
    }

    /// Returns how many requests were longer than the model's context.
    pub fn context_overflows(&self) -> u64 {
        self.seen.overflows()
    }

    /// Returns whether two such requests came in a row: nobody had handled the first.
    pub fn has_unhandled_overflow(&self) -> bool {
        self.seen.has_unhandled_overflow()
    }

    /// Returns the calls so far as lines of JSON; [`super::transcript`] describes them.
    pub fn transcript_bytes(&self) -> Vec<u8> {
        self.seen.transcript_bytes()
    }

    /// Waits until no call is under way and all their settlements are recorded.
    pub async fn settled(&self) {
        self.ledger.settled().await;
    }

    async fn whole(&self, dialect: Dialect, request: &Value) -> Result<Reply, CallError> {
        // Declared first, so that it goes last: after the settlement is on its way.
        let _under_way = self.ledger.begin();
        let (outgoing, mut line) = self.begin(dialect, request)?;
        let once = |tape| self.model.whole(dialect, &outgoing.body, tape);
        let result = match self.tries(&outgoing, &mut line.tries, once).await {
            Ok(AnsweredTry { what, call, .. }) => {
                call.answered(&what);
                Ok(what)
            }
            Err(error) => Err(error),
        };
        line.end(&result);
        result
    }

    async fn streamed(&self, dialect: Dialect, request: &Value) -> Result<ReplyStream, CallError> {
        let under_way = self.ledger.begin();
        let (outgoing, mut line) = self.begin(dialect, request)?;
        let once = |tape| self.model.first(dialect, &outgoing.body, tape);
        let answered = match self.tries(&outgoing, &mut line.tries, once).await {
            Ok(answered) => answered,
            Err(error) => {
                line.end(&Err(error.clone()));
                return Err(error);
            }
        };
        let AnsweredTry {
            what: came,
            call,
            permit,
            began,
        } = answered;
        let open = Open {
            model: self.model.clone(),
            request: outgoing.body,
            call,
            line,
            began,
            permit,
            under_way,
        };
        Ok(ReplyStream::new(dialect, outgoing.with_usage, came, open))
    }

    /// Returns a request that may leave, and its line in the transcript; what may not leave is
    /// in the transcript already.
    fn begin(&self, dialect: Dialect, request: &Value) -> Result<(Outgoing, Line), CallError> {
        let line = |request| Line::begin(self.seen.clone(), dialect, request);
        let prepared = match self.seen.unusable() {
            // Nothing has changed since, and nothing will before somebody changes it.
            Some(error) if !self.asks_again => Err(error),
            _ => self.model.prepare(dialect, request),
        };
        match prepared {
            Ok(outgoing) => {
                let line = line(outgoing.body.clone());
                Ok((outgoing, line))
            }
            Err(error) => {
                let error = CallError::from(error);
                line(Arc::new(request.clone())).end(&Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Makes the tries of one call. The last one is not settled if it was answered; all
    /// others are.
    async fn tries<T, F>(
        &self,
        outgoing: &Outgoing,
        tries: &mut u32,
        once: impl Fn(Arc<Tape>) -> F,
    ) -> Result<AnsweredTry<T>, CallError>
    where
        F: Future<Output = Result<T, ModelError>>,
    {
        let bound = Bound {
            tokens: outgoing.most,
            cost: self.model.price().at_most(outgoing.most),
        };
        let mut turns = self.model.pace().call();
        let first = Instant::now();
        let mut waiting = self.seen.wait();
        loop {
            let permit = turns.admit().await;
            *tries += 1;
            let tape = self.ledger.tape(self.job.clone(), *tries);
            let opened = self.ledger.open(self.intent(bound), bound, tape.clone());
            let mut call = opened.await?;
            let seed = call.id().0;
            call.leaves();
            let began = Instant::now();
            drop(waiting);
            let result = once(tape.clone()).await;
            let advice = turns.hear(&permit, self.model.heard(&result));
            let error = match result {
                Ok(what) => {
                    return Ok(AnsweredTry {
                        what,
                        call,
                        permit,
                        began,
                    });
                }
                Err(error) => error,
            };
            call.failed(&error);
            drop(permit);
            waiting = self.seen.wait();
            let tried = Tried {
                tries: *tries,
                took: first.elapsed(),
                advice,
                seed,
            };
            let pause = match self.model.replay() {
                Some(replay) => replay.is_tried_again(&tape).then_some(Duration::ZERO),
                None => self.retry.pause(&error, tried),
            };
            match pause {
                Some(pause) => {
                    tracing::debug!(call = seed, tried = *tries, %error, "trying again");
                    tokio::time::sleep(pause).await;
                }
                None => {
                    tracing::info!(call = seed, tries = *tries, %error, "a call got no answer");
                    return Err(error.into());
                }
            }
        }
    }

    fn intent(&self, bound: Bound) -> Intent {
        Intent {
            subject: self.job.subject.clone(),
            execution: self.job.execution,
            role: self.job.role,
            model: self.model.name().to_owned(),
            at_most: bound.cost,
            at_most_tokens: bound.tokens.total(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{CallStatus, Tokens, Usd};
    use crate::model::CallError;
    use crate::model::fixture::{HELLO, Program, Remembered, Row, metered, request};
    use crate::model::{
        Allowance, Denied, Model, ModelError, ModelSettings, Price, Scope, transcript,
    };
    use futures_util::FutureExt as _;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn the_intent_is_durable_before_the_program_starts() {
        let program = Program::new("test -e marker || exit 9\n");
        let path = program.path("model.sh");
        let script = format!("test -e marker || exit 9\n{HELLO}");
        crate::sys::durable::write(&path, script.as_bytes()).expect("the script can be written");
        let books = Arc::new(Remembered::marking(program.path("marker")));
        let metered = metered(program.model(), books.clone(), Allowance::default());
        metered.complete(&request("hi")).await.expect("a reply");
        metered.settled().await;
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
        let (witness, mut told) = mpsc::unbounded_channel();
        metered.tell_failures(witness);
        metered.complete(&request("hi")).await.expect("a reply");
        let (failed, answered) = (CallStatus::Failed, CallStatus::Answered);
        metered.settled().await;
        assert_eq!(books.endings(), [failed, failed, answered]);
        let whys = std::iter::from_fn(|| told.try_recv().ok());
        let whys: Vec<_> = whys.map(|told| (told.call.0, told.why)).collect();
        let why = || "`/bin/sh` ended with exit code 1".to_owned();
        assert_eq!(whys, [(1, why()), (2, why())]);
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
            price: Some(Price::plain(Usd(1_000_000), Usd(1_000_000))),
            ..program.settings()
        };
        let model = Model::new(settings).expect("the settings are right");
        let books = Arc::new(Remembered::default());
        let metered = metered(model, books.clone(), Allowance::default());
        metered
            .complete(&request("hi"))
            .await
            .expect_err("it fails");
        metered.settled().await;
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
        metered.settled().await;
        assert_eq!(books.endings(), [CallStatus::Failed; 6]);
        assert!(metered.out_of_budget().is_none());
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
        metered.settled().await;
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
        metered.settled().await;
        assert_eq!(books.endings(), [CallStatus::Answered; 5]);
        assert!(metered.out_of_budget().is_some());
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
            price: Some(Price::plain(Usd(1_000_000), Usd(1_000_000))),
            ..program.settings()
        };
        // One call can use at most some 1,200 tokens and micro-dollars, and uses 12.
        for allowance in [
            Allowance {
                tokens: Some(1300),
                ..Allowance::default()
            },
            Allowance {
                cost: Some(Usd(1300)),
                ..Allowance::default()
            },
        ] {
            let model = Model::new(settings.clone()).expect("the settings are right");
            let books = Arc::new(Remembered::default());
            let metered = metered(model, books.clone(), allowance);
            let sent = request("hi");
            // There is room for one at a time; the others wait for it.
            let calls = (0..5).map(|_| metered.complete(&sent));
            for reply in futures_util::future::join_all(calls).await {
                reply.expect("there was room after a while");
            }
            let mut is_open = false;
            for row in books.rows() {
                assert_ne!(is_open, matches!(row, Row::Intended(..)), "one at a time");
                is_open = !is_open;
            }
            let long = request(&"x".repeat(500));
            let denied = metered.complete(&long).await.expect_err("it never fits");
            assert!(
                matches!(
                    denied,
                    CallError::Denied(Denied::Budget {
                        scope: Scope::Job,
                        ..
                    })
                ),
                "{denied:?}"
            );
            metered.complete(&sent).await.expect("this one fits");
        }
    }

    #[tokio::test]
    async fn the_books_can_deny() {
        let program = Program::new(HELLO);
        let what = "the run's budget of $1.0000 is used up".to_owned();
        let books = Arc::new(Remembered::denying_from(
            2,
            Denied::Budget {
                scope: Scope::Run,
                what,
            },
        ));
        let metered = metered(program.model(), books.clone(), Allowance::default());
        metered.complete(&request("hi")).await.expect("a reply");
        let error = metered.complete(&request("hi")).await.expect_err("denied");
        assert_eq!(error.to_object()["type"], "budget_exceeded");
        assert!(metered.is_cut_by_run() && metered.out_of_budget().is_none());
        metered.settled().await;
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
