//! What a dead writer can leave, removed by the next one under the lock.
//!
//! Leftovers are never facts: temporary files, git's lock files, and refs of variants and
//! drafts that were committed but not recorded. Commits without a ref, and blobs that no row names, are
//! harmless and may be written again; `dgm fsck` removes the blobs.

use super::blob::{Blobs, list, name};
use super::error::{ArchiveError, Result};
use super::git::{DRAFTS, VARIANTS};
use super::layout::Layout;
use super::reader::Reader;
use crate::domain::VariantId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Age from which a lock file of git's that somebody else may hold counts as abandoned.
const ABANDONED: Duration = Duration::from_secs(600);

/// Returns temporary and lock files that no living process owns. The caller holds the lock.
pub(super) fn find_stale_files(layout: &Layout) -> Result<Vec<PathBuf>> {
    let agents = layout.agents();
    let mut stale = Vec::new();
    for path in list(layout.dir())? {
        if Layout::is_temporary(name(&path)) {
            stale.push(path);
        }
    }
    stale.extend(list(&Blobs::new(layout).temporary())?);
    for path in list(&agents)? {
        let own = Layout::is_temporary(name(&path));
        if own || (name(&path).ends_with(".lock") && is_older(&path, ABANDONED)) {
            stale.push(path);
        }
    }
    for path in list(&agents.join("objects"))? {
        if name(&path).starts_with("tmp_object_git2_") {
            stale.push(path);
        }
    }
    // Below these folders nobody but the archive's one writer has business.
    for folder in ["refs/dgm", "refs/notes", "refs/heads"] {
        find_locks(&agents.join(folder), &mut stale)?;
    }
    Ok(stale)
}

/// Removes temporary and lock files that no living process owns.
pub(super) fn stale_files(layout: &Layout) -> Result<()> {
    for path in find_stale_files(layout)? {
        remove(&path)?;
    }
    Ok(())
}

fn find_locks(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for path in list(folder)? {
        if path.is_dir() {
            find_locks(&path, found)?;
        } else if name(&path).ends_with(".lock") {
            found.push(path);
        }
    }
    Ok(())
}

/// Returns the refs of variants and drafts that were never recorded: below which place, and of
/// which number.
pub(super) fn find_unrecorded(reader: &Reader) -> Result<Vec<(&'static str, VariantId)>> {
    let fault = |error| ArchiveError::read(&reader.layout.database(), error);
    let mut found = Vec::new();
    for (place, query) in [
        (VARIANTS, "SELECT variant FROM variant"),
        (DRAFTS, "SELECT attempt FROM draft"),
    ] {
        let mut statement = reader.connection.prepare(query).map_err(fault)?;
        let recorded = statement
            .query_map([], |row| row.get(0))
            .and_then(Iterator::collect::<rusqlite::Result<BTreeSet<u32>>>)
            .map_err(fault)?;
        let kept = reader.git.kept(place)?.into_iter();
        let unrecorded = kept.filter(|(id, _)| !recorded.contains(&id.0));
        found.extend(unrecorded.map(|(id, _)| (place, id)));
    }
    Ok(found)
}

/// Removes the refs of variants and drafts that were never recorded.
pub(super) fn unrecorded_refs(reader: &Reader) -> Result<()> {
    for (place, id) in find_unrecorded(reader)? {
        reader.git.forget(place, id)?;
    }
    Ok(())
}

/// Returns whether a file was last changed longer ago than this.
pub(super) fn is_older(path: &Path, age: Duration) -> bool {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .is_ok_and(|changed| changed.elapsed().is_ok_and(|elapsed| elapsed > age))
}

/// Removes a file; one that is gone already is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ArchiveError::write(path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
