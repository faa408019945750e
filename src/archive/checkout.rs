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

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test puts files in the way on purpose"
)]
mod tests {
    use super::write_files;
    use crate::domain::{FileTree, TreePath};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn tree() -> FileTree {
        let mut tree = FileTree::new();
        tree.insert(TreePath::new("a/b/c.txt").unwrap(), &b"text"[..], false);
        tree.insert(TreePath::new("run").unwrap(), &b"#!/bin/sh\n"[..], true);
        tree
    }

    #[test]
    fn writes_files_with_their_modes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new/place");
        write_files(&tree(), &dir, false).unwrap();
        assert_eq!(fs::read(dir.join("a/b/c.txt")).unwrap(), b"text");
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o111;
        assert_ne!(mode("run"), 0);
        assert_eq!(mode("a/b/c.txt"), 0);
        let error = write_files(&tree(), &dir, false).expect_err("it is not empty now");
        assert_eq!(
            error.to_string(),
            format!("`{}` is not empty", dir.display())
        );
        fs::write(dir.join("run"), "other").unwrap();
        write_files(&tree(), &dir, true).unwrap();
        assert_eq!(fs::read(dir.join("run")).unwrap(), b"#!/bin/sh\n");
    }

    #[test]
    fn never_follows_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, outside) = (folder.path().join("dir"), folder.path().join("outside"));
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("run"), "mine").unwrap();
        symlink(outside.join("run"), dir.join("run")).unwrap();
        symlink(&outside, dir.join("a")).unwrap();
        write_files(&tree(), &dir, true).expect_err("a folder would be a link");
        fs::remove_file(dir.join("a")).unwrap();
        write_files(&tree(), &dir, true).unwrap();
        assert_eq!(fs::read(outside.join("run")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
