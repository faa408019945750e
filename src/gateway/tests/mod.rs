//! The gateway over a real socket, with real programs as models.

mod bounds;

use super::limits::Limits;
use super::{Gateway, GatewayError, Socket};
use crate::domain::CallStatus;
use crate::model::fixture::{HELLO, Program, Remembered, metered, request};
use crate::model::{Allowance, Denied};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const CHAT: &str = "POST /v1/chat/completions";

/// A gateway, and what must live as long.
struct World {
    gateway: Gateway,
    books: Arc<Remembered>,
    socket: PathBuf,
    program: Program,
    _folder: tempfile::TempDir,
}

fn serve(script: &str) -> World {
    serve_with(script, Remembered::default(), Allowance::default())
}

fn serve_with(script: &str, books: Remembered, allowance: Allowance) -> World {
    serve_within(script, books, allowance, Limits::default())
}

fn serve_within(script: &str, books: Remembered, allowance: Allowance, limits: Limits) -> World {
    let program = Program::new(script);
    let books = Arc::new(books);
    let metered = metered(program.model(), books.clone(), allowance);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let gateway = Gateway::in_folder(folder.path().join("job"), Arc::new(metered), limits);
    let gateway = gateway.expect("the gateway opens");
    World {
        socket: gateway.path().to_owned(),
        gateway,
        books,
        program,
        _folder: folder,
    }
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    fn error(&self) -> Value {
        self.json()["error"].clone()
    }
}

async fn send(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).await.expect("it listens");
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    // A gateway that has heard enough may close while we write.
    let (_sent, _received) = tokio::join!(write.write_all(bytes), read.read_to_end(&mut answer));
    answer
}

async fn ask(socket: &Path, start: &str, body: &[u8]) -> Answer {
    let mut bytes = format!(
        "{start} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    parse(&send(socket, &bytes).await)
}

async fn chat(socket: &Path, request: &Value) -> Answer {
    ask(socket, CHAT, request.to_string().as_bytes()).await
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8(bytes.to_vec()).expect("the answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.get(9..12).expect("the head has a status");
    let head = head.to_lowercase();
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Answer {
        status: status.parse().expect("a status is a number"),
        head,
        body,
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
        body.push_str(&more[..size]);
        rest = &more[size + 2..];
    }
    body
}

#[tokio::test]
async fn answers_a_chat() {
    let world = serve(HELLO);
    let answer = chat(&world.socket, &request("hi")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/json"));
    let body = answer.json();
    assert_eq!(body["choices"][0]["message"]["content"], "hello");
    assert_eq!(body["usage"]["prompt_tokens"], 10);
    world.gateway.shutdown().await;
    assert_eq!(world.books.endings(), [CallStatus::Answered]);
}

/// Returns whether the body is as long as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let said = text.split_once("\r\n\r\n").map(|(head, body)| {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok());
        length == Some(body.len())
    });
    said == Some(true)
}

#[tokio::test]
async fn one_connection_can_ask_again() {
    let world = serve(HELLO);
    let mut stream = UnixStream::connect(&world.socket)
        .await
        .expect("it listens");
    for _ in 0..3 {
        let body = request("hi").to_string();
        let text = format!(
            "{CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await.expect("it answers");
            assert_ne!(read, 0, "the connection stays open");
        }
        assert_eq!(parse(&answer).status, 200);
    }
    // An open connection that asks nothing does not hold up the end.
    world.gateway.shutdown().await;
    assert_eq!(stream.read(&mut [0]).await.expect("closed in order"), 0);
}

