//! A benchmark: a folder whose direct children are task directories.
//!
//! Invariant: nothing is skipped silently. A task that cannot be loaded stands in
//! [`Suite::refused`] with its reason and disturbs no other.

use super::fault::LoadError;
use super::glob;
use super::permits::Permits;
use super::task::Task;
use crate::domain::TaskId;
use crate::sys::parallel;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Table;

/// A benchmark, loaded.
#[derive(Debug)]
pub struct Suite {
    /// Its folder.
    pub path: PathBuf,
    /// Name of the dataset, if the folder has a `dataset.toml` that says so.
    pub name: Option<String>,
    /// The tasks that can run, in order of name.
    pub tasks: Vec<Arc<Task>>,
    /// The tasks that cannot, with the reason.
    pub refused: Vec<(String, LoadError)>,
    /// What is odd about the benchmark as a whole.
    pub warnings: Vec<String>,
}

/// What a command line selects of a benchmark.
#[derive(Debug)]
pub struct Selection {
    /// The tasks that can run, each once.
    pub tasks: Vec<Arc<Task>>,
    /// The names of those that cannot, with the reason.
    pub refused: Vec<(String, String)>,
}

/// Why a benchmark could not be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The folder cannot be read.
    #[error("could not read the benchmark `{path}`")]
    Read {
        /// The folder, or a file in it.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The folder is itself a task.
    #[error("`{path}` is one task; give the folder that holds it, and name the task")]
    IsTask {
        /// The folder.
        path: PathBuf,
    },
    /// There is no task in it.
    #[error("`{path}` holds no task: it has no folder with a `task.toml`")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// `dataset.toml` cannot be understood.
    #[error("`{path}`: {why}")]
    Dataset {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Why tasks could not be selected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is no such task.
    #[error("there is no task `{name}`{}", near_matches(near))]
    Unknown {
        /// The name as given.
        name: String,
        /// Names that are near it.
        near: Vec<String>,
    },
    /// No task matches a pattern.
    #[error("no task matches `{0}`")]
    NoMatch(String),
    /// The task is there, but cannot run.
    #[error("task `{name}` cannot run: {why}")]
    Refused {
        /// The task.
        name: String,
        /// Why.
        why: String,
    },
}

fn near_matches(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean `{}`?", near.join("`, `")),
    }
}

impl Suite {
    /// Loads every task of a folder; tasks get nothing beyond their own files.
    pub fn load(path: &Path) -> Result<Self, SuiteError> {
        Self::load_with(path, &Permits::default())
    }

