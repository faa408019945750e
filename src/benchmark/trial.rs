//! A task as Harbor means it: step by step an agent's turn and a verifier's, in one file system.
//!
//! Invariants: a verifier runs only after the last process of an agent is dead, in what the
//! agent left (shared) or in a fresh sandbox that gets the artifacts (separate); what an agent
//! left at the places of tests and rewards is gone before; and no agent's turn starts from
//! anything that a verifier has been in, so no hidden test is ever there.

use super::judge::{VERIFIER_LOGS, run_script, vital, with_executable};
use super::reward::{self, RewardFault};
use super::step::{Fresh, Step, Verifier};
use super::task::{Hidden, Task};
use super::total::{below_gate, total};
use super::turn::{Played, Player, Turn};
use crate::domain::{FileTree, Rewards, TreePath};
use crate::sandbox::{
    Ended, Exit, Found, ImageRoot, Keep, Limits, Placed, Root, Sandbox, SandboxError, Spec, State,
    Taken,
};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where artifacts lie by convention: always carried to a verifier of its own.
const ARTIFACT_LOGS: &str = "/logs/artifacts";
/// Where an agent may leave logs.
const AGENT_LOGS: &str = "/logs/agent";
/// Most bytes of a log of a trial of several steps.
const MOST_LOG: usize = 4 << 20;

/// How a trial ended.
#[derive(Clone, Debug)]
pub struct TrialEnd {
    /// The reward, or why there is none. None: nothing was done, so there was nothing to judge.
    pub reward: Option<Result<f64, RewardFault>>,
    /// All that the verifiers gave, where that is not only a `reward`; else empty.
    pub rewards: Rewards,
    /// How the turns ended: the first that did not end well, or the last.
    pub exit: Exit,
    /// What the players printed.
    pub log: Vec<u8>,
    /// What the verifiers printed.
    pub verifier_log: Vec<u8>,
    /// The changed files of the working directory, before and after.
    pub change: (FileTree, FileTree),
    /// Why the answer cannot be used.
    pub fault: Option<String>,
    /// Wall time of the turns.
    pub took: Duration,
    /// Wall time of the verifiers.
    pub verifier_took: Duration,
}

/// A trial of one task.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// Where it runs.
    pub sandbox: &'a dyn Sandbox,
    /// The task.
    pub task: &'a Task,
    /// Name of the job.
    pub job: &'a str,
    /// Limits.
    pub limits: Limits,
    /// Stops it.
    pub cancel: &'a CancellationToken,
    /// Whether what nobody did is judged nevertheless.
    pub judge_nothing: bool,
}

