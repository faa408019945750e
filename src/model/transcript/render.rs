//! Reading a transcript as text, for people and for the evidence of a diagnosis.

use crate::model::clip;
use crate::model::reply::content_text;
use serde_json::Value;
use std::fmt::Write as _;

/// Part of the text that one message may take, as a divisor.
const SHARE: usize = 16;
/// Characters that each message gets however short the text must be.
const LEAST: usize = 200;

/// Returns a transcript as readable text of at most `max_chars` characters: first, last and
/// what lies between as far as there is room, with markers that say what was cut.
///
/// Each call is a line `[call 3] finish=length tokens=1200/300` or
/// `[call 4] error=context_length_exceeded`, preceded by the messages that were new in its
/// request (`system: …`, `user: …`, `tool_result: …`) and followed by the reply
/// (`assistant: …`, `tool_call NAME {…}`). Further lines of a text are indented, so that
/// nothing an agent says can look like a line of ours.
pub fn render(transcript: &[u8], max_chars: usize) -> String {
    let longest = (max_chars / SHARE).max(LEAST);
    let mut text = String::new();
    for line in transcript.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(call) => render_call(&call, longest, &mut text),
            Err(_not_json) => text.push_str("[unreadable line]\n"),
        }
    }
    clip(&text, max_chars).into_owned()
}

fn render_call(call: &Value, longest: usize, text: &mut String) {
    if let Some(cut) = call.get("cut") {
        let (calls, bytes) = (&cut["calls"], &cut["bytes"]);
        let _infallible = writeln!(text, "[… {calls} calls, {bytes} bytes cut …]");
        return;
    }
    if let Some(dropped) = call["dropped"].as_u64() {
        let kept = call["kept"].as_u64().unwrap_or(0);
        let _infallible = writeln!(text, "[history: {kept} kept, {dropped} dropped]");
    }
    for message in call["new_messages"].as_array().into_iter().flatten() {
        render_message(message, longest, text);
    }
    text.push_str(&header(call));
    if let Some(reply) = call.get("reply") {
        render_message(reply, longest, text);
    } else if let Some(said) = call["error"]["message"].as_str() {
        push("error", said, longest, text);
    }
}

fn header(call: &Value) -> String {
    let n = call["n"].as_u64().unwrap_or(0);
    let tries = match call["tries"].as_u64() {
        Some(tries) => format!(" tries={tries}"),
        None => String::new(),
    };
    if let Some(error) = call.get("error") {
        let kind = ["code", "type"]
            .iter()
            .find_map(|name| error[*name].as_str())
            .unwrap_or("unknown");
        return format!("[call {n}] error={}{tries}\n", word(kind));
    }
    let tokens = &call["tokens"];
    let count = |name: &str| tokens[name].as_u64().unwrap_or(0);
    format!(
        "[call {n}] finish={} tokens={}/{}{}{tries}\n",
        word(call["finish"].as_str().unwrap_or("unknown")),
        count("input"),
        count("output"),
        if tokens["estimated"] == true {
            " estimated"
        } else {
            ""
        },
    )
}

/// Returns a name that came from outside as one harmless word.
fn word(name: &str) -> String {
    name.chars()
        .take(60)
        .map(|c| if c.is_ascii_graphic() { c } else { '_' })
        .collect()
}

fn render_message(message: &Value, longest: usize, text: &mut String) {
    let content = content_text(message);
    let calls = message["tool_calls"].as_array();
    let label = match message["role"].as_str() {
        Some("tool" | "function") => "tool_result",
        Some("system" | "developer") => "system",
        Some("assistant") => "assistant",
        Some(_) | None => "user",
    };
    if !content.is_empty() || calls.is_none_or(Vec::is_empty) {
        push(label, &content, longest, text);
    }
    for call in calls.into_iter().flatten() {
        let function = &call["function"];
        let name = word(function["name"].as_str().unwrap_or("unnamed"));
        let arguments = function["arguments"].as_str().unwrap_or("");
        // Compact where it is JSON; a call that was cut off in the middle is not.
        let arguments = match serde_json::from_str::<Value>(arguments) {
            Ok(mut value) => {
                // The same call reads the same: what is rendered here is evidence, and requests
                // that hold it are found again by their content in a replay.
                value.sort_all_objects();
                value.to_string()
            }
            Err(_cut_off) => arguments.replace('\n', "\\n"),
        };
        let arguments = clip(&harmless(&arguments), longest).replace('\n', " ");
        let _infallible = writeln!(text, "tool_call {name} {arguments}");
    }
}

/// Returns the text without what would move a terminal's cursor or hide a line.
fn harmless(text: &str) -> String {
    let kept = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars()
        .map(|c| if kept(c) { c } else { '\u{fffd}' })
        .collect()
}

fn push(label: &str, content: &str, longest: usize, text: &mut String) {
    let content = harmless(content.trim_end());
    let clipped = clip(&content, longest);
    text.push_str(label);
    text.push_str(": ");
    let mut lines = clipped.lines();
    text.push_str(lines.next().unwrap_or(""));
    for line in lines {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text.push('\n');
}
