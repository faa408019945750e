//! The phases of a step, each as a run of a sandbox: an agent's turn, and a verifier where the
//! agent was or in a sandbox of its own.

use super::artifacts::{ARTIFACT_LOGS, carried, sources};
use super::road::Trial;
use super::turn::AgentTurn;
use super::verifier::{VERIFIER_LOGS, image_root, run_script, vital, with_executable};
use crate::benchmark::swebench::HISTORY;
use crate::benchmark::{Delivery, FreshVerifier, Grader, Hidden, Step, StepVerifier, Task};
use crate::sandbox::{ImageRoot, Keep, Limits, Placed, Root, RootLayer, Spec, State, Taken};
use std::sync::Arc;
use std::time::Duration;

/// Where an agent may leave logs.
const AGENT_LOGS: &str = "/logs/agent";

impl Trial<'_> {
    pub(super) fn turn(&self, number: usize, from: Option<State>) -> AgentTurn {
        let (task, step) = (self.task, &self.task.steps.all[number]);
        let (root, files, writable) = match task.delivery {
            Delivery::Workspace => (Root::Sealed, &task.workspace, Vec::new()),
            Delivery::Folder => (folder_root(task), &task.workspace, Vec::new()),
            Delivery::InImage => (
                Root::Image(self.step_root(number, from)),
                &step.files,
                [AGENT_LOGS, ARTIFACT_LOGS, VERIFIER_LOGS]
                    .map(str::to_owned)
                    .into(),
            ),
        };
        AgentTurn {
            job: self.name(number, ""),
            instruction: step.instruction.clone(),
            image: task.image.clone(),
            root,
            files: files.clone(),
            writable,
            workdir: task.workdir.clone(),
            env: task.env.clone(),
            timeout: step.agent_timeout,
            solution: step.solution.clone(),
        }
    }

    pub(super) fn step_root(&self, number: usize, from: Option<State>) -> ImageRoot {
        let steps = &self.task.steps.all;
        let step = &steps[number];
        let shared = step.verifier.fresh.is_none();
        let is_last = number + 1 == steps.len();
        ImageRoot {
            user: step.agent_user.clone(),
            from,
            prepare: step.files.get("setup.sh").map(|_| SETUP.to_owned()),
            health: step.health.clone(),
            keep: Keep {
                difference: true,
                state: !is_last || shared || !step.collect.is_empty(),
                layer: self.keeps_layer(number),
            },
            take: match !shared && step.collect.is_empty() {
                true => sources(step),
                false => Vec::new(),
            },
            ..image_root(self.task, step.agent_network)
        }
    }

    /// Returns whether what a step leaves is kept as a layer: a verifier judges it where it
    /// was left, in this step or in a later one.
    pub(super) fn keeps_layer(&self, number: usize) -> bool {
        let later = self.task.steps.all.iter().skip(number);
        let mut later = later.map(|step| step.verifier.fresh.is_none());
        !self.judge_nothing && later.any(|is_shared| is_shared)
    }

    pub(super) fn name(&self, number: usize, what: &str) -> String {
        match self.task.steps.all.len() {
            1 => format!("{}{what}", self.job),
            _ => format!("{}-s{}{what}", self.job, number + 1),
        }
    }

    /// Returns a verifier's run where the agent was, or where what it left is laid again.
    pub(super) fn shared(
        &self,
        step: &Step,
        name: String,
        from: Option<State>,
        layers: Vec<RootLayer>,
    ) -> Spec {
        let verifier = &step.verifier;
        let root = ImageRoot {
            user: verifier.user.clone(),
            from,
            layers,
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

    pub(super) fn separate(
        &self,
        step: &Step,
        fresh: &FreshVerifier,
        taken: &[Taken],
        name: String,
    ) -> Spec {
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

    pub(super) fn verifier_spec(
        &self,
        verifier: &StepVerifier,
        name: String,
        root: ImageRoot,
    ) -> Spec {
        Spec {
            command: run_script("/tests/test.sh"),
            deadline: verifier.timeout,
            collect: vec![VERIFIER_LOGS.to_owned()],
            vital: vital(),
            ..self.spec(name, root)
        }
    }

    pub(super) fn spec(&self, job: String, root: ImageRoot) -> Spec {
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

/// Returns the root of an agent whose answer is what it changes in a folder of its image.
pub fn folder_root(task: &Task) -> Root {
    let is_repository = matches!(task.grader, Grader::Swebench(_));
    Root::Image(ImageRoot {
        user: task.agent_user.clone(),
        // What comes after the task's commit holds its solution.
        prepare: is_repository.then(|| HISTORY.to_owned()),
        keep: Keep {
            difference: true,
            ..Keep::default()
        },
        // A patch of a repository holds none of what its builds leave.
        ignoring: is_repository,
        ..image_root(task, task.agent_network)
    })
}

/// Makes the script of a verifier's own image executable, as Harbor does.
const EXECUTABLE: &str = "[ -x /tests/test.sh ] || chmod +x /tests/test.sh";
/// Runs a step's setup as Harbor does.
const SETUP: &str =
    "if command -v bash >/dev/null 2>&1; then bash ./setup.sh; else sh ./setup.sh; fi";

fn with(first: &[(String, String)], more: &[(String, String)]) -> Vec<(String, String)> {
    first.iter().chain(more).cloned().collect()
}

fn tests(tests: &Hidden) -> Placed {
    Placed {
        at: "/tests".to_owned(),
        files: Arc::new(with_executable(tests.reveal(), "test.sh")),
    }
}
