//! What an agent did, rebuilt on the host from its model calls: what it was told, what it said,
//! which tools it called and what they gave.

use super::{Tokens, Usd};

/// What one agent did in one execution, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trajectory {
    /// What happened.
    pub steps: Vec<Step>,
    /// Definitions of the tools that were offered, as JSON text, each name once, in its last
    /// form.
    pub tools: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was said to the model beside the results of its tool calls.
    Said(Said),
    /// The model was asked, and answered or did not.
    Turn(Box<Turn>),
    /// What stood here is not kept: it was too much.
    Cut {
        /// Model calls that are missing.
        calls: u64,
        /// Bytes that are missing.
        bytes: u64,
    },
}

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The agent's own instructions to its model.
    System,
    /// The agent in the name of its user.
    User,
    /// The agent in the name of the model: not an answer that was given here.
    Model,
    /// A tool, as the result of a call that is not known here.
    Tool {
        /// What the agent says the call was.
        call: String,
    },
}

/// A message to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
    /// Tool calls that the agent says the model made.
    pub calls: Vec<ToolCall>,
    /// Whether it repeats what was said before, because the agent has rewritten its history.
    pub is_copy: bool,
    /// Unix time in milliseconds at which the model heard it, if that was recorded.
    pub at_ms: Option<i64>,
}

/// One request to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Ordinal of the call in the execution, from 1.
    pub number: u64,
    /// Messages that the agent had dropped from its history before it asked.
    pub dropped: u64,
    /// Unix time in milliseconds at which it ended, if that was recorded.
    pub ended_ms: Option<i64>,
    /// From the request to the end of the answer, with all tries.
    pub latency_ms: u64,
    /// How often it was sent.
    pub tries: u64,
    /// How it ended.
    pub end: TurnEnd,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// With an answer.
    Answered(Answer),
    /// Without one.
    Failed {
        /// What kind of error it was, such as `context_length_exceeded`.
        kind: String,
        /// What it said.
        message: String,
    },
}

/// A model's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub text: String,
    /// What it thought, as far as the provider tells.
    pub reasoning: String,
    /// The tools it called.
    pub calls: Vec<ToolCall>,
    /// Why it ended, such as `stop` or `tool_calls`.
    pub finish: String,
    /// What the provider calls the model that answered, if that was recorded.
    pub model: Option<String>,
    /// Tokens used.
    pub tokens: Tokens,
    /// Whether the tokens are a guess.
    pub is_estimated: bool,
    /// What it cost, if that was recorded.
    pub cost: Option<Usd>,
}

/// A tool call with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// What the model calls it.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments as the model wrote them: JSON text, if it kept to its format.
    pub arguments: String,
    /// What the agent says it gave; none: it never told the model.
    pub result: Option<String>,
}

impl Trajectory {
    /// Returns the requests to the model, in order.
    pub fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.steps.iter().filter_map(|step| match step {
            Step::Turn(turn) => Some(&**turn),
            Step::Said(_) | Step::Cut { .. } => None,
        })
    }

    /// Returns the number of model calls of which nothing is kept.
    pub fn calls_cut(&self) -> u64 {
        let cut = self.steps.iter().map(|step| match step {
            Step::Cut { calls, .. } => *calls,
            Step::Said(_) | Step::Turn(_) => 0,
        });
        cut.sum()
    }
}

impl Turn {
    /// Returns the answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.end {
            TurnEnd::Answered(answer) => Some(answer),
            TurnEnd::Failed { .. } => None,
        }
    }
}
