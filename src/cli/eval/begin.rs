//! The run of an evaluation: its images, its sandbox, its engine.
//!
//! Invariant: an image that cannot be had fails the evaluations that need it, once and with
//! the reason, and no other.

use super::order::{Chosen, Order};
use crate::archive::Writer;
use crate::benchmark::Task;
use crate::cli::caps::{self, Asked};
use crate::cli::making::{self, Lacking};
use crate::cli::progress::Watch;
use crate::cli::run::{Models, Run};
use crate::cli::ui::Ui;
use crate::cli::workplace;
use crate::domain::{EvaluationKey, TaskId};
use crate::evolve::Finished;
use crate::lineage::Lineage;
use crate::policy::Policy;
use crate::sys::shutdown::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that a run needs.
pub(super) struct Begin<'a> {
    pub(super) order: &'a Order,
    pub(super) ready: Ready,
    pub(super) writer: Writer,
    pub(super) lineage: Lineage,
    pub(super) shutdown: Shutdown,
    pub(super) models: Models,
}

/// Tasks whose images are ready, as far as they can be had.
pub(super) struct Ready {
    chosen: Chosen,
    /// The tasks that are run.
    tasks: Vec<Arc<Task>>,
    /// Those of them that lack an image, with the reason.
    pub(super) lacking: BTreeMap<TaskId, String>,
}

impl Ready {
    /// Makes ready what these evaluations need; fails where none of them could be run.
    pub(super) async fn make(
        ui: Ui,
        order: &Order,
        chosen: Chosen,
        keys: &[EvaluationKey],
    ) -> anyhow::Result<Self> {
        let backend = order.settings.backend;
        let asked: BTreeSet<&TaskId> = keys.iter().map(|key| &key.task).collect();
        let tasks: Vec<Arc<Task>> = chosen
            .tasks
            .iter()
            .filter(|task| asked.contains(&task.id))
            .cloned()
            .collect();
        workplace::refuse_unfit(backend, chosen.tasks.iter())?;
        let unmade = making::prepare_for_run(ui, backend, tasks.iter()).await?;
        let lacking = Lacking::tasks(&unmade);
        if lacking.len() == tasks.len() {
            Lacking::refuse(&unmade, &chosen.suite.path)?;
        }
        for image in &unmade {
            ui.warn(&image.warning());
        }
        Ok(Self {
            chosen,
            tasks,
            lacking,
        })
    }
}

impl Begin<'_> {
    pub(super) async fn go(
        self,
        ui: Ui,
        policy: Arc<dyn Policy>,
    ) -> anyhow::Result<(Finished, Lineage)> {
        let Ready {
            chosen,
            tasks,
            lacking,
        } = self.ready;
        let settings = &self.order.settings;
        if self.models == Models::Solve {
            let said = caps::check(settings, Asked::Evaluations)?;
            said.iter().for_each(|said| ui.warn(said));
        }
        let can_run = tasks.iter().filter(|task| !lacking.contains_key(&task.id));
        let images = workplace::images(can_run, None);
        let place = workplace::open(settings.backend, self.writer.id(), &images).await?;
        let planned = policy.remaining(&self.lineage).all_evaluations().most;
        let run = Run {
            writer: self.writer,
            lineage: self.lineage,
            suite: chosen.suite,
            place,
            watch: Watch::Evaluations(planned),
            models: self.models,
            policy,
            replay: self.order.replay.clone(),
            lacking,
        };
        run.go(ui, settings, self.shutdown).await
    }
}
