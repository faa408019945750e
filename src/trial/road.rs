//! The road of a trial: step by step an agent's turn, what it left, and a verifier's word.
//!
//! Invariants: a verifier runs only after the last process of an agent is dead, in what the
//! agent left (shared) or in a fresh sandbox that gets the answer (separate); what an agent
//! left at the places of tests and rewards is gone before; and no agent's turn starts from
//! anything that a verifier has been in, so no hidden test is ever there.

use super::answer::{Answer, KeptAnswer, KeptStep, take_answer};
use super::artifacts::sources;
use super::judge;
use super::turn::{Player, TurnEnd};
use super::verifier::Verified;
use crate::benchmark::{
    Delivery, Grader, RewardError, Step, Task, below_gate, beside, patch, single, total,
};
use crate::domain::{FileTree, Rewards};
use crate::sandbox::{
    Exit, ImageRoot, Keep, Limits, RootLayer, Sandbox, SandboxError, Spec, State, Taken,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most bytes of a log of a trial of several steps.
const MOST_LOG: usize = 4 << 20;

/// How a trial ended, as far as it came.
#[derive(Debug)]
pub(super) struct TrialEnd {
    /// The reward, or why there is none. None: nothing was done, so there was nothing to judge.
    pub(super) reward: Option<Result<f64, RewardError>>,
    /// All that the verifiers gave, where that is not only a `reward`; else empty.
    pub(super) rewards: Rewards,
    /// How the turns ended: the first that did not end well, or the last.
    pub(super) exit: Exit,
    /// Time that the turns might have taken.
    pub(super) allowed: Duration,
    /// What the players printed.
    pub(super) log: Vec<u8>,
    /// What the verifiers printed.
    pub(super) verifier_log: Vec<u8>,
    /// The changed files of the working directory before the change, and after it.
    pub(super) change: Option<(Arc<FileTree>, FileTree)>,
    /// The change as its judge applied it, where that is a patch.
    pub(super) patch: Option<Vec<u8>>,
    /// The answer, to be judged again.
    pub(super) kept: Option<KeptAnswer>,
    /// Whether the last turn changed nothing that counts.
    pub(super) did_nothing: bool,
    /// Why the answer cannot be used.
    pub(super) fault: Option<String>,
    /// What broke the trial off.
    pub(super) failure: Option<SandboxError>,
    /// Wall time of the turns.
    pub(super) took: Duration,
    /// Wall time of the verifiers.
    pub(super) verifier_took: Duration,
}

/// A trial of one task.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    /// Where it runs.
    pub(super) sandbox: &'a dyn Sandbox,
    /// The task.
    pub(super) task: &'a Task,
    /// Name of the job.
    pub(super) job: &'a str,
    /// Limits.
    pub(super) limits: Limits,
    /// Time for an agent where the task names none.
    pub(super) default_timeout: Duration,
    /// Stops it.
    pub(super) cancel: &'a CancellationToken,
    /// Whether what nobody did is judged nevertheless.
    pub(super) judge_nothing: bool,
}

/// Where a trial's answers come from.
enum Answers<'a> {
    /// Somebody takes turns; none: nobody does anything.
    Played(Option<&'a dyn Player>),
    /// They were kept.
    Kept(VecDeque<KeptStep>),
    /// It was kept, and is the only one.
    KeptFiles(Answer),
}

/// What a step left for its verifier.
enum Left {
    /// Files, which are laid over a fresh copy of the task's.
    Files(Answer),
    /// Artifacts for a verifier with a sandbox of its own.
    Artifacts(Vec<Taken>),
    /// The sandbox's whole file system, to go on in.
    State(Option<State>),
    /// The same, as layers over the image.
    Layers(Vec<RootLayer>),
}

