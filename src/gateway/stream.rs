//! A whole reply as the server-sent events of a streamed one.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Map, Value, json};
use std::convert::Infallible;

/// Returns the events of a Chat Completions response.
pub(super) fn answer(body: &Value, with_usage: bool) -> Response {
    let mut events: Vec<String> = chunks(body, with_usage)
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    events.push("data: [DONE]\n\n".to_owned());
    let events = events.into_iter().map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(stream::iter(events))).into_response()
}

/// Returns the chunks: the role, the text, each tool call, the reason, and the usage if it
/// was asked for (then every other chunk says `usage: null`, as the dialect has it).
fn chunks(body: &Value, with_usage: bool) -> Vec<Value> {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let extra: Map<String, Value> = message
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            !value.is_null() && !["role", "content", "tool_calls"].contains(&name.as_str())
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !extra.is_empty() {
        deltas.push(Value::Object(extra));
    }
    if message["content"]
        .as_str()
        .is_some_and(|text| !text.is_empty())
    {
        deltas.push(json!({"content": message["content"]}));
    }
    for (index, call) in message["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let mut call = call.clone();
        call["index"] = json!(index);
        if call["type"].is_null() {
            call["type"] = json!("function");
        }
        deltas.push(json!({"tool_calls": [call]}));
    }
    let mut chunks: Vec<Value> = deltas
        .into_iter()
        .map(|delta| json!([{"index": 0, "delta": delta, "finish_reason": null}]))
        .chain([json!([
            {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        ])])
        .map(|choices| chunk(body, &choices))
        .collect();
    if with_usage {
        for chunk in &mut chunks {
            chunk["usage"] = Value::Null;
        }
        let mut last = chunk(body, &json!([]));
        last["usage"] = body["usage"].clone();
        chunks.push(last);
    }
    chunks
}

fn chunk(body: &Value, choices: &Value) -> Value {
    json!({
        "id": body["id"],
        "object": "chat.completion.chunk",
        "created": body["created"],
        "model": body["model"],
        "choices": choices,
    })
}
