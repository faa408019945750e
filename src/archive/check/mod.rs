//! `dgm fsck`: every invariant of the archive, looked at.
//!
//! Facts are read first, commits and blobs after: what a writer adds meanwhile is not
//! mistaken for damage. What looks like a leftover may be a living writer's work, so
//! leftovers are looked for only while the lock is held.

mod database;
mod files;
mod findings;
mod repository;

use super::error::{ArchiveError, Result};
use super::git::Git;
use super::layout::{FORMAT, Layout};
use super::lock;
use super::reader::{Reader, complete};
use findings::Findings;
pub use findings::{Finding, Severity};
use std::path::Path;

/// Checks every invariant of the archive in a folder. With `repair`, removes leftovers and
/// puts back what follows from the facts; never touches what is recorded.
pub fn fsck(dir: &Path, repair: bool) -> Result<Vec<Finding>> {
    let layout = Layout::new(dir);
    let format = complete(&layout)?;
    if repair && format > FORMAT {
        return Err(ArchiveError::TooNew {
            dir: dir.to_owned(),
            found: format,
        });
    }
    let lock = match lock::acquire(&layout) {
        Ok(lock) => Some(lock),
        Err(error) if repair => return Err(error),
        // A writer is at work, or the folder is read-only.
        Err(_) => None,
    };
    let mut findings = Findings {
        found: Vec::new(),
        repair,
    };
    if lock.is_some() {
        files::settings(&layout, &mut findings)?;
        files::stale(&layout, &mut findings)?;
    }
    let mut reader = Reader::open(dir)?;
    if repair {
        // What is put back has to be durable too.
        reader.git = Git::open_writer(&layout)?;
    }
    if let Some(facts) = database::check(&reader, &mut findings)? {
        repository::check(&reader, &facts, &mut findings)?;
        files::blobs(&reader, &facts, lock.is_some(), &mut findings)?;
        if lock.is_some() {
            repository::leftovers(&reader, &facts, &mut findings)?;
        }
    }
    findings
        .found
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings.found)
}