impl Trial<'_> {
    /// Runs the trial to its end. Where there is no reward, the same verifier judges the task
    /// with nothing done: if that gets one, it was the answer that broke the verifier, and that
    /// is its fault. Otherwise an agent could turn what it cannot solve into what is not
    /// counted.
    pub(super) async fn run(&self, player: Option<&dyn Player>) -> TrialEnd {
        let end = self.once(Answers::Played(player)).await;
        self.controlled(end).await
    }

    /// Judges a kept answer: no turn is taken.
    pub(super) async fn judge_again(&self, kept: KeptAnswer) -> TrialEnd {
        let end = match kept {
            KeptAnswer::Files(answer) => self.once(Answers::KeptFiles(answer)).await,
            KeptAnswer::Steps(steps) => self.once(Answers::Kept(steps.into())).await,
        };
        self.controlled(end).await
    }

    async fn controlled(&self, mut end: TrialEnd) -> TrialEnd {
        let Some(Err(error)) = end.reward.as_ref().filter(|_| !self.judge_nothing) else {
            return end;
        };
        let why = format!("the answer keeps the verifier from giving a reward: {error}");
        let control = Trial {
            job: &format!("{}-c", self.job),
            judge_nothing: true,
            ..*self
        };
        let nothing = control.once(Answers::Played(None)).await;
        if nothing.failure.is_some() {
            end.failure = nothing.failure;
        } else if matches!(nothing.reward, Some(Ok(_))) {
            end.fault.get_or_insert(why);
        }
        end
    }

    async fn once(&self, answers: Answers<'_>) -> TrialEnd {
        let mut states = Vec::new();
        let mut end = TrialEnd::new();
        if let Err(error) = self.steps(answers, &mut states, &mut end).await {
            end.failure = Some(error);
        }
        // Later ones were made from earlier ones.
        for state in states.into_iter().rev() {
            self.sandbox.discard(state).await;
        }
        end
    }

    async fn steps(
        &self,
        mut answers: Answers<'_>,
        states: &mut Vec<State>,
        end: &mut TrialEnd,
    ) -> Result<(), SandboxError> {
        let steps = &self.task.steps.all;
        let key = self.task.reward_key.as_deref();
        let mut given: Vec<Rewards> = Vec::new();
        let mut layers = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let left = match &mut answers {
                Answers::Played(player) => self.played(*player, number, states, end).await?,
                Answers::KeptFiles(answer) => Some(Left::Files(answer.clone())),
                Answers::Kept(kept) => {
                    // Gates may end the steps sooner or later than they did.
                    let Some(step_kept) = kept.pop_front() else {
                        break;
                    };
                    layers.extend(step_kept.layers);
                    Some(match &step.verifier.fresh {
                        Some(_) => Left::Artifacts(step_kept.artifacts),
                        None => Left::Layers(layers.clone()),
                    })
                }
            };
            let Some(left) = left else {
                return Ok(());
            };
            let verified = self.verify(number, left).await?;
            end.verifier_took += verified.took;
            append(&mut end.verifier_log, step, &verified.log);
            match verified.rewards {
                Ok(rewards) => given.push(rewards),
                // A step without a reward leaves nothing that could be said of the whole.
                Err(error) => {
                    end.reward = Some(Err(error.map(|why| in_step(step, why))));
                    return Ok(());
                }
            }
            let last = given.last();
            if last.is_some_and(|rewards| below_gate(rewards, &step.min_reward)) {
                break;
            }
        }
        let rewards = total(&given, self.task.steps.strategy);
        end.reward = Some(single(&rewards, key));
        end.rewards = beside(rewards);
        Ok(())
    }

    /// Lets a player take its turn; returns what it left, or nothing where there is nothing to
    /// judge.
    async fn played(
        &self,
        player: Option<&dyn Player>,
        number: usize,
        states: &mut Vec<State>,
        end: &mut TrialEnd,
    ) -> Result<Option<Left>, SandboxError> {
        let step = &self.task.steps.all[number];
        let turn = self.turn(number, states.last().cloned());
        end.allowed += turn.timeout.unwrap_or(self.default_timeout);
        let is_of_files = self.task.delivery != Delivery::InImage;
        let turned = match player {
            Some(player) => player.play(turn).await?,
            None if is_of_files => {
                end.did_nothing = true;
                return Ok(Some(Left::Files(Answer::nothing(self.task))));
            }
            None => {
                let spec = turn.idle(self.limits);
                self.sandbox.run(spec, self.cancel.clone()).await?.into()
            }
        };
        end.add(step, &turned);
        match is_of_files {
            true => Ok(self.files(&turned, end)),
            false => self.in_image(number, turned, states, end).await,
        }
    }

    /// Takes an answer that consists of files.
    fn files(&self, turned: &TurnEnd, end: &mut TrialEnd) -> Option<Left> {
        let answer = take_answer(self.task, &turned.workspace, turned.difference.as_ref());
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                end.fault = Some(fault.to_string());
                return None;
            }
        };
        end.did_nothing = answer.change.is_empty();
        if end.did_nothing && !self.judge_nothing {
            return None;
        }
        end.change = (!end.did_nothing).then(|| (answer.before.clone(), answer.after()));
        end.patch = match self.task.grader {
            Grader::Verifier => None,
            Grader::Swebench(_) => Some(patch(&answer.before, &answer.change)),
        };
        end.kept = Some(KeptAnswer::Files(answer.clone()));
        Some(Left::Files(answer))
    }

    /// Takes what was left in an image's own file system: its state, or artifacts of it.
    async fn in_image(
        &self,
        number: usize,
        turned: TurnEnd,
        states: &mut Vec<State>,
        end: &mut TrialEnd,
    ) -> Result<Option<Left>, SandboxError> {
        let steps = &self.task.steps.all;
        let step = &steps[number];
        end.add_difference(&turned);
        end.did_nothing = turned.difference.as_ref().is_some_and(|all| !all.anything);
        states.extend(turned.state);
        if steps.len() == 1 && end.did_nothing && !self.judge_nothing {
            return Ok(None);
        }
        let mut kept = KeptStep {
            layers: turned.layer.into_iter().collect(),
            artifacts: turned.taken,
        };
        self.hooks(step, number, &mut kept, states).await?;
        if kept.artifacts.iter().any(|taken| taken.files.truncated) {
            end.fault = Some(format!(
                "the agent left more artifacts than the {} MiB and {} files that are taken \
                 out; `collect_mb` under `[sandbox]`, or `--collect-mb`, allows more",
                self.limits.collect >> 20,
                self.limits.collect_files
            ));
            return Ok(None);
        }
        let left = match &step.verifier.fresh {
            Some(_) => Left::Artifacts(kept.artifacts.clone()),
            None => Left::State(states.last().cloned()),
        };
        end.keep(kept, self.limits);
        Ok(Some(left))
    }

    /// Runs the commands between agent and verifier, and takes the artifacts of a step whose
    /// verifier has a sandbox of its own. A command that fails changes nothing: what it did
    /// not bring is missing.
    async fn hooks(
        &self,
        step: &Step,
        number: usize,
        kept: &mut KeptStep,
        states: &mut Vec<State>,
    ) -> Result<(), SandboxError> {
        for (index, hook) in step.collect.iter().enumerate() {
            let is_last = index + 1 == step.collect.len();
            let root = ImageRoot {
                user: hook.user.clone(),
                from: states.last().cloned(),
                network: step.agent_network,
                file_rights: self.task.file_rights || step.agent_user != hook.user,
                setup: self.task.build_timeout,
                keep: Keep {
                    difference: false,
                    state: true,
                    layer: self.keeps_layer(number),
                },
                take: match is_last && step.verifier.fresh.is_some() {
                    true => sources(step),
                    false => Vec::new(),
                },
                ..ImageRoot::default()
            };
            let spec = Spec {
                env: self.task.env.clone(),
                command: ["sh", "-c", &hook.command].map(str::to_owned).into(),
                deadline: hook.timeout,
                ..self.spec(self.name(number, &format!("-c{}", index + 1)), root)
            };
            let ended = self.sandbox.run(spec, self.cancel.clone()).await?;
            if ended.exit != Exit::Code(0) {
                tracing::warn!(
                    job = self.job,
                    "a command between agent and verifier failed"
                );
            }
            kept.artifacts = ended.taken;
            kept.layers.extend(ended.layer);
            states.extend(ended.state);
        }
        Ok(())
    }

    async fn verify(&self, number: usize, left: Left) -> Result<Verified, SandboxError> {
        let step = &self.task.steps.all[number];
        let name = self.name(number, "-v");
        let spec = match (left, &step.verifier.fresh) {
            (Left::Files(answer), _) => {
                let (limits, cancel) = (self.limits, self.cancel.clone());
                return judge::verify(self.sandbox, self.task, &answer, &name, limits, cancel)
                    .await;
            }
            (Left::Artifacts(taken), Some(fresh)) => self.separate(step, fresh, &taken, name),
            (Left::Layers(layers), _) => self.shared(step, name, None, layers),
            (Left::State(state), _) => self.shared(step, name, state, Vec::new()),
            (Left::Artifacts(_), None) => self.shared(step, name, None, Vec::new()),
        };
        let ended = self.sandbox.run(spec, self.cancel.clone()).await?;
        let key = self.task.reward_key.as_deref();
        Ok(Verified::of(ended, step.verifier.timeout, key))
    }
}

