//! Recorded calls that are asked for again, through the books and back.

use super::{Recorded, Replay};
use crate::domain::CallSettlement;
use crate::domain::{BlobId, CallId, CallStatus, JobId, Recording, Role, Tokens, Usd, VariantId};
use crate::model::exchange::{Ending, Exchange, RecordedAnswer};
use crate::model::fixture::{Remembered, Row, job, metered};
use crate::model::{
    Allowance, CallError, Dialect, Event, JobSubject, Metered, Model, ModelError, ModelSettings,
    Outline,
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A recording in the making: blobs are numbered.
#[derive(Default)]
struct Tape {
    calls: Vec<Recorded>,
    blobs: HashMap<String, Vec<u8>>,
    last: Option<(CallId, Outline)>,
}

fn body(content: &str) -> Value {
    json!({"model": "m", "max_completion_tokens": 16_384,
        "messages": [{"role": "user", "content": content}]})
}

fn said(text: &str) -> RecordedAnswer {
    RecordedAnswer::Whole(json!({"choices": [{"message": {"content": text}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2}}))
}

fn failed() -> RecordedAnswer {
    RecordedAnswer::Error(ModelError::Failed {
        what: "gone".to_owned(),
        retryable: true,
        may_be_charged: false,
        retry_after: None,
    })
}

impl Tape {
    fn blob(&mut self, bytes: Vec<u8>) -> BlobId {
        let name = format!("{}", self.blobs.len());
        self.blobs.insert(name.clone(), bytes);
        BlobId::from_hex(name)
    }

    /// Adds a call of the fixture's job, stored after the one before it.
    fn add(&mut self, body: &Value, heard: Option<RecordedAnswer>) -> &mut Recorded {
        let exchange = Exchange::new(Dialect::Chat, false, body);
        let call = CallId(self.calls.len() as u64 + 1);
        let before = self.last.as_ref();
        let stored = exchange.stored_after(before.map(|(_, outline)| outline));
        let base = before.map(|(call, _)| (*call, stored.kept));
        let status = match &heard {
            Some(RecordedAnswer::Error(_)) => CallStatus::Failed,
            Some(_) => CallStatus::Answered,
            None => CallStatus::Abandoned,
        };
        let request = self.blob(stored.bytes);
        let answer = heard.map(|heard| self.blob(heard.encode()));
        self.last = Some((call, exchange.outline().clone()));
        self.calls.push(Recorded {
            recording: Recording {
                call,
                dialect: "chat".to_owned(),
                streamed: false,
                tried: 1,
                digest: exchange.outline().digest(),
                messages: exchange.outline().len(),
                base: base.filter(|(_, kept)| *kept > 0),
                request,
                answer,
            },
            subject: job().subject,
            role: job().role,
            execution: Some(1),
            settlement: Some(CallSettlement {
                id: call,
                status,
                tokens: Tokens {
                    input: 30,
                    output: 20,
                    ..Tokens::default()
                },
                estimated: false,
                cost: Usd(777),
                latency_ms: 5,
            }),
        });
        self.calls.last_mut().expect("one was added")
    }

    fn replay(self) -> Arc<Replay> {
        let blobs = self.blobs;
        Arc::new(Replay::new(self.calls, move |id| {
            blobs
                .get(id.as_str())
                .cloned()
                .ok_or_else(|| "it is not there".to_owned())
        }))
    }
}

fn asking(replay: &Arc<Replay>) -> (Metered, Arc<Remembered>) {
    let settings = ModelSettings::new("anthropic", "m");
    let books = Arc::new(Remembered::default());
    let model = Model::replaying(&settings, replay.clone());
    (metered(model, books.clone(), Allowance::default()), books)
}

async fn answer(metered: &Metered, body: &Value) -> String {
    match metered.complete(body).await {
        Ok(reply) => reply.text(),
        Err(error) => format!("error: {error}"),
    }
}

#[tokio::test]
async fn the_same_request_gets_its_answers_in_order_at_the_recorded_cost() {
    let mut tape = Tape::default();
    tape.add(&body("a"), Some(said("one")));
    tape.add(&body("b"), Some(said("two")));
    tape.add(&body("a"), Some(said("three")));
    let replay = tape.replay();
    let (metered, books) = asking(&replay);
    assert_eq!(answer(&metered, &body("a")).await, "one");
    assert_eq!(answer(&metered, &body("a")).await, "three");
    assert_eq!(answer(&metered, &body("b")).await, "two");
    metered.settled().await;
    for row in books.rows() {
        if let Row::Settled(settlement) = row {
            assert_eq!((settlement.cost, settlement.tokens.input), (Usd(777), 30));
        }
    }
    assert_eq!((replay.replayed().calls, replay.missing()), (3, None));
}

#[tokio::test]
async fn the_same_job_and_its_execution_come_first() {
    let mut tape = Tape::default();
    let other = JobId::Attempt(VariantId(99));
    tape.add(&body("a"), Some(said("other job"))).subject = other.clone();
    tape.add(&body("a"), None).execution = None;
    tape.add(&body("a"), Some(said("broken off"))).execution = None;
    tape.add(&body("a"), Some(said("second"))).execution = Some(2);
    tape.add(&body("a"), Some(said("first")));
    tape.add(&body("a"), Some(said("other role"))).role = Role::Solve;
    let replay = tape.replay();
    let (metered, _) = asking(&replay);
    for expected in ["first", "second", "broken off"] {
        assert_eq!(answer(&metered, &body("a")).await, expected);
    }
    // What was given up then is given up again, and nothing else is left of this job.
    let sent = body("a");
    let asked = async {
        while replay.replayed().calls < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = metered.complete(&sent) => panic!("nothing may come"),
        () = asked => {}
    }
    assert_eq!(answer(&metered, &body("a")).await, "other job");
    let what = answer(&metered, &body("a")).await;
    assert!(what.contains("its answer was given already"), "{what}");
    // Another execution has everything before it.
    let second = JobSubject {
        execution: 2,
        ..job()
    };
    let model = Model::replaying(&ModelSettings::new("openai", "m"), replay);
    let books = Arc::new(Remembered::default());
    let metered = Metered::new(Arc::new(model), books, second, Allowance::default());
    assert_eq!(answer(&metered, &body("a")).await, "second");
}

#[tokio::test]
async fn failures_are_tried_again_as_often_as_then() {
    let mut tape = Tape::default();
    for (tried, heard) in [(1, failed()), (2, failed()), (3, said("at last"))] {
        tape.add(&body("a"), Some(heard)).recording.tried = tried;
    }
    for (tried, heard) in [(1, failed()), (1, said("asked again"))] {
        tape.add(&body("b"), Some(heard)).recording.tried = tried;
    }
    let (metered, books) = asking(&tape.replay());
    assert_eq!(answer(&metered, &body("a")).await, "at last");
    assert_eq!(answer(&metered, &body("b")).await, "error: gone");
    assert_eq!(answer(&metered, &body("b")).await, "asked again");
    metered.settled().await;
    let mut endings = books.endings();
    endings.sort_by_key(|status| status.name());
    let (failed, answered) = (CallStatus::Failed, CallStatus::Answered);
    assert_eq!(endings, [answered, answered, failed, failed, failed]);
}

#[tokio::test]
async fn streams_come_as_streams() {
    let chunk = |text: &str| {
        let delta = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        Event::unnamed(delta.to_string())
    };
    let last = Event::unnamed(
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string(),
    );
    let whole = vec![chunk("a"), chunk("b"), last, Event::unnamed("[DONE]")];
    let broken = ModelError::Failed {
        what: "reset".to_owned(),
        retryable: true,
        may_be_charged: true,
        retry_after: None,
    };
    let mut tape = Tape::default();
    tape.add(
        &body("whole"),
        Some(RecordedAnswer::Events(whole.clone(), Ending::Complete)),
    );
    tape.add(
        &body("broken"),
        Some(RecordedAnswer::Events(
            vec![chunk("a")],
            Ending::Broken(broken),
        )),
    );
    tape.add(
        &body("left"),
        Some(RecordedAnswer::Events(vec![chunk("a")], Ending::Left)),
    );
    let (metered, _) = asking(&tape.replay());
    let events = metered.stream(&body("whole")).await.expect("a stream");
    let events: Vec<Event> = events.map(|event| event.expect("an event")).collect().await;
    assert_eq!(events, whole);
    let mut events = metered.stream(&body("broken")).await.expect("a stream");
    assert!(events.next().await.is_some_and(|event| event.is_ok()));
    let error = events
        .next()
        .await
        .expect("an error")
        .expect_err("an error");
    assert!(error.to_string().contains("reset"), "{error}");
    let mut events = metered.stream(&body("left")).await.expect("a stream");
    assert!(events.next().await.is_some_and(|event| event.is_ok()));
    assert!(events.next().now_or_never().is_none(), "nothing more comes");
}

#[tokio::test]
async fn only_what_always_varies_may_differ() {
    let result = |text: &str| {
        let mut body = body("go");
        let more = json!({"role": "tool", "tool_call_id": "c", "content": text});
        body["messages"].as_array_mut().expect("a list").push(more);
        body
    };
    let mut tape = Tape::default();
    tape.add(&body("go"), Some(said("run them")));
    tape.add(
        &result("3 passed in 0.12s at 0x7f00aa11"),
        Some(said("done")),
    );
    let replay = tape.replay();
    let (metered, _) = asking(&replay);
    assert_eq!(answer(&metered, &body("go")).await, "run them");
    let same = result("3 passed in 2.5s at 0x7f99bb22");
    assert_eq!(answer(&metered, &same).await, "done");
    assert_eq!(replay.replayed().steadied, 1);
    let other = answer(&metered, &result("2 passed in 0.12s at 0x7f00aa11")).await;
    insta::assert_snapshot!(other, @r#"
    error: the modify model of attempt #7 was asked what was not recorded (2 messages); the nearest recorded request is that of call 2, for attempt #7; the first difference is at `messages[1].content`:
      recorded: "3 passed in 0.12s at 0x7f00aa11"
      asked:    "2 passed in 0.12s at 0x7f00aa11"
    "#);
    assert_eq!(
        replay.missing().map(|what| format!("error: {what}")),
        Some(other)
    );
}

#[tokio::test]
async fn what_was_not_recorded_ends_the_job_at_once() {
    let (metered, books) = asking(&Tape::default().replay());
    let error = metered
        .complete(&body("a"))
        .await
        .expect_err("nothing is recorded");
    assert!(
        matches!(&error, CallError::Model(ModelError::Unusable { what })
            if what.ends_with("nothing is recorded of the role `modify`")),
        "{error}"
    );
    metered.settled().await;
    assert_eq!(books.endings(), [CallStatus::Failed]);
    for row in books.rows() {
        if let Row::Settled(settlement) = row {
            assert_eq!((settlement.cost, settlement.tokens), Default::default());
        }
    }
    // Damage of the archive is told, too.
    let mut tape = Tape::default();
    tape.add(&body("a"), Some(said("one")));
    tape.blobs.clear();
    let (metered, _) = asking(&tape.replay());
    let what = answer(&metered, &body("a")).await;
    assert!(
        what.contains("the recorded answer to call 1 cannot be read"),
        "{what}"
    );
}
