//! A variant's files as plain files, for people and tools.

use super::blob::list;
use super::error::{ArchiveError, Result};
use crate::domain::FileTree;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes files to a folder that is new or empty, or, with `force`, over the files there.
/// Links in the folder are never followed.
pub fn write_files(tree: &FileTree, dir: &Path, force: bool) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| ArchiveError::write(dir, error))?;
    if !force && !list(dir)?.is_empty() {
        return Err(ArchiveError::Occupied {
            dir: dir.to_owned(),
        });
    }
    for (path, file) in tree.iter() {
        let target = dir.join(path.as_str());
        let fault = |error| ArchiveError::write(&target, error);
        let mut folder = dir.to_owned();
        let mut components = path.as_str().split('/').peekable();
        while let Some(component) = components.next() {
            if components.peek().is_none() {
                break;
            }
            folder.push(component);
            make_folder(&folder).map_err(fault)?;
        }
        match fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            Ok(()) | Err(_) => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if file.executable { 0o777 } else { 0o666 })
            .open(&target)
            .and_then(|mut output| output.write_all(&file.bytes))
            .map_err(fault)?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(folder)?.is_dir() {
                Ok(())
            } else {
                Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    "a folder is needed where something else is",
                ))
            }
        }
        other => other,
    }
}
