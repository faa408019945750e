//! What `dgm bench check` has found, kept beside the tasks in `.dgm-checks.json`.
//!
//! Invariant: a result speaks of a task only as it was: its digest, and the image it ran in.
//! Whatever has changed since is unchecked again.

use super::check_row::{CheckRow, Checked};
use super::task::Task;
use crate::sys::durable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file in the benchmark's folder.
pub(super) const FILE: &str = ".dgm-checks.json";
/// Shape of the file.
const SCHEMA: &str = "dgm.checks/1";

/// All results of a benchmark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checks {
    path: PathBuf,
    results: BTreeMap<String, Found>,
    changed: bool,
}

/// What was found of one task.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Found {
    /// Digest of the task.
    pub digest: String,
    /// Id of the image that it ran in; none: it needs none.
    pub image: Option<String>,
    /// Whether it can be used to measure anything.
    pub ok: bool,
    /// Reward with nothing done.
    pub nothing_done: Option<f64>,
    /// Reward with the reference solution.
    pub reference: Option<f64>,
    /// How often each was run.
    pub times: u32,
    /// What is wrong; empty where all is well.
    pub detail: String,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

#[derive(Deserialize, Serialize)]
struct ChecksDocument {
    schema: String,
    tasks: BTreeMap<String, Found>,
}

/// What is known of a task as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing<'a> {
    /// It was checked and is good.
    Good,
    /// It was checked and is not.
    Bad(&'a Found),
    /// It has changed since its check.
    Changed,
    /// It was never checked.
    Never,
}

impl Checks {
    /// Reads the results of a benchmark; a file that is not there holds none, and so does one
    /// that cannot be understood: checks can be made again.
    pub fn read(benchmark: &Path) -> Self {
        let path = benchmark.join(FILE);
        let results = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<ChecksDocument>(&bytes).ok())
            .filter(|document| document.schema == SCHEMA)
            .map(|document| document.tasks);
        Self {
            path,
            results: results.unwrap_or_default(),
            changed: false,
        }
    }

    /// Returns what is known of a task as it is now. `image` is the id of its image, where that
    /// is known.
    pub fn of(&self, task: &Task, image: Option<&str>) -> Standing<'_> {
        let Some(found) = self.results.get(task.id.as_str()) else {
            return Standing::Never;
        };
        let other_image = match (image, found.image.as_deref()) {
            (Some(now), Some(then)) => now != then,
            (_, _) => false,
        };
        if found.digest != task.digest || other_image {
            Standing::Changed
        } else if found.ok {
            Standing::Good
        } else {
            Standing::Bad(found)
        }
    }

    /// Takes new results in, those of tasks that could not be run left out: nothing is known
    /// of them.
    pub fn take(
        &mut self,
        row: &CheckRow,
        task: &Task,
        image: Option<String>,
        times: u32,
        at_ms: i64,
    ) {
        if matches!(row.nothing_done, Checked::NotRun(_)) {
            return;
        }
        let found = Found {
            digest: task.digest.clone(),
            image,
            ok: row.ok,
            nothing_done: row.nothing_done.reward(),
            reference: row.reference.reward(),
            times,
            detail: row.detail.clone(),
            at_ms,
        };
        self.results.insert(row.task.clone(), found);
        self.changed = true;
    }

    /// Writes the results beside the tasks, if there are new ones.
    pub fn write(&self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let document = ChecksDocument {
            schema: SCHEMA.to_owned(),
            tasks: self.results.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        durable::write(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checks, Standing};
    use crate::benchmark::check_row::{CheckRow, Checked};
    use crate::benchmark::fixture;
    use crate::benchmark::task::Task;

    fn row(ok: bool) -> CheckRow {
        CheckRow {
            task: "hello".to_owned(),
            nothing_done: Checked::Reward(0.0),
            reference: Checked::Reward(f64::from(u8::from(ok))),
            ok,
            detail: String::new(),
            log: String::new(),
            seconds: 0.0,
        }
    }

    #[test]
    fn a_result_speaks_of_a_task_as_it_was() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("hello");
        fixture::write(&path, &fixture::good());
        let task = Task::load(&path).expect("it loads");
        let mut checks = Checks::read(folder.path());
        assert_eq!(checks.of(&task, None), Standing::Never);
        let image = Some("sha256:1".to_owned());
        checks.take(&row(true), &task, image, 1, 7);
        checks.write().expect("it can be written");
        let checks = Checks::read(folder.path());
        assert_eq!(checks.of(&task, None), Standing::Good);
        assert_eq!(checks.of(&task, Some("sha256:1")), Standing::Good);
        assert_eq!(checks.of(&task, Some("sha256:2")), Standing::Changed);
        let mut other = task.clone();
        other.digest.push('0');
        assert_eq!(checks.of(&other, None), Standing::Changed);
        let mut bad = checks.clone();
        bad.take(&row(false), &task, None, 2, 8);
        assert!(matches!(bad.of(&task, None), Standing::Bad(found) if found.times == 2));
        // What could not be run says nothing, and what is no result is none.
        let not_run = CheckRow {
            nothing_done: Checked::NotRun("x".to_owned()),
            ..row(false)
        };
        let mut same = checks.clone();
        same.take(&not_run, &task, None, 1, 9);
        assert_eq!(same, checks);
        let nonsense = [(".dgm-checks.json", "{}".to_owned())];
        std::fs::remove_file(folder.path().join(".dgm-checks.json")).expect("it was there");
        fixture::write(folder.path(), &nonsense);
        assert_eq!(Checks::read(folder.path()).of(&task, None), Standing::Never);
    }
}
