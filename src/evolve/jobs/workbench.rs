//! What jobs are made from, the same for all of them.

use super::event::JobEvent;
use crate::benchmark::{Suite, Task};
use crate::domain::{JobId, Role, TaskId};
use crate::evolve::books::ChannelBooks;
use crate::evolve::settings::EngineSettings;
use crate::model::{JobSubject, Metered, Model, Pace};
use crate::policy::Policy;
use crate::trial::SandboxHost;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A model per role.
#[derive(Clone, Debug)]
pub struct RoleModels {
    /// Reads evidence and proposes.
    pub diagnose: Arc<Model>,
    /// Drives a parent while it edits itself.
    pub modify: Arc<Model>,
    /// Drives a variant on a task.
    pub solve: Arc<Model>,
}

impl RoleModels {
    pub(in crate::evolve) fn of(&self, role: Role) -> Arc<Model> {
        match role {
            Role::Diagnose => self.diagnose.clone(),
            Role::Modify => self.modify.clone(),
            Role::Solve => self.solve.clone(),
        }
    }

    /// Returns the pace of each role's model.
    pub(in crate::evolve) fn paces(&self) -> [(Role, Pace); 3] {
        Role::ALL.map(|role| (role, self.of(role).pace().clone()))
    }
}

/// What every job is made from.
pub(in crate::evolve) struct Workbench {
    /// Where untrusted code runs.
    pub host: SandboxHost,
    /// The tasks.
    pub suite: Arc<Suite>,
    /// Tasks whose images cannot be had, with the reason.
    pub lacking: BTreeMap<TaskId, String>,
    /// A model per role.
    pub models: RoleModels,
    /// Whose word it is when a child has its turn.
    pub policy: Arc<dyn Policy>,
    /// Time, width and patience.
    pub settings: EngineSettings,
    /// Where jobs report.
    pub events: mpsc::UnboundedSender<JobEvent>,
    /// Stops all of them.
    pub cancel: CancellationToken,
}

impl Workbench {
    /// Returns a task of the benchmark.
    pub(super) fn task(&self, id: &TaskId) -> anyhow::Result<Arc<Task>> {
        let task = self.suite.get(id);
        let task = task.with_context(|| format!("the benchmark has no task `{id}`"))?;
        Ok(task.clone())
    }

    /// Returns a role's model for one execution of a job, with the books.
    pub(super) fn metered(&self, subject: JobId, execution: u32, role: Role) -> Arc<Metered> {
        let job = JobSubject {
            subject,
            execution,
            role,
        };
        let books = ChannelBooks::new(self.events.clone()).keeping_traffic(self.settings.record);
        Arc::new(Metered::new(
            self.models.of(role),
            Arc::new(books),
            job,
            self.settings.budgets.job,
        ))
    }
}

/// Returns whether a job's calls failed, and nothing was answered to anybody since: then it is
/// the provider that is out, or about to be found out.
pub(super) fn is_in_trouble(metered: &Metered) -> bool {
    metered.provider_failure().is_some()
        && (metered.has_met_outage() || metered.model().pace().trouble().is_some())
}
