//! An evaluation of a task as Harbor means it: the agent takes the turns of a trial.

use super::outcome::{Facts, decide};
use super::{EvaluateEnd, EvaluateJob, failed, millis};
use crate::agent::{AgentJob, Manifest, Place, run_agent};
use crate::benchmark::{Played, Player, Trial, TrialEnd, Turn};
use crate::domain::{Judgement, Outcome, Role};
use crate::model::Metered;
use crate::sandbox::{Root, SandboxError};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// An agent that takes turns.
pub(super) struct AgentPlayer<'a> {
    pub(super) place: &'a Place,
    pub(super) job: &'a EvaluateJob,
    pub(super) manifest: &'a Manifest,
    pub(super) metered: &'a Arc<Metered>,
    pub(super) cancel: &'a CancellationToken,
}

impl Player for AgentPlayer<'_> {
    fn play(&self, turn: Turn) -> BoxFuture<'_, Result<Played, SandboxError>> {
        let agent_job = AgentJob {
            job: turn.job,
            image: turn.image,
            agent: self.job.agent.clone(),
            manifest: self.manifest.clone(),
            role: Role::Solve,
            instruction: turn.instruction,
            workspace: turn.files,
            root: Root::Image(turn.root),
            workdir: turn.workdir,
            writable: turn.writable,
            env: turn.env,
            deadline: turn.timeout.unwrap_or(self.job.default_timeout),
            limits: self.job.task.limits(self.job.limits),
        };
        let (metered, cancel) = (self.metered.clone(), self.cancel.clone());
        async move {
            let end = run_agent(self.place, agent_job, metered, cancel).await?;
            Ok(Played {
                exit: end.exit,
                log: end.log,
                difference: end.difference,
                taken: end.taken,
                state: end.state,
                took: end.took,
            })
        }
        .boxed()
    }
}

/// Nobody: what a verifier says to that tells whether it works at all.
struct Nobody<'a>(&'a AgentPlayer<'a>);

impl Player for Nobody<'_> {
    fn play(&self, turn: Turn) -> BoxFuture<'_, Result<Played, SandboxError>> {
        let limits = self.0.job.task.limits(self.0.job.limits);
        let spec = turn.idle(limits);
        let run = self.0.place.sandbox.run(spec, self.0.cancel.clone());
        run.map(|ended| ended.map(Played::of)).boxed()
    }
}

/// Runs the evaluation.
pub(super) async fn run(player: &AgentPlayer<'_>, name: &str) -> EvaluateEnd {
    let AgentPlayer {
        place,
        job,
        metered,
        cancel,
        ..
    } = player;
    let trial = Trial {
        sandbox: place.sandbox.as_ref(),
        task: &job.task,
        job: name,
        limits: job.task.limits(job.limits),
        cancel,
        judge_nothing: false,
    };
    let end = match trial.run(player).await {
        Ok(end) => end,
        Err(error) => return failed(&error),
    };
    // The answer may have kept the verifier from giving a reward: then nobody's gets one.
    let mut broken = None;
    if let Some(Err(why)) = &end.reward {
        let name = format!("{name}-c");
        let control = Trial {
            job: &name,
            judge_nothing: true,
            ..trial
        };
        match control.run(&Nobody(player)).await {
            Ok(TrialEnd {
                reward: Some(Ok(_)),
                ..
            }) => {
                broken = Some(format!(
                    "the answer keeps the verifier from giving a reward: {why}"
                ));
            }
            Ok(_) => {}
            Err(error) => return failed(&error),
        }
    }
    finish(end, broken, job, metered)
}

fn finish(
    end: TrialEnd,
    broken: Option<String>,
    job: &EvaluateJob,
    metered: &Metered,
) -> EvaluateEnd {
    let (before, after) = end.change;
    let mut ended = EvaluateEnd::without_answer(Judgement::of(Outcome::Empty));
    ended.agent_log = end.log;
    ended.verifier_log = end.verifier_log;
    ended.timing.agent_ms = millis(end.took);
    ended.timing.verifier_ms = millis(end.verifier_took);
    ended.change = (before != after).then(|| (Arc::new(before), after));
    let judgement = decide(&Facts {
        exit: end.exit,
        answer_fault: end.fault.or(broken),
        verifier: end.reward,
        pass_mark: job.task.pass_mark,
        out_of_budget: metered.is_out_of_budget(),
        cut_by_run: metered.is_cut_by_run(),
        provider_failed: metered.provider_failure(),
    });
    ended.settle(judgement, end.rewards);
    ended
}
