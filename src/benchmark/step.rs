//! One step of a task as Harbor means it; most tasks have one.

use super::hidden::Hidden;
use super::manifest::{Artifact, Collect};
use crate::domain::FileTree;
use crate::sandbox::{Health, Network};
use std::sync::Arc;
use std::time::Duration;

/// One step: an agent's turn and what judges it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its name; none: the task has no steps of its own.
    pub(crate) name: Option<String>,
    pub(crate) instruction: String,
    /// Files that are put into the working directory first; `setup.sh` among them is run.
    pub(crate) files: Arc<FileTree>,
    pub(crate) agent_timeout: Option<Duration>,
    pub(crate) agent_user: Option<String>,
    pub(crate) agent_network: Network,
    pub(crate) health: Vec<Health>,
    pub(crate) verifier: StepVerifier,
    pub(crate) tests: Hidden,
    pub(crate) solution: Option<Hidden>,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) collect: Vec<Collect>,
    pub(crate) min_reward: Vec<(String, f64)>,
}

/// Where and how a step is judged.
#[derive(Clone, Debug)]
pub(crate) struct StepVerifier {
    pub(crate) timeout: Duration,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) user: Option<String>,
    pub(crate) network: Network,
    /// None: in what the agent left.
    pub(crate) fresh: Option<FreshVerifier>,
}

/// A sandbox that no agent has been in.
#[derive(Clone, Debug)]
pub(crate) struct FreshVerifier {
    pub(crate) image: Option<String>,
    /// Whether the image brings the tests along.
    pub(crate) bundled: bool,
    pub(crate) workdir: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) health: Vec<Health>,
    pub(crate) setup: Duration,
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    pub(crate) disk: Option<u64>,
}
