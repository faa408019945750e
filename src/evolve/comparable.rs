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
        "the stages have changed since run {run} (then {then}; now {now}): scores of old and \
         new variants could not be compared"
    )]
    Stages {
        /// The run that recorded other stages.
        run: u32,
        /// The tasks of the first stage that differs, as recorded.
        then: String,
        /// Its tasks now.
        now: String,
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
            return Err(other_stages(start.run.0, &start.stages, &now));
        }
    }
    same_tasks(lineage, suite)
}

fn other_stages(run: u32, then: &[Vec<TaskId>], now: &[Vec<TaskId>]) -> Incomparable {
    let differs = |index: &usize| then.get(*index) != now.get(*index);
    let index = (0..then.len()).find(differs).unwrap_or(then.len());
    let name = |stages: &[Vec<TaskId>]| match stages.get(index) {
        None => format!("no stage {}", index + 1),
        Some(tasks) => {
            let names: Vec<String> = tasks.iter().map(|task| format!("`{task}`")).collect();
            format!("stage {} with {}", index + 1, names.join(", "))
        }
    };
    let (then, now) = (name(then), name(now));
    Incomparable::Stages { run, then, now }
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
