//! Reading a transcript as what the agent did.
//!
//! Invariant: whatever the bytes are, reading gives something. A line that is damaged, or that
//! an older or newer program wrote, loses what is not understood and nothing else.

use super::message::{self, Message, Result};
use crate::domain::{
    Answer, Said, Speaker, Step, Tokens, ToolCall, Trajectory, Turn, TurnEnd, Usd,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Returns what the agent did, as far as the transcript tells.
pub fn read(transcript: &[u8]) -> Trajectory {
    let mut reading = TranscriptReading::default();
    for line in transcript.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(line) => reading.line(&line),
            Err(_damaged) => reading.steps.push(Step::Cut {
                calls: 1,
                bytes: line.len() as u64,
            }),
        }
    }
    Trajectory {
        steps: reading.steps,
        tools: reading.tools.into_values().collect(),
    }
}

/// A transcript on its way to being a trajectory.
#[derive(Default)]
struct TranscriptReading {
    steps: Vec<Step>,
    tools: BTreeMap<String, String>,
    /// Calls that wait for their results: the step, and the place in its list.
    open: HashMap<String, Vec<(usize, usize)>>,
    /// Everything that was said, to know it when it is said again.
    heard: HashSet<(String, String)>,
}

impl TranscriptReading {
    fn line(&mut self, line: &Value) {
        if let Some(cut) = line.get("cut") {
            self.steps.push(Step::Cut {
                calls: cut["calls"].as_u64().unwrap_or(0),
                bytes: cut["bytes"].as_u64().unwrap_or(0),
            });
            return;
        }
        let ended_ms = line["ended_ms"].as_i64();
        let latency_ms = line["latency_ms"].as_u64().unwrap_or(0);
        let began_ms =
            ended_ms.map(|ended| ended.saturating_sub_unsigned(latency_ms.min(i64::MAX as u64)));
        let dropped = line["dropped"].as_u64().unwrap_or(0);
        for message in line["new_messages"].as_array().into_iter().flatten() {
            self.hear(message, dropped > 0, began_ms);
        }
        for tool in line["tool_definitions"].as_array().into_iter().flatten() {
            let name = message::tool_name(tool);
            self.tools.insert(name.to_owned(), tool.to_string());
        }
        let turn = Turn {
            number: line["n"].as_u64().unwrap_or(0),
            dropped,
            ended_ms,
            latency_ms,
            tries: line["tries"].as_u64().unwrap_or(1),
            end: self.end(line),
        };
        let calls = turn.answer().map(|answer| answer.calls.clone());
        self.await_results(&calls.unwrap_or_default());
        self.steps.push(Step::Turn(Box::new(turn)));
    }

    /// Takes in a message of a request.
    fn hear(&mut self, message: &Value, is_rewritten: bool, at_ms: Option<i64>) {
        let Message {
            role,
            text,
            calls,
            results,
            ..
        } = message::read(message);
        let mut is_known = |role: &str, text: &str| {
            let is_new = self.heard.insert((role.to_owned(), text.to_owned()));
            is_rewritten && !is_new
        };
        let copies: Vec<bool> = results
            .iter()
            .map(|result| is_known(&format!("tool {}", result.call), &result.text))
            .collect();
        for (result, is_copy) in results.into_iter().zip(copies) {
            if let Some(result) = self.resolve(result) {
                self.say(Said {
                    speaker: Speaker::Tool { call: result.call },
                    text: result.text,
                    calls: Vec::new(),
                    is_copy,
                    at_ms,
                });
            }
        }
        let speaker = match role {
            "system" | "developer" => Speaker::System,
            "assistant" => Speaker::Model,
            "tool" | "function" => return,
            _ => Speaker::User,
        };
        if text.is_empty() && calls.is_empty() {
            return;
        }
        let is_copy = !self.heard.insert((role.to_owned(), text.clone())) && is_rewritten;
        self.await_results(&calls);
        self.say(Said {
            speaker,
            text,
            calls,
            is_copy,
            at_ms,
        });
    }

    fn say(&mut self, said: Said) {
        self.steps.push(Step::Said(said));
    }

    /// Notes calls whose results may come: those of the step that is added next.
    fn await_results(&mut self, calls: &[ToolCall]) {
        let step = self.steps.len();
        for (place, call) in calls.iter().enumerate() {
            let open = self.open.entry(call.id.clone()).or_default();
            open.push((step, place));
        }
    }

    /// Gives a result to the latest call that waits for it; returns it where none does.
    fn resolve(&mut self, result: Result) -> Option<Result> {
        let Some((step, place)) = self.open.get_mut(&result.call).and_then(Vec::pop) else {
            return Some(result);
        };
        let calls = match self.steps.get_mut(step) {
            Some(Step::Said(said)) => &mut said.calls,
            Some(Step::Turn(turn)) => match &mut turn.end {
                TurnEnd::Answered(answer) => &mut answer.calls,
                TurnEnd::Failed { .. } => return Some(result),
            },
            Some(Step::Cut { .. }) | None => return Some(result),
        };
        match calls.get_mut(place) {
            Some(call) => {
                call.result = Some(result.text);
                None
            }
            None => Some(result),
        }
    }

    fn end(&mut self, line: &Value) -> TurnEnd {
        if let Some(error) = line.get("error") {
            let kind = ["code", "type"]
                .iter()
                .find_map(|name| error[*name].as_str());
            return TurnEnd::Failed {
                kind: kind.unwrap_or("unknown").to_owned(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            };
        }
        let message = message::read(&line["reply"]);
        self.heard
            .insert((message.role.to_owned(), message.text.clone()));
        let count = |name: &str| line["tokens"][name].as_u64().unwrap_or(0);
        TurnEnd::Answered(Answer {
            text: message.text,
            reasoning: message.reasoning,
            calls: message.calls,
            finish: line["finish"].as_str().unwrap_or("unknown").to_owned(),
            model: line["model"].as_str().map(str::to_owned),
            tokens: Tokens {
                input: count("input"),
                cached: count("cached"),
                cache_written: count("cache_written"),
                cache_written_long: count("cache_written_long"),
                output: count("output"),
                reasoning: count("reasoning"),
            },
            is_estimated: line["tokens"]["estimated"] == true,
            cost: line["cost_usd_micros"].as_i64().map(Usd),
        })
    }
}
