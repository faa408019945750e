//! The one identity of a unit of work: facts, budgets, books and the engine name it alike.

use super::{EvaluationKey, VariantId};
use std::fmt;

/// A job, or what stands for one where a person asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobId {
    /// An attempt at self-modification (roles diagnose, modify and solve).
    Attempt(VariantId),
    /// An evaluation of a variant on a task (role solve).
    Evaluation(EvaluationKey),
    /// Another judgement of the kept answer of an evaluation; no role.
    Regrade(EvaluationKey),
    /// Something that a person asked for by hand: it belongs to no attempt and no evaluation.
    Manual,
}

impl JobId {
    /// Returns the evaluation that it runs, where it runs one.
    pub fn evaluation(&self) -> Option<&EvaluationKey> {
        match self {
            Self::Evaluation(key) => Some(key),
            Self::Attempt(_) | Self::Regrade(_) | Self::Manual => None,
        }
    }

    /// Returns the attempt or the variant that it belongs to.
    pub fn variant(&self) -> Option<VariantId> {
        match self {
            Self::Attempt(id) => Some(*id),
            Self::Evaluation(key) | Self::Regrade(key) => Some(key.variant),
            Self::Manual => None,
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(id) => write!(f, "attempt {id}"),
            Self::Evaluation(key) => write!(f, "{} on {}", key.variant, key.task),
            Self::Regrade(key) => write!(f, "answer of {} to {}", key.variant, key.task),
            Self::Manual => f.write_str("a call by hand"),
        }
    }
}