impl Trial<'_> {
    /// Runs the trial to its end.
    pub async fn run(&self, player: &dyn Player) -> Result<TrialEnd, SandboxError> {
        let mut states = Vec::new();
        let end = self.steps(player, &mut states).await;
        // Later ones were made from earlier ones.
        for state in states.into_iter().rev() {
            self.sandbox.discard(state).await;
        }
        end
    }

    async fn steps(
        &self,
        player: &dyn Player,
        states: &mut Vec<State>,
    ) -> Result<TrialEnd, SandboxError> {
        let mut end = TrialEnd {
            reward: None,
            rewards: Rewards::new(),
            exit: Exit::Code(0),
            log: Vec::new(),
            verifier_log: Vec::new(),
            change: (FileTree::new(), FileTree::new()),
            fault: None,
            took: Duration::ZERO,
            verifier_took: Duration::ZERO,
        };
        let steps = &self.task.steps.all;
        let mut given: Vec<Rewards> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let is_last = number + 1 == steps.len();
            let turn = self.turn(step, number, is_last, states.last().cloned());
            let played = player.play(turn).await?;
            states.extend(played.state.clone());
            let idle = played.difference.as_ref().is_some_and(|all| !all.anything);
            end.add(step, &played);
            if steps.len() == 1 && idle && !self.judge_nothing {
                return Ok(end);
            }
            let taken = self.collect(step, number, played.taken, states).await?;
            if taken.iter().any(|taken| taken.files.truncated) {
                end.fault = Some(format!(
                    "the agent left more artifacts than the {} MiB and {} files that are taken \
                     out; `collect_mb` under `[sandbox]`, or `--collect-mb`, allows more",
                    self.limits.collect >> 20,
                    self.limits.collect_files
                ));
                return Ok(end);
            }
            let ended = self.verify(step, number, &taken, states.last()).await?;
            end.verifier_took += ended.took;
            append(&mut end.verifier_log, step, &ended.log);
            let key = self.task.reward_key.as_deref();
            match super::judge::rewards(&ended, step.verifier.timeout, key) {
                Ok(rewards) => given.push(rewards),
                // A step without a reward leaves nothing that could be said of the whole.
                Err(fault) => {
                    end.reward = Some(Err(fault.saying(|why| in_step(step, why))));
                    return Ok(end);
                }
            }
            let last = given.last();
            if last.is_some_and(|rewards| below_gate(rewards, &step.min_reward)) {
                break;
            }
        }
        let rewards = total(&given, self.task.steps.strategy);
        let reward = reward::single(&rewards, self.task.reward_key.as_deref());
        end.reward = Some(reward);
        end.rewards = reward::beside(rewards);
        Ok(end)
    }

    fn turn(&self, step: &Step, number: usize, is_last: bool, from: Option<State>) -> Turn {
        let shared = step.verifier.fresh.is_none();
        let goes_on = !is_last || shared || !step.collect.is_empty();
        let prepare = step.files.get("setup.sh").map(|_| SETUP.to_owned());
        Turn {
            job: self.name(number, ""),
            instruction: step.instruction.clone(),
            image: self.task.image.clone(),
            root: ImageRoot {
                user: step.agent_user.clone(),
                from,
                prepare,
                health: step.health.clone(),
                network: step.agent_network,
                file_rights: self.task.file_rights,
                setup: self.task.build_timeout,
                keep: Keep {
                    difference: true,
                    state: goes_on,
                },
                take: match !shared && step.collect.is_empty() {
                    true => sources(step),
                    false => Vec::new(),
                },
                ..ImageRoot::default()
            },
            files: step.files.clone(),
            writable: [AGENT_LOGS, ARTIFACT_LOGS, VERIFIER_LOGS]
                .map(str::to_owned)
                .into(),
            workdir: self.task.workdir.clone(),
            env: self.task.env.clone(),
            timeout: step.agent_timeout,
            solution: step.solution.clone(),
        }
    }

    fn name(&self, number: usize, what: &str) -> String {
        match self.task.steps.all.len() {
            1 => format!("{}{what}", self.job),
            _ => format!("{}-s{}{what}", self.job, number + 1),
        }
    }

    /// Runs the commands between agent and verifier, and returns the artifacts of a step whose
    /// verifier has a sandbox of its own. A command that fails changes nothing: what it did
    /// not bring is missing.
    async fn collect(
        &self,
        step: &Step,
        number: usize,
        taken: Vec<Taken>,
        states: &mut Vec<State>,
    ) -> Result<Vec<Taken>, SandboxError> {
        let mut taken = taken;
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
            taken = ended.taken;
            states.extend(ended.state);
        }
        Ok(taken)
    }

    async fn verify(
        &self,
        step: &Step,
        number: usize,
        taken: &[Taken],
        state: Option<&State>,
    ) -> Result<Ended, SandboxError> {
        let name = self.name(number, "-v");
        let spec = match &step.verifier.fresh {
            None => self.shared(step, name, state),
            Some(fresh) => self.separate(step, fresh, taken, name),
        };
        self.sandbox.run(spec, self.cancel.clone()).await
    }

    fn shared(&self, step: &Step, name: String, state: Option<&State>) -> Spec {
        let verifier = &step.verifier;
        let root = ImageRoot {
            user: verifier.user.clone(),
            from: state.cloned(),
            network: verifier.network,
            // Root must be able to read what another user left.
            file_rights: self.task.file_rights || step.agent_user != verifier.user,
            setup: self.task.build_timeout,
            ..ImageRoot::default()
        };
        Spec {
            placed: vec![tests(&step.tests)],
            writable: vec!["/tests".to_owned(), VERIFIER_LOGS.to_owned()],
            env: with(&self.task.env, &verifier.env),
            ..self.verifier_spec(verifier, name, root)
        }
    }

    fn separate(&self, step: &Step, fresh: &Fresh, taken: &[Taken], name: String) -> Spec {
        let verifier = &step.verifier;
        let root = ImageRoot {
            user: verifier.user.clone(),
            network: verifier.network,
            file_rights: self.task.file_rights,
            health: fresh.health.clone(),
            // What the image brings along need not be executable.
            prepare: fresh.bundled.then(|| EXECUTABLE.to_owned()),
            setup: fresh.setup,
            ..ImageRoot::default()
        };
        let mut placed = Vec::new();
        let mut writable = vec![VERIFIER_LOGS.to_owned()];
        for (source, taken) in sources(step).into_iter().zip(taken) {
            if let Some(artifact) = carried(step, &source, taken, &mut writable) {
                placed.push(artifact);
            }
        }
        // Last, so that no artifact stands in for a test.
        if !fresh.bundled {
            placed.push(tests(&step.tests));
        }
        Spec {
            image: fresh.image.clone(),
            workdir: fresh.workdir.clone(),
            placed,
            writable,
            env: with(&fresh.env, &verifier.env),
            limits: Limits {
                cpus: fresh.cpus.unwrap_or(self.limits.cpus),
                memory: fresh.memory.unwrap_or(self.limits.memory),
                disk: fresh.disk.unwrap_or(self.limits.disk),
                ..self.limits
            },
            ..self.verifier_spec(verifier, name, root)
        }
    }

    fn verifier_spec(&self, verifier: &Verifier, name: String, root: ImageRoot) -> Spec {
        Spec {
            command: run_script("/tests/test.sh"),
            deadline: verifier.timeout,
            collect: vec![VERIFIER_LOGS.to_owned()],
            vital: vital(),
            ..self.spec(name, root)
        }
    }

    fn spec(&self, job: String, root: ImageRoot) -> Spec {
        Spec {
            job,
            image: self.task.image.clone(),
            agent: None,
            placed: Vec::new(),
            root: Root::Image(root),
            workdir: self.task.workdir.clone(),
            writable: Vec::new(),
            command: Vec::new(),
            env: Vec::new(),
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::ZERO,
            collect: Vec::new(),
            limits: self.limits,
        }
    }
}

