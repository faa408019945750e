//! From rows to a benchmark on disk.

use super::facts::FactsError;
use super::instance::Instance;
use super::render;
use super::rows::{self, RowsError};
use crate::benchmark::publish::{PublishError, Target};
use crate::domain::{FileTree, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which rows are taken.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these instances; empty: all.
    pub ids: Vec<String>,
    /// At most so many, the first ones.
    pub limit: Option<usize>,
}

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Name of the dataset.
    pub dataset: String,
    /// The tasks, in order of name.
    pub tasks: Vec<TaskId>,
    /// Images that they run in, in order of name.
    pub images: Vec<String>,
    /// Number of instances of a task repository that it does not publish.
    pub unpublished: usize,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The rows cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A row is not as it should be.
    #[error("`{path}`, {place}: {fault}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Which row, with its instance where that is known.
        place: String,
        /// What is wrong.
        fault: FactsError,
    },
    /// An instance is there twice.
    #[error("`{path}`, {place}: instance `{id}` is there twice")]
    Twice {
        /// The file.
        path: PathBuf,
        /// Where it is again.
        place: String,
        /// Which.
        id: String,
    },
    /// Instances that were asked for are not there.
    #[error("`{path}` has no instance {}", names(.ids))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Which.
        ids: Vec<String>,
    },
    /// Nothing is left.
    #[error("`{path}` gives no instance")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The target cannot be used.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

fn names(ids: &[String]) -> String {
    let names: Vec<String> = ids
        .iter()
        .map(|id| format!("`{}`", id.escape_debug()))
        .collect();
    names.join(", ")
}

/// Makes a benchmark of rows: a file of JSON, JSON lines or Parquet, or a task repository.
/// `out` is made, or replaced if such an import made it. One bad row among those that are
/// taken fails all of it: a benchmark with a hole measures something else.
pub fn import(rows: &Path, out: &Path, selection: &Selection) -> Result<Imported, ImportError> {
    let target = Target::check(out, "swebench")?;
    let wanted: BTreeSet<&str> = selection.ids.iter().map(String::as_str).collect();
    let mut missing = wanted.clone();
    let mut tasks: BTreeMap<String, FileTree> = BTreeMap::new();
    let mut images = BTreeSet::new();
    let mut unpublished = 0;
    for found in rows::read(rows)? {
        let id = found.row.get("instance_id").and_then(|id| id.as_str());
        if !wanted.is_empty() && !id.is_some_and(|id| wanted.contains(id)) {
            continue;
        }
        if !found.is_published && wanted.is_empty() {
            unpublished += 1;
            continue;
        }
        if selection.limit.is_some_and(|limit| tasks.len() >= limit) {
            break;
        }
        let place = match id {
            Some(id) => format!("{} (`{}`)", found.place, id.escape_debug()),
            None => found.place.clone(),
        };
        let instance =
            Instance::read(&found.row, &found.beside).map_err(|fault| ImportError::Row {
                path: rows.to_owned(),
                place: place.clone(),
                fault,
            })?;
        let id = instance.facts.instance_id.clone();
        missing.remove(id.as_str());
        images.insert(instance.image.clone());
        if tasks.insert(id.clone(), render::task(&instance)).is_some() {
            let path = rows.to_owned();
            return Err(ImportError::Twice { path, place, id });
        }
    }
    let path = || rows.to_owned();
    if !missing.is_empty() && selection.limit.is_none() {
        let ids = missing.into_iter().map(str::to_owned).collect();
        return Err(ImportError::Unknown { path: path(), ids });
    }
    if tasks.is_empty() {
        return Err(ImportError::Empty { path: path() });
    }
    let dataset = dataset_name(rows);
    target.publish(&tasks, &render::dataset(&dataset, &tasks))?;
    Ok(Imported {
        dataset,
        tasks: tasks.into_keys().map(TaskId::new).collect(),
        images: images.into_iter().collect(),
        unpublished,
    })
}

/// Returns `swe-bench/` with the name of the file that the rows came from.
fn dataset_name(rows: &Path) -> String {
    let stem = rows.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("swe-bench/{}", if name.is_empty() { "rows" } else { name })
}
