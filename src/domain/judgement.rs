//! What was decided about an answer: the same for an evaluation and for an answer that is
//! judged again.

use super::{Cause, Outcome, Tally};
use std::collections::BTreeMap;

/// Numbers by name, as a verifier gives them.
pub type Rewards = BTreeMap<String, f64>;

/// How an evaluation ended, what that counts, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it counts as 1 in a score (a time-out or budget outcome can).
    pub passed: bool,
    /// The verifier's reward.
    pub reward: Option<f64>,
    /// All that the verifier gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// Why it is no plain measurement; none: it is one. It [fits](Cause::fits) the outcome.
    pub cause: Option<Cause>,
    /// One sentence for a reader, such as the verifier's error.
    pub detail: String,
    /// Digest of the task as it was judged.
    pub task_digest: String,
}

impl Judgement {
    /// Returns a judgement without a reward.
    pub fn without_reward(outcome: Outcome, cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            passed: false,
            reward: None,
            rewards: Rewards::new(),
            cause: Some(cause),
            detail: detail.into(),
            task_digest: String::new(),
        }
    }

    /// Returns the judgement of an agent that failed.
    pub fn agent_error(detail: impl Into<String>) -> Self {
        Self::without_reward(Outcome::AgentError, Cause::AgentFailed, detail)
    }

    /// Returns the judgement of an evaluation whose verifier gave no reward.
    pub fn verifier_error(why: super::NoReward, detail: impl Into<String>) -> Self {
        Self::without_reward(Outcome::VerifierError, Cause::VerifierFailed(why), detail)
    }

    /// Returns the judgement of an evaluation that failed with its sandbox.
    pub fn sandbox_error(detail: impl Into<String>) -> Self {
        Self::without_reward(Outcome::InfraError, Cause::SandboxFailed, detail)
    }

    /// Returns what it adds to a score.
    pub fn tally(&self) -> Tally {
        Tally {
            resolved: u32::from(self.outcome.counts() && self.passed),
            counted: u32::from(self.outcome.counts()),
        }
    }
}
