//! What an engine is made of, and how its run can end.

use super::budget::BudgetKey;
use super::jobs::RoleModels;
use super::replay::ReplaySource;
use super::{EngineSettings, Progress};
use crate::archive::Writer;
use crate::benchmark::Suite;
use crate::domain::{RunId, RunStart, TaskId};
use crate::lineage::Lineage;
use crate::policy::Policy;
use crate::sys::clock::now_ms;
use crate::sys::shutdown::Shutdown;
use crate::trial::SandboxHost;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Everything an engine is made of.
pub struct Parts {
    /// The archive, open for writing.
    pub writer: Writer,
    /// The fold of its facts.
    pub lineage: Lineage,
    /// What decides.
    pub policy: Arc<dyn Policy>,
    /// Where untrusted code runs.
    pub place: SandboxHost,
    /// The tasks.
    pub suite: Arc<Suite>,
    /// Tasks whose images cannot be had, with the reason: evaluations on them fail once.
    pub lacking: BTreeMap<TaskId, String>,
    /// A model per role.
    pub models: RoleModels,
    /// Where the models take their answers from, if that is recordings.
    pub replay: Option<ReplaySource>,
    /// Time, width and patience.
    pub settings: EngineSettings,
    /// Ctrl-C.
    pub shutdown: Shutdown,
    /// Who wants to see progress.
    pub progress: mpsc::UnboundedSender<Progress>,
    /// The command as typed, recorded with the run.
    pub command: String,
    /// The configuration as TOML, recorded with the run.
    pub config: String,
}

impl Parts {
    /// Returns the fact that a run begins now.
    pub(super) fn start(&self, run: RunId) -> RunStart {
        RunStart {
            run,
            command: self.command.clone(),
            config: self.config.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sandbox: self.place.sandbox.name().to_owned(),
            stages: self.policy.guiding_tasks(),
            at_ms: now_ms(),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why, in a sentence.
    pub reason: String,
    /// What brought the end.
    pub cause: EndCause,
    /// The key of the configuration that can be raised to go on, where a budget ended it.
    pub raise: Option<BudgetKey>,
}

/// A replay came to a request that was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unrecorded(pub(super) String);

/// What brought a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The policy has nothing more to do.
    Goal,
    /// A budget of the archive is used up: money, tokens, calls or hours.
    Budget,
    /// It was stopped from outside.
    Interrupted,
    /// A model's provider lets nobody in, or was out for too long.
    Provider,
}
