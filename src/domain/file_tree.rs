//! A set of files as a value: an agent's source, a task's workspace, an agent's answer.
//!
//! Invariant: a path is relative, has no `..`, `.` or empty component, no NUL, and none of
//! its components is `.git`. So a tree can be written anywhere without leaving that place,
//! and nothing but regular files can be in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A checked relative path with `/` between components.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(String);

/// Why a path was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` {why}")]
pub struct PathError {
    /// The path as given, lossily decoded.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl TreePath {
    /// Checks a path.
    pub fn new(path: &str) -> Result<Self, PathError> {
        let fault = |why| {
            Err(PathError {
                path: path.escape_debug().to_string(),
                why,
            })
        };
        if path.is_empty() {
            return fault("is empty");
        }
        if path.len() > 4096 {
            return fault("is longer than 4096 bytes");
        }
        if path.contains('\0') {
            return fault("holds a NUL byte");
        }
        if path.starts_with('/') {
            return fault("is absolute");
        }
        for component in path.split('/') {
            match component {
                "" => return fault("has an empty component"),
                "." => return fault("has a `.` component"),
                ".." => return fault("has a `..` component"),
                name if name.eq_ignore_ascii_case(".git") => {
                    return fault("lies in a `.git` folder");
                }
                name if name.len() > 255 => return fault("has a component longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether some component of the path has this name.
    pub fn has_component(&self, name: &str) -> bool {
        self.0.split('/').any(|component| component == name)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One regular file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its content; shared, because trees are copied around freely.
    pub bytes: Arc<[u8]>,
    /// Whether it may be executed.
    pub executable: bool,
}

impl fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FileEntry({} bytes, executable: {})",
            self.bytes.len(),
            self.executable
        )
    }
}

/// Files by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTree {
    files: BTreeMap<TreePath, FileEntry>,
}

impl FileTree {
    /// Returns a tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file, replacing one at the same path.
    pub fn insert(&mut self, path: TreePath, bytes: impl Into<Arc<[u8]>>, executable: bool) {
        self.files.insert(
            path,
            FileEntry {
                bytes: bytes.into(),
                executable,
            },
        );
    }

    /// Takes a file out.
    pub fn remove(&mut self, path: &TreePath) -> Option<FileEntry> {
        self.files.remove(path)
    }

    /// Returns the file at a path.
    pub fn get(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(&TreePath(path.to_owned()))
    }

    /// Returns all files in order of path.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &FileEntry)> {
        self.files.iter()
    }

    /// Returns the number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the sum of the files' sizes in bytes.
    pub fn size(&self) -> u64 {
        self.files
            .values()
            .map(|file| file.bytes.len() as u64)
            .sum()
    }

    /// Returns what turns `self` into `after`.
    pub fn change_to(&self, after: &Self) -> Change {
        let mut change = Change::default();
        for (path, file) in &after.files {
            if self.files.get(path) != Some(file) {
                change.written.files.insert(path.clone(), file.clone());
            }
        }
        for path in self.files.keys() {
            if !after.files.contains_key(path) {
                change.deleted.push(path.clone());
            }
        }
        change
    }

    /// Returns this tree with a change made to it.
    pub fn changed_by(&self, change: &Change) -> Self {
        let mut after = self.clone();
        for path in &change.deleted {
            after.files.remove(path);
        }
        for (path, file) in &change.written.files {
            after.files.insert(path.clone(), file.clone());
        }
        after
    }
}

/// The difference between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Files that are new or different, with their new content.
    pub written: FileTree,
    /// Files that are gone.
    pub deleted: Vec<TreePath>,
}

impl Change {
    /// Returns whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.deleted.is_empty()
    }
}