impl TrialEnd {
    fn new() -> Self {
        Self {
            reward: None,
            rewards: Rewards::new(),
            exit: Exit::Code(0),
            allowed: Duration::ZERO,
            log: Vec::new(),
            verifier_log: Vec::new(),
            change: None,
            patch: None,
            kept: None,
            did_nothing: false,
            fault: None,
            failure: None,
            took: Duration::ZERO,
            verifier_took: Duration::ZERO,
        }
    }

    fn add(&mut self, step: &Step, turned: &TurnEnd) {
        if self.exit == Exit::Code(0) {
            self.exit = turned.exit;
        }
        self.took += turned.took;
        append(&mut self.log, step, &turned.log);
    }

    /// Adds what a turn changed below the working directory to what earlier ones did.
    fn add_difference(&mut self, turned: &TurnEnd) {
        let Some(difference) = &turned.difference else {
            return;
        };
        let (before, after) = self.change.take().unwrap_or_default();
        let mut before = Arc::unwrap_or_clone(before);
        for (path, file) in difference.before.iter() {
            if before.get(path.as_str()).is_none() && after.get(path.as_str()).is_none() {
                before.insert(path.clone(), file.bytes.clone(), file.executable);
            }
        }
        let change = difference.before.change_to(&difference.after.files);
        let after = after.changed_by(&change);
        self.change = (before != after).then(|| (Arc::new(before), after));
    }

    /// Keeps what a step left, unless that is more than is taken out.
    fn keep(&mut self, step: KeptStep, limits: Limits) {
        let mut steps = match self.kept.take() {
            Some(KeptAnswer::Steps(steps)) => steps,
            Some(KeptAnswer::Files(_)) | None => Vec::new(),
        };
        steps.push(step);
        let layers = steps.iter().flat_map(|step| &step.layers);
        if layers.clone().any(|layer| layer.truncated) {
            tracing::warn!(
                "what the agent left is more than the {} MiB that are taken out: it cannot be \
                 judged again",
                limits.collect >> 20
            );
            return;
        }
        self.kept = Some(KeptAnswer::Steps(steps));
    }
}

fn append(all: &mut Vec<u8>, step: &Step, log: &[u8]) {
    if let Some(name) = &step.name {
        all.extend_from_slice(format!("=== step {name} ===\n").as_bytes());
    }
    let room = MOST_LOG.saturating_sub(all.len());
    all.extend_from_slice(&log[..log.len().min(room)]);
}

fn in_step(step: &Step, why: String) -> String {
    match &step.name {
        None => why,
        Some(name) => format!("step `{name}`: {why}"),
    }
}
