//! A whole reply as the events of a streamed one, for providers that do not stream.

use super::wire::{Dialect, Event};
use serde_json::{Map, Value, json};

/// What ends a stream of Chat Completions.
pub(super) const DONE: &str = "[DONE]";

/// Returns a reply as the events of a streamed one.
pub(super) fn events(dialect: Dialect, body: &Value, with_usage: bool) -> Vec<Event> {
    match dialect {
        Dialect::Chat => chat(body, with_usage),
        Dialect::Messages => messages(body),
    }
}

/// Returns a Chat Completions response as chunks: the role, the text, each tool call, the
/// reason, and the usage where it is asked for.
fn chat(body: &Value, with_usage: bool) -> Vec<Event> {
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
    if with_usage {
        let mut last = chunk(body, &json!([]));
        last["usage"] = body["usage"].clone();
        chunks.push(last);
    }
    let events = chunks.iter().map(|chunk| Event::unnamed(chunk.to_string()));
    events.chain([Event::unnamed(DONE)]).collect()
}

/// Returns a message as events: its head, each block as it is, why it ended, the usage.
fn messages(body: &Value) -> Vec<Event> {
    let event = |data: Value| {
        let name = data["type"].as_str().unwrap_or_default().to_owned();
        Event::named(name, data.to_string())
    };
    let mut head = body.clone();
    head["content"] = json!([]);
    head["stop_reason"] = Value::Null;
    head["stop_sequence"] = Value::Null;
    let mut events = vec![event(json!({"type": "message_start", "message": head}))];
    let blocks = body["content"].as_array().into_iter().flatten();
    for (index, block) in blocks.enumerate() {
        let (start, delta) = opened(block);
        let kinds = [
            json!({"type": "content_block_start", "index": index, "content_block": start}),
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
            json!({"type": "content_block_stop", "index": index}),
        ];
        let is_said = |data: &Value| data["type"] != "content_block_delta" || !delta.is_null();
        events.extend(kinds.into_iter().filter(is_said).map(event));
    }
    let why = json!({
        "stop_reason": body["stop_reason"], "stop_sequence": body["stop_sequence"],
    });
    let end = json!({"type": "message_delta", "delta": why, "usage": body["usage"]});
    events.push(event(end));
    events.push(event(json!({"type": "message_stop"})));
    events
}

/// Returns how a block begins, and what is added to it; nothing where it comes whole.
fn opened(block: &Value) -> (Value, Value) {
    let mut start = block.clone();
    match block["type"].as_str() {
        Some("text") => {
            start["text"] = json!("");
            (start, json!({"type": "text_delta", "text": block["text"]}))
        }
        Some("tool_use") => {
            start["input"] = json!({});
            let input = block["input"].to_string();
            (
                start,
                json!({"type": "input_json_delta", "partial_json": input}),
            )
        }
        Some(_) | None => (start, Value::Null),
    }
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
