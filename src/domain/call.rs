//! A model call on the books: its intent before the request leaves, its settlement after.

use super::{Amount, JobId, Role, RunId, Tokens, Usd};

/// Ordinal of a model call in the archive, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A call that may leave: durable before the request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallIntent {
    /// Ordinal of the call.
    pub id: CallId,
    /// The process that makes it.
    pub run: RunId,
    /// Which execution of the job within that process, from 1; a redone job has a new one.
    pub execution: u32,
    /// What it is for.
    pub subject: JobId,
    /// Role of the model.
    pub role: Role,
    /// Name of the model as configured.
    pub model: String,
    /// What the call can cost at most.
    pub at_most: Usd,
    /// Tokens the call can use at most.
    pub at_most_tokens: u64,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

impl CallIntent {
    /// Returns what is reserved for it.
    pub fn reserved(&self) -> Amount {
        Amount {
            calls: 1,
            tokens: self.at_most_tokens,
            cost: self.at_most,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// The provider answered.
    Answered,
    /// The provider refused the request (an error of the request, such as context length).
    Refused,
    /// The provider failed.
    Failed,
    /// The caller went away before the answer came.
    Abandoned,
}

impl CallStatus {
    /// Returns the name used in database and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }

    /// Returns the status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Answered, Self::Refused, Self::Failed, Self::Abandoned]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// What a call used in the end. At most one per intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSettlement {
    /// The call.
    pub id: CallId,
    /// How it ended.
    pub status: CallStatus,
    /// Tokens used.
    pub tokens: Tokens,
    /// Whether the provider said nothing, or nothing complete, about tokens, so that tokens
    /// and cost are a guess on the high side.
    pub estimated: bool,
    /// Money spent.
    pub cost: Usd,
    /// From request to the end of the answer.
    pub latency_ms: u64,
}

impl CallSettlement {
    /// Returns what budgets count of it. A call that never reached a model, or that failed
    /// without using anything, is nobody's call; it stays on the books all the same.
    pub fn used(&self) -> Amount {
        let is_nothing = match self.status {
            CallStatus::Failed | CallStatus::Abandoned => self.tokens == Tokens::default(),
            CallStatus::Answered | CallStatus::Refused => false,
        };
        Amount {
            calls: u64::from(!is_nothing),
            tokens: self.tokens.total(),
            cost: self.cost,
        }
    }
}
