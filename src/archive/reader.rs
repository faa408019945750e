//! Reading an archive: facts, blobs, files and differences.

use super::blob::Blobs;
use super::checkout::write_files;
use super::db::{self, Database, State};
use super::diff::{self, DiffStat};
use super::error::{ArchiveError, Result};
use super::fact_row;
use super::git::Git;
use super::layout::{FORMAT, Layout};
use super::resolve::resolve;
use super::tables::RECORDING_TABLE as RECORDING;
use super::tree_object;
use crate::domain::{BlobId, CommitId, Fact, FileTree, Recording, VariantId};
use crate::lineage::Lineage;
use std::path::Path;

/// An archive open for reading. It holds no lock and never writes; what it returns is one
/// consistent state, also while a writer is at work.
pub struct Reader {
    pub(super) layout: Layout,
    pub(super) connection: Database,
    pub(super) git: Git,
    pub(super) blobs: Blobs,
    id: String,
    created_ms: i64,
    format: u32,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("dir", &self.layout.dir())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the archive in a folder for reading.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = Layout::new(dir);
        let format = complete(&layout)?;
        let connection = db::open_reader(&layout)?;
        let git = Git::open_reader(&layout)?;
        Self::of(layout, connection, git, format)
    }

    pub(super) fn of(layout: Layout, connection: Database, git: Git, format: u32) -> Result<Self> {
        let get = |key| {
            db::meta(&connection, key)
                .map_err(|error| ArchiveError::read(&layout.database(), error))?
                .ok_or_else(|| ArchiveError::Damaged(format!("its `{key}` is missing")))
        };
        let id = get("id")?;
        let created_ms = get("created_ms")?
            .parse()
            .map_err(|_| ArchiveError::Damaged("its `created_ms` is no number".to_owned()))?;
        Ok(Self {
            blobs: Blobs::new(&layout),
            layout,
            connection,
            git,
            id,
            created_ms,
            format,
        })
    }

    /// Returns the paths of the archive.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the random id that the archive got when it was made.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the archive was made, in Unix milliseconds.
    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Returns the version of its format.
    pub fn format(&self) -> u32 {
        self.format
    }

    /// Returns the fold of all facts.
    pub fn lineage(&self) -> Result<Lineage> {
        let mut lineage = Lineage::default();
        // Recordings say nothing about the archive, and may be as many as everything else.
        let is_wanted = |table: &str| table != RECORDING;
        self.each_fact(&is_wanted, &mut |_, fact| lineage.apply(&fact))?;
        Ok(lineage)
    }

    /// Returns what is kept of the traffic of model calls, in the order of recording.
    pub fn recordings(&self) -> Result<Vec<Recording>> {
        let mut recordings = Vec::new();
        self.each_fact(&|table| table == RECORDING, &mut |_, fact| {
            if let Fact::Recorded(recording) = fact {
                recordings.push(recording);
            }
        })?;
        Ok(recordings)
    }

    /// Returns all facts in the order in which they were recorded.
    pub fn facts(&self) -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        self.each_fact(&|_| true, &mut |seq, fact| facts.push((seq, fact)))?;
        facts.sort_by_key(|(seq, _)| *seq);
        Ok(facts.into_iter().map(|(_, fact)| fact).collect())
    }

    fn each_fact(
        &self,
        is_wanted: &dyn Fn(&str) -> bool,
        take: &mut dyn FnMut(i64, Fact),
    ) -> Result<()> {
        let fault = |error: rusqlite::Error| {
            if self.format > FORMAT {
                // What cannot be understood was most likely added since.
                return ArchiveError::TooNew {
                    dir: self.layout.dir().to_owned(),
                    found: self.format,
                };
            }
            ArchiveError::read(&self.layout.database(), error)
        };
        // One transaction, so that all tables are read in the same state.
        let transaction = self.connection.unchecked_transaction().map_err(fault)?;
        fact_row::each_of(&transaction, is_wanted, take).map_err(fault)?;
        transaction.commit().map_err(fault)
    }

    /// Returns the content of a blob.
    pub fn blob(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.blobs.get(id)
    }

    /// Returns the files of a commit.
    pub fn files(&self, commit: &CommitId) -> Result<FileTree> {
        let tree = self.git.commit(commit)?.tree_id();
        tree_object::decode(self.git.repo(), tree)
    }

    /// Returns what turns one commit into another as a unified diff; `None` has no files.
    pub fn diff(&self, a: Option<&CommitId>, b: &CommitId) -> Result<String> {
        let a = a.map(|a| self.git.commit(a)).transpose()?;
        let b = self.git.commit(b)?;
        diff::text(self.git.repo(), a.map(|a| a.tree_id()), b.tree_id())
    }

    /// Returns the size of the difference between two commits; `None` has no files.
    pub fn diff_stat(&self, a: Option<&CommitId>, b: &CommitId) -> Result<DiffStat> {
        let a = a.map(|a| self.git.commit(a)).transpose()?;
        let b = self.git.commit(b)?;
        diff::stat(self.git.repo(), a.map(|a| a.tree_id()), b.tree_id())
    }

    /// Returns the note of a commit.
    pub fn note(&self, commit: &CommitId) -> Result<Option<String>> {
        self.git.note_of(commit)
    }

    /// Returns the variant that a name stands for; see [`resolve`].
    pub fn resolve(&self, name: &str) -> Result<VariantId> {
        resolve(&self.lineage()?, name)
    }

    /// Writes the files of a commit to a folder that is new or empty, or, with `force`, over
    /// the files there.
    pub fn checkout(&self, commit: &CommitId, dir: &Path, force: bool) -> Result<()> {
        write_files(&self.files(commit)?, dir, force)
    }
}

/// Returns the format of a complete archive, which is none of the past.
pub(super) fn complete(layout: &Layout) -> Result<u32> {
    let dir = || layout.dir().to_owned();
    match db::state(layout)? {
        State::Absent => Err(ArchiveError::Missing { dir: dir() }),
        State::Unfinished => Err(ArchiveError::Unfinished { dir: dir() }),
        State::Complete(found) if found < FORMAT => Err(ArchiveError::TooOld { dir: dir(), found }),
        State::Complete(format) => Ok(format),
    }
}
