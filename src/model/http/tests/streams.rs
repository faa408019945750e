//! Streamed replies, from a server to the books.

use super::server::{Do, Server, respond, streamed};
use super::{World, world, world_with};
use crate::domain::{CallSettlement, CallStatus};
use crate::model::fixture::{Row, request};
use crate::model::{CallError, Event, Health, ModelError, ReplyStream, transcript};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// The chunks of a reply that says hello, as this server writes them.
const CHUNKS: [&str; 3] = [
    r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"served","choices":[{"index":0,"delta":{"role":"assistant","content":"hel"}}]}"#,
    r#"{"id":"x",  "object":"chat.completion.chunk","created":1,"model":"served","choices":[{"index":0,"delta":{"content":"lo"}}], "own":{"kept":true}}"#,
    r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"served","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
];
const USAGE: &str = r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"served","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;

fn sse(events: &[&str]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

fn whole_stream() -> Do {
    let [a, b, c] = CHUNKS;
    Do::Say(streamed(&sse(&[a, b, c, USAGE, "[DONE]"])))
}

async fn collect(mut stream: ReplyStream) -> (Vec<String>, Option<CallError>) {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event { name, data }) => {
                assert_eq!(name, None);
                events.push(data);
            }
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (events, Some(error));
            }
        }
    }
    assert!(stream.next().await.is_none());
    (events, None)
}

async fn settlements(world: &World) -> Vec<CallSettlement> {
    world.metered.settled().await;
    world.books.endings();
    let rows = world.books.rows().into_iter();
    rows.filter_map(|row| match row {
        Row::Settled(settlement) => Some(settlement),
        Row::Intended(..) => None,
    })
    .collect()
}

/// Checks that one call was settled, as this, and at what the server counted.
async fn is_counted(world: &World, status: CallStatus) {
    let settled = settlements(world).await;
    let [settlement] = settled.as_slice() else {
        panic!("{settled:?}")
    };
    assert_eq!(settlement.status, status);
    assert_eq!((settlement.tokens.input, settlement.tokens.output), (10, 2));
    assert!(!settlement.estimated);
}

/// Checks that one call was settled, as this, and at the most it can have used.
async fn is_at_most(world: &World, status: CallStatus) {
    world.metered.settled().await;
    let rows = world.books.rows();
    let [Row::Intended(_, intent), Row::Settled(settlement)] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(settlement.status, status);
    assert_eq!(settlement.tokens.total(), intent.at_most_tokens);
    assert!(settlement.estimated);
}

#[tokio::test]
async fn chunks_pass_as_they_are_and_the_usage_goes_to_the_books() {
    let world = world(Server::start([whole_stream(), whole_stream()]).await);
    let mut asking = request("hi");
    asking["stream"] = json!(true);
    let stream = world.metered.stream(&asking).await.expect("a stream");
    let (events, error) = collect(stream).await;
    assert_eq!(error, None);
    let [a, b, c] = CHUNKS;
    assert_eq!(events, [a, b, c, "[DONE]"]);
    is_counted(&world, CallStatus::Answered).await;
    let text = transcript::render(&world.metered.transcript_bytes(), 1000);
    assert!(
        text.ends_with("[call 1] finish=stop tokens=10/2\nassistant: hello\n"),
        "{text}"
    );
    // Who asks for the usage gets it.
    asking["stream_options"] = json!({"include_usage": true});
    let stream = world.metered.stream(&asking).await.expect("a stream");
    assert_eq!(collect(stream).await.0, [a, b, c, USAGE, "[DONE]"]);
    for asked in world.server.asked() {
        assert_eq!(asked.body["stream"], true);
        assert_eq!(asked.body["stream_options"], json!({"include_usage": true}));
        assert_eq!(asked.header("accept"), Some("text/event-stream"));
    }
}

