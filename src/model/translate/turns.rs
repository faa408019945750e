//! The conversation of a Chat Completions request as turns of Messages.
//!
//! Turns alternate: what the same side says in several messages is one turn. In a user's turn
//! the answers of tools stand first, as the API wants them, each in the order it came.

use super::parts::{text_block, to_blocks};
use super::{refuse, texts, thinking};
use crate::model::ModelError;
use serde_json::{Value, json};

/// A conversation as Messages has it.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Text of the system messages in front, each its block.
    pub(super) system: Vec<Value>,
    /// The turns.
    pub(super) turns: Vec<Value>,
}

/// A turn in the making.
#[derive(Debug)]
struct MessageTurn {
    side: SpeakerSide,
    /// Answers of tools.
    results: Vec<Value>,
    /// Everything else.
    blocks: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpeakerSide {
    User,
    Assistant,
}

/// Reads the list of messages.
pub(super) fn read(messages: &Value) -> Result<Conversation, ModelError> {
    let Some(messages) = messages.as_array() else {
        return Err(refuse("messages", "the request has no list `messages`"));
    };
    let mut system = Vec::new();
    let mut turns: Vec<MessageTurn> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        match message["role"].as_str() {
            Some("system" | "developer") if turns.is_empty() => {
                system.extend(to_blocks(&message["content"], &format!("{place}.content"))?);
            }
            // What is said later stays where it was said, so that the prefix in front of it
            // stays the same; but the dialect has no system's turn that every model takes.
            Some("system" | "developer") => {
                let text = texts(&message["content"]).join("\n");
                let text = format!("<system>\n{text}\n</system>");
                say(
                    &mut turns,
                    SpeakerSide::User,
                    vec![json!({"type": "text", "text": text})],
                );
            }
            Some("user") => {
                let blocks = to_blocks(&message["content"], &format!("{place}.content"))?;
                say(&mut turns, SpeakerSide::User, blocks);
            }
            Some("assistant") => {
                let blocks = assistant(message, &place)?;
                say(&mut turns, SpeakerSide::Assistant, blocks);
            }
            Some("tool") => {
                let result = result(message, &place)?;
                turn(&mut turns, SpeakerSide::User).results.push(result);
            }
            Some(other) => {
                let what = format!("`{place}` has the role `{other}`, which is not supported");
                return Err(refuse("messages", what));
            }
            None => return Err(refuse("messages", format!("`{place}` has no `role`"))),
        }
    }
    trim_end(turns.last_mut());
    let turns: Vec<Value> = turns.into_iter().map(MessageTurn::finish).collect();
    if turns.is_empty() {
        let what = "`messages` has nothing in it that a user or an assistant says";
        return Err(refuse("messages", what));
    }
    Ok(Conversation { system, turns })
}

/// Adds what a side says; nothing is no turn.
fn say(turns: &mut Vec<MessageTurn>, side: SpeakerSide, blocks: Vec<Value>) {
    if !blocks.is_empty() {
        turn(turns, side).blocks.extend(blocks);
    }
}

/// Returns the turn in which a side speaks now.
fn turn(turns: &mut Vec<MessageTurn>, side: SpeakerSide) -> &mut MessageTurn {
    let goes_on = turns.last().is_some_and(|last| last.side == side);
    if !goes_on {
        turns.push(MessageTurn {
            side,
            results: Vec::new(),
            blocks: Vec::new(),
        });
    }
    let last = turns.len() - 1;
    &mut turns[last]
}

impl MessageTurn {
    fn finish(self) -> Value {
        let mut content = self.results;
        content.extend(self.blocks);
        let role = match self.side {
            SpeakerSide::User => "user",
            SpeakerSide::Assistant => "assistant",
        };
        json!({"role": role, "content": content})
    }
}

/// An answer that the model shall go on with must not end in white space.
fn trim_end(last: Option<&mut MessageTurn>) {
    if let Some(turn) = last
        && turn.side == SpeakerSide::Assistant
        && let Some(block) = turn.blocks.last_mut()
        && let Some(text) = block["text"].as_str()
    {
        block["text"] = json!(text.trim_end());
    }
}

fn assistant(message: &Value, place: &str) -> Result<Vec<Value>, ModelError> {
    let content = &message["content"];
    let mut said = Vec::new();
    match content {
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                let refusal = part["refusal"]
                    .as_str()
                    .filter(|_| part["type"] == "refusal");
                match refusal {
                    Some(refusal) => said.extend(text_block(refusal)),
                    None => {
                        let place = format!("{place}.content[{index}]");
                        said.extend(to_blocks(&json!([part]), &place)?);
                    }
                }
            }
        }
        content => said.extend(to_blocks(content, &format!("{place}.content"))?),
    }
    let calls = match &message["tool_calls"] {
        Value::Null => &[],
        Value::Array(calls) => calls.as_slice(),
        _ => {
            let what = format!("`{place}.tool_calls` must be a list");
            return Err(refuse("messages", what));
        }
    };
    let calls: Result<Vec<Value>, ModelError> = calls
        .iter()
        .enumerate()
        .map(|(index, call)| to_use(call, &format!("{place}.tool_calls[{index}]")))
        .collect();
    let mut blocks = thinking::weave(thinking::brought(message), said, calls?);
    if blocks.is_empty() {
        blocks.extend(message["refusal"].as_str().and_then(text_block));
    }
    Ok(blocks)
}

