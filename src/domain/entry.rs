//! What an attempt learns from: a task the parent failed, or a pattern over its runs.

use super::TaskId;
use std::fmt;

/// Subject of one attempt at self-modification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// One task of the parent's evaluations.
    Task(TaskId),
    /// A pattern over the parent's evaluations.
    Pattern(Pattern),
}

/// Patterns that the Darwin Gödel Machine asks about (published code, entry selection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Many evaluations ended without any change.
    EmptyPatches,
    /// Results vary from run to run.
    Stochasticity,
    /// The agent ran out of the model's context and did not handle it.
    ContextLength,
}

impl Pattern {
    /// Returns the field's name of the pattern.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmptyPatches => "solve_empty_patches",
            Self::Stochasticity => "solve_stochasticity",
            Self::ContextLength => "solve_contextlength",
        }
    }
}

impl Entry {
    /// Returns `task:NAME` or `pattern:NAME`, the form used in database and JSON.
    pub fn encode(&self) -> String {
        match self {
            Self::Task(task) => format!("task:{task}"),
            Self::Pattern(pattern) => format!("pattern:{}", pattern.name()),
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        if let Some(task) = text.strip_prefix("task:") {
            return Some(Self::Task(TaskId::new(task)));
        }
        let name = text.strip_prefix("pattern:")?;
        [
            Pattern::EmptyPatches,
            Pattern::Stochasticity,
            Pattern::ContextLength,
        ]
        .into_iter()
        .find(|pattern| pattern.name() == name)
        .map(Self::Pattern)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "{task}"),
            Self::Pattern(pattern) => f.write_str(pattern.name()),
        }
    }
}