    /// Loads every task of a folder, with what the run lets them have.
    pub fn load_with(path: &Path, permits: &Permits) -> Result<Self, SuiteError> {
        let read = |source| SuiteError::Read {
            path: path.to_owned(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().map_err(read)?.is_dir();
            let is_link = entry.file_type().map_err(read)?.is_symlink();
            // Files beside the tasks (a README, a metric) are no tasks; nor are hidden folders.
            if !name.starts_with('.') && (is_folder || (is_link && entry.path().is_dir())) {
                names.push(name);
            }
        }
        if path.join("task.toml").exists() {
            let path = path.to_owned();
            return Err(SuiteError::IsTask { path });
        }
        names.sort();
        let mut suite = Self {
            path: path.to_owned(),
            name: None,
            tasks: Vec::new(),
            refused: Vec::new(),
            warnings: Vec::new(),
        };
        let load = |name: &String| load_task(&path.join(name), name, permits);
        let loaded = parallel::map(&names, load);
        for (name, task) in names.into_iter().zip(loaded) {
            match task {
                Ok(task) => suite.tasks.push(Arc::new(task)),
                Err(error) => suite.refused.push((name, error)),
            }
        }
        if suite.tasks.is_empty() && suite.refused.is_empty() {
            let path = path.to_owned();
            return Err(SuiteError::Empty { path });
        }
        suite.read_dataset()?;
        Ok(suite)
    }

    /// Returns the task of a name.
    pub fn get(&self, id: &TaskId) -> Option<&Arc<Task>> {
        self.tasks.iter().find(|task| task.id == *id)
    }

    /// Returns the tasks that the names and patterns select, each once, in the order in which
    /// they are asked for; no name selects all.
    pub fn select(&self, wanted: &[String]) -> Result<Vec<Arc<Task>>, SelectError> {
        if wanted.is_empty() {
            return Ok(self.tasks.clone());
        }
        let mut selected: Vec<Arc<Task>> = Vec::new();
        let mut known = BTreeSet::new();
        for text in wanted {
            let found = if glob::is_pattern(text) {
                self.matching(text)?
            } else {
                vec![self.named(text)?]
            };
            for task in found {
                if known.insert(task.id.clone()) {
                    selected.push(task);
                }
            }
        }
        Ok(selected)
    }

    /// Returns the tasks that `wanted` selects and `excluded` does not, and those among them
    /// that cannot run; fails where no other is left.
    pub fn choose(&self, wanted: &[String], excluded: &[String]) -> Result<Selection, SelectError> {
        let is_out = |name: &str| excluded.iter().any(|text| is_selected(text, name));
        let is_in = |name: &str| {
            (wanted.is_empty() || wanted.iter().any(|text| is_selected(text, name)))
                && !is_out(name)
        };
        for text in excluded {
            self.is_known(text)?;
        }
        let mut tasks = Vec::new();
        for text in wanted {
            match self.select(std::slice::from_ref(text)) {
                Ok(found) => tasks.extend(found),
                Err(SelectError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if wanted.is_empty() {
            tasks.clone_from(&self.tasks);
        }
        let mut seen = BTreeSet::new();
        tasks.retain(|task| !is_out(task.id.as_str()) && seen.insert(task.id.clone()));
        let refused = self.refused.iter().filter(|(name, _)| is_in(name));
        let refused = refused.map(|(name, error)| (name.clone(), error.sentence()));
        let refused: Vec<(String, String)> = refused.collect();
        match refused.first() {
            Some((name, why)) if tasks.is_empty() => Err(SelectError::Refused {
                name: name.clone(),
                why: why.clone(),
            }),
            Some(_) | None => Ok(Selection { tasks, refused }),
        }
    }

    /// Checks that a name or pattern speaks of some task, whether or not it can run.
    fn is_known(&self, text: &str) -> Result<(), SelectError> {
        if self.refused.iter().any(|(name, _)| is_selected(text, name)) {
            return Ok(());
        }
        match glob::is_pattern(text) {
            true => self.matching(text).map(drop),
            false => self.named(text).map(drop),
        }
    }

    fn matching(&self, pattern: &str) -> Result<Vec<Arc<Task>>, SelectError> {
        let found: Vec<_> = self
            .tasks
            .iter()
            .filter(|task| glob::matches(pattern, task.id.as_str()))
            .cloned()
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let mut refused = self.refused.iter();
        Err(
            match refused.find(|(name, _)| glob::matches(pattern, name)) {
                Some((name, error)) => SelectError::Refused {
                    name: name.clone(),
                    why: error.sentence(),
                },
                None => SelectError::NoMatch(pattern.to_owned()),
            },
        )
    }

    fn named(&self, name: &str) -> Result<Arc<Task>, SelectError> {
        if let Some(task) = self.tasks.iter().find(|task| task.id.as_str() == name) {
            return Ok(task.clone());
        }
        if let Some((_, error)) = self.refused.iter().find(|(refused, _)| refused == name) {
            return Err(SelectError::Refused {
                name: name.to_owned(),
                why: error.sentence(),
            });
        }
        let mut near: Vec<(f64, &str)> = self
            .tasks
            .iter()
            .map(|task| task.id.as_str())
            .map(|known| (closeness(known, name), known))
            .filter(|(closeness, _)| *closeness > 0.6)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        Err(SelectError::Unknown {
            name: name.to_owned(),
            near: near
                .into_iter()
                .take(3)
                .map(|(_, name)| name.to_owned())
                .collect(),
        })
    }

    /// Reads `dataset.toml`: the dataset's name, and whether the tasks are as it says.
    fn read_dataset(&mut self) -> Result<(), SuiteError> {
        let path = self.path.join("dataset.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(SuiteError::Read { path, source }),
        };
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| SuiteError::Dataset {
                path,
                why: error.message().to_owned(),
            })?;
        let text_at = |table: &Table, key: &str| Some(table.get(key)?.as_str()?.to_owned());
        let dataset = table.get("dataset").and_then(|dataset| dataset.as_table());
        self.name = dataset.and_then(|dataset| text_at(dataset, "name"));
        // Of tasks of one name the first one counts.
        let mut by_name: HashMap<&str, &Task> = HashMap::new();
        for task in &self.tasks {
            if let Some(name) = &task.name {
                by_name.entry(name).or_insert(task);
            }
        }
        let listed = table.get("tasks").and_then(|tasks| tasks.as_array());
        for listed in listed
            .into_iter()
            .flatten()
            .filter_map(|task| task.as_table())
        {
            let (Some(name), Some(digest)) = (text_at(listed, "name"), text_at(listed, "digest"))
            else {
                continue;
            };
            if let Some(task) = by_name.get(name.as_str())
                && task.digest != digest
            {
                self.warnings.push(format!(
                    "task `{}` is not as `dataset.toml` has it: its files were changed",
                    task.id
                ));
            }
        }
        Ok(())
    }
}

/// Returns whether a name or pattern of a command line means a task.
fn is_selected(text: &str, name: &str) -> bool {
    match glob::is_pattern(text) {
        true => glob::matches(text, name),
        false => text == name,
    }
}

/// Returns how near two names are; people leave out the part before `__`.
fn closeness(known: &str, name: &str) -> f64 {
    let short = known.rsplit_once("__").map_or(known, |(_, short)| short);
    strsim::normalized_damerau_levenshtein(known, name)
        .max(strsim::normalized_damerau_levenshtein(short, name))
}

fn load_task(path: &Path, name: &str, permits: &Permits) -> Result<Task, LoadError> {
    let metadata = fs::symlink_metadata(path).map_err(|source| LoadError::Read {
        file: name.to_owned(),
        source,
    })?;
    if metadata.is_symlink() {
        return Err(LoadError::Invalid {
            spot: super::fault::Spot::file(name),
            why: "is a symbolic link; put the task itself there".to_owned(),
        });
    }
    Task::load_with(path, permits)
}

#[cfg(test)]
mod tests;
