//! From Messages to Chat Completions: replies for callers, and requests for transcripts.

use super::parts::to_content;
use super::thinking::{ThinkingPlace, carry, is_thinking};
use super::{reply as said, texts, tools};
use serde_json::{Map, Value, json};

/// Returns a message as a Chat Completions response. What is missing stays missing: whether
/// the response is usable is not decided here.
pub(in crate::model) fn reply(message: &Value) -> Value {
    let mut answer = assistant(&message["content"]);
    if let Some(refusal) = said::refusal(message) {
        answer.insert("refusal".to_owned(), json!(refusal));
    }
    let mut choice = said::reasons(message).unwrap_or_else(|| json!({}));
    choice["index"] = json!(0);
    choice["message"] = Value::Object(answer);
    let mut body = json!({"object": "chat.completion", "choices": [choice]});
    for name in ["id", "model"] {
        if message[name].is_string() {
            body[name] = message[name].clone();
        }
    }
    if let Some(usage) = said::usage(&message["usage"]) {
        body["usage"] = usage;
    }
    body
}

/// Returns what an assistant said as a message of Chat Completions.
fn assistant(content: &Value) -> Map<String, Value> {
    let mut text: Option<String> = None;
    let mut reasoning = String::new();
    let mut thinking = Vec::new();
    let mut calls = Vec::new();
    let mut place = ThinkingPlace::default();
    if let Value::String(whole) = content {
        text = Some(whole.clone());
    }
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => {
                let more = block["text"].as_str().unwrap_or("");
                place.chars += more.chars().count();
                text.get_or_insert_default().push_str(more);
            }
            Some("tool_use") => {
                place.calls += 1;
                calls.push(json!({
                    "id": block["id"],
                    "type": "function",
                    "function": {
                        "name": block["name"],
                        "arguments": said::arguments(&block["input"]),
                    },
                }));
            }
            _ if is_thinking(block) => {
                reasoning.push_str(block["thinking"].as_str().unwrap_or(""));
                thinking.push(carry(block, place));
            }
            _ => {}
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), json!(text));
    for (name, list) in [("tool_calls", calls), ("thinking_blocks", thinking)] {
        if !list.is_empty() {
            message.insert(name.to_owned(), Value::Array(list));
        }
    }
    if !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    message
}

/// Returns a Messages request as a Chat Completions request, for a reader: the conversation
/// and the tools are there, settings of the model only as far as they have a counterpart.
pub(in crate::model) fn request(body: &Value) -> Value {
    let mut messages: Vec<Value> = texts(&body["system"]).into_iter().map(system).collect();
    for turn in body["messages"].as_array().into_iter().flatten() {
        match turn["role"].as_str() {
            Some("assistant") => messages.push(Value::Object(assistant(&turn["content"]))),
            Some("system") => messages.extend(texts(&turn["content"]).into_iter().map(system)),
            _ => user(&turn["content"], &mut messages),
        }
    }
    let mut chat = json!({"messages": messages});
    for (name, theirs) in [
        ("model", "model"),
        ("max_completion_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("temperature", "temperature"),
        ("top_p", "top_p"),
    ] {
        if let Some(value) = body.get(theirs).filter(|value| !value.is_null()) {
            chat[name] = value.clone();
        }
    }
    if let Some(list) = body["tools"].as_array() {
        chat["tools"] = list.iter().map(tools::to_chat).collect();
    }
    chat
}

fn system(text: &str) -> Value {
    json!({"role": "system", "content": text})
}

/// Each answer of a tool is a message of its own; what stands between them is one, too.
fn user(content: &Value, messages: &mut Vec<Value>) {
    let Value::Array(blocks) = content else {
        messages.push(json!({"role": "user", "content": content}));
        return;
    };
    let mut between: Vec<&Value> = Vec::new();
    let say = |between: &mut Vec<&Value>, messages: &mut Vec<Value>| {
        if !between.is_empty() {
            messages.push(json!({"role": "user", "content": to_content(between)}));
            between.clear();
        }
    };
    for block in blocks {
        if block["type"] != "tool_result" {
            between.push(block);
            continue;
        }
        say(&mut between, messages);
        let content = match &block["content"] {
            Value::Array(parts) => to_content(&parts.iter().collect::<Vec<_>>()),
            Value::Null => json!(""),
            other => other.clone(),
        };
        let mut message = json!({
            "role": "tool", "tool_call_id": block["tool_use_id"], "content": content,
        });
        if block["is_error"] == true {
            message["is_error"] = json!(true);
        }
        messages.push(message);
    }
    say(&mut between, messages);
}

#[cfg(test)]
mod tests {
    use super::{reply, request};
    use serde_json::json;

    #[test]
    fn a_reply_with_everything() {
        let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"});
        let redacted = json!({"type": "redacted_thinking", "data": "EmwK"});
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
            "content": [
                thinking, redacted,
                {"type": "text", "text": "Two "},
                {"type": "text", "text": "calls."},
                {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
                thinking,
                {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 2},
        });
        let call = |id: &str, arguments: &str| {
            json!({"id": id, "type": "function",
                   "function": {"name": "bash", "arguments": arguments}})
        };
        let mut placed = thinking.clone();
        placed["position"] = json!({"text": 10, "tool_calls": 1});
        assert_eq!(
            reply(&message),
            json!({
                "id": "msg_1", "object": "chat.completion", "model": "claude-opus-5",
                "choices": [{
                    "index": 0, "finish_reason": "tool_calls", "native_finish_reason": "tool_use",
                    "message": {
                        "role": "assistant",
                        "content": "Two calls.",
                        "reasoning_content": "hmhm",
                        "thinking_blocks": [thinking, redacted, placed],
                        "tool_calls": [
                            call("toolu_1", "{\"command\":\"ls\"}"), call("toolu_2", "{}"),
                        ],
                    },
                }],
                "usage": {
                    "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                },
            })
        );
    }

    #[test]
    fn a_request_for_a_reader() {
        let body = json!({
            "model": "m", "max_tokens": 9, "stop_sequences": ["END"],
            "system": [{"type": "text", "text": "Be brief."}],
            "tools": [{"name": "bash", "input_schema": {"type": "object"}},
                      {"type": "bash_20250124", "name": "bash"}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "a", "name": "bash", "input": {"x": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [
                        {"type": "text", "text": "no"},
                    ]},
                    {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}},
                    {"type": "document", "source": {}},
                ]},
                {"role": "assistant", "content": "ok"},
            ],
        });
        assert_eq!(
            request(&body),
            json!({
                "model": "m", "max_completion_tokens": 9, "stop": ["END"],
                "tools": [
                    {"type": "function",
                     "function": {"name": "bash", "parameters": {"type": "object"}}},
                    {"type": "bash_20250124", "name": "bash"},
                ],
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": null, "tool_calls": [
                        {"id": "a", "type": "function",
                         "function": {"name": "bash", "arguments": "{\"x\":1}"}},
                    ]},
                    {"role": "tool", "tool_call_id": "a", "content": "no", "is_error": true},
                    {"role": "user", "content": [
                        {"type": "text", "text": "Go on."},
                        {"type": "text", "text": "[document]"},
                    ]},
                    {"role": "assistant", "content": "ok"},
                ],
            })
        );
    }
}
