//! What the provider does wrong, and what becomes of it.

use super::upstream::Answer;
use super::{Bench, events, message, opening, whole};
use dgm::domain::CallStatus;
use dgm::model::{CallError, Dialect, Health, ModelError};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

fn request() -> Value {
    json!({"messages": opening()})
}

fn said(status: u16, headers: Vec<(&'static str, &'static str)>, kind: &str, text: &str) -> Answer {
    let body = json!({"type": "error", "error": {"type": kind, "message": text}});
    Answer::Whole(status, headers, body.to_string())
}

async fn error_after(answers: Vec<Answer>) -> (Bench, CallError) {
    let bench = Bench::new(answers).await;
    let error = bench.metered.complete(&request()).await.unwrap_err();
    (bench, error)
}

#[tokio::test]
async fn the_requests_faults_are_passed_on() {
    for (status, kind, text, overflows) in [
        (
            400,
            "invalid_request_error",
            "messages: roles must alternate",
            false,
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            true,
        ),
        (
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            false,
        ),
    ] {
        let (bench, error) = error_after(vec![said(status, Vec::new(), kind, text)]).await;
        let CallError::Model(model) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(model.is_context_overflow(), overflows);
        assert_eq!(error.status(), status);
        let body = error.to_body(Dialect::Messages);
        assert_eq!(body["error"], json!({"type": kind, "message": text}));
        bench.upstream.only();
        assert_eq!(bench.only().await.status, CallStatus::Refused);
    }
}

#[tokio::test]
async fn a_wrong_key_or_model_is_said_once_and_without_the_key() {
    for (status, kind, text, hint) in [
        (
            401,
            "authentication_error",
            "invalid x-api-key",
            "check the key",
        ),
        (403, "permission_error", "not allowed", "check the key"),
        (
            404,
            "not_found_error",
            "model: claude-opus-5",
            "name of the model",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low",
            "nothing left to pay",
        ),
    ] {
        let text = format!("{text} {}", super::KEY);
        let (bench, error) = error_after(vec![said(status, Vec::new(), kind, &text)]).await;
        let what = error.to_string();
        assert!(
            matches!(error, CallError::Model(ModelError::Unusable { .. })),
            "{what}"
        );
        assert!(what.contains(hint) && !what.contains(super::KEY), "{what}");
        bench.upstream.only();
    }
}

