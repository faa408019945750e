//! Whether new results may stand beside the recorded ones.

use crate::benchmark::Suite;
use crate::domain::{Purpose, TaskId};
use crate::lineage::Lineage;
use std::collections::BTreeSet;

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
    /// A task that guided the evolution is to be held out.
    #[error(
        "task `{0}` is held out, but it has guided the evolution of this archive: what it would \
         measure is not new to it"
    )]
    Guided(TaskId),
    /// A task that was held out is to guide the evolution.
    #[error(
        "task `{0}` is in a stage, but it was held out in this archive: scores on it were \
         reported as of a task that guides nothing"
    )]
    WasHeldOut(TaskId),
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

/// Checks the tasks of a run, and which of them guide it, against what is recorded.
pub fn comparable(
    lineage: &Lineage,
    suite: &Suite,
    guiding: &[Vec<TaskId>],
) -> Result<(), Incomparable> {
    for (start, _) in lineage.runs() {
        if !start.stages.is_empty() && start.stages != guiding {
            return Err(other_stages(start.run.0, &start.stages, guiding));
        }
    }
    none_was_held_out(lineage, guiding)?;
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

/// Checks only the tasks. Scores that guide an evolution stand on the first judgement of each
/// answer; others on the newest.
pub fn same_tasks(lineage: &Lineage, suite: &Suite) -> Result<(), Incomparable> {
    for evaluation in lineage.evaluations() {
        let Some(task) = suite.get(&evaluation.key.task) else {
            continue;
        };
        let then = lineage.judgement(evaluation).task_digest.as_str();
        if !then.is_empty() && then != task.digest {
            return Err(Incomparable::Task {
                task: task.id.clone(),
                then: then.to_owned(),
                now: task.digest.clone(),
            });
        }
    }
    Ok(())
}

/// Checks that nothing is held out that guided this archive's evolution, and that nothing
/// guides it that was held out before.
pub fn never_mixed(lineage: &Lineage, held_out: &BTreeSet<TaskId>) -> Result<(), Incomparable> {
    let in_stages = lineage
        .runs()
        .iter()
        .flat_map(|(start, _)| start.stages.iter().flatten());
    let measured = lineage
        .evaluations()
        .filter(|evaluation| matches!(evaluation.purpose, Purpose::Stage(_)))
        .map(|evaluation| &evaluation.key.task);
    if let Some(task) = in_stages
        .chain(measured)
        .find(|task| held_out.contains(task))
    {
        return Err(Incomparable::Guided(task.clone()));
    }
    Ok(())
}

/// Checks that no stage has a task that was held out before.
fn none_was_held_out(lineage: &Lineage, guiding: &[Vec<TaskId>]) -> Result<(), Incomparable> {
    let before: BTreeSet<&TaskId> = lineage
        .evaluations()
        .filter(|evaluation| evaluation.purpose == Purpose::Holdout)
        .map(|evaluation| &evaluation.key.task)
        .collect();
    let mut tasks = guiding.iter().flatten();
    match tasks.find(|task| before.contains(task)) {
        Some(task) => Err(Incomparable::WasHeldOut(task.clone())),
        None => Ok(()),
    }
}