/// Makes the script of a verifier's own image executable, as Harbor does.
const EXECUTABLE: &str = "[ -x /tests/test.sh ] || chmod +x /tests/test.sh";
/// Runs a step's setup as Harbor does.
const SETUP: &str =
    "if command -v bash >/dev/null 2>&1; then bash ./setup.sh; else sh ./setup.sh; fi";

impl TrialEnd {
    fn add(&mut self, step: &Step, played: &Played) {
        if self.exit == Exit::Code(0) {
            self.exit = played.exit;
        }
        self.took += played.took;
        append(&mut self.log, step, &played.log);
        let Some(difference) = &played.difference else {
            return;
        };
        let (before, after) = &mut self.change;
        for (path, file) in difference.before.iter() {
            if before.get(path.as_str()).is_none() && after.get(path.as_str()).is_none() {
                before.insert(path.clone(), file.bytes.clone(), file.executable);
            }
        }
        let change = difference.before.change_to(&difference.after.files);
        *after = after.changed_by(&change);
    }
}

fn append(all: &mut Vec<u8>, step: &Step, log: &[u8]) {
    if let Some(name) = &step.name {
        all.extend_from_slice(format!("=== step {name} ===\n").as_bytes());
    }
    let room = MOST_LOG.saturating_sub(all.len());
    all.extend_from_slice(&log[..log.len().min(room)]);
}

fn in_step(step: &Step, why: &str) -> String {
    match &step.name {
        None => why.to_owned(),
        Some(name) => format!("step `{name}`: {why}"),
    }
}

fn with(first: &[(String, String)], more: &[(String, String)]) -> Vec<(String, String)> {
    first.iter().chain(more).cloned().collect()
}

fn tests(tests: &Hidden) -> Placed {
    Placed {
        at: "/tests".to_owned(),
        files: Arc::new(with_executable(&tests.0, "test.sh")),
    }
}

/// Returns the paths of a step's artifacts, the folder of convention last.
fn sources(step: &Step) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let named = step.artifacts.iter().map(|artifact| &artifact.source);
    for source in named.chain([&ARTIFACT_LOGS.to_owned()]) {
        if !all.contains(source) {
            all.push(source.clone());
        }
    }
    all
}

/// Returns an artifact as it is put to its own place in a verifier's sandbox. A folder is
/// made anew there, as Harbor empties it first.
fn carried(step: &Step, source: &str, taken: &Taken, writable: &mut Vec<String>) -> Option<Placed> {
    let (parent, name) = source.rsplit_once('/')?;
    match taken.found {
        Found::Nothing => return None,
        Found::File => {}
        Found::Folder => writable.push(source.to_owned()),
    }
    let rules = step
        .artifacts
        .iter()
        .find(|artifact| artifact.source == source);
    let mut files = FileTree::new();
    for (path, file) in taken.files.files.iter() {
        let inner = path.as_str().strip_prefix(name).unwrap_or_default();
        let inner = inner.trim_start_matches('/');
        let left_out = rules.is_some_and(|rules| !inner.is_empty() && rules.excludes(inner));
        // The sandbox's root is no folder that files are placed in.
        let placed = match parent {
            "" => TreePath::new(inner).ok(),
            _ => Some(path.clone()),
        };
        if let Some(path) = placed
            && !left_out
        {
            files.insert(path, file.bytes.clone(), file.executable);
        }
    }
    Some(Placed {
        at: match parent {
            "" => source.to_owned(),
            parent => parent.to_owned(),
        },
        files: Arc::new(files),
    })
}
