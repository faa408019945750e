//! Whether new results may stand beside the recorded ones.

use crate::benchmark::Suite;
use crate::domain::TaskId;
use crate::lineage::Lineage;
use crate::policy::Stages;

/// Why they may not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// A task is not what it was.
    #[error(
        "task `{task}` has changed since variants of this archive were evaluated on it \
         (then `{then}`, now `{now}`): new results could not be compared with the old ones"
    )]
    Task {
        /// The task.
        task: TaskId,
        /// Its recorded digest.
        then: String,
        /// Its digest now.
        now: String,
    },
    /// The stages are not what they were.
    #[error(
        "the stages have changed since run {run}: scores of old and new variants could not be \
         compared"
    )]
    Stages {
        /// The run that recorded other stages.
        run: u32,
    },
}

/// Checks the tasks and stages of a run against what is recorded.
pub fn comparable(lineage: &Lineage, suite: &Suite, stages: &Stages) -> Result<(), Incomparable> {
    let now: Vec<Vec<TaskId>> = stages
        .stages
        .iter()
        .map(|stage| stage.tasks.clone())
        .collect();
    for (start, _) in lineage.runs() {
        if !start.stages.is_empty() && start.stages != now {
            return Err(Incomparable::Stages { run: start.run.0 });
        }
    }
    same_tasks(lineage, suite)
}

/// Checks only the tasks.
pub fn same_tasks(lineage: &Lineage, suite: &Suite) -> Result<(), Incomparable> {
    for evaluation in lineage.evaluations() {
        let Some(task) = suite.get(&evaluation.key.task) else {
            continue;
        };
        if !evaluation.task_digest.is_empty() && evaluation.task_digest != task.digest {
            return Err(Incomparable::Task {
                task: task.id.clone(),
                then: evaluation.task_digest.clone(),
                now: task.digest.clone(),
            });
        }
    }
    Ok(())
}
