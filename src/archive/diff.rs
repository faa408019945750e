//! Differences between sets of files, for people. Nothing ever applies one.

use super::error::{ArchiveError, Result};
use super::tree_object;
use crate::domain::FileTree;
use git2::{Diff, DiffFormat, DiffOptions, Odb, Oid, Repository};
use std::path::Path;

/// Files above this size are shown as binary: nobody reads such a diff, and computing it
/// could take a hostile file's author's choice of time.
const MAX_TEXT: i64 = 4 << 20;

/// Size of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffStat {
    /// Files that differ.
    pub files: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
}

/// Returns what turns `a` into `b` as a unified diff, without an archive.
pub fn diff_trees(a: &FileTree, b: &FileTree) -> Result<String> {
    let odb = Odb::new().map_err(in_memory)?;
    odb.add_new_mempack_backend(1000).map_err(in_memory)?;
    let mut sink = |kind, bytes: &[u8]| odb.write(kind, bytes).map_err(in_memory);
    let a = tree_object::encode(a, &mut sink)?;
    let b = tree_object::encode(b, &mut sink)?;
    let repo = Repository::from_odb(odb).map_err(in_memory)?;
    text(&repo, Some(a), b)
}

fn in_memory(error: git2::Error) -> ArchiveError {
    ArchiveError::git_read(Path::new("files to compare"), error)
}

/// Returns the unified diff between two stored trees; `None` is a tree without files.
pub(super) fn text(repo: &Repository, a: Option<Oid>, b: Oid) -> Result<String> {
    let fault = |error| ArchiveError::git_read(repo.path(), error);
    let diff = between(repo, a, b).map_err(fault)?;
    let mut bytes = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if let origin @ ('+' | '-' | ' ') = line.origin() {
            bytes.push(origin as u8);
        }
        bytes.extend_from_slice(line.content());
        true
    })
    .map_err(fault)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the size of the difference between two stored trees.
pub(super) fn stat(repo: &Repository, a: Option<Oid>, b: Oid) -> Result<DiffStat> {
    let fault = |error| ArchiveError::git_read(repo.path(), error);
    let stats = between(repo, a, b)
        .and_then(|diff| diff.stats())
        .map_err(fault)?;
    Ok(DiffStat {
        files: stats.files_changed(),
        insertions: stats.insertions(),
        deletions: stats.deletions(),
    })
}

fn between(
    repo: &Repository,
    a: Option<Oid>,
    b: Oid,
) -> std::result::Result<Diff<'_>, git2::Error> {
    let a = a.map(|a| repo.find_tree(a)).transpose()?;
    let b = repo.find_tree(b)?;
    let mut options = DiffOptions::new();
    // Said on purpose: otherwise the user's own git settings would show through.
    options
        .context_lines(3)
        .interhunk_lines(0)
        .old_prefix("a")
        .new_prefix("b")
        .id_abbrev(10)
        .max_size(MAX_TEXT);
    let mut diff = repo.diff_tree_to_tree(a.as_ref(), Some(&b), Some(&mut options))?;
    diff.find_similar(None)?;
    Ok(diff)
}
