//! A provider on this machine that speaks both dialects and answers by what it is asked:
//! `hello`, `count`, `weather` (with tools), `refuse`, `deny`, `fail`, `cut`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that is up as long as the runtime.
pub(crate) struct Upstream {
    /// Where it is, without a path.
    pub(crate) url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    failures: AtomicUsize,
    foreign: AtomicUsize,
}

/// What a request asks for.
enum Asked {
    Text(&'static [&'static str]),
    Weather,
    Results(String),
    Refuse,
    Deny,
    Fail,
    Cut,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let routes = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/messages", post(messages))
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, seen }
    }

    /// Requests that were answered with a failure.
    pub(crate) fn failures(&self) -> usize {
        self.seen.failures.load(Ordering::SeqCst)
    }

    /// Requests for another model than the role's.
    pub(crate) fn foreign(&self) -> usize {
        self.seen.foreign.load(Ordering::SeqCst)
    }
}

/// The text of a message in either dialect; a result of a tool counts as text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| text(part.get("text").unwrap_or(&part["content"])))
            .collect::<Vec<_>>()
            .join(", "),
        _ => String::new(),
    }
}

fn asked(seen: &Seen, request: &Value) -> Asked {
    if request["model"] != "served" {
        seen.foreign.fetch_add(1, Ordering::SeqCst);
    }
    let messages = request["messages"].as_array().unwrap();
    let results: Vec<String> = messages
        .iter()
        .filter(|message| {
            message["role"] == "tool" || message["content"][0]["type"] == "tool_result"
        })
        .map(|message| text(&message["content"]))
        .collect();
    if !results.is_empty() {
        return Asked::Results(results.join(", "));
    }
    match text(&messages.last().unwrap()["content"]).as_str() {
        "hello" => Asked::Text(&["hello"]),
        "count" => Asked::Text(&["one", " two", " three"]),
        "weather" => Asked::Weather,
        "refuse" => Asked::Refuse,
        "deny" => Asked::Deny,
        "cut" => Asked::Cut,
        _ => {
            seen.failures.fetch_add(1, Ordering::SeqCst);
            Asked::Fail
        }
    }
}

fn events(list: Vec<(Option<&str>, Value)>, end: Option<&'static str>, cut: bool) -> Response {
    let mut chunks: Vec<Result<String, io::Error>> = list
        .into_iter()
        .map(|(name, data)| {
            let name = name.map(|name| format!("event: {name}\n"));
            Ok(format!("{}data: {data}\n\n", name.unwrap_or_default()))
        })
        .collect();
    chunks.extend(end.map(|end| Ok(format!("data: {end}\n\n"))));
    if cut {
        chunks.push(Err(io::ErrorKind::ConnectionReset.into()));
    }
    // One by one, as a model that thinks would send them.
    let paced = stream::unfold(chunks.into_iter(), |mut chunks| async move {
        tokio::task::yield_now().await;
        let chunk = chunks.next()?;
        Some((chunk, chunks))
    });
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(paced),
    )
        .into_response()
}

