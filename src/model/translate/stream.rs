//! The events of a Messages stream as chunks of Chat Completions, one by one.

use super::reply::{arguments, reasons, refusal, usage};
use super::thinking::{ThinkingPlace, carry};
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
    open: BTreeMap<u64, OpenBlock>,
    /// What has come so far.
    place: ThinkingPlace,
}

/// A block that has begun.
#[derive(Debug)]
enum OpenBlock {
    Text,
    Call {
        /// Its number among the calls.
        index: usize,
        /// The input as the block began with it, until a piece of it comes.
        input: Option<Value>,
    },
    Thinking {
        block: Value,
        place: ThinkingPlace,
    },
    Other,
}

/// Why a stream cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) enum StreamFault {
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
            place: ThinkingPlace::default(),
        }
    }

    /// Takes in an event and returns what it is in chunks: none, one, or at the end several;
    /// the last of all is `[DONE]`.
    pub(in crate::model) fn push(&mut self, event: &Event) -> Result<Vec<Event>, StreamFault> {
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|error| StreamFault::Unreadable(format!("an event is no JSON: {error}")))?;
        let kind = data["type"].as_str().or(event.name.as_deref());
        let index = data["index"].as_u64().unwrap_or(0);
        let delta = match kind {
            Some("error") => return Err(StreamFault::Error(data["error"].clone())),
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
            None => return Err(StreamFault::Unreadable("an event has no type".to_owned())),
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
            Some("text") => (OpenBlock::Text, Some(self.text(&block["text"]))),
            Some("tool_use") => {
                let call = self.place.calls;
                self.place.calls += 1;
                let open = OpenBlock::Call {
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
                let open = OpenBlock::Thinking {
                    block: block.clone(),
                    place: self.place,
                };
                (open, reasoning(&block["thinking"]))
            }
            _ => (OpenBlock::Other, None),
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
            (OpenBlock::Text, "text_delta") => Some(self.text(&delta["text"])),
            (OpenBlock::Call { index, input }, "input_json_delta") => {
                let more = delta["partial_json"]
                    .as_str()
                    .filter(|more| !more.is_empty())?;
                *input = None;
                Some(call_delta(*index, more))
            }
            (OpenBlock::Thinking { block, .. }, "thinking_delta") => {
                let more = delta["thinking"].as_str()?;
                if let Some(Value::String(so_far)) = block.get_mut("thinking") {
                    so_far.push_str(more);
                } else {
                    block["thinking"] = json!(more);
                }
                reasoning(&delta["thinking"])
            }
            (OpenBlock::Thinking { block, .. }, "signature_delta") => {
                block["signature"] = delta["signature"].clone();
                None
            }
            _ => None,
        }
    }

    fn close(&mut self, index: u64) -> Option<Value> {
        match self.open.remove(&index)? {
            OpenBlock::Call {
                index,
                input: Some(input),
            } => Some(call_delta(index, &arguments(&input))),
            OpenBlock::Thinking { block, place } => {
                Some(json!({"thinking_blocks": [carry(&block, place)]}))
            }
            OpenBlock::Call { input: None, .. } | OpenBlock::Text | OpenBlock::Other => None,
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
    use super::{Chunks, StreamFault};
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

    /// Checks what the deltas of each event are.
    fn check(chunks: &mut Chunks, cases: Vec<(Value, Option<Value>)>) {
        for (event, expected) in cases {
            let chunks = push(chunks, &event);
            let deltas: Vec<Value> = chunks
                .iter()
                .map(|chunk| chunk["choices"][0]["delta"].clone())
                .collect();
            let expected: Vec<Value> = expected.into_iter().collect();
            assert_eq!(deltas, expected, "{event}");
        }
    }

    fn begin(index: u64, block: Value) -> Value {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    fn delta(index: u64, kind: &str, name: &str, text: &str) -> Value {
        let delta = json!({"type": kind, name: text});
        json!({"type": "content_block_delta", "index": index, "delta": delta})
    }

    fn stop(index: u64) -> Value {
        json!({"type": "content_block_stop", "index": index})
    }

    #[test]
    fn a_stream_begins_and_ends() {
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
    fn each_event_passes_at_once() {
        let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
        let whole = json!({"type": "thinking", "thinking": "hm", "signature": "Eq"});
        check(
            &mut Chunks::new(7),
            vec![
                (json!({"type": "ping"}), None),
                (begin(0, thinking), None),
                (
                    delta(0, "thinking_delta", "thinking", "hm"),
                    Some(json!({"reasoning_content": "hm"})),
                ),
                (delta(0, "signature_delta", "signature", "Eq"), None),
                (stop(0), Some(json!({"thinking_blocks": [whole]}))),
                (
                    begin(1, json!({"type": "text", "text": ""})),
                    Some(json!({"content": ""})),
                ),
                (
                    delta(1, "text_delta", "text", "Hi"),
                    Some(json!({"content": "Hi"})),
                ),
                (stop(1), None),
                (delta(9, "text_delta", "text", "lost"), None),
                (json!({"type": "something_new"}), None),
            ],
        );
    }

    #[test]
    fn arguments_of_calls_pass_piece_by_piece() {
        let called = |index: u64, id: &str| {
            Some(json!({"tool_calls": [{
                "index": index, "id": id, "type": "function",
                "function": {"name": "f", "arguments": ""},
            }]}))
        };
        let more = |index: u64, arguments: &str| {
            let function = json!({"arguments": arguments});
            Some(json!({"tool_calls": [{"index": index, "function": function}]}))
        };
        let block = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
        let piece = |index: u64, json: &str| delta(index, "input_json_delta", "partial_json", json);
        check(
            &mut Chunks::new(7),
            vec![
                (begin(2, block("a")), called(0, "a")),
                (piece(2, ""), None),
                (piece(2, "{\"a\""), more(0, "{\"a\"")),
                (piece(2, ":1}"), more(0, ":1}")),
                (stop(2), None),
                // A call without arguments has none in pieces, and an empty object as a whole.
                (begin(3, block("b")), called(1, "b")),
                (stop(3), more(1, "{}")),
            ],
        );
    }

    #[test]
    fn faults_are_told_apart() {
        let mut chunks = Chunks::new(0);
        let error = json!({"type": "overloaded_error", "message": "Overloaded"});
        let event = json!({"type": "error", "error": error});
        assert_eq!(
            chunks.push(&Event::named("error", event.to_string())),
            Err(StreamFault::Error(error))
        );
        for data in ["no JSON", "{}", "[]"] {
            let fault = chunks.push(&Event::unnamed(data)).expect_err("a fault");
            assert!(matches!(fault, StreamFault::Unreadable(_)), "{fault:?}");
        }
    }
}
