//! `[benchmark.holdout]`: tasks that nothing of an evolution ever sees.
//!
//! Invariant: a [`Split`] has no task twice, neither by name nor by content, and no stage has a
//! task that is held out.

use super::load::unknown;
use super::resolve::{Settings, unusable_task};
use super::{ConfigError, RawHoldout};
use crate::benchmark::{LoadError, Suite, Task, name_matches, subset};
use crate::domain::TaskId;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Where this is in the file.
const KEY: &str = "benchmark.holdout";

/// A benchmark without what is held out of it, and that.
#[derive(Debug)]
pub struct Split {
    /// The tasks that an evolution may use.
    pub training: Suite,
    /// The tasks that it may not, in order of name; empty where nothing is held out.
    pub held_out: Vec<Arc<Task>>,
    /// The tasks that would be held out as well, and cannot run.
    pub held_out_refused: Vec<(String, LoadError)>,
}

impl Split {
    /// Returns the names of the held-out tasks.
    pub fn held_out_ids(&self) -> BTreeSet<TaskId> {
        self.held_out.iter().map(|task| task.id.clone()).collect()
    }

    /// Returns all tasks in one benchmark, for whoever evaluates on request.
    pub fn together(mut self) -> Suite {
        self.training.tasks.extend(self.held_out);
        self.training.tasks.sort_by(|a, b| a.id.cmp(&b.id));
        self.training
    }
}

impl Settings {
    /// Returns the folder of the held-out tasks, where they are a benchmark of their own.
    pub fn holdout_folder(&self) -> Option<PathBuf> {
        let holdout = self.raw.benchmark.holdout.as_ref()?;
        holdout.path.as_ref().map(|path| self.dir.join(path))
    }

    /// Takes what is held out of a benchmark; `other` is what [`Self::holdout_folder`] holds.
    pub fn split(&self, mut suite: Suite, other: Option<Suite>) -> Result<Split, ConfigError> {
        let Some(raw) = &self.raw.benchmark.holdout else {
            return Ok(Split {
                training: suite,
                held_out: Vec::new(),
                held_out_refused: Vec::new(),
            });
        };
        let in_stages = self.named_in_stages();
        let mut held_out = match &other {
            Some(other) => from_folder(raw, other)?,
            None => self.chosen_from(raw, &suite, &in_stages)?,
        };
        held_out.sort_by(|a, b| a.id.cmp(&b.id));
        if held_out.is_empty() {
            return Err(ConfigError::value(KEY, "holds out no task"));
        }
        let source = match other {
            Some(other) => other.refused,
            None => std::mem::take(&mut suite.refused),
        };
        let is_out = |(name, _): &(String, LoadError)| is_meant(raw, name);
        let (held_out_refused, others) = source.into_iter().partition(is_out);
        if raw.path.is_some() {
            no_task_twice(&suite, &held_out)?;
        } else {
            suite.refused = others;
            let out: BTreeSet<TaskId> = held_out.iter().map(|task| task.id.clone()).collect();
            if let Some((task, stage)) = in_stages.iter().find(|(task, _)| out.contains(*task)) {
                let what = format!("holds out `{task}`, which `stages[{stage}]` names");
                return Err(ConfigError::value(KEY, what));
            }
            suite.tasks.retain(|task| !out.contains(&task.id));
            no_task_twice(&suite, &held_out)?;
        }
        Ok(Split {
            training: suite,
            held_out,
            held_out_refused,
        })
    }

    /// Returns the tasks that stages name, with the first stage that does.
    fn named_in_stages(&self) -> BTreeMap<TaskId, usize> {
        let mut named = BTreeMap::new();
        for (index, stage) in self.raw.stages.iter().enumerate() {
            let names = stage.tasks.iter().flatten().map(TaskId::new);
            let list = stage.subset.as_deref().and_then(subset::tasks);
            for task in names.chain(list.into_iter().flatten()) {
                named.entry(task).or_insert(index);
            }
        }
        named
    }