fn to_use(call: &Value, place: &str) -> Result<Value, ModelError> {
    let function = &call["function"];
    let (Some(id), Some(name)) = (call["id"].as_str(), function["name"].as_str()) else {
        let what = format!("`{place}` has no `id` and `function.name`");
        return Err(refuse("messages", what));
    };
    let input = input(&function["arguments"]);
    Ok(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
}

/// Returns the arguments of a call as the object that the API wants. Models write arguments
/// that are none, and agents repeat them beside the tool's complaint: they stay readable.
fn input(arguments: &Value) -> Value {
    match arguments {
        Value::Object(_) => arguments.clone(),
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(input)) => Value::Object(input),
            _ => json!({"arguments": text}),
        },
        Value::Null => json!({}),
        other => json!({"arguments": other}),
    }
}

/// Chat Completions cannot say that a tool failed; who wants to says so in `is_error`.
fn result(message: &Value, place: &str) -> Result<Value, ModelError> {
    let Some(id) = message["tool_call_id"].as_str() else {
        return Err(refuse(
            "messages",
            format!("`{place}` has no `tool_call_id`"),
        ));
    };
    let mut result = json!({"type": "tool_result", "tool_use_id": id});
    match &message["content"] {
        Value::String(text) if !text.is_empty() => result["content"] = json!(text),
        Value::String(_) => {}
        content => {
            let blocks = to_blocks(content, &format!("{place}.content"))?;
            if !blocks.is_empty() {
                result["content"] = Value::Array(blocks);
            }
        }
    }
    if message["is_error"] == true {
        result["is_error"] = json!(true);
    }
    if message["cache_control"].is_object() {
        result["cache_control"] = message["cache_control"].clone();
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::{Value, json};

    #[test]
    fn a_tool_loop() {
        let call = |id: &str, arguments: &str| {
            json!({"id": id, "type": "function",
                   "function": {"name": "bash", "arguments": arguments}})
        };
        let conversation = read(&json!([
            {"role": "system", "content": "You fix bugs."},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": "Fix it."},
            {"role": "user", "content": [{"type": "text", "text": "Now."}]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "thinking_blocks": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            ], "tool_calls": [call("a", "{\"command\":\"ls\"}"), call("b", "")]},
            {"role": "tool", "tool_call_id": "b", "content": "no such file", "is_error": true},
            {"role": "user", "content": "Go on."},
            {"role": "tool", "tool_call_id": "a", "content": [
                {"type": "text", "text": "a.py"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            ]},
            {"role": "system", "content": "Hurry."},
            {"role": "assistant", "content": "Done: \n", "tool_calls": []},
        ]))
        .expect("it is translated");
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(
            conversation.system,
            [text("You fix bugs."), text("Be brief.")]
        );
        let calls = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "bash", "input": input});
        assert_eq!(
            Value::Array(conversation.turns),
            json!([
                {"role": "user", "content": [text("Fix it."), text("Now.")]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                    calls("a", json!({"command": "ls"})),
                    calls("b", json!({})),
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "b", "content": "no such file",
                     "is_error": true},
                    {"type": "tool_result", "tool_use_id": "a", "content": [
                        text("a.py"),
                        {"type": "image", "source": {
                            "type": "base64", "media_type": "image/png", "data": "AA"
                        }},
                    ]},
                    text("Go on."),
                    text("<system>\nHurry.\n</system>"),
                ]},
                {"role": "assistant", "content": [text("Done:")]},
            ])
        );
    }

    #[test]
    fn arguments_that_are_no_object_stay_readable() {
        for (arguments, input) in [
            (json!("{\"a\":1}"), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": 1})),
            (json!(" "), json!({})),
            (json!(null), json!({})),
            (json!("{\"a\":"), json!({"arguments": "{\"a\":"})),
            (json!("[1]"), json!({"arguments": "[1]"})),
        ] {
            assert_eq!(super::input(&arguments), input);
        }
    }

    #[test]
    fn nothing_to_see_is_left_out() {
        let conversation = read(&json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "tool", "tool_call_id": "x", "content": ""},
        ]))
        .expect("it is translated");
        assert_eq!(
            Value::Array(conversation.turns),
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
                ]},
                {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]},
            ])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (messages, said) in [
            (json!(null), "no list `messages`"),
            (json!([]), "nothing in it"),
            (json!([{"role": "system", "content": "x"}]), "nothing in it"),
            (
                json!([{"role": "function", "name": "f"}]),
                "`messages[0]` has the role `function`",
            ),
            (json!([{"content": "x"}]), "`messages[0]` has no `role`"),
            (
                json!([{"role": "tool", "content": "x"}]),
                "no `tool_call_id`",
            ),
            (
                json!([{"role": "user", "content": 7}]),
                "`messages[0].content`",
            ),
            (
                json!([{"role": "assistant", "tool_calls": [{}]}]),
                "tool_calls[0]` has no `id`",
            ),
            (
                json!([{"role": "assistant", "tool_calls": 7}]),
                "must be a list",
            ),
        ] {
            let error = read(&messages).expect_err("it is refused");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
