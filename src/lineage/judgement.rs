//! Which judgement of an evaluation counts.
//!
//! Invariant: a score that guides an evolution never changes: there the first judgement
//! counts, whatever is judged again. Everywhere else the newest one does.

use crate::domain::{Evaluation, Outcome, Purpose, Regrade, Tally};

/// The judgement of an evaluation that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement<'a> {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it counts as 1.
    pub passed: bool,
    /// The verifier's reward.
    pub reward: Option<f64>,
    /// One sentence for a reader.
    pub detail: &'a str,
    /// Digest of the task as it was judged.
    pub task_digest: &'a str,
}

impl<'a> Judgement<'a> {
    /// Returns the judgement that counts.
    pub fn of(evaluation: &'a Evaluation, regrade: Option<&'a Regrade>) -> Self {
        match evaluation.purpose {
            Purpose::Extra | Purpose::Holdout => Self::newest(evaluation, regrade),
            Purpose::Stage(_) => Self::first(evaluation),
        }
    }

    /// Returns the newest judgement, whether or not it counts.
    pub fn newest(evaluation: &'a Evaluation, regrade: Option<&'a Regrade>) -> Self {
        regrade.map_or_else(|| Self::first(evaluation), Self::again)
    }

    /// Returns the first judgement.
    pub fn first(evaluation: &'a Evaluation) -> Self {
        Self {
            outcome: evaluation.outcome,
            passed: evaluation.passed,
            reward: evaluation.reward,
            detail: &evaluation.detail,
            task_digest: &evaluation.task_digest,
        }
    }

    fn again(regrade: &'a Regrade) -> Self {
        Self {
            outcome: regrade.outcome,
            passed: regrade.passed,
            reward: regrade.reward,
            detail: &regrade.detail,
            task_digest: &regrade.task_digest,
        }
    }

    /// Returns what it adds to a score.
    pub fn tally(self) -> Tally {
        Tally {
            resolved: u32::from(self.outcome.counts() && self.passed),
            counted: u32::from(self.outcome.counts()),
        }
    }
}
