//! One message, whichever of the two dialects it is written in.

use crate::domain::ToolCall;
use serde_json::Value;

/// What a message holds.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub role: &'a str,
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<ToolCall>,
    pub results: Vec<Result>,
}

/// The result of a tool call.
#[derive(Debug)]
pub(super) struct Result {
    pub call: String,
    pub text: String,
}

/// Returns what a message of a Chat Completions or a Messages request holds.
pub(super) fn read(message: &Value) -> Message<'_> {
    let mut read = Message {
        role: message["role"].as_str().unwrap_or("assistant"),
        ..Message::default()
    };
    if matches!(read.role, "tool" | "function") {
        read.results.push(Result {
            call: text_of(&message["tool_call_id"]),
            text: content(&message["content"]),
        });
        return read;
    }
    // Under the names that servers give it; they are alternatives, not parts.
    read.reasoning = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| message[*name].as_str())
        .unwrap_or_default()
        .to_owned();
    match &message["content"] {
        Value::Array(parts) => parts.iter().for_each(|part| read_part(part, &mut read)),
        other => read.text = text_of(other),
    }
    for name in ["thinking_blocks", "reasoning_details"] {
        if read.reasoning.is_empty() {
            let blocks = message[name].as_array().into_iter().flatten();
            read.reasoning = blocks.map(thought).collect();
        }
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        read.calls.push(ToolCall {
            id: text_of(&call["id"]),
            name: text_of(&function["name"]),
            arguments: text_of(&function["arguments"]),
            result: None,
        });
    }
    read
}

fn read_part(part: &Value, read: &mut Message<'_>) {
    match part["type"].as_str().unwrap_or_default() {
        "tool_use" => read.calls.push(ToolCall {
            id: text_of(&part["id"]),
            name: text_of(&part["name"]),
            arguments: part["input"].to_string(),
            result: None,
        }),
        "tool_result" => read.results.push(Result {
            call: text_of(&part["tool_use_id"]),
            text: content(&part["content"]),
        }),
        "thinking" | "redacted_thinking" => read.reasoning.push_str(&thought(part)),
        _ => read.text.push_str(&part_text(part)),
    }
}

/// Returns the text of a content: a string, or the text of its parts. Of what is no text, such
/// as an image, only the kind is told.
fn content(content: &Value) -> String {
    match content {
        Value::Array(parts) => parts.iter().map(part_text).collect(),
        other => text_of(other),
    }
}

fn part_text(part: &Value) -> String {
    match part["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", part["type"].as_str().unwrap_or("unknown part")),
    }
}

fn thought(block: &Value) -> String {
    ["thinking", "text", "summary"]
        .iter()
        .find_map(|name| block[*name].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the name of a tool's definition.
pub(super) fn tool_name(tool: &Value) -> &str {
    let name = tool["function"]["name"].as_str();
    name.or_else(|| tool["name"].as_str()).unwrap_or("unnamed")
}