#[tokio::test]
async fn the_providers_faults_are_tried_again() {
    for (status, headers, kind) in [
        (429, vec![("retry-after", "0")], "rate_limit_error"),
        (529, Vec::new(), "overloaded_error"),
        (500, Vec::new(), "api_error"),
    ] {
        let answers = vec![
            said(status, headers.clone(), kind, "later"),
            whole(&message()),
        ];
        let bench = Bench::new(answers).await;
        let reply = bench.metered.complete(&request()).await.unwrap();
        assert_eq!(reply.text(), "I look at both.");
        assert_eq!(bench.upstream.asked().len(), 2);
        let ends: Vec<CallStatus> = bench
            .settled()
            .await
            .iter()
            .map(|call| call.status)
            .collect();
        assert_eq!(ends, [CallStatus::Failed, CallStatus::Answered], "{status}");
        let free = &bench.settled().await[0];
        assert_eq!(free.tokens.total(), 0, "{status}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_failures_of_the_provider() {
    for (text, said) in [
        ("", "is empty"),
        ("<html>", "is no JSON"),
        ("{}", "unusable"),
        (r#"{"content": "no list"}"#, "unusable"),
    ] {
        let answers = || Answer::Whole(200, Vec::new(), text.to_owned());
        let bench = Bench::with(vec![answers()], |settings| settings.retry.tries = 1).await;
        let error = bench.metered.complete(&request()).await.unwrap_err();
        assert!(
            matches!(error, CallError::Model(ModelError::Failed { .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains(said), "{error}");
        // The provider may have done the work.
        let call = bench.only().await;
        assert_eq!(call.status, CallStatus::Failed);
        assert!(call.tokens.total() > 4000);
    }
}

#[tokio::test]
async fn refusals_and_limits_of_the_model_are_answers() {
    for (reason, details, finish, refusal) in [
        (
            "refusal",
            json!({"type": "refusal", "explanation": "No."}),
            "content_filter",
            json!("No."),
        ),
        ("max_tokens", Value::Null, "length", Value::Null),
        (
            "model_context_window_exceeded",
            Value::Null,
            "length",
            Value::Null,
        ),
        ("pause_turn", Value::Null, "stop", Value::Null),
    ] {
        let mut body = message();
        body["content"] = json!([]);
        body["stop_reason"] = json!(reason);
        body["stop_details"] = details;
        let bench = Bench::new(vec![whole(&body)]).await;
        let reply = bench.metered.complete(&request()).await.unwrap();
        assert_eq!(reply.finish_reason(), finish);
        assert_eq!(reply.body["choices"][0]["native_finish_reason"], reason);
        assert_eq!(reply.message().unwrap()["refusal"], refusal);
        assert_eq!(bench.only().await.status, CallStatus::Answered);
    }
}

fn overloaded() -> Value {
    json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
}

#[tokio::test]
async fn a_stream_that_fails_before_it_began_is_tried_again() {
    let answers = vec![
        said(529, Vec::new(), "overloaded_error", "Overloaded"),
        Answer::Events(events()),
    ];
    let bench = Bench::new(answers).await;
    let stream = bench.metered.stream(&request()).await.unwrap();
    let events: Vec<_> = stream.collect().await;
    assert!(events.iter().all(Result::is_ok));
    assert_eq!(events.last().unwrap().as_ref().unwrap().data, "[DONE]");
    let ends: Vec<CallStatus> = bench
        .settled()
        .await
        .iter()
        .map(|call| call.status)
        .collect();
    assert_eq!(ends, [CallStatus::Failed, CallStatus::Answered]);
}

#[tokio::test]
async fn a_stream_that_fails_in_the_middle_says_so() {
    let begun = || events().into_iter().take(11);
    for (end, said) in [
        (vec![Some(overloaded())], "Overloaded"),
        (vec![None], "cut off"),
        (vec![], "ended before the answer did"),
    ] {
        let (send, receive) = unbounded_channel();
        let bench = Bench::new(vec![Answer::Paced(receive)]).await;
        let (witness, mut told) = unbounded_channel();
        bench.metered.tell_failures(witness);
        for event in begun() {
            send.send(Some(event)).unwrap();
        }
        let mut stream = bench.metered.stream(&request()).await.unwrap();
        let mut text = String::new();
        while text.is_empty() {
            let event = stream.next().await.unwrap().unwrap();
            let chunk: Value = serde_json::from_str(&event.data).unwrap();
            let more = chunk["choices"][0]["delta"]["content"].as_str();
            text.push_str(more.unwrap_or_default());
        }
        assert_eq!(text, "I look ");
        for event in end {
            send.send(event).unwrap();
        }
        drop(send);
        let last = stream.next().await.unwrap().unwrap_err();
        assert!(last.to_string().contains(said), "{last}");
        assert!(stream.next().await.is_none());
        // Text had come: none of it may be sent twice.
        bench.upstream.only();
        let call = bench.only().await;
        assert_eq!(call.status, CallStatus::Failed);
        assert!(call.tokens.total() > 4000, "{call:?}");
        let told = told.try_recv().unwrap();
        assert_eq!((told.call, told.why), (call.id, last.to_string()));
        // An overload is everybody's; a connection that breaks is this call's.
        let health = bench.metered.model().pace().health().borrow().clone();
        match said {
            "Overloaded" => {
                assert!(matches!(health, Health::Slowed { what, .. } if what.contains(said)));
            }
            _ => assert_eq!(health, Health::Well),
        }
    }
}

#[tokio::test]
async fn a_long_answer_that_is_cut_is_no_answer() {
    let begun = events().into_iter().take(11).collect();
    let bench = Bench::with(vec![Answer::Events(begun)], |settings| {
        settings.max_output_tokens = Some(64_000);
        settings.retry.tries = 1;
    })
    .await;
    let error = bench.metered.complete(&request()).await.unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    assert_eq!(bench.only().await.status, CallStatus::Failed);
}

#[tokio::test]
async fn a_server_that_hangs_is_left() {
    let (send, receive) = unbounded_channel();
    let bench = Bench::with(vec![Answer::Paced(receive)], |settings| {
        settings.idle_timeout = Duration::from_millis(300);
        settings.retry.tries = 1;
    })
    .await;
    for event in events().into_iter().take(11) {
        send.send(Some(event)).unwrap();
    }
    let stream = bench.metered.stream(&request()).await.unwrap();
    let last = stream.collect::<Vec<_>>().await.pop().unwrap().unwrap_err();
    assert!(last.to_string().contains("said nothing"), "{last}");
    assert_eq!(bench.only().await.status, CallStatus::Failed);
    drop(send);
}
