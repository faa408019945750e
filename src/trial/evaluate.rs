//! One evaluation: an agent takes its turns on a task, and what it left is judged.
//!
//! Invariant: it never fails; every way it can end is an [`Outcome`](crate::domain::Outcome).

use super::agent::{AgentJob, SandboxHost, run_agent};
use super::answer::KeptAnswer;
use super::interruption::Interruption;
use super::outcome::{Observed, decide};
use super::road::{Trial, TrialEnd};
use super::turn::{AgentTurn, Player, TurnEnd};
use crate::agent::Manifest;
use crate::benchmark::Task;
use crate::domain::{Cause, EvaluationKey, FileTree, Judgement, Outcome, Role, Timing};
use crate::model::Metered;
use crate::sandbox::{AgentSource, Limits, SandboxError};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is to be evaluated.
#[derive(Clone, Debug)]
pub struct EvaluateJob {
    /// Which evaluation.
    pub key: EvaluationKey,
    /// The task.
    pub task: Arc<Task>,
    /// The variant's source.
    pub agent: AgentSource,
    /// Time for an agent where the task names none.
    pub default_timeout: Duration,
    /// Limits where the task asks for nothing else.
    pub limits: Limits,
}

/// How it ended, with everything a reader may want to see.
#[derive(Clone, Debug)]
pub struct EvaluateEnd {
    /// How it ended, and why.
    pub judgement: Judgement,
    /// What the agent printed.
    pub agent_log: Vec<u8>,
    /// What the verifier printed.
    pub verifier_log: Vec<u8>,
    /// Id of the image that it ran in.
    pub image: Option<String>,
    /// The files before and after, if the agent changed any.
    pub change: Option<(Arc<FileTree>, FileTree)>,
    /// The change as its judge applied it, where that is a patch; it is written down for
    /// people elsewhere.
    pub patch: Option<Vec<u8>>,
    /// What was judged, as it is kept; none: nothing, or what cannot be judged again.
    pub answer: Option<Vec<u8>>,
    /// Where the time went.
    pub timing: Timing,
    /// Whether another try could only end the same.
    pub is_lasting: bool,
}

impl EvaluateEnd {
    /// Returns an end without anything from an agent.
    pub fn without_answer(judgement: Judgement) -> Self {
        Self {
            judgement,
            agent_log: Vec::new(),
            verifier_log: Vec::new(),
            image: None,
            change: None,
            patch: None,
            answer: None,
            timing: Timing::default(),
            is_lasting: false,
        }
    }

    /// Returns the end of an evaluation whose image cannot be had.
    pub fn without_image(task: &Task, why: String) -> Self {
        let judgement = Judgement {
            task_digest: task.digest.clone(),
            ..Judgement::sandbox_error(why)
        };
        Self {
            is_lasting: true,
            ..Self::without_answer(judgement)
        }
    }
}

/// Runs one evaluation to its end. Never fails: a failure is an outcome.
pub async fn evaluate(
    host: &SandboxHost,
    job: &EvaluateJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> EvaluateEnd {
    let mut end = match Manifest::read(&job.agent.files) {
        Ok(manifest) => run(host, job, manifest, &metered, &cancel).await,
        Err(error) => EvaluateEnd::without_answer(Judgement::agent_error(error.to_string())),
    };
    end.judgement.task_digest.clone_from(&job.task.digest);
    if let Some(image) = &job.task.image {
        end.image = host.sandbox.image_id(image).await;
    }
    end
}

/// An agent that takes turns.
struct AgentPlayer<'a> {
    host: &'a SandboxHost,
    job: &'a EvaluateJob,
    manifest: Manifest,
    metered: &'a Arc<Metered>,
    cancel: &'a CancellationToken,
}

impl Player for AgentPlayer<'_> {
    fn play(&self, turn: AgentTurn) -> BoxFuture<'_, Result<TurnEnd, SandboxError>> {
        let job = AgentJob {
            agent: self.job.agent.clone(),
            manifest: self.manifest.clone(),
            role: Role::Solve,
            deadline: turn.timeout.unwrap_or(self.job.default_timeout),
            limits: self.job.task.limits(self.job.limits),
            turn,
        };
        let (metered, cancel) = (self.metered.clone(), self.cancel.clone());
        Box::pin(run_agent(self.host, job, metered, cancel))
    }
}

async fn run(
    host: &SandboxHost,
    job: &EvaluateJob,
    manifest: Manifest,
    metered: &Arc<Metered>,
    cancel: &CancellationToken,
) -> EvaluateEnd {
    let player = AgentPlayer {
        host,
        job,
        manifest,
        metered,
        cancel,
    };
    let trial = Trial {
        sandbox: host.sandbox.as_ref(),
        task: &job.task,
        job: &job_name(&job.key),
        limits: job.task.limits(job.limits),
        default_timeout: job.default_timeout,
        cancel,
        judge_nothing: false,
    };
    let end = trial.run(Some(&player)).await;
    let interruption = Interruption::of(end.exit, metered, end.allowed);
    settle(end, interruption, job.task.pass_mark)
}

fn settle(end: TrialEnd, interruption: Option<Interruption>, pass_mark: f64) -> EvaluateEnd {
    let judgement = match &end.failure {
        Some(error) => failed(error),
        None => {
            let mut judged = decide(&Observed {
                interruption,
                fault: end.fault,
                verifier: end.reward,
                pass_mark,
            });
            // Without a reward, there are none beside it.
            if judged.reward.is_some() {
                judged.rewards = end.rewards;
            }
            judged
        }
    };
    EvaluateEnd {
        judgement,
        agent_log: end.log,
        verifier_log: end.verifier_log,
        image: None,
        change: end.change,
        patch: end.patch,
        answer: end.kept.as_ref().and_then(to_bytes),
        timing: Timing {
            agent_ms: millis(end.took),
            verifier_ms: millis(end.verifier_took),
        },
        is_lasting: false,
    }
}

/// Returns an answer as it is kept. One that cannot be is judged all the same.
fn to_bytes(answer: &KeptAnswer) -> Option<Vec<u8>> {
    let kept = answer.to_bytes();
    if let Err(error) = &kept {
        tracing::warn!(%error, "an answer cannot be kept to be judged again");
    }
    kept.ok()
}

/// Returns the judgement of what its sandbox broke off.
pub(super) fn failed(error: &SandboxError) -> Judgement {
    match error {
        SandboxError::Cancelled => {
            Judgement::without_reward(Outcome::Cancelled, Cause::Cancelled, "stopped")
        }
        SandboxError::Unavailable { .. }
        | SandboxError::NoImage { .. }
        | SandboxError::Failed { .. } => Judgement::sandbox_error(crate::sandbox::describe(error)),
    }
}

/// Returns the name of an evaluation's job, safe for labels.
pub(super) fn job_name(key: &EvaluationKey) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let task = key.task.as_str().chars();
    let task: String = task.map(|c| if safe(c) { c } else { '-' }).collect();
    format!("e{}-{task}-{}", key.variant.0, key.repeat)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