#[tokio::test]
async fn streams_in_chunks() {
    let script = r#"echo '{"id":"x","created":5,"choices":[{"message":{"content":"text","tool_calls":[
        {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"b","function":{"name":"g","arguments":"[1]"}}
    ]}}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}'"#;
    let world = serve(script);
    let mut asked = request("hi");
    asked["stream"] = json!(true);
    let answer = chat(&world.socket, &asked).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/event-stream"));
    insta::assert_snapshot!(answer.body, @r#"
    data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"test-model","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

    data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"test-model","choices":[{"index":0,"delta":{"content":"text"},"finish_reason":null}]}

    data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"test-model","choices":[{"index":0,"delta":{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"index":0}]},"finish_reason":null}]}

    data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"test-model","choices":[{"index":0,"delta":{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"[1]"},"index":1,"type":"function"}]},"finish_reason":null}]}

    data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"test-model","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

    data: [DONE]
    "#);
    asked["stream_options"] = json!({"include_usage": true});
    let answer = chat(&world.socket, &asked).await;
    let chunks: Vec<Value> = answer
        .body
        .split_terminator("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .collect();
    let (last, others) = chunks.split_last().expect("there are chunks");
    assert_eq!(last["usage"]["total_tokens"], 7);
    assert_eq!(last["choices"], json!([]));
    assert!(
        others
            .iter()
            .all(|chunk| chunk.get("usage").is_none_or(Value::is_null))
    );
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn names_its_model_in_both_dialects() {
    let world = serve(HELLO);
    let version = "\r\nanthropic-version: 2023-06-01";
    let mut said = Vec::new();
    for path in [
        "/v1/models",
        "/v1/models/test-model",
        "/v1/models/some/other",
    ] {
        for header in ["", version] {
            let start = format!("GET {path} HTTP/1.1\r\nHost: x{header}");
            let request = format!("{start}\r\nConnection: close\r\n\r\n");
            let answer = parse(&send(&world.socket, request.as_bytes()).await);
            said.push(format!("{} {}", answer.status, answer.body));
        }
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    200 {"object":"list","data":[{"id":"test-model","object":"model","created":0,"owned_by":"dgm"}]}
    200 {"data":[{"type":"model","id":"test-model","display_name":"test-model","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"test-model","last_id":"test-model"}
    200 {"id":"test-model","object":"model","created":0,"owned_by":"dgm"}
    200 {"type":"model","id":"test-model","display_name":"test-model","created_at":"1970-01-01T00:00:00Z"}
    404 {"error":{"message":"there is no model `some/other` here; the role's model is `test-model`","type":"invalid_request_error","param":null,"code":null}}
    404 {"type":"error","error":{"type":"not_found_error","message":"there is no model `some/other` here; the role's model is `test-model`"}}
    "#);
    world.gateway.shutdown().await;
    assert_eq!(world.books.rows(), []);
}

#[tokio::test]
async fn refuses_in_the_dialect_that_was_spoken() {
    let world = serve(HELLO);
    let socket = &world.socket;
    let mut answers = Vec::new();
    for (start, body) in [
        (CHAT, "not json"),
        (CHAT, "[]"),
        (CHAT, "{}"),
        (CHAT, r#"{"messages":7}"#),
        (CHAT, r#"{"messages":[]}"#),
        (CHAT, r#"{"messages":[{"role":"user"},7]}"#),
        (CHAT, r#"{"messages":[{"role":"user"},{"role":"wizard"}]}"#),
        (CHAT, r#"{"messages":[{"role":"user"}],"n":3}"#),
        ("GET /v1/chat/completions", ""),
        ("POST /v1/models", "{}"),
        ("POST /v1/embeddings", "{}"),
        ("GET /", ""),
    ] {
        let answer = ask(socket, start, body.as_bytes()).await;
        let error = answer.error();
        assert!(answer.head.contains("content-type: application/json"));
        assert_eq!(error["type"], "invalid_request_error", "{answer:?}");
        assert!(error.get("param").is_some() && error.get("code").is_some());
        let message = error["message"].as_str().expect("a message");
        answers.push(format!("{} {message}", answer.status));
    }
    insta::assert_snapshot!(answers.join("\n"), @r"
    400 the body is no JSON: expected ident at line 1 column 2
    400 the body has no list `messages`
    400 the body has no list `messages`
    400 the body has no list `messages`
    400 `messages` is empty
    400 `messages[1]` has no `role`
    400 `messages[1]` has the unknown role `wizard`; known are `system`, `developer`, `user`, `assistant`, `tool`, `function`
    400 `n` must be 1: one answer per call
    405 `/v1/chat/completions` does not take `GET`
    405 `/v1/models` does not take `POST`
    404 there is no `POST /v1/embeddings`; there are `POST /v1/chat/completions`, `POST /v1/messages` and `GET /v1/models`
    404 there is no `GET /`; there are `POST /v1/chat/completions`, `POST /v1/messages` and `GET /v1/models`
    ");
    let mut answers = Vec::new();
    for start in [
        "POST /v1/messages",
        "POST /v1/messages/count_tokens",
        "GET /v1/messages",
        "POST /v1/messages/batches",
    ] {
        let answer = ask(socket, start, b"{}").await;
        assert!(answer.head.contains("x-should-retry: false"), "{answer:?}");
        answers.push(format!("{} {}", answer.status, answer.body));
    }
    insta::assert_snapshot!(answers.join("\n"), @r#"
    404 {"type":"error","error":{"type":"not_found_error","message":"this role's model is not served by Anthropic: use `POST /v1/chat/completions`, which works with every provider"}}
    404 {"type":"error","error":{"type":"not_found_error","message":"tokens cannot be counted ahead here; the `usage` of every answer counts them"}}
    405 {"type":"error","error":{"type":"invalid_request_error","message":"`/v1/messages` does not take `GET`"}}
    404 {"type":"error","error":{"type":"not_found_error","message":"there is no `POST /v1/messages/batches`; there are `POST /v1/chat/completions`, `POST /v1/messages` and `GET /v1/models`"}}
    "#);
    world.gateway.shutdown().await;
    assert_eq!(world.books.rows(), []);
}

#[tokio::test]
async fn passes_on_whose_fault_it_was() {
    let overflow = r#"echo '{"error":{"message":"too long","code":"context_length_exceeded"}}'"#;
    let world = serve(overflow);
    let answer = chat(&world.socket, &request("hi")).await;
    assert_eq!(
        (answer.status, &answer.error()["code"]),
        (400, &json!("context_length_exceeded"))
    );
    world.gateway.shutdown().await;

    let world = serve("echo broken >&2; exit 1");
    let answer = chat(&world.socket, &request("hi")).await;
    assert_eq!(
        (answer.status, &answer.error()["message"]),
        (
            502,
            &json!("the model's provider failed; the run's log says how")
        )
    );
    world.gateway.shutdown().await;

    let stopping = Remembered::denying_from(1, Denied::Stopping);
    let world = serve_with(HELLO, stopping, Allowance::default());
    let answer = chat(&world.socket, &request("hi")).await;
    assert_eq!(
        (answer.status, &answer.error()["type"]),
        (503, &json!("stopping"))
    );
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn an_allowance_that_is_used_up_is_a_402() {
    let allowance = Allowance {
        calls: Some(1),
        ..Allowance::default()
    };
    let world = serve_with(HELLO, Remembered::default(), allowance);
    assert_eq!(chat(&world.socket, &request("hi")).await.status, 200);
    let mut asked = request("hi");
    asked["stream"] = json!(true);
    for asked in [request("hi"), asked] {
        let answer = chat(&world.socket, &asked).await;
        assert_eq!(answer.status, 402);
        assert_eq!(answer.error()["type"], "budget_exceeded");
    }
    world.gateway.shutdown().await;
    assert_eq!(world.books.endings(), [CallStatus::Answered]);
}

/// Waits until a program has written a file.
async fn appears(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn calls_run_side_by_side() {
    // Each program waits until it has seen the others.
    let script = format!(
        "mktemp here.XXXXXX > /dev/null
        while test $(ls here.* | wc -l) -lt 8; do sleep 0.01; done
        {HELLO}"
    );
    let world = serve(&script);
    let asked = request("hi");
    let answers = (0..8).map(|_| chat(&world.socket, &asked));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    world.gateway.shutdown().await;
    assert_eq!(world.books.endings(), [CallStatus::Answered; 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_settles_what_is_open() {
    let world = serve("echo > started; exec sleep 300");
    let socket = world.socket.clone();
    let client = tokio::spawn(async move {
        let body = request("hi").to_string();
        let text = format!(
            "{CHAT} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        send(&socket, text.as_bytes()).await
    });
    // One that sends half a request and waits.
    let mut half = UnixStream::connect(&world.socket)
        .await
        .expect("it listens");
    half.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Le")
        .await
        .expect("it reads");
    appears(&world.program.path("started")).await;
    world.gateway.shutdown().await;
    assert_eq!(world.books.endings(), [CallStatus::Abandoned]);
    assert!(!world.socket.exists());
    let answer = client.await.expect("the client ends");
    assert_eq!(answer, b"", "a call that was abandoned has no answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_abandons_its_call() {
    let world = serve("echo > started; exec sleep 300");
    let body = request("hi").to_string();
    let text = format!(
        "{CHAT} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = UnixStream::connect(&world.socket)
        .await
        .expect("it listens");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    appears(&world.program.path("started")).await;
    drop(stream);
    while world.books.rows().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.books.endings(), [CallStatus::Abandoned]);
    world.gateway.shutdown().await;
}

#[tokio::test]
async fn a_dropped_gateway_is_closed() {
    let world = serve(HELLO);
    drop(world.gateway);
    // Its server ends by itself, and takes the socket with it.
    while world.socket.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn another_user_can_reach_the_socket() {
    let world = serve(HELLO);
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).expect("it exists");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&world.socket), 0o666);
    let folder = world.socket.parent().expect("it lies in a folder");
    assert_eq!(mode(folder), 0o755);
    // What a killed process has left is no obstacle.
    std::mem::forget(world.gateway);
    let metered = world.program.metered().0;
    let again = Gateway::serve(folder.to_owned(), Arc::new(metered)).expect("it opens again");
    again.shutdown().await;
}

#[tokio::test]
async fn a_socket_by_hand_is_its_owner_s_alone() {
    let program = Program::new(HELLO);
    let path = program.path("by-hand.sock");
    let open = |mode| Socket::open(path.clone(), mode);
    let gateway = Gateway::serve_on(
        open(0o600).expect("the path is free"),
        Arc::new(program.metered().0),
    );
    let mode = std::fs::metadata(&path).expect("it exists").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(chat(&path, &request("hi")).await.status, 200);
    let error = open(0o600).expect_err("it is served");
    assert!(matches!(error, GatewayError::Served { .. }), "{error}");
    gateway.shutdown().await;
    assert!(!path.exists());
    // What a killed process has left is replaced, and nothing else is.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the path is free"));
    assert!(path.exists());
    drop(open(0o666).expect("nobody listens"));
    assert!(!path.exists());
    program.write("by-hand.sock", "precious");
    let error = open(0o600).expect_err("it is a file");
    assert!(matches!(error, GatewayError::Taken { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_said_so() {
    let program = Program::new(HELLO);
    let folder = program.path(&"x".repeat(100));
    let error = Gateway::serve(folder, Arc::new(program.metered().0)).expect_err("too long");
    assert!(matches!(error, GatewayError::PathTooLong { .. }));
    let text = error.to_string();
    assert!(text.contains("bytes, at most 107 are possible"), "{text}");
}