#[tokio::test]
async fn a_chunk_passes_before_the_next_one_is_there() {
    let (say, said) = unbounded_channel();
    let world = world(Server::start([Do::Pace(said)]).await);
    say.send(streamed("")).expect("it is served");
    let asking = request("hi");
    let [a, b, c] = CHUNKS;
    say.send(sse(&[a])).expect("it is served");
    let mut stream = world.metered.stream(&asking).await.expect("a stream");
    for (index, chunk) in [a, b, c].into_iter().enumerate() {
        let event = stream.next().await.expect("an event").expect("no error");
        assert_eq!(event.data, chunk);
        if let Some(next) = [b, c, USAGE].get(index) {
            // In pieces, and with comments between them.
            let text = format!(": still here\n\n{}", sse(&[next]));
            let (first, second) = text.split_at(text.len() / 2);
            say.send(first.to_owned()).expect("it is served");
            say.send(second.to_owned()).expect("it is served");
        }
    }
    say.send(sse(&["[DONE]"])).expect("it is served");
    let last = stream.next().await.expect("an event").expect("no error");
    assert_eq!(last.data, "[DONE]");
    // It is settled with the last event, whether or not anybody asks for what follows it.
    is_counted_while_open(&world);
    drop(stream);
    is_counted(&world, CallStatus::Answered).await;
}

fn is_counted_while_open(world: &World) {
    let text = transcript::render(&world.metered.transcript_bytes(), 1000);
    assert!(text.contains("tokens=10/2"), "{text}");
}

#[tokio::test]
async fn a_stream_without_its_last_words_is_whole_all_the_same() {
    let [a, b, c] = CHUNKS;
    let world = world(Server::start([Do::Say(streamed(&sse(&[a, b, c, USAGE])))]).await);
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    assert_eq!(
        collect(stream).await,
        (vec![a.into(), b.into(), c.into(), "[DONE]".into()], None)
    );
    is_counted(&world, CallStatus::Answered).await;
}

