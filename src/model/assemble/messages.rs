//! Events of Messages to a whole message.

use super::append::append;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Messages {
    message: Map<String, Value>,
    usage: Map<String, Value>,
    /// Blocks by their number in the stream.
    blocks: BTreeMap<u64, Block>,
}

/// A content block in the making.
#[derive(Debug, Default)]
struct Block {
    fields: Map<String, Value>,
    /// The input of a tool as JSON, which comes in pieces that are none.
    input: String,
}

impl Messages {
    pub(super) fn push(&mut self, mut event: Map<String, Value>) {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
        let index = event.get("index").and_then(Value::as_u64);
        match (kind, index) {
            ("message_start", _) => {
                if let Some(Value::Object(mut message)) = event.shift_remove("message") {
                    self.push_usage(message.shift_remove("usage"));
                    self.message = message;
                }
            }
            ("message_delta", _) => {
                self.push_usage(event.shift_remove("usage"));
                if let Some(Value::Object(delta)) = event.shift_remove("delta") {
                    self.message.extend(delta);
                }
            }
            ("content_block_start", Some(index)) => {
                if let Some(Value::Object(fields)) = event.shift_remove("content_block") {
                    let input = String::new();
                    self.blocks.insert(index, Block { fields, input });
                }
            }
            ("content_block_delta", Some(index)) => {
                if let Some(block) = self.blocks.get_mut(&index)
                    && let Some(Value::Object(delta)) = event.shift_remove("delta")
                {
                    block.push(delta);
                }
            }
            // Nothing to add: `ping`, the ends, errors, and kinds that are yet to come.
            _ => {}
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.message
            .get("stop_reason")
            .is_some_and(|reason| !reason.is_null())
    }

    pub(super) fn finish(self) -> Value {
        let blocks: Vec<Value> = self.blocks.into_values().map(Block::finish).collect();
        let mut message = self.message;
        message.insert("type".to_owned(), json!("message"));
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), Value::Array(blocks));
        if !self.usage.is_empty() {
            message.insert("usage".to_owned(), Value::Object(self.usage));
        }
        Value::Object(message)
    }

    /// Counts are cumulative: the latest is the sum. Null says nothing.
    fn push_usage(&mut self, usage: Option<Value>) {
        if let Some(Value::Object(usage)) = usage {
            let said = usage.into_iter().filter(|(_, count)| !count.is_null());
            self.usage.extend(said);
        }
    }
}

impl Block {
    fn push(&mut self, mut delta: Map<String, Value>) {
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or("");
        let text = |name: &str| delta.get(name).and_then(Value::as_str);
        match kind {
            "text_delta" => append(&mut self.fields, "text", text("text").unwrap_or("")),
            "thinking_delta" => {
                append(&mut self.fields, "thinking", text("thinking").unwrap_or(""));
            }
            "input_json_delta" => self.input.push_str(text("partial_json").unwrap_or("")),
            "signature_delta" => {
                // Opaque, and sent whole.
                if let Some(signature) = delta.shift_remove("signature") {
                    self.fields.insert("signature".to_owned(), signature);
                }
            }
            "citations_delta" => {
                if let Some(citation) = delta.shift_remove("citation") {
                    match self.fields.get_mut("citations") {
                        Some(Value::Array(citations)) => citations.push(citation),
                        _ => {
                            self.fields
                                .insert("citations".to_owned(), json!([citation]));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Value {
        let mut fields = self.fields;
        if !self.input.is_empty() {
            // Cut off in the middle, by the limit of tokens most likely, it stays a text.
            let input = serde_json::from_str(&self.input).unwrap_or(Value::String(self.input));
            fields.insert("input".to_owned(), input);
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::assemble::Fold;
    use crate::model::{Dialect, Event};
    use serde_json::{Value, json};

    fn fold(events: &[Value]) -> Fold {
        let mut fold = Fold::new(Dialect::Messages);
        for event in events {
            let name = event["type"].as_str().expect("events have a type");
            fold.push(&Event::named(name, event.to_string()));
        }
        fold
    }

    fn delta(index: u64, delta: &Value) -> Value {
        json!({"type": "content_block_delta", "index": index, "delta": delta})
    }

    fn start(index: u64, block: &Value) -> Value {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    fn begin() -> Value {
        json!({"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1},
        }})
    }

    #[test]
    fn a_message_with_thinking_text_and_a_tool() {
        let folded = fold(&[
            begin(),
            start(
                0,
                &json!({"type": "thinking", "thinking": "", "signature": ""}),
            ),
            json!({"type": "ping"}),
            delta(0, &json!({"type": "thinking_delta", "thinking": "Let "})),
            delta(0, &json!({"type": "thinking_delta", "thinking": "me"})),
            delta(0, &json!({"type": "signature_delta", "signature": "EqQB"})),
            json!({"type": "content_block_stop", "index": 0}),
            start(1, &json!({"type": "text", "text": ""})),
            delta(1, &json!({"type": "text_delta", "text": "Hello"})),
            delta(1, &json!({"type": "text_delta", "text": "!"})),
            json!({"type": "content_block_stop", "index": 1}),
            start(
                2,
                &json!({"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}),
            ),
            delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
            delta(
                2,
                &json!({"type": "input_json_delta", "partial_json": "{\"command\": \"l"}),
            ),
            delta(
                2,
                &json!({"type": "input_json_delta", "partial_json": "s\"}"}),
            ),
            json!({"type": "content_block_stop", "index": 2}),
            json!({
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"input_tokens": null, "output_tokens": 15},
            }),
            json!({"type": "message_stop"}),
        ]);
        assert!(folded.is_complete());
        assert_eq!(
            folded.finish(),
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
                "content": [
                    {"type": "thinking", "thinking": "Let me", "signature": "EqQB"},
                    {"type": "text", "text": "Hello!"},
                    {"type": "tool_use", "id": "toolu_1", "name": "bash",
                     "input": {"command": "ls"}},
                ],
                "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {
                    "input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 15
                },
            })
        );
    }

    #[test]
    fn half_a_stream_is_half_a_message() {
        let folded = fold(&[
            begin(),
            start(
                0,
                &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
            ),
            delta(
                0,
                &json!({"type": "input_json_delta", "partial_json": "{\"a\":"}),
            ),
        ]);
        assert!(!folded.is_complete());
        let body = folded.finish();
        assert_eq!(body["content"][0]["input"], "{\"a\":");
        assert_eq!(body["usage"]["output_tokens"], 1);
    }
}
