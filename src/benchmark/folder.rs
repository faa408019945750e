//! Reads a task's files from disk: regular files only, of a bounded size.

use super::fault::{LoadError, Spot};
use crate::domain::{FileTree, TreePath};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes that a task directory may hold.
const MOST_BYTES: u64 = 256 << 20;
/// Most files that a task directory may hold.
const MOST_FILES: usize = 50_000;

/// Files directly in a task directory that belong to the task, as Harbor lists them.
const SINGLE: [&str; 4] = [
    "task.toml",
    "instruction.md",
    "README.md",
    "trajectory.json",
];
/// Folders that belong to the task.
const FOLDERS: [&str; 4] = ["environment", "tests", "solution", "steps"];

/// Reads the files of a task directory that belong to the task.
pub(super) fn read_task(task: &Path) -> Result<FileTree, LoadError> {
    let mut reader = FolderReader {
        root: task,
        passed_over: &[],
        files: FileTree::new(),
        bytes: 0,
    };
    for name in SINGLE.iter().chain(&FOLDERS) {
        match fs::symlink_metadata(task.join(name)) {
            Ok(metadata) => reader.take(name, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                let file = (*name).to_owned();
                return Err(LoadError::Read { file, source });
            }
        }
    }
    Ok(reader.files)
}

/// Reads every file of a folder: an agent's source, or a whole benchmark. Links and special
/// files are refused; what version control and Python leave there is passed over.
pub fn read_folder(folder: &Path) -> Result<FileTree, LoadError> {
    let mut reader = FolderReader {
        root: folder,
        passed_over: &[".git", "__pycache__"],
        files: FileTree::new(),
        bytes: 0,
    };
    reader.take_folder("")?;
    Ok(reader.files)
}

/// Returns the files below a folder of a tree, with paths relative to it.
pub(super) fn below(files: &FileTree, folder: &str) -> FileTree {
    let mut tree = FileTree::new();
    for (path, file) in files.iter() {
        let rest = path
            .as_str()
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'));
        if let Some(path) = rest.and_then(|rest| TreePath::new(rest).ok()) {
            tree.insert(path, file.bytes.clone(), file.executable);
        }
    }
    tree
}

struct FolderReader<'a> {
    root: &'a Path,
    passed_over: &'static [&'static str],
    files: FileTree,
    bytes: u64,
}

impl FolderReader<'_> {
    fn take(&mut self, name: &str, metadata: &Metadata) -> Result<(), LoadError> {
        let invalid = |why: String| LoadError::Invalid {
            spot: Spot::file(name),
            why,
        };
        let path = TreePath::new(name).map_err(|error| invalid(error.why.to_owned()))?;
        if metadata.is_symlink() {
            return Err(invalid(
                "is a symbolic link; put the file itself there".to_owned(),
            ));
        }
        if metadata.is_dir() {
            return self.take_folder(name);
        }
        if !metadata.is_file() {
            return Err(invalid("is not a regular file".to_owned()));
        }
        self.bytes += metadata.len();
        if self.bytes > MOST_BYTES || self.files.len() >= MOST_FILES {
            return Err(invalid(format!(
                "the task is larger than {} MiB or {MOST_FILES} files",
                MOST_BYTES >> 20
            )));
        }
        let bytes = read_file(&self.root.join(name), metadata.len());
        let bytes = bytes.map_err(|source| read(name, source))?;
        self.files.insert(path, bytes, is_executable(metadata));
        Ok(())
    }

    fn take_folder(&mut self, name: &str) -> Result<(), LoadError> {
        for entry in fs::read_dir(self.root.join(name)).map_err(|source| read(name, source))? {
            let entry = entry.map_err(|source| read(name, source))?;
            let child = entry.file_name();
            let Some(child) = child.to_str() else {
                return Err(LoadError::Invalid {
                    spot: Spot::file(format!("{name}/{}", child.display())),
                    why: "has a name that is not UTF-8".to_owned(),
                });
            };
            if self.passed_over.contains(&child) {
                continue;
            }
            let child = if name.is_empty() {
                child.to_owned()
            } else {
                format!("{name}/{child}")
            };
            let metadata = entry.metadata().map_err(|source| read(&child, source))?;
            self.take(&child, &metadata)?;
        }
        Ok(())
    }
}

/// Reads a file of a known length, which spares asking for it and for the end.
fn read_file(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    File::open(path)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read(name: &str, source: io::Error) -> LoadError {
    LoadError::Read {
        file: name.to_owned(),
        source,
    }
}

fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}