#[tokio::test]
async fn a_stream_without_usage_is_estimated() {
    let [a, b, c] = CHUNKS;
    let world = world(Server::start([Do::Say(streamed(&sse(&[a, b, c, "[DONE]"])))]).await);
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    assert_eq!(collect(stream).await.1, None);
    let settled = settlements(&world).await;
    assert_eq!(settled.len(), 1);
    assert!(settled[0].estimated && settled[0].tokens.output >= 2);
    assert_eq!(settled[0].status, CallStatus::Answered);
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_beginning_is_not_asked_for_again() {
    let [a, _, c] = CHUNKS;
    for (rest, said) in [
        (String::new(), "the stream ended before the answer did"),
        (sse(&["{\"choices\":"]), "an event is no JSON object"),
        (
            sse(&[r#"{"error":{"message":"out of memory","type":"server_error"}}"#]),
            "out of memory",
        ),
        (
            sse(&[r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#]),
            "slow down",
        ),
        ("event: error\ndata: oh no\n\n".to_owned(), "oh no"),
    ] {
        let world = world(Server::start([Do::Say(streamed(&(sse(&[a]) + &rest)))]).await);
        let stream = world
            .metered
            .stream(&request("hi"))
            .await
            .expect("a stream");
        let (events, error) = collect(stream).await;
        assert_eq!(events, [a]);
        let error = error.expect("an error");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(world.server.asked().len(), 1);
        is_at_most_if_failed(&world, &error).await;
        let health = world.metered.model().pace().health().borrow().clone();
        let is_slowed = matches!(health, Health::Slowed { .. });
        assert_eq!(is_slowed, said == "slow down", "{said}: {health:?}");
    }
    // What was said to the end was counted, whatever came after it.
    let broken = format!("{}data: nonsense\n\n", sse(&[a, c, USAGE]));
    let world = world(Server::start([Do::Say(streamed(&broken))]).await);
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    assert!(collect(stream).await.1.is_some());
    is_counted(&world, CallStatus::Failed).await;
}

async fn is_at_most_if_failed(world: &World, error: &CallError) {
    match error {
        CallError::Model(ModelError::Failed {
            retryable: false,
            may_be_charged: true,
            ..
        }) => {
            assert!(world.metered.provider_failure().is_some());
        }
        CallError::Model(ModelError::Refused { .. }) => {}
        other => panic!("{other:?}"),
    }
    is_at_most(world, CallStatus::Failed).await;
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_event_is_asked_for_again() {
    for fault in [
        Do::Say(streamed("")),
        Do::Say(streamed(": only a comment\n\n")),
        Do::Say(streamed(&sse(&[
            r#"{"error":{"message":"broken","type":"server_error"}}"#,
        ]))),
        Do::Say(streamed(&sse(&[
            r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#,
        ]))),
        Do::Say(respond(500, "", "{}")),
        Do::Reset,
        Do::Stall(streamed("")),
        Do::Stall(String::new()),
    ] {
        let server = Server::start([fault, whole_stream()]).await;
        let world = world_with(server, |settings| {
            settings.idle_timeout = Duration::from_millis(200);
        });
        let stream = world
            .metered
            .stream(&request("hi"))
            .await
            .expect("a stream");
        let (events, error) = collect(stream).await;
        assert_eq!((events.len(), error), (4, None));
        let settled = settlements(&world).await;
        let statuses: Vec<CallStatus> = settled.iter().map(|settled| settled.status).collect();
        assert_eq!(statuses, [CallStatus::Failed, CallStatus::Answered]);
        assert_eq!(world.server.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_silence_in_the_middle_ends_the_stream() {
    let stall = Do::Stall(streamed(&sse(&[CHUNKS[0]])));
    let world = world_with(Server::start([stall]).await, |settings| {
        settings.idle_timeout = Duration::from_millis(150);
    });
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    let error = collect(stream).await.1.expect("an error").to_string();
    assert!(
        error.ends_with("stopped in the middle of its answer and said nothing for 0.15 s"),
        "{error}"
    );
    is_at_most(&world, CallStatus::Failed).await;
    world.server.left(1).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call() {
    let stall = Do::Stall(streamed(&sse(&[CHUNKS[0]])));
    let world = world(Server::start([stall]).await);
    let mut stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    stream.next().await.expect("an event").expect("no error");
    drop(stream);
    // The server is told as well.
    world.server.left(1).await;
    is_at_most(&world, CallStatus::Abandoned).await;
    let text = transcript::render(&world.metered.transcript_bytes(), 1000);
    assert!(text.contains("[call 1] error=abandoned"), "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_event_ends_the_call() {
    let world = world(Server::start([Do::Stall(streamed(""))]).await);
    let sent = request("hi");
    let asking = world.metered.stream(&sent);
    let arrived = async {
        while world.server.connections() == 0 || world.books.rows().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        _ = asking => panic!("it hangs"),
        () = arrived => {}
    }
    is_at_most(&world, CallStatus::Abandoned).await;
}

#[tokio::test]
async fn a_client_that_leaves_after_the_last_word_has_its_answer() {
    let (say, said) = unbounded_channel();
    let world = world(Server::start([Do::Pace(said)]).await);
    let [a, _, c] = CHUNKS;
    say.send(streamed(&sse(&[a, c]))).expect("it is served");
    let mut stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    for chunk in [a, c] {
        let event = stream.next().await.expect("an event").expect("no error");
        assert_eq!(event.data, chunk);
    }
    drop(stream);
    say.send(sse(&[USAGE, "[DONE]"])).expect("it is served");
    drop(say);
    is_counted(&world, CallStatus::Answered).await;
}

#[tokio::test]
async fn a_server_that_answers_whole_is_passed_on_in_chunks() {
    let world = world(Server::start([super::server::hello()]).await);
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    let (events, error) = collect(stream).await;
    assert_eq!(error, None);
    let chunk: Value = serde_json::from_str(&events[1]).expect("JSON");
    assert_eq!(chunk["choices"][0]["delta"]["content"], "hello");
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    is_counted(&world, CallStatus::Answered).await;
}

#[tokio::test]
async fn tool_calls_of_a_stream_are_in_the_transcript() {
    let chunks = [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"bash","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"command\":"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"ls\"}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ];
    let world = world(Server::start([Do::Say(streamed(&sse(&chunks)))]).await);
    let stream = world
        .metered
        .stream(&request("hi"))
        .await
        .expect("a stream");
    assert_eq!(
        collect(stream).await,
        (chunks.map(str::to_owned).to_vec(), None)
    );
    let text = transcript::render(&world.metered.transcript_bytes(), 1000);
    assert!(
        text.contains(r#"tool_call bash {"command":"ls"}"#),
        "{text}"
    );
}
