//! What was decided about an answer: the same for an evaluation and for an answer that is
//! judged again.

use super::{Cause, NoReward, Outcome, Tally};
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
    /// Returns a judgement that says nothing but its outcome, with its [usual](Cause::usual)
    /// cause.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            passed: outcome == Outcome::Resolved,
            reward: None,
            rewards: Rewards::new(),
            cause: Cause::usual(outcome),
            detail: String::new(),
            task_digest: String::new(),
        }
    }

    /// Returns a judgement without a reward.
    pub fn without_reward(outcome: Outcome, cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause: Some(cause),
            detail: detail.into(),
            ..Self::of(outcome)
        }
    }

    /// Returns the judgement of an evaluation whose agent failed, or left what cannot be used.
    pub fn agent_error(detail: impl Into<String>) -> Self {
        Self::without_reward(Outcome::AgentError, Cause::AgentFailed, detail)
    }

    /// Returns the judgement of an evaluation whose verifier gave no reward.
    pub fn verifier_error(why: NoReward, detail: impl Into<String>) -> Self {
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
