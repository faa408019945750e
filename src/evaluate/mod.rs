//! One evaluation: the agent works in one sandbox, its answer is judged in a fresh one.
//!
//! Invariant: the answer is what the sandbox collected, taken from outside; the verifier's
//! sandbox has seen no agent; every way this can end is an [`Outcome`]; and an answer that
//! keeps the verifier from giving a reward counts as what it is, not as nothing.

mod outcome;
mod regrade;
mod steps;

pub use regrade::{RegradeEnd, RegradeJob, regrade};

use crate::agent::{AgentEnd, AgentJob, Manifest, Place, run_agent};
use crate::benchmark::{Answer, Grader, Kind, Task, VerifierEnd, judge, patch, take_answer};
use crate::domain::{
    Cause, EvaluationKey, FileTree, Judgement, Outcome, Purpose, Rewards, Role, Timing,
};
use crate::model::Metered;
use crate::sandbox::{AgentSource, Limits, Sandbox, SandboxError};
use outcome::{Facts, decide};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is to be evaluated.
#[derive(Clone, Debug)]
pub struct EvaluateJob {
    /// Which evaluation.
    pub key: EvaluationKey,
    /// Why.
    pub purpose: Purpose,
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
    /// How it ended.
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
            image: None,
            agent_log: Vec::new(),
            verifier_log: Vec::new(),
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

impl EvaluateEnd {
    /// Takes over what was decided. Without a reward, there are none beside it.
    fn settle(&mut self, judgement: Judgement, rewards: Rewards) {
        self.judgement = judgement;
        if self.judgement.reward.is_some() {
            self.judgement.rewards = rewards;
        }
    }
}

/// Runs one evaluation to its end. Never fails: a failure is an outcome.
pub async fn evaluate(
    place: &Place,
    job: &EvaluateJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> EvaluateEnd {
    let mut end = run(place, job, metered, cancel).await;
    end.judgement.task_digest.clone_from(&job.task.digest);
    let image = match &job.task.image {
        Some(image) => place.sandbox.image_id(image).await,
        None => None,
    };
    EvaluateEnd { image, ..end }
}

async fn run(
    place: &Place,
    job: &EvaluateJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> EvaluateEnd {
    let manifest = match Manifest::read(&job.agent.files) {
        Ok(manifest) => manifest,
        Err(error) => {
            let judgement = Judgement::agent_error(error.to_string());
            return EvaluateEnd::without_answer(judgement);
        }
    };
    let name = job_name(&job.key);
    if job.task.kind == Kind::Steps {
        let player = steps::AgentPlayer {
            place,
            job,
            manifest: &manifest,
            metered: &metered,
            cancel: &cancel,
        };
        return steps::run(&player, &name).await;
    }
    let agent_job = AgentJob {
        job: name.clone(),
        image: job.task.image.clone(),
        agent: job.agent.clone(),
        manifest,
        role: Role::Solve,
        instruction: job.task.instruction.clone(),
        workspace: job.task.workspace.clone(),
        root: job.task.agent_root(),
        writable: Vec::new(),
        workdir: job.task.workdir.clone(),
        env: job.task.env.clone(),
        deadline: deadline(job),
        limits: job.task.limits(job.limits),
    };
    let agent = match run_agent(place, agent_job, metered.clone(), cancel.clone()).await {
        Ok(agent) => agent,
        Err(error) => return failed(&error),
    };
    let mut end = EvaluateEnd::without_answer(Judgement::of(Outcome::Empty));
    end.agent_log.clone_from(&agent.log);
    end.timing.agent_ms = millis(agent.took);
    let answer = take_answer(&job.task, &agent.workspace, agent.difference.as_ref());
    let verified = match &answer {
        Ok(answer) if !answer.change.is_empty() => {
            end.change = Some((answer.before.clone(), answer.after()));
            end.patch = match job.task.grader {
                Grader::Verifier => None,
                Grader::Swebench(_) => Some(patch(&answer.before, &answer.change)),
            };
            end.answer = kept(answer);
            let limits = job.task.limits(job.limits);
            let sandbox = place.sandbox.as_ref();
            match judge_answer(sandbox, &job.task, answer, &name, limits, &cancel).await {
                Ok(judged) => Some(judged),
                Err(error) => {
                    return EvaluateEnd {
                        change: end.change,
                        patch: end.patch,
                        answer: end.answer,
                        ..failed(&error)
                    };
                }
            }
        }
        Ok(_) | Err(_) => None,
    };
    let (verified, broken) = verified.unzip();
    let fault = answer.as_ref().err().map(ToString::to_string);
    finish(
        end,
        &agent,
        fault.or(broken.flatten()),
        verified,
        job,
        &metered,
    )
}

/// Returns an answer as it is kept. One that cannot be is judged all the same.
fn kept(answer: &Answer) -> Option<Vec<u8>> {
    let kept = answer.to_bytes();
    if let Err(error) = &kept {
        tracing::warn!(%error, "an answer cannot be kept to be judged again");
    }
    kept.ok()
}

/// Judges an answer. Where there is no reward, the same verifier judges the task with nothing
/// done: if that gets one, it was the answer that broke the verifier, which is the second
/// value. Otherwise an agent could turn what it cannot solve into what is not counted.
async fn judge_answer(
    sandbox: &dyn Sandbox,
    task: &Task,
    answer: &Answer,
    name: &str,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<(VerifierEnd, Option<String>), SandboxError> {
    let run = async |answer: &Answer, name: String| {
        judge(sandbox, task, answer, &name, limits, cancel.clone()).await
    };
    let verified = run(answer, format!("{name}-v")).await?;
    let Err(why) = &verified.reward else {
        return Ok((verified, None));
    };
    let untouched = run(&Answer::nothing(task), format!("{name}-c")).await?;
    let broken = format!("the answer keeps the verifier from giving a reward: {why}");
    let broken = untouched.reward.is_ok().then_some(broken);
    Ok((verified, broken))
}

fn finish(
    mut end: EvaluateEnd,
    agent: &AgentEnd,
    answer_fault: Option<String>,
    verified: Option<VerifierEnd>,
    job: &EvaluateJob,
    metered: &Metered,
) -> EvaluateEnd {
    let mut rewards = Rewards::new();
    if let Some(verified) = &verified {
        end.verifier_log.clone_from(&verified.log);
        rewards.clone_from(&verified.rewards);
        end.timing.verifier_ms = millis(verified.took);
    }
    let judgement = decide(&Facts {
        exit: agent.exit,
        answer_fault,
        verifier: verified.map(|verified| verified.reward),
        pass_mark: job.task.pass_mark,
        out_of_budget: metered.is_out_of_budget(),
        cut_by_run: metered.is_cut_by_run(),
        provider_failed: metered
            .provider_failure()
            .or_else(|| agent.starved(metered, deadline(job))),
    });
    end.settle(judgement, rewards);
    end
}

fn failed(error: &SandboxError) -> EvaluateEnd {
    match error {
        SandboxError::Cancelled => {
            let (outcome, cause) = (Outcome::Cancelled, Cause::Cancelled);
            EvaluateEnd::without_answer(Judgement::without_reward(outcome, cause, "stopped"))
        }
        SandboxError::Unavailable { .. }
        | SandboxError::NoImage { .. }
        | SandboxError::Failed { .. } => {
            let why = crate::sandbox::describe(error);
            EvaluateEnd::without_answer(Judgement::sandbox_error(why))
        }
    }
}

/// Returns the time that the agent has.
fn deadline(job: &EvaluateJob) -> Duration {
    job.task.agent_timeout.unwrap_or(job.default_timeout)
}

/// Returns the name of an evaluation's job, safe for labels.
fn job_name(key: &EvaluationKey) -> String {
    let task: String = key
        .task
        .as_str()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("e{}-{task}-{}", key.variant.0, key.repeat)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
