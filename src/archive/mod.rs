//! The archive on disk: the only owner of git, SQLite and the compressed blobs.
//!
//! Invariants:
//! - A1: a row that names a commit or blob names one that is durable already: git and blobs
//!   first, database last. [`Writer::record`] checks it.
//! - A2: facts are only appended; standings, scores and totals are folds
//!   ([`Lineage`](crate::lineage::Lineage)). Triggers in the database refuse anything else.
//! - A3: one writer, by a lock that the operating system drops on death; readers need none
//!   and never write.
//! - A4: every job has at most one settled row, by unique keys, and every model call has a
//!   row of its intent before the request leaves. What died in between shows as unsettled.
//!
//! Two stores, because each does what the other cannot: git holds content that people want
//! to diff, check out and clone, SQLite holds facts that must be unique and are counted.

mod about;
mod blob;
mod check;
mod checkout;
mod column;
mod composite;
mod db;
mod diff;
mod error;
mod fact_row;
mod git;
mod layout;
mod lock;
mod reader;
mod reap;
mod resolve;
#[cfg(test)]
mod round_trip;
mod table;
mod tables;
mod tree_object;
mod writer;

pub use check::{Finding, Severity, fsck};
pub use checkout::write_files;
pub use diff::{DiffStat, diff_trees};
pub use error::{ArchiveError, ErrorSource, Result};
pub use layout::{FORMAT, Layout};
pub use reader::Reader;
pub use resolve::resolve;
pub use tree_object::check_files;
pub use writer::Writer;

use std::path::Path;

/// Returns whether a folder holds an archive. One whose creation was interrupted is none yet;
/// one that cannot be read is one, so that nobody makes another over it.
pub fn exists(dir: &Path) -> bool {
    match db::state(&Layout::new(dir)) {
        Ok(db::State::Absent | db::State::Unfinished) => false,
        Ok(db::State::Complete(_)) | Err(_) => true,
    }
}

/// Returns the random id that an archive got when it was made.
pub fn id(dir: &Path) -> Result<String> {
    Ok(Reader::open(dir)?.id().to_owned())
}
