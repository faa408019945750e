//! Chunks of Chat Completions to a whole response. One choice is asked for, so one is kept.

use super::append::append;
use serde_json::{Map, Value, json};

/// A response in the making.
#[derive(Debug, Default)]
pub(super) struct Chat {
    /// What stands beside the choices.
    fields: Map<String, Value>,
    /// What stands beside the message.
    choice: Map<String, Value>,
    message: Map<String, Value>,
    calls: Vec<ToolCallParts>,
}

/// A tool call in the making.
#[derive(Debug)]
struct ToolCallParts {
    /// Its number in the stream, where the stream numbers them.
    index: Option<u64>,
    fields: Map<String, Value>,
    function: Map<String, Value>,
}

impl Chat {
    pub(super) fn push(&mut self, chunk: Map<String, Value>) {
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => {
                    for choice in choices {
                        if let Value::Object(choice) = choice {
                            self.push_choice(choice);
                        }
                    }
                }
                // The kind of the whole is not that of its chunks; null is not yet known.
                ("choices" | "object", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.fields.insert(name, value);
                }
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.choice.contains_key("finish_reason")
    }

    pub(super) fn finish(self) -> Value {
        let mut message = self.message;
        message.insert("role".to_owned(), json!("assistant"));
        message.entry("content").or_insert(Value::Null);
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(ToolCallParts::finish).collect();
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        let mut choice = self.choice;
        choice.insert("index".to_owned(), json!(0));
        choice.insert("message".to_owned(), Value::Object(message));
        let mut body = self.fields;
        body.insert("object".to_owned(), json!("chat.completion"));
        body.insert("choices".to_owned(), json!([choice]));
        Value::Object(body)
    }

    fn push_choice(&mut self, choice: Map<String, Value>) {
        let is_other = |index: &Value| index.as_u64().is_some_and(|index| index > 0);
        if choice.get("index").is_some_and(is_other) {
            return;
        }
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("delta", Value::Object(delta)) => self.push_delta(delta),
                ("logprobs", Value::Object(logprobs)) => self.push_logprobs(logprobs),
                ("delta" | "logprobs" | "index", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.choice.insert(name, value);
                }
            }
        }
    }

    fn push_delta(&mut self, delta: Map<String, Value>) {
        for (name, value) in delta {
            match (name.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        if let Value::Object(call) = call {
                            self.push_call(call);
                        }
                    }
                }
                ("role" | "tool_calls", _) | (_, Value::Null) => {}
                // Text and lists come in pieces: `content`, `refusal`, `reasoning_content`,
                // `thinking_blocks`, and what a server may add.
                (_, Value::String(text)) => append(&mut self.message, &name, &text),
                (_, Value::Array(more)) => extend(&mut self.message, &name, more),
                (_, value) => {
                    self.message.insert(name, value);
                }
            }
        }
    }

    fn push_logprobs(&mut self, logprobs: Map<String, Value>) {
        let whole = self.choice.entry("logprobs").or_insert_with(|| json!({}));
        let Value::Object(whole) = whole else { return };
        for (name, value) in logprobs {
            if let Value::Array(more) = value {
                extend(whole, &name, more);
            }
        }
    }

    fn push_call(&mut self, piece: Map<String, Value>) {
        let index = piece.get("index").and_then(Value::as_u64);
        let id = piece.get("id").and_then(Value::as_str).unwrap_or("");
        let known = match index {
            Some(_) => self.calls.iter().position(|call| call.index == index),
            // Servers that do not number the calls begin each with its id.
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().position(|call| call.id() == id),
        };
        let at = known.unwrap_or_else(|| {
            self.calls.push(ToolCallParts {
                index,
                fields: Map::new(),
                function: Map::new(),
            });
            self.calls.len() - 1
        });
        self.calls[at].push(piece);
    }
}

impl ToolCallParts {
    fn id(&self) -> &str {
        self.fields.get("id").and_then(Value::as_str).unwrap_or("")
    }

    fn push(&mut self, piece: Map<String, Value>) {
        for (name, value) in piece {
            match (name.as_str(), value) {
                ("function", Value::Object(function)) => {
                    if let Some(Value::String(more)) = function.get("arguments") {
                        append(&mut self.function, "arguments", more);
                    }
                    // The name comes whole, with some servers in every piece.
                    if let Some(Value::String(name)) = function.get("name")
                        && !name.is_empty()
                    {
                        self.function.insert("name".to_owned(), json!(name));
                    }
                }
                ("function" | "index", _) | (_, Value::Null) => {}
                (_, Value::String(text)) if text.is_empty() => {}
                (_, value) => {
                    self.fields.insert(name, value);
                }
            }
        }
    }

