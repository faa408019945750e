//! What the engine is told about time, width and patience.

use super::Budgets;
use crate::domain::Disclosure;
use crate::sandbox::Limits;
use std::time::Duration;

/// Settings of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// Jobs at once.
    pub workers: usize,
    /// Time for a parent to change its own source.
    pub modify_timeout: Duration,
    /// Time for an agent on a task that names none.
    pub agent_timeout: Duration,
    /// Time that running jobs get after the first Ctrl-C.
    pub grace: Duration,
    /// What of a task a diagnosis may see.
    pub disclosure: Disclosure,
    /// Further tries of a job whose infrastructure failed.
    pub infra_retries: u32,
    /// What may be used.
    pub budgets: Budgets,
    /// Whether the traffic of model calls is kept.
    pub record: bool,
    /// Time that a run waits for a provider that answers nobody.
    pub outage_limit: Duration,
    /// Image in which agents change themselves.
    pub agent_image: String,
    /// Limits where a task asks for nothing else.
    pub limits: Limits,
}