    fn chosen_from(
        &self,
        raw: &RawHoldout,
        suite: &Suite,
        in_stages: &BTreeMap<TaskId, usize>,
    ) -> Result<Vec<Arc<Task>>, ConfigError> {
        match (&raw.tasks, &raw.subset, raw.count) {
            (Some(names), None, None) => selected(names, suite),
            (None, Some(name), None) => of_subset(name, suite),
            (None, None, Some(count)) => {
                let mut free: Vec<Arc<Task>> = suite
                    .tasks
                    .iter()
                    .filter(|task| task.is_scored() && !in_stages.contains_key(&task.id))
                    .cloned()
                    .collect();
                // Tasks next to each other by name are often alike: the order of their names'
                // digests is a fair draw, and the same one everywhere.
                free.sort_by_key(|task| Sha256::digest(task.id.as_str()));
                drawn(free, count)
            }
            (None, None, None) => {
                let what = "needs `tasks` (names or patterns), `subset` (a published list), \
                            `count`, or `path` (another benchmark)";
                Err(ConfigError::value(KEY, what))
            }
            _ => Err(too_many()),
        }
    }
}

fn from_folder(raw: &RawHoldout, other: &Suite) -> Result<Vec<Arc<Task>>, ConfigError> {
    match (&raw.tasks, &raw.subset, raw.count) {
        (None, None, None) => Ok(other.tasks.clone()),
        (Some(names), None, None) => selected(names, other),
        (None, Some(name), None) => of_subset(name, other),
        (None, None, Some(count)) => {
            let mut free = other.tasks.clone();
            free.retain(|task| task.is_scored());
            drawn(free, count)
        }
        _ => Err(too_many()),
    }
}

/// Returns whether a task is held out by its name, even if it cannot run. Of what a number or
/// a published list holds out every task can run.
fn is_meant(raw: &RawHoldout, name: &str) -> bool {
    match &raw.tasks {
        Some(names) => names
            .iter()
            .any(|text| text == name || name_matches(text, name)),
        None => raw.path.is_some() && raw.subset.is_none() && raw.count.is_none(),
    }
}

fn too_many() -> ConfigError {
    ConfigError::value(KEY, "has more than one of `tasks`, `subset` and `count`")
}

fn selected(names: &[String], suite: &Suite) -> Result<Vec<Arc<Task>>, ConfigError> {
    if names.is_empty() {
        return Err(ConfigError::value(KEY, "names no task"));
    }
    suite
        .select(names)
        .map_err(|error| ConfigError::value(KEY, format!("cannot be had: {error}")))
}

fn of_subset(name: &str, suite: &Suite) -> Result<Vec<Arc<Task>>, ConfigError> {
    let known: Vec<&str> = subset::names().collect();
    let tasks =
        subset::tasks(name).ok_or_else(|| unknown(&format!("{KEY}.subset"), name, &known))?;
    let find = |task: &TaskId| {
        let lacks = || ConfigError::value(KEY, unusable_task(task.as_str(), suite));
        suite.get(task).cloned().ok_or_else(lacks)
    };
    tasks.iter().map(find).collect()
}

fn drawn(mut free: Vec<Arc<Task>>, count: usize) -> Result<Vec<Arc<Task>>, ConfigError> {
    if free.len() < count {
        let what = format!(
            "wants {count} tasks, but there are {} to hold out",
            free.len()
        );
        return Err(ConfigError::value(KEY, what));
    }
    free.truncate(count);
    Ok(free)
}

/// A copy of a task under another name would be no new task.
fn no_task_twice(suite: &Suite, held_out: &[Arc<Task>]) -> Result<(), ConfigError> {
    let by_digest: BTreeMap<&str, &TaskId> = suite
        .tasks
        .iter()
        .map(|task| (task.digest.as_str(), &task.id))
        .collect();
    for task in held_out {
        if suite.get(&task.id).is_some() {
            let what = format!(
                "holds out `{}`, a name that the benchmark has as well",
                task.id
            );
            return Err(ConfigError::value(KEY, what));
        }
        if let Some(same) = by_digest.get(task.digest.as_str()) {
            let what = format!(
                "holds out `{}`, which is the same task as `{same}`",
                task.id
            );
            return Err(ConfigError::value(KEY, what));
        }
    }
    Ok(())
}