    fn finish(self) -> Value {
        let mut function = self.function;
        for name in ["name", "arguments"] {
            function.entry(name).or_insert_with(|| json!(""));
        }
        let mut fields = self.fields;
        fields.entry("type").or_insert_with(|| json!("function"));
        fields.insert("function".to_owned(), Value::Object(function));
        Value::Object(fields)
    }
}

fn extend(fields: &mut Map<String, Value>, name: &str, more: Vec<Value>) {
    match fields.get_mut(name) {
        Some(Value::Array(list)) => list.extend(more),
        _ => {
            fields.insert(name.to_owned(), Value::Array(more));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::assemble::Fold;
    use crate::model::{Dialect, Event};
    use serde_json::{Value, json};

    fn chunk(delta: &Value) -> Value {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
            "system_fingerprint": null,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}],
            "usage": null,
        })
    }

    fn fold(chunks: &[Value]) -> Fold {
        let mut fold = Fold::new(Dialect::Chat);
        for chunk in chunks {
            fold.push(&Event::unnamed(chunk.to_string()));
        }
        fold.push(&Event::unnamed("[DONE]"));
        fold
    }

    #[test]
    fn text_and_parallel_calls_come_together() {
        let mut last = chunk(&json!({}));
        last["choices"][0]["finish_reason"] = json!("tool_calls");
        let mut usage = chunk(&json!({}));
        usage["choices"] = json!([]);
        usage["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
        let call = |index: u64, id: Value, name: Value, arguments: &str| {
            chunk(&json!({"tool_calls": [{
                "index": index, "id": id, "type": "function",
                "function": {"name": name, "arguments": arguments},
            }]}))
        };
        let folded = fold(&[
            chunk(&json!({"role": "assistant", "content": ""})),
            chunk(&json!({"content": "Let me "})),
            chunk(&json!({"content": "see."})),
            call(0, json!("a"), json!("bash"), ""),
            call(0, Value::Null, Value::Null, "{\"command\":"),
            call(1, json!("b"), json!("edit"), "{"),
            call(0, Value::Null, Value::Null, "\"ls\"}"),
            call(1, json!(""), json!(""), "}"),
            last,
            usage,
        ]);
        assert!(folded.is_complete());
        assert_eq!(
            folded.finish(),
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
                "choices": [{
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Let me see.",
                        "tool_calls": [
                            {"id": "a", "type": "function",
                             "function": {"name": "bash", "arguments": "{\"command\":\"ls\"}"}},
                            {"id": "b", "type": "function",
                             "function": {"name": "edit", "arguments": "{}"}},
                        ],
                    },
                    "finish_reason": "tool_calls",
                }],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            })
        );
    }

    #[test]
    fn calls_without_numbers_are_told_apart_by_their_ids() {
        let piece = |id: &str, arguments: &str| {
            chunk(&json!({"tool_calls": [
                {"id": id, "function": {"name": "f", "arguments": arguments}}
            ]}))
        };
        let body = fold(&[
            piece("a", "1"),
            piece("", "2"),
            piece("b", "3"),
            piece("a", "4"),
        ]);
        assert!(!body.is_complete());
        let body = body.finish();
        let calls = body.pointer("/choices/0/message/tool_calls");
        let calls: Vec<(&str, &str)> = calls
            .and_then(Value::as_array)
            .expect("there are calls")
            .iter()
            .map(|call| {
                let arguments = call["function"]["arguments"].as_str().expect("a text");
                (call["id"].as_str().expect("a text"), arguments)
            })
            .collect();
        assert_eq!(calls, [("a", "124"), ("b", "3")]);
    }

    #[test]
    fn what_servers_add_is_kept() {
        let mut odd = chunk(&json!({
            "reasoning_content": "hm", "thinking_blocks": [{"signature": "x"}], "audio": {"id": 1}
        }));
        odd["choices"][0]["logprobs"] = json!({"content": [{"token": "a"}]});
        odd["choices"][0]["stop_reason"] = json!("END");
        let body = fold(&[odd.clone(), odd]).finish();
        let choice = &body["choices"][0];
        assert_eq!(choice["message"]["reasoning_content"], "hmhm");
        assert_eq!(
            choice["message"]["thinking_blocks"],
            json!([{"signature": "x"}, {"signature": "x"}])
        );
        assert_eq!(choice["message"]["audio"], json!({"id": 1}));
        assert_eq!(choice["message"]["content"], Value::Null);
        assert_eq!(
            choice["logprobs"]["content"].as_array().map(Vec::len),
            Some(2)
        );
        assert_eq!(choice["stop_reason"], "END");
    }
}
