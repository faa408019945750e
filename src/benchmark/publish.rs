//! Puts a benchmark where the user wants it: whole, or not at all.

use super::checks::FILE as CHECKS;
use crate::domain::FileTree;
use crate::sys::durable;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use toml::Table;

/// Why a benchmark cannot be put somewhere.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The place holds something else.
    #[error("`{path}` {why}; give a folder that does not exist yet, or one that an import made")]
    Occupied {
        /// The place.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// The place cannot be looked at.
    #[error("could not read `{path}`")]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The place cannot be written.
    #[error("could not write `{path}`")]
    Write {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A place that may be written: it is free, or the same importer made what is there.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    parent: PathBuf,
}

impl Target {
    /// Checks that nothing of anybody else is at the place.
    pub(super) fn check(path: &Path, importer: &str) -> Result<Self, PublishError> {
        let occupied = |why: String| PublishError::Occupied {
            path: path.to_owned(),
            why,
        };
        let path = std::path::absolute(path).map_err(|source| read(path, source))?;
        let Some(parent) = path.parent().map(Path::to_owned) else {
            return Err(occupied("is no place for a benchmark".to_owned()));
        };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(occupied("is not a folder".to_owned()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, parent });
            }
            Err(source) => return Err(read(&path, source)),
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&path).map_err(|source| read(&path, source))? {
            let entry = entry.map_err(|source| read(&path, source))?;
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
        if !names.is_empty() {
            let made = made_by_import(&path, importer)
                .ok_or_else(|| occupied("is not empty, and no import made it".to_owned()))?;
            if let Some(other) = names.iter().find(|name| !made.contains(*name)) {
                let why = format!("holds `{other}`, which no import made");
                return Err(occupied(why));
            }
        }
        Ok(Self { path, parent })
    }

    /// Writes everything beside the place, then moves it there, durably.
    pub(super) fn publish(
        self,
        tasks: &BTreeMap<String, FileTree>,
        manifest: &str,
    ) -> Result<(), PublishError> {
        let written = |path: &Path| {
            let path = path.to_owned();
            move |source| PublishError::Write { path, source }
        };
        durable::create_dir_all(&self.parent).map_err(written(&self.parent))?;
        let desk = tempfile::Builder::new()
            .prefix(".dgm-import-")
            .tempdir_in(&self.parent)
            .map_err(written(&self.parent))?;
        let new = desk.path().join("new");
        fs::create_dir(&new).map_err(written(&new))?;
        // What was found of tasks still holds where they stay as they are: each result names
        // the digest that it is about.
        let checks = self.path.join(CHECKS);
        if let Ok(found) = fs::read(&checks) {
            write_file(&new.join(CHECKS), &found, false).map_err(written(&checks))?;
        }
        for (name, files) in tasks {
            write_tree(&new.join(name), files).map_err(written(&self.path.join(name)))?;
        }
        let dataset = new.join("dataset.toml");
        write_file(&dataset, manifest.as_bytes(), false).map_err(written(&dataset))?;
        if self.path.exists() {
            let old = desk.path().join("old");
            fs::rename(&self.path, &old).map_err(written(&self.path))?;
        }
        durable::publish(&new, &self.path).map_err(written(&self.path))
    }
}

/// Returns the names that an import put into a folder, if its `dataset.toml` says that one did.
fn made_by_import(path: &Path, importer: &str) -> Option<BTreeSet<String>> {
    let text = fs::read_to_string(path.join("dataset.toml")).ok()?;
    let table: Table = text.parse().ok()?;
    let made_by = table.get("metadata")?.get("dgm")?.get("importer")?;
    if made_by.as_str() != Some(importer) {
        return None;
    }
    let tasks = table.get("tasks")?.as_array()?;
    let mut names: BTreeSet<String> = tasks
        .iter()
        .filter_map(|task| task.get("name")?.as_str()?.split('/').nth(1))
        .map(str::to_owned)
        .collect();
    names.insert("dataset.toml".to_owned());
    names.insert(CHECKS.to_owned());
    Some(names)
}

fn write_tree(folder: &Path, files: &FileTree) -> io::Result<()> {
    let mut last = None;
    for (path, file) in files.iter() {
        let path = folder.join(path.as_str());
        let parent = path.parent().map(Path::to_owned);
        if let Some(parent) = parent.as_ref().filter(|_| parent != last) {
            fs::create_dir_all(parent)?;
        }
        last = parent;
        write_file(&path, &file.bytes, file.executable)?;
    }
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if executable { 0o755 } else { 0o644 })
        .open(path)?;
    file.write_all(bytes)
}

fn read(path: &Path, source: io::Error) -> PublishError {
    PublishError::Read {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, Target};
    use crate::benchmark::fixture;
    use crate::domain::{FileTree, TreePath};
    use std::collections::BTreeMap;

    #[test]
    fn checks_stay_where_the_same_importer_comes_again() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let place = folder.path().join("tasks");
        let manifest = "[metadata.dgm]\nimporter = \"us\"\n[[tasks]]\nname = \"us/a\"\n";
        let publish = |text: &str| {
            let mut files = FileTree::new();
            let path = TreePath::new("instruction.md").expect("it is a path");
            files.insert(path, text.as_bytes(), false);
            let tasks = BTreeMap::from([("a".to_owned(), files)]);
            let target = Target::check(&place, "us").map_err(|error| error.to_string())?;
            target
                .publish(&tasks, manifest)
                .map_err(|error| error.to_string())
        };
        publish("one").expect("nothing is there");
        fixture::write(&place, &[(CHECKS, "found".to_owned())]);
        publish("two").expect("we made what is there");
        let text = |name: &str| std::fs::read_to_string(place.join(name)).expect("it is there");
        assert_eq!(
            (text("a/instruction.md"), text(CHECKS)),
            ("two".into(), "found".into())
        );
        // What is somebody's stays theirs.
        fixture::write(&place, &[("notes.md", "mine".to_owned())]);
        let error = publish("three").expect_err("it holds more");
        assert!(error.contains("holds `notes.md`"), "{error}");
        assert_eq!(text("a/instruction.md"), "two");
    }
}
