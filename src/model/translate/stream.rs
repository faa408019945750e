//! The events of a Messages stream as chunks of Chat Completions, one by one.

use super::reply::{arguments, reasons, refusal, usage};
use super::thinking::{Place, carry};
use crate::model::wire::Event;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A stream on its way through.
#[derive(Debug)]
pub(in crate::model) struct Chunks {
    /// Seconds since 1970, which every chunk carries.
    created: i64,
    /// What the message says of itself.
    message: Map<String, Value>,
    usage: Map<String, Value>,
    /// Blocks that have begun and not ended, by their number.
    open: BTreeMap<u64, Open>,
    /// What has come so far.
    place: Place,
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    Text,
    Call {
        /// Its number among the calls.
        index: usize,
        /// The input as the block began with it, until a piece of it comes.
        input: Option<Value>,
    },
    Thinking {
        block: Value,
        place: Place,
    },
    Other,
}

/// Why a stream cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) enum Fault {
    /// The provider said so; this is its error object.
    Error(Value),
    /// What came is none of its events.
    Unreadable(String),
}

impl Chunks {
    /// Begins a stream whose chunks shall say that they were made then.
    pub(in crate::model) fn new(created: i64) -> Self {
        Self {
            created,
            message: Map::new(),
            usage: Map::new(),
            open: BTreeMap::new(),
            place: Place::default(),
        }
    }

    /// Takes in an event and returns what it is in chunks: none, one, or at the end several;
    /// the last of all is `[DONE]`.
    pub(in crate::model) fn push(&mut self, event: &Event) -> Result<Vec<Event>, Fault> {
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|error| Fault::Unreadable(format!("an event is no JSON: {error}")))?;
        let kind = data["type"].as_str().or(event.name.as_deref());
        let index = data["index"].as_u64().unwrap_or(0);
        let delta = match kind {
            Some("error") => return Err(Fault::Error(data["error"].clone())),
            Some("message_start") => Some(self.start(&data["message"])),
            Some("content_block_start") => self.open(index, &data["content_block"]),
            Some("content_block_delta") => self.grow(index, &data["delta"]),
            Some("content_block_stop") => self.close(index),
            Some("message_delta") => {
                self.count(&data["usage"]);
                return Ok(self.reason(&data["delta"]));
            }
            Some("message_stop") => return Ok(vec![Event::unnamed("[DONE]")]),
            // `ping`, and kinds that are yet to come.
            Some(_) => None,
            None => return Err(Fault::Unreadable("an event has no type".to_owned())),
        };
        let chunk = delta.map(|delta| self.delta(&delta));
        Ok(chunk.into_iter().collect())
    }

    fn start(&mut self, message: &Value) -> Value {
        if let Some(fields) = message.as_object() {
            self.message = fields.clone();
        }
        self.count(&message["usage"]);
        json!({"role": "assistant", "content": null})
    }

    fn count(&mut self, usage: &Value) {
        let said = usage.as_object().into_iter().flatten();
        let said = said.filter(|(_, count)| !count.is_null());
        self.usage
            .extend(said.map(|(name, count)| (name.clone(), count.clone())));
    }

    fn open(&mut self, index: u64, block: &Value) -> Option<Value> {
        let (open, delta) = match block["type"].as_str() {
            Some("text") => (Open::Text, Some(self.text(&block["text"]))),
            Some("tool_use") => {
                let call = self.place.calls;
                self.place.calls += 1;
                let open = Open::Call {
                    index: call,
                    input: Some(block["input"].clone()),
                };
                let function = json!({"name": block["name"], "arguments": ""});
                let delta = json!({"tool_calls": [{
                    "index": call, "id": block["id"], "type": "function", "function": function,
                }]});
                (open, Some(delta))
            }
            Some("thinking" | "redacted_thinking") => {
                let open = Open::Thinking {
                    block: block.clone(),
                    place: self.place,
                };
                (open, reasoning(&block["thinking"]))
            }
            _ => (Open::Other, None),
        };
        self.open.insert(index, open);
        delta
    }

    fn text(&mut self, text: &Value) -> Value {
        let text = text.as_str().unwrap_or("");
        self.place.chars += text.chars().count();
        json!({"content": text})
    }

    fn grow(&mut self, index: u64, delta: &Value) -> Option<Value> {
        match (self.open.get_mut(&index)?, delta["type"].as_str()?) {
            (Open::Text, "text_delta") => Some(self.text(&delta["text"])),
            (Open::Call { index, input }, "input_json_delta") => {
                let more = delta["partial_json"]
                    .as_str()
                    .filter(|more| !more.is_empty())?;
                *input = None;
                Some(call_delta(*index, more))
            }
            (Open::Thinking { block, .. }, "thinking_delta") => {
                let so_far = block["thinking"].as_str().unwrap_or("");
                let more = delta["thinking"].as_str().unwrap_or("");
                block["thinking"] = json!(format!("{so_far}{more}"));
                reasoning(&delta["thinking"])
            }
            (Open::Thinking { block, .. }, "signature_delta") => {
                block["signature"] = delta["signature"].clone();
                None
            }
            _ => None,
        }
    }

    fn close(&mut self, index: u64) -> Option<Value> {
        match self.open.remove(&index)? {
            Open::Call {
                index,
                input: Some(input),
            } => Some(call_delta(index, &arguments(&input))),
            Open::Thinking { block, place } => {
                Some(json!({"thinking_blocks": [carry(&block, place)]}))
            }
            Open::Call { input: None, .. } | Open::Text | Open::Other => None,
        }
    }

    fn reason(&mut self, delta: &Value) -> Vec<Event> {
        let mut chunks = Vec::new();
        if let Some(refusal) = refusal(delta) {
            chunks.push(self.delta(&json!({"refusal": refusal})));
        }
        if let Some(mut choice) = reasons(delta) {
            choice["index"] = json!(0);
            choice["delta"] = json!({});
            chunks.push(self.chunk(&json!([choice]), None));
            // Known now, and worth more than the event that ends the stream.
            let usage = usage(&Value::Object(self.usage.clone()));
            chunks.extend(usage.map(|usage| self.chunk(&json!([]), Some(&usage))));
        }
        chunks
    }

    fn delta(&self, delta: &Value) -> Event {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        self.chunk(&json!([choice]), None)
    }

    fn chunk(&self, choices: &Value, usage: Option<&Value>) -> Event {
        let mut chunk = json!({
            "object": "chat.completion.chunk", "created": self.created, "choices": choices,
        });
        for name in ["id", "model"] {
            if let Some(Value::String(text)) = self.message.get(name) {
                chunk[name] = json!(text);
            }
        }
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        Event::unnamed(chunk.to_string())
    }
}

