//! One task, read from a Harbor task directory.

use crate::domain::{FileTree, TaskId};
use std::sync::Arc;
use std::time::Duration;

/// Files that no agent may see: tests, reference solutions.
#[derive(Clone, Debug)]
pub struct Hidden(pub(super) Arc<FileTree>);

/// Where the verifier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifierMode {
    /// In a fresh sandbox that gets the answer's files.
    Separate,
    /// In the agent's own sandbox, after every agent process is dead.
    Shared,
}

/// One task, ready to run.
#[derive(Clone, Debug)]
pub struct Task {
    /// Name of its directory.
    pub id: TaskId,
    /// Digest over its files, as Harbor computes it (`sha256:…`).
    pub digest: String,
    /// What the agent is asked, canary lines removed.
    pub instruction: String,
    /// Image for backends that have images.
    pub image: Option<String>,
    /// Whether it may run in the local sandbox, which has no images.
    pub local: bool,
    /// Absolute folder in which the agent works.
    pub workdir: String,
    /// The files the agent starts with, delivered into `workdir`.
    pub workspace: Arc<FileTree>,
    /// Globs of the paths that are taken from the agent; empty: all.
    pub answer: Vec<String>,
    /// Time for the agent; none is the run's default.
    pub agent_timeout: Option<Duration>,
    /// Time for the verifier.
    pub verifier_timeout: Duration,
    /// Where the verifier runs.
    pub verifier_mode: VerifierMode,
    /// Environment of the verifier.
    pub verifier_env: Vec<(String, String)>,
    /// Environment of agent and verifier.
    pub env: Vec<(String, String)>,
    /// Reward from which on the task counts as resolved.
    pub pass_mark: f64,
    /// Cores asked for.
    pub cpus: Option<f64>,
    /// Memory asked for, in bytes.
    pub memory: Option<u64>,
    /// `tests/`.
    pub tests: Hidden,
    /// `solution/`; none: the task has no reference solution.
    pub solution: Option<Hidden>,
}