async fn chat(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let (deltas, reason) = match asked(&seen, &request) {
        Asked::Refuse => {
            let error = json!({"message": "no", "type": "invalid_request_error", "param": null, "code": null});
            return (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
        }
        Asked::Deny => return (StatusCode::UNAUTHORIZED, "who?").into_response(),
        Asked::Fail => return (StatusCode::BAD_GATEWAY, "down").into_response(),
        Asked::Cut => (
            vec![json!({"role": "assistant", "content": "half a"})],
            None,
        ),
        Asked::Text(parts) => (
            parts.iter().map(|part| json!({"content": part})).collect(),
            Some("stop"),
        ),
        Asked::Results(text) => (vec![json!({"content": text})], Some("stop")),
        Asked::Weather => {
            let call = |index: u64, city: &str| {
                json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": {
                    "name": "weather", "arguments": json!({"city": city}).to_string(),
                }})
            };
            let calls = [call(0, "Oslo"), call(1, "Kyiv")];
            (
                calls.map(|call| json!({"tool_calls": [call]})).to_vec(),
                Some("tool_calls"),
            )
        }
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
    if request["stream"] != true {
        let content: String = deltas
            .iter()
            .filter_map(|delta| delta["content"].as_str())
            .collect();
        let calls: Vec<Value> = deltas
            .iter()
            .filter_map(|delta| delta["tool_calls"].get(0))
            .cloned()
            .collect();
        let mut message = json!({"role": "assistant", "content": content});
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        return Json(json!({
            "id": "chat-1", "object": "chat.completion", "created": 1, "model": "served",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage,
        }))
        .into_response();
    }
    let chunk = |choices: Value, usage: &Value| {
        let chunk = json!({
            "id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "served",
            "choices": choices, "usage": usage,
        });
        (None, chunk)
    };
    let mut list: Vec<_> = deltas
        .iter()
        .map(|delta| {
            chunk(
                json!([{"index": 0, "delta": delta, "finish_reason": null}]),
                &Value::Null,
            )
        })
        .collect();
    let Some(reason) = reason else {
        return events(list, None, true);
    };
    list.push(chunk(
        json!([{"index": 0, "delta": {}, "finish_reason": reason}]),
        &Value::Null,
    ));
    if request["stream_options"]["include_usage"] == true {
        list.push(chunk(json!([]), &usage));
    }
    events(list, Some("[DONE]"), false)
}

async fn messages(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let fault = |status: StatusCode, kind: &str| {
        let error = json!({"type": "error", "error": {"type": kind, "message": "no"}});
        (status, Json(error)).into_response()
    };
    let (blocks, reason) = match asked(&seen, &request) {
        Asked::Refuse => return fault(StatusCode::BAD_REQUEST, "invalid_request_error"),
        Asked::Deny => return fault(StatusCode::UNAUTHORIZED, "authentication_error"),
        Asked::Fail => return fault(StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        Asked::Cut => (vec![json!({"type": "text", "text": "half a"})], None),
        Asked::Text(parts) => (
            vec![json!({"type": "text", "text": parts.concat()})],
            Some("end_turn"),
        ),
        Asked::Results(text) => (
            vec![json!({"type": "text", "text": text})],
            Some("end_turn"),
        ),
        Asked::Weather => {
            let call = |id: &str, city: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}});
            (
                vec![call("toolu_1", "Oslo"), call("toolu_2", "Kyiv")],
                Some("tool_use"),
            )
        }
    };
    let message = |content: &[Value], reason: Option<&str>, output: u64| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "served",
            "content": content, "stop_reason": reason, "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": output},
        })
    };
    if request["stream"] != true {
        return Json(message(&blocks, reason, 2)).into_response();
    }
    let start = json!({"type": "message_start", "message": message(&[], None, 1)});
    let mut list = vec![(Some("message_start"), start)];
    for (index, block) in blocks.iter().enumerate() {
        let (empty, delta) = match block["text"].as_str() {
            Some(text) => (
                json!({"type": "text", "text": ""}),
                json!({"type": "text_delta", "text": text}),
            ),
            None => {
                let mut empty = block.clone();
                empty["input"] = json!({});
                let part = block["input"].to_string();
                (
                    empty,
                    json!({"type": "input_json_delta", "partial_json": part}),
                )
            }
        };
        for (name, key, part) in [
            ("content_block_start", "content_block", empty),
            ("content_block_delta", "delta", delta),
        ] {
            list.push((Some(name), json!({"type": name, "index": index, key: part})));
        }
        let name = "content_block_stop";
        list.push((Some(name), json!({"type": name, "index": index})));
    }
    let Some(reason) = reason else {
        return events(list, None, true);
    };
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    list.push((
        Some("message_delta"),
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}}),
    ));
    list.push((Some("message_stop"), json!({"type": "message_stop"})));
    events(list, None, false)
}