fn call_delta(index: usize, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
}

fn reasoning(text: &Value) -> Option<Value> {
    let text = text.as_str().filter(|text| !text.is_empty())?;
    Some(json!({"reasoning_content": text}))
}

#[cfg(test)]
mod tests {
    use super::{Chunks, Fault};
    use crate::model::wire::Event;
    use serde_json::{Value, json};

    fn push(chunks: &mut Chunks, event: &Value) -> Vec<Value> {
        let name = event["type"].as_str().expect("a type").to_owned();
        let event = Event::named(name, event.to_string());
        let events = chunks.push(&event).expect("it is understood");
        let read = |event: &Event| match event.data.as_str() {
            "[DONE]" => json!("[DONE]"),
            data => serde_json::from_str(data).expect("chunks are JSON"),
        };
        events.iter().map(read).collect()
    }

    fn deltas(chunks: &mut Chunks, event: &Value) -> Vec<Value> {
        let chunks = push(chunks, event);
        chunks
            .iter()
            .map(|chunk| chunk["choices"][0]["delta"].clone())
            .collect()
    }

    #[test]
    fn each_event_passes_at_once() {
        let mut chunks = Chunks::new(7);
        let start = json!({"type": "message_start", "message": {
            "id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1},
        }});
        assert_eq!(
            push(&mut chunks, &start),
            [json!({
                "id": "msg_1", "object": "chat.completion.chunk", "created": 7, "model": "m",
                "choices": [{
                    "index": 0, "delta": {"role": "assistant", "content": null},
                    "finish_reason": null,
                }],
            })]
        );
        let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let begin = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let call = |arguments: &str| {
            vec![json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]})]
        };
        let none: Vec<Value> = Vec::new();
        for (event, expected) in [
            (json!({"type": "ping"}), none.clone()),
            (
                begin(
                    0,
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                ),
                none.clone(),
            ),
            (
                delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
                vec![json!({"reasoning_content": "hm"})],
            ),
            (
                delta(0, json!({"type": "signature_delta", "signature": "Eq"})),
                none.clone(),
            ),
            (
                json!({"type": "content_block_stop", "index": 0}),
                vec![json!({"thinking_blocks": [
                    {"type": "thinking", "thinking": "hm", "signature": "Eq"},
                ]})],
            ),
            (
                begin(1, json!({"type": "text", "text": ""})),
                vec![json!({"content": ""})],
            ),
            (
                delta(1, json!({"type": "text_delta", "text": "Hi"})),
                vec![json!({"content": "Hi"})],
            ),
            (
                json!({"type": "content_block_stop", "index": 1}),
                none.clone(),
            ),
            (
                begin(
                    2,
                    json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
                ),
                vec![json!({"tool_calls": [{
                    "index": 0, "id": "t", "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }]})],
            ),
            (
                delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
                none.clone(),
            ),
            (
                delta(
                    2,
                    json!({"type": "input_json_delta", "partial_json": "{\"a\""}),
                ),
                call("{\"a\""),
            ),
            (
                delta(
                    2,
                    json!({"type": "input_json_delta", "partial_json": ":1}"}),
                ),
                call(":1}"),
            ),
            (
                json!({"type": "content_block_stop", "index": 2}),
                none.clone(),
            ),
            (
                delta(9, json!({"type": "text_delta", "text": "lost"})),
                none.clone(),
            ),
            (json!({"type": "something_new"}), none),
        ] {
            assert_eq!(deltas(&mut chunks, &event), expected, "{event}");
        }
        let reason = json!({
            "type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"output_tokens": 20, "input_tokens": null},
        });
        let last = push(&mut chunks, &reason);
        assert_eq!(last[0]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(last[1]["choices"], json!([]));
        assert_eq!(last[1]["usage"]["prompt_tokens"], 3);
        assert_eq!(last[1]["usage"]["completion_tokens"], 20);
        let end = push(&mut chunks, &json!({"type": "message_stop"}));
        assert_eq!(end, ["[DONE]"]);
    }

    #[test]
    fn faults_are_told_apart() {
        let mut chunks = Chunks::new(0);
        let error = json!({"type": "overloaded_error", "message": "Overloaded"});
        let event = json!({"type": "error", "error": error});
        assert_eq!(
            chunks.push(&Event::named("error", event.to_string())),
            Err(Fault::Error(error))
        );
        for data in ["no JSON", "{}", "[]"] {
            let fault = chunks.push(&Event::unnamed(data)).expect_err("a fault");
            assert!(matches!(fault, Fault::Unreadable(_)), "{fault:?}");
        }
    }
}
