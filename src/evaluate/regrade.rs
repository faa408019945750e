//! A kept answer judged again, with the verifier as it is now. No agent runs.
//!
//! Invariant: only the reward is new. What the agent did stays as it was observed: one that
//! ran out of time did so whatever a verifier says.

use super::outcome::Verdict;
use super::{failed, judge_answer, millis};
use crate::benchmark::{Answer, Judgement, Task};
use crate::domain::{Evaluation, Outcome, Rewards};
use crate::sandbox::{Limits, Sandbox};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is to be judged again.
#[derive(Clone, Debug)]
pub struct RegradeJob {
    /// The task as it is now.
    pub task: Arc<Task>,
    /// The answer as it was kept; none: nothing was judged, whatever the verifier.
    pub answer: Option<Vec<u8>>,
    /// The evaluation as it ended.
    pub first: Evaluation,
    /// Limits where the task asks for nothing else.
    pub limits: Limits,
}

/// How it would have ended.
#[derive(Clone, Debug)]
pub struct RegradeEnd {
    /// How.
    pub outcome: Outcome,
    /// Whether it would count as 1.
    pub passed: bool,
    /// The verifier's reward.
    pub reward: Option<f64>,
    /// All that the verifier gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// One sentence for a reader.
    pub detail: String,
    /// What the verifier printed.
    pub verifier_log: Vec<u8>,
    /// Its sandbox, from creation to removal, in milliseconds.
    pub verifier_ms: u64,
    /// Digest of the task as it is now.
    pub task_digest: String,
}

impl RegradeEnd {
    /// Returns the end of one that gave no judgement.
    pub fn failed(outcome: Outcome, detail: String) -> Self {
        Self {
            outcome,
            passed: false,
            reward: None,
            rewards: Rewards::new(),
            detail,
            verifier_log: Vec::new(),
            verifier_ms: 0,
            task_digest: String::new(),
        }
    }
}

/// Judges a kept answer. Never fails: a failure is an outcome.
pub async fn regrade(
    sandbox: &dyn Sandbox,
    job: &RegradeJob,
    cancel: CancellationToken,
) -> RegradeEnd {
    let Some(answer) = &job.answer else {
        return RegradeEnd {
            task_digest: job.task.digest.clone(),
            ..RegradeEnd::failed(job.first.outcome, job.first.detail.clone())
        };
    };
    let answer = match Answer::from_bytes(&job.task, answer) {
        Ok(answer) => answer,
        Err(error) => {
            let detail = format!("the kept answer cannot be read: {error}");
            return RegradeEnd::failed(Outcome::VerifierError, detail);
        }
    };
    let name = format!("r{}", super::job_name(&job.first.key));
    let limits = job.task.limits(job.limits);
    match judge_answer(sandbox, &job.task, &answer, &name, limits, &cancel).await {
        Ok((judgement, broken)) => {
            let Judgement {
                reward,
                rewards,
                log,
                took,
            } = judgement;
            let verdict = decide(job, reward, broken);
            RegradeEnd {
                outcome: verdict.outcome,
                passed: verdict.passed,
                rewards: verdict.reward.map(|_| rewards).unwrap_or_default(),
                reward: verdict.reward,
                detail: verdict.detail,
                verifier_log: log,
                verifier_ms: millis(took),
                task_digest: job.task.digest.clone(),
            }
        }
        Err(error) => {
            let end = failed(&error);
            RegradeEnd::failed(end.outcome, end.detail)
        }
    }
}

/// Decides from what was observed of the agent then and what its verifier says now. Where the
/// verifier had given no reward, the reward alone decides.
fn decide(job: &RegradeJob, reward: Result<f64, String>, broken: Option<String>) -> Verdict {
    let verdict = |outcome, passed, reward, detail| Verdict {
        outcome,
        passed,
        reward,
        detail,
    };
    if let Some(detail) = broken {
        return verdict(Outcome::AgentError, false, None, detail);
    }
    let value = match reward {
        Ok(value) => value,
        Err(detail) => return verdict(Outcome::VerifierError, false, None, detail),
    };
    let passed = value >= job.task.pass_mark;
    let by_reward = if passed {
        Outcome::Resolved
    } else {
        Outcome::Unresolved
    };
    let first = job.first.outcome;
    let (outcome, passed) = match first {
        Outcome::Timeout | Outcome::Budget => (first, passed),
        Outcome::AgentError if job.first.reward.is_some() => (first, false),
        Outcome::Resolved
        | Outcome::Unresolved
        | Outcome::Empty
        | Outcome::AgentError
        | Outcome::VerifierError
        | Outcome::InfraError
        | Outcome::Cancelled => (by_reward, passed),
    };
    verdict(outcome, passed, Some(value), String::new())
}
