//! Reads the exercises of a language from a checkout, or from an archive of one.

use super::{ImportError, Language};
use crate::domain::{FileTree, TreePath};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes that are read of one file, and of all of them.
const MOST_FILE: u64 = 16 << 20;
const MOST_BYTES: u64 = 512 << 20;

/// Returns the files below `<language>/exercises/practice`.
pub(super) fn read(checkout: &Path, language: Language) -> Result<FileTree, ImportError> {
    let fault = |source| ImportError::Read {
        path: checkout.to_owned(),
        source,
    };
    let practice = format!("{language}/exercises/practice");
    let mut files = FileTree::new();
    if fs::metadata(checkout).map_err(fault)?.is_dir() {
        let folder = checkout.join(&practice);
        if folder.is_dir() {
            from_folder(&folder, "", &mut files).map_err(fault)?;
        }
    } else {
        from_archive(checkout, &practice, &mut files).map_err(fault)?;
    }
    if files.is_empty() {
        let path = checkout.to_owned();
        return Err(ImportError::NotPolyglot { path, language });
    }
    Ok(files)
}

/// Returns the files of each exercise, by its name.
pub(super) fn exercises(files: &FileTree) -> BTreeMap<String, FileTree> {
    let mut exercises: BTreeMap<String, FileTree> = BTreeMap::new();
    for (path, file) in files.iter() {
        let Some((slug, rest)) = path.as_str().split_once('/') else {
            continue;
        };
        if let Ok(path) = TreePath::new(rest) {
            exercises.entry(slug.to_owned()).or_default().insert(
                path,
                file.bytes.clone(),
                file.executable,
            );
        }
    }
    exercises
}

fn from_folder(folder: &Path, prefix: &str, files: &mut FileTree) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        let metadata = fs::symlink_metadata(entry.path())?;
        if metadata.is_dir() {
            from_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if metadata.is_file() {
            take(
                files,
                &path,
                File::open(entry.path())?,
                is_program(&metadata),
            )?;
        } else {
            return Err(refused(&path));
        }
    }
    Ok(())
}

fn from_archive(archive: &Path, practice: &str, files: &mut FileTree) -> io::Result<()> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(File::open(archive)?));
    let practice = format!("{practice}/");
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        // An archive of a hosting service has one folder around everything.
        let inner = match path.find(&practice) {
            Some(0) => &path[practice.len()..],
            Some(at) if path[..at].ends_with('/') && path[..at].matches('/').count() == 1 => {
                &path[at + practice.len()..]
            }
            Some(_) | None => continue,
        };
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            return Err(refused(path));
        }
        let executable = entry.header().mode()? & 0o111 != 0;
        take(files, inner, entry, executable)?;
    }
    Ok(())
}

fn take(
    files: &mut FileTree,
    path: &str,
    reader: impl io::Read,
    executable: bool,
) -> io::Result<()> {
    let path = TreePath::new(path).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    reader.take(MOST_FILE + 1).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > MOST_FILE || files.size() + size > MOST_BYTES {
        return Err(io::Error::other(format!("`{path}` is too large")));
    }
    files.insert(path, bytes, executable);
    Ok(())
}

fn refused(path: &str) -> io::Error {
    io::Error::other(format!("`{}` is not a regular file", path.escape_debug()))
}

fn is_program(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}
