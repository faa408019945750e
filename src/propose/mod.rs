//! From evidence of what an agent did to one proposal of how to make it better.
//!
//! Invariants: what the model is shown is bounded, section by section, and says where it was
//! cut; no hidden test and no reference solution is among it, unless the configuration asks
//! for it: [`HiddenFiles`] is the only place for them; an answer that is not exactly what was asked for is asked for again, a
//! bounded number of times, with what was wrong.

mod evidence;
mod parse;
mod prompt;

pub use evidence::{Evidence, HiddenFiles, Material, Run, TestResult};
pub use prompt::{CONVENTIONS, instruction};

use crate::domain::Proposal;
use crate::model::{CallError, Metered, clip};
use serde_json::{Value, json};

/// Most characters of an unusable answer that are shown to the model again.
const SHOWN_AGAIN: usize = 8000;

/// Why there is no proposal.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The model answered, but never with a proposal.
    #[error("the model gave no usable proposal in {tries} tries: {why}")]
    Unusable {
        /// How often it was asked.
        tries: u32,
        /// What was wrong with its last answer.
        why: String,
        /// What it was shown and what it said, as [`diagnose`] returns it.
        exchange: Vec<u8>,
    },
    /// A call gave no answer at all.
    #[error("{error}")]
    Call {
        /// Why.
        error: CallError,
        /// What the model was shown, and what it had said before.
        exchange: Vec<u8>,
    },
}

/// Asks a model for a proposal, with up to `further_tries` more tries where its answer cannot
/// be used. Returns the proposal, and what was said: the messages and answers, verbatim, one
/// JSON object per line.
pub async fn diagnose(
    model: &Metered,
    evidence: &Evidence,
    further_tries: u32,
) -> Result<(Proposal, Vec<u8>), ProposeError> {
    let mut exchange = DiagnosisExchange::default();
    let mut messages = vec![
        exchange.said("system", prompt::SYSTEM.to_owned()),
        exchange.said("user", prompt::evidence(evidence)),
    ];
    let mut tries = 0;
    loop {
        tries += 1;
        let reply = match model.complete(&json!({"messages": messages})).await {
            Ok(reply) => reply,
            Err(error) => {
                let exchange = exchange.bytes;
                return Err(ProposeError::Call { error, exchange });
            }
        };
        let text = reply.text();
        exchange.said("assistant", text.clone());
        let why = match parse::proposal(&text) {
            Ok(proposal) => return Ok((proposal, exchange.bytes)),
            Err(why) if reply.finish_reason() == "length" => {
                format!("{why}; the answer was cut off because it was too long")
            }
            Err(why) => why,
        };
        if tries > further_tries {
            return Err(ProposeError::Unusable {
                tries,
                why,
                exchange: exchange.bytes,
            });
        }
        // Only the last failure is kept in the conversation: it must not grow with each try.
        messages.truncate(2);
        let shown = clip(&text, SHOWN_AGAIN).into_owned();
        messages.push(json!({"role": "assistant", "content": shown}));
        messages.push(exchange.said("user", prompt::again(&why)));
    }
}

/// Returns an exchange, as [`diagnose`] writes it down, as text for a reader.
pub fn render_exchange(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let message: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        match (message["role"].as_str(), message["content"].as_str()) {
            (Some(role), Some(content)) => {
                text.extend(["[", role, "]\n", content.trim_end(), "\n\n"]);
            }
            // What is not an exchange is shown as it is.
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// What was said so far.
#[derive(Default)]
struct DiagnosisExchange {
    bytes: Vec<u8>,
}

impl DiagnosisExchange {
    /// Writes a message down and returns it.
    fn said(&mut self, role: &str, content: String) -> Value {
        let message = json!({"role": role, "content": content});
        self.bytes.extend_from_slice(message.to_string().as_bytes());
        self.bytes.push(b'\n');
        message
    }
}

#[cfg(test)]
mod tests;
