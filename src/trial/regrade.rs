//! A kept answer judged again, with the verifier as it is now. No agent runs.
//!
//! Invariant: only the reward is new. What the agent did stays as it was observed: one that
//! ran out of time did so whatever a verifier says.

use super::answer::KeptAnswer;
use super::evaluate::{failed, job_name, millis};
use super::road::{Trial, TrialEnd};
use crate::benchmark::Task;
use crate::domain::{Evaluation, Judgement, NoReward, Outcome, Rewards};
use crate::sandbox::{Limits, Sandbox};
use std::sync::Arc;
use std::time::Duration;
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
    /// How, and why.
    pub judgement: Judgement,
    /// What the verifier printed.
    pub verifier_log: Vec<u8>,
    /// Its sandbox, from creation to removal, in milliseconds.
    pub verifier_ms: u64,
}

impl RegradeEnd {
    /// Returns the end of one that gave no judgement of its own.
    pub fn without_verifier(judgement: Judgement) -> Self {
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
    let mut end = match &job.answer {
        None => RegradeEnd::without_verifier(Judgement {
            rewards: Rewards::new(),
            reward: None,
            passed: false,
            ..job.first.judgement.clone()
        }),
        Some(answer) => match KeptAnswer::from_bytes(&job.task, answer) {
            Ok(answer) => judged(sandbox, job, answer, &cancel).await,
            Err(error) => {
                let why = format!("the kept answer cannot be read: {error}");
                RegradeEnd::without_verifier(Judgement::verifier_error(NoReward::NoAnswer, why))
            }
        },
    };
    end.judgement.task_digest.clone_from(&job.task.digest);
    end
}

async fn judged(
    sandbox: &dyn Sandbox,
    job: &RegradeJob,
    answer: KeptAnswer,
    cancel: &CancellationToken,
) -> RegradeEnd {
    let trial = Trial {
        sandbox,
        task: &job.task,
        job: &format!("r{}", job_name(&job.first.key)),
        limits: job.task.limits(job.limits),
        default_timeout: Duration::ZERO,
        cancel,
        judge_nothing: false,
    };
    let end = trial.judge_again(answer).await;
    RegradeEnd {
        verifier_ms: millis(end.verifier_took),
        judgement: decide(job, &end),
        verifier_log: end.verifier_log,
    }
}

/// Decides from what was observed of the agent then and what its verifier says now. Where the
/// verifier had given no reward, the reward alone decides.
fn decide(job: &RegradeJob, end: &TrialEnd) -> Judgement {
    if let Some(error) = &end.failure {
        return failed(error);
    }
    if let Some(fault) = &end.fault {
        return Judgement::agent_error(fault.clone());
    }
    let reward = match &end.reward {
        Some(Ok(reward)) => *reward,
        Some(Err(error)) => return Judgement::verifier_error(error.kind, error.why.clone()),
        None => {
            let why = "the kept answer holds nothing to judge";
            return Judgement::verifier_error(NoReward::NoAnswer, why);
        }
    };
    let passed = reward >= job.task.pass_mark;
    let first = &job.first.judgement;
    let (outcome, passed, cause) = match first.outcome {
        Outcome::Timeout | Outcome::Budget => (first.outcome, passed, first.cause),
        Outcome::AgentError if first.reward.is_some() => (first.outcome, false, first.cause),
        Outcome::Resolved
        | Outcome::Unresolved
        | Outcome::Empty
        | Outcome::AgentError
        | Outcome::VerifierError
        | Outcome::InfraError
        | Outcome::Cancelled => match passed {
            true => (Outcome::Resolved, true, None),
            false => (Outcome::Unresolved, false, None),
        },
    };
    Judgement {
        outcome,
        passed,
        reward: Some(reward),
        rewards: end.rewards.clone(),
        cause,
        detail: String::new(),
        task_digest: String::new(),
    }
}
