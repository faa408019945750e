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
use crate::benchmark::{Answer, Grader, Judgement, Kind, Task, judge, patch, take_answer};
use crate::domain::{EvaluationKey, FileTree, Outcome, Purpose, Rewards, Role, Timing};
use crate::model::Metered;
use crate::sandbox::{AgentSource, Limits, Sandbox, SandboxError};
use outcome::{Facts, Verdict, decide};
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
    pub outcome: Outcome,
    /// Whether it counts as 1.
    pub passed: bool,
    /// The verifier's reward.
    pub reward: Option<f64>,
    /// All that the verifier gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// One sentence for a reader.
    pub detail: String,
    /// What the agent printed.
    pub agent_log: Vec<u8>,
    /// What the verifier printed.
    pub verifier_log: Vec<u8>,
    /// Digest of the task as it was.
    pub task_digest: String,
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
    pub fn without_answer(outcome: Outcome, detail: String) -> Self {
        Self {
            outcome,
            passed: false,
            reward: None,
            rewards: Rewards::new(),
            detail,
            task_digest: String::new(),
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
        Self {
            task_digest: task.digest.clone(),
            is_lasting: true,
            ..Self::without_answer(Outcome::InfraError, why)
        }
    }
}

impl EvaluateEnd {
    /// Takes over what was decided. Without a reward, there are none beside it.
    fn settle(&mut self, verdict: Verdict) {
        if verdict.reward.is_none() {
            self.rewards.clear();
        }
        self.outcome = verdict.outcome;
        self.passed = verdict.passed;
        self.reward = verdict.reward;
        self.detail = verdict.detail;
    }
}

/// Runs one evaluation to its end. Never fails: a failure is an outcome.
pub async fn evaluate(
    place: &Place,
    job: &EvaluateJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> EvaluateEnd {
    let end = run(place, job, metered, cancel).await;
    let image = match &job.task.image {
        Some(image) => place.sandbox.image_id(image).await,
        None => None,
    };
    EvaluateEnd {
        task_digest: job.task.digest.clone(),
        image,
        ..end
    }
}

async fn run(
    place: &Place,
    job: &EvaluateJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> EvaluateEnd {
    let manifest = match Manifest::read(&job.agent.files) {
        Ok(manifest) => manifest,
        Err(error) => return EvaluateEnd::without_answer(Outcome::AgentError, error.to_string()),
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
    let mut end = EvaluateEnd::without_answer(Outcome::Empty, String::new());
    end.agent_log.clone_from(&agent.log);
    end.timing.agent_ms = millis(agent.took);
    let answer = take_answer(&job.task, &agent.workspace, agent.difference.as_ref());
    let judgement = match &answer {
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
    let (judgement, broken) = judgement.unzip();
    let fault = answer.as_ref().err().map(ToString::to_string);
    finish(
        end,
        &agent,
        fault.or(broken.flatten()),
        judgement,
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
) -> Result<(Judgement, Option<String>), SandboxError> {
    let run = async |answer: &Answer, name: String| {
        judge(sandbox, task, answer, &name, limits, cancel.clone()).await
    };
    let judgement = run(answer, format!("{name}-v")).await?;
    let Err(why) = &judgement.reward else {
        return Ok((judgement, None));
    };
    let untouched = run(&Answer::nothing(task), format!("{name}-c")).await?;
    let broken = format!("the answer keeps the verifier from giving a reward: {why}");
    let broken = untouched.reward.is_ok().then_some(broken);
    Ok((judgement, broken))
}

fn finish(
    mut end: EvaluateEnd,
    agent: &AgentEnd,
    answer_fault: Option<String>,
    judgement: Option<Judgement>,
    job: &EvaluateJob,
    metered: &Metered,
) -> EvaluateEnd {
    if let Some(judgement) = &judgement {
        end.verifier_log.clone_from(&judgement.log);
        end.rewards.clone_from(&judgement.rewards);
        end.timing.verifier_ms = millis(judgement.took);
    }
    let verdict = decide(&Facts {
        exit: agent.exit,
        answer_fault,
        verifier: judgement.map(|judgement| judgement.reward),
        pass_mark: job.task.pass_mark,
        out_of_budget: metered.is_out_of_budget(),
        cut_by_run: metered.is_cut_by_run(),
        provider_failed: metered
            .provider_failure()
            .or_else(|| agent.starved(metered, deadline(job))),
    });
    end.settle(verdict);
    end
}

fn failed(error: &SandboxError) -> EvaluateEnd {
    match error {
        SandboxError::Cancelled => {
            EvaluateEnd::without_answer(Outcome::Cancelled, "stopped".to_owned())
        }
        SandboxError::Unavailable { .. }
        | SandboxError::NoImage { .. }
        | SandboxError::Failed { .. } => {
            EvaluateEnd::without_answer(Outcome::InfraError, crate::sandbox::describe(error))
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
