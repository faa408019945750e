//! Writing a transcript, call by call.

use super::message;
use crate::model::reply::content_text;
use crate::model::{CallError, Reply, clip};
use crate::sys::clock::now_ms;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::time::Duration;

/// Bytes for the oldest lines, and again for the newest.
const HALF: usize = 4 << 20;
/// Bytes of one line.
const LINE: usize = 512 << 10;

/// A transcript as it grows.
pub(in crate::model) struct TranscriptRecorder {
    known: Vec<Known>,
    // Keyed by chance, so that no agent can make two messages that look like one.
    hashes: RandomState,
    tools: Vec<String>,
    /// Hash of the definitions last written.
    definitions: Option<u64>,
    calls: u64,
    half: usize,
    head: Vec<u8>,
    is_head_full: bool,
    tail: VecDeque<Vec<u8>>,
    tail_bytes: usize,
    cut_calls: u64,
    cut_bytes: u64,
}

/// A message of the conversation so far.
struct Known {
    /// Hash of the message as sent; none for a reply, which clients repeat in their own words.
    whole: Option<u64>,
    /// Hash of what every client repeats.
    essence: u64,
}

impl Default for TranscriptRecorder {
    fn default() -> Self {
        Self::with_half(HALF)
    }
}

impl TranscriptRecorder {
    /// Returns one with this many bytes for the oldest lines, and again for the newest.
    pub(super) fn with_half(half: usize) -> Self {
        Self {
            known: Vec::new(),
            hashes: RandomState::new(),
            tools: Vec::new(),
            definitions: None,
            calls: 0,
            half,
            head: Vec::new(),
            is_head_full: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            cut_calls: 0,
            cut_bytes: 0,
        }
    }

    /// Adds a call; no result means that the caller went away.
    pub(in crate::model) fn record(
        &mut self,
        request: &Value,
        result: Option<&Result<Reply, CallError>>,
        latency: Duration,
        tries: u32,
    ) {
        self.calls += 1;
        let mut line = Map::new();
        line.insert("n".to_owned(), json!(self.calls));
        self.add_messages(&mut line, request);
        self.add_tools(&mut line, request);
        match result {
            Some(Ok(reply)) => {
                let message = reply.message().cloned().unwrap_or_default();
                self.known.push(Known {
                    whole: None,
                    essence: self.essence(&message),
                });
                line.insert("reply".to_owned(), message);
                line.insert("finish".to_owned(), json!(reply.finish_reason()));
                line.insert("tokens".to_owned(), tokens(reply));
                line.insert("cost_usd_micros".to_owned(), json!(reply.cost.0));
                if let Some(model) = reply.body["model"].as_str() {
                    line.insert("model".to_owned(), json!(model));
                }
            }
            Some(Err(error)) => {
                line.insert("error".to_owned(), error.to_object());
            }
            None => {
                let error = json!({"type": "abandoned", "message": "the caller went away"});
                line.insert("error".to_owned(), error);
            }
        }
        line.insert("ended_ms".to_owned(), json!(now_ms()));
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        line.insert("latency_ms".to_owned(), json!(millis));
        if tries > 1 {
            line.insert("tries".to_owned(), json!(tries));
        }
        self.push(fit(Value::Object(line), LINE.min(self.half)));
    }

    /// Returns the transcript so far.
    pub(in crate::model) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if self.cut_calls > 0 {
            let cut = json!({"cut": {"calls": self.cut_calls, "bytes": self.cut_bytes}});
            bytes.extend_from_slice(cut.to_string().as_bytes());
            bytes.push(b'\n');
        }
        for line in &self.tail {
            bytes.extend_from_slice(line);
        }
        bytes
    }

    fn add_messages(&mut self, line: &mut Map<String, Value>, request: &Value) {
        let messages = request["messages"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let sent: Vec<Known> = messages
            .iter()
            .map(|message| Known {
                whole: Some(self.hash(message)),
                essence: self.essence(message),
            })
            .collect();
        let kept = self
            .known
            .iter()
            .zip(&sent)
            .take_while(|(known, sent)| match known.whole {
                Some(whole) => sent.whole == Some(whole),
                None => sent.essence == known.essence,
            })
            .count();
        if kept < self.known.len() {
            line.insert("kept".to_owned(), json!(kept));
            line.insert("dropped".to_owned(), json!(self.known.len() - kept));
        }
        line.insert("new_messages".to_owned(), json!(messages[kept..]));
        self.known = sent;
    }

    fn add_tools(&mut self, line: &mut Map<String, Value>, request: &Value) {
        let tools: Vec<String> = request["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|tool| message::tool_name(tool).to_owned())
            .collect();
        if tools != self.tools {
            line.insert("tools".to_owned(), json!(tools));
            self.tools = tools;
        }
        if let Some(definitions) = request.get("tools").filter(|tools| tools.is_array()) {
            let hash = Some(self.hash(definitions));
            if hash != self.definitions {
                line.insert("tool_definitions".to_owned(), definitions.clone());
                self.definitions = hash;
            }
        }
    }

    fn push(&mut self, mut line: Vec<u8>) {
        line.push(b'\n');
        if !self.is_head_full && self.head.len() + line.len() <= self.half {
            self.head.extend_from_slice(&line);
            return;
        }
        self.is_head_full = true;
        self.tail_bytes += line.len();
        self.tail.push_back(line);
        while self.tail_bytes > self.half {
            let Some(oldest) = self.tail.pop_front() else {
                return;
            };
            self.tail_bytes -= oldest.len();
            self.cut_bytes += oldest.len() as u64;
            self.cut_calls += 1;
        }
    }

    fn hash(&self, message: &Value) -> u64 {
        self.hashes.hash_one(message)
    }

    fn essence(&self, message: &Value) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        message["role"].hash(&mut hasher);
        content_text(message).hash(&mut hasher);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            call["id"].hash(&mut hasher);
            call["function"]["name"].hash(&mut hasher);
            call["function"]["arguments"].hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn tokens(reply: &Reply) -> Value {
    let tokens = reply.tokens;
    let mut fields = json!({
        "input": tokens.input,
        "output": tokens.output,
        "cached": tokens.cached,
        "cache_written": tokens.cache_written,
        "cache_written_long": tokens.cache_written_long,
        "reasoning": tokens.reasoning,
    });
    if reply.estimated {
        fields["estimated"] = json!(true);
    }
    fields
}

/// Returns the line with its long texts cut as far as its size asks for.
fn fit(line: Value, max: usize) -> Vec<u8> {
    let whole = line.to_string();
    if whole.len() <= max {
        return whole.into_bytes();
    }
    for longest in [65_536, 16_384, 4096, 1024, 256] {
        let text = shortened(&line, longest).to_string();
        if text.len() <= max {
            return text.into_bytes();
        }
    }
    // Very many short texts: what was said is given up, what happened stays.
    let mut bare = line;
    let cut = json!([{"role": "user", "content": format!("[… {} bytes cut …]", whole.len())}]);
    bare["new_messages"] = cut;
    for name in ["tools", "tool_definitions", "reply"] {
        if let Some(fields) = bare.as_object_mut() {
            fields.shift_remove(name);
        }
    }
    shortened(&bare, 256).to_string().into_bytes()
}

fn shortened(value: &Value, longest: usize) -> Value {
    match value {
        Value::String(text) => Value::String(clip(text, longest).into_owned()),
        Value::Array(items) => items.iter().map(|item| shortened(item, longest)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, item)| (name.clone(), shortened(item, longest)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
