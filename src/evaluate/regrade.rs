//! A kept answer judged again, with the verifier as it is now. No agent runs.
//!
//! Invariant: only the reward is new. What the agent did stays as it was observed: one that
//! ran out of time did so whatever a verifier says.

use super::{failed, judge_answer, millis};
use crate::benchmark::{Answer, RewardFault, Task, VerifierEnd};
use crate::domain::{Evaluation, Judgement, NoReward, Outcome};
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
    pub judgement: Judgement,
    /// What the verifier printed.
    pub verifier_log: Vec<u8>,
    /// Its sandbox, from creation to removal, in milliseconds.
    pub verifier_ms: u64,
}

impl RegradeEnd {
    /// Returns the end of one for which no verifier ran.
    pub fn unverified(judgement: Judgement) -> Self {
        Self {
            judgement,
            verifier_log: Vec::new(),
            verifier_ms: 0,
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
        let first = &job.first.judgement;
        return RegradeEnd::unverified(Judgement {
            cause: first.cause,
            detail: first.detail.clone(),
            task_digest: job.task.digest.clone(),
            passed: false,
            ..Judgement::of(first.outcome)
        });
    };
    let answer = match Answer::from_bytes(&job.task, answer) {
        Ok(answer) => answer,
        Err(error) => {
            let detail = format!("the kept answer cannot be read: {error}");
            let judgement = Judgement::verifier_error(NoReward::NoAnswer, detail);
            return RegradeEnd::unverified(judgement);
        }
    };
    let name = format!("r{}", super::job_name(&job.first.key));
    let limits = job.task.limits(job.limits);
    match judge_answer(sandbox, &job.task, &answer, &name, limits, &cancel).await {
        Ok((verified, broken)) => {
            let VerifierEnd {
                reward,
                rewards,
                log,
                took,
            } = verified;
            let judgement = decide(job, reward, broken);
            RegradeEnd {
                judgement: Judgement {
                    rewards: judgement.reward.map(|_| rewards).unwrap_or_default(),
                    task_digest: job.task.digest.clone(),
                    ..judgement
                },
                verifier_log: log,
                verifier_ms: millis(took),
            }
        }
        Err(error) => RegradeEnd::unverified(failed(&error).judgement),
    }
}

/// Decides from what was observed of the agent then and what its verifier says now. Where the
/// verifier had given no reward, the reward alone decides.
fn decide(job: &RegradeJob, reward: Result<f64, RewardFault>, broken: Option<String>) -> Judgement {
    if let Some(detail) = broken {
        return Judgement::agent_error(detail);
    }
    let value = match reward {
        Ok(value) => value,
        Err(fault) => return Judgement::verifier_error(fault.kind, fault.why),
    };
    let passed = value >= job.task.pass_mark;
    let by_reward = if passed {
        Outcome::Resolved
    } else {
        Outcome::Unresolved
    };
    let first = &job.first.judgement;
    let (outcome, passed) = match first.outcome {
        Outcome::Timeout | Outcome::Budget => (first.outcome, passed),
        Outcome::AgentError if first.reward.is_some() => (first.outcome, false),
        Outcome::Resolved
        | Outcome::Unresolved
        | Outcome::Empty
        | Outcome::AgentError
        | Outcome::VerifierError
        | Outcome::InfraError
        | Outcome::Cancelled => (by_reward, passed),
    };
    Judgement {
        passed,
        reward: Some(value),
        ..Judgement::of(outcome)
    }
}
