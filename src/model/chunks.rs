//! A whole reply as the events of a streamed one, for providers that do not stream.

use super::wire::Event;
use serde_json::{Map, Value, json};

/// What ends a stream of Chat Completions.
pub(super) const DONE: &str = "[DONE]";

/// Returns a Chat Completions response as chunks: the role, the text, each tool call, the
/// reason, and the usage.
pub(super) fn chat(body: &Value) -> Vec<Event> {
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
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    for (index, call) in calls.enumerate() {
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
    let mut last = chunk(body, &json!([]));
    last["usage"] = body["usage"].clone();
    chunks.push(last);
    let events = chunks.iter().map(|chunk| Event::unnamed(chunk.to_string()));
    events.chain([Event::unnamed(DONE)]).collect()
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
