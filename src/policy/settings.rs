//! What a configuration says to a policy. Each takes what it needs.

use crate::domain::TaskId;

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// Part of the tasks that must be resolved to go on to the next stage (DGM: 0.4).
    pub go_on: f64,
}

/// Settings of policies, as they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySettings {
    /// Name of the policy.
    pub name: String,
    /// Seed of all draws.
    pub seed: u64,
    /// Generations in all, over all runs of the archive.
    pub generations: u32,
    /// Attempts of each generation.
    pub attempts: u32,
    /// Whether a generation waits for the end of the one before it.
    pub barrier: bool,
    /// Jobs that run at once.
    pub workers: u32,
    /// How parents are drawn.
    pub selection: String,
    /// Who becomes a parent.
    pub admission: String,
    /// Tolerated loss of who becomes a parent.
    pub eval_noise: f64,
    /// How far variants are evaluated.
    pub stages: Vec<Stage>,
    /// Evaluations of each task.
    pub repeats: u32,
}

/// A value that names nothing that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// Key of the configuration.
    pub key: &'static str,
    /// What it says.
    pub value: String,
    /// What it could say.
    pub known: Vec<&'static str>,
}
