//! One task, read from a Harbor task directory.

use super::finding::Finding;
use super::hidden::Hidden;
use super::manifest::Strategy;
use super::recipe::Recipe;
use super::step::Step;
use super::swebench::GradeFacts;
use crate::domain::{FileTree, TaskId};
use crate::sandbox::{Health, Limits, Network, Sandbox};
use std::sync::Arc;
use std::time::Duration;

/// Processes and threads that sandboxes of SWE-bench's instances may have, at least.
const SWEBENCH_PROCESSES: u32 = 4096;

/// Where the files of a task lie, and what of them is its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// They come with the task. The answer is what the agent changed of them; it is judged in
    /// a fresh sandbox, laid over a fresh copy.
    Workspace,
    /// They are what the image has in its working directory. The answer is what the agent
    /// changed there; it is judged in a fresh sandbox of the same image.
    Folder,
    /// They are what the image has, as Harbor means it: in one step or several. The answer is
    /// the state that the agent leaves, or the artifacts that it holds.
    InImage,
}

/// Who says what an answer is worth.
#[derive(Clone, Debug)]
pub enum Grader {
    /// The task's own verifier, by a reward that it leaves.
    Verifier,
    /// The grader of SWE-bench, on this machine, by what the tests print.
    Swebench(Arc<GradeFacts>),
}

/// The steps of a task, with what only the judge may see.
#[derive(Clone, Debug)]
pub struct Steps {
    pub(crate) all: Vec<Step>,
    /// How their rewards become the task's.
    pub(crate) strategy: Strategy,
}

/// One task, ready to run.
#[derive(Clone, Debug)]
pub struct Task {
    /// Name of its directory.
    pub id: TaskId,
    /// Its full name, `organization/name`, for people.
    pub name: Option<String>,
    /// Digest over its files, as Harbor computes it (`sha256:…`).
    pub digest: String,
    /// What the agent is asked, canary lines removed.
    pub instruction: String,
    /// Image for backends that have images.
    pub image: Option<String>,
    /// Whether it may run in the local sandbox, which has no images.
    pub local: bool,
    /// Where its files lie.
    pub delivery: Delivery,
    /// Absolute folder in which the agent works; none: where the image works.
    pub workdir: Option<String>,
    /// The files the agent starts with, delivered into `workdir`.
    pub workspace: Arc<FileTree>,
    /// Globs of the paths that are taken from the agent; empty: all.
    pub answer: Vec<String>,
    /// Time for the agent; none is the run's default.
    pub agent_timeout: Option<Duration>,
    /// Time for the verifier.
    pub verifier_timeout: Duration,
    /// Images that must be built before the task can run.
    pub recipes: Vec<Recipe>,
    /// The steps: more than the task itself says only where [`Delivery`] says so.
    pub steps: Steps,
    /// User of the agent, where the files are the image's; none: the image's own.
    pub agent_user: Option<String>,
    /// User of the verifier, likewise.
    pub verifier_user: Option<String>,
    /// Network of the agent.
    pub agent_network: Network,
    /// Network of the verifier.
    pub verifier_network: Network,
    /// Whether root may do with files and users of the image what root may.
    pub file_rights: bool,
    /// Bytes of artifacts and answer that are taken out; none: the usual ones.
    pub collect: Option<u64>,
    /// What must succeed before anything starts in the task's image.
    pub health: Vec<Health>,
    /// Time for building or pulling the image, and for a start in it.
    pub build_timeout: Duration,
    /// Environment of the verifier.
    pub verifier_env: Vec<(String, String)>,
    /// Environment of agent and verifier.
    pub env: Vec<(String, String)>,
    /// Reward from which on the task counts as resolved.
    pub pass_mark: f64,
    /// Name of the number that counts, of several that a verifier gives.
    pub reward_key: Option<String>,
    /// Number of tests that must have run, where the task says so.
    pub tests_expected: Option<u64>,
    /// Processes and threads that its sandboxes may have, at least.
    pub processes: Option<u32>,
    /// Cores asked for.
    pub cpus: Option<f64>,
    /// Memory asked for, in bytes.
    pub memory: Option<u64>,
    /// Disk asked for, in bytes.
    pub disk: Option<u64>,
    /// Reward that the untouched workspace gets, where it is known to get one.
    pub nothing_done: f64,
    /// Whether a reward counts only if the verifier seals it: it is given a secret at
    /// `/tests/seal`, which it takes away before it starts anything else, and leaves at
    /// `/logs/verifier/seal` the HMAC-SHA256 of its reward file, made with that secret, in
    /// hexadecimal digits.
    pub sealed: bool,
    /// Who grades it.
    pub grader: Grader,
    /// `tests/`.
    pub tests: Hidden,
    /// `solution/`; none: the task has no reference solution.
    pub solution: Option<Hidden>,
    /// Environment of the reference solution.
    pub solution_env: Vec<(String, String)>,
    /// What is odd about it, though it can run: one sentence each.
    pub warnings: Vec<String>,
    /// What makes its number mean less than it seems.
    pub findings: Vec<Finding>,
}

impl Task {
    /// Returns the limits of its sandboxes: what it asks for, and the default elsewhere. The
    /// official harness of SWE-bench knows no limit of processes, and its tests start many.
    pub fn limits(&self, default: Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(default.memory),
            cpus: self.cpus.unwrap_or(default.cpus),
            disk: self.disk.unwrap_or(default.disk),
            collect: self.collect.unwrap_or(default.collect),
            processes: default.processes.max(match self.grader {
                Grader::Verifier => self.processes.unwrap_or(0),
                Grader::Swebench(_) => SWEBENCH_PROCESSES,
            }),
            ..default
        }
    }

    /// Returns whether solving it shows something: a task that passes untouched is run where it
    /// is named, and never chosen for a score.
    pub fn is_scored(&self) -> bool {
        self.nothing_done < self.pass_mark
    }

    /// Returns the images that only its verifiers need.
    pub fn verifier_images(&self) -> impl Iterator<Item = &String> {
        let fresh = self
            .steps
            .all
            .iter()
            .filter_map(|step| step.verifier.fresh.as_ref());
        let images = fresh.filter_map(|fresh| fresh.image.as_ref());
        images.filter(|image| Some(*image) != self.image.as_ref())
    }

    /// Returns why the task cannot run in this sandbox, if it cannot.
    pub fn unfit_for(&self, sandbox: &dyn Sandbox) -> Option<String> {
        if sandbox.has_images() {
            return self.image.is_none().then(|| {
                format!(
                    "task `{}` names no image; add `[metadata.dgm] image`, or run it with \
                     `--sandbox local`",
                    self.id
                )
            });
        }
        (!self.local).then(|| {
            format!(
                "task `{}` needs its image `{}`, which the sandbox `{}` cannot give it; run it \
                 with `--sandbox docker`",
                self.id,
                self.image.as_deref().unwrap_or("?"),
                sandbox.name()
            )
        })
    }
}
