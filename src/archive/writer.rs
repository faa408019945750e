//! Writing an archive. Only the holder of the lock can.

use super::blob::{self, Blobs};
use super::db::{self, State};
use super::encode;
use super::error::{ArchiveError, Result};
use super::git::Git;
use super::layout::{FORMAT, Layout};
use super::lock;
use super::reader::{Reader, complete};
use super::reap;
use crate::domain::{BlobId, CommitId, Fact, FileTree, TreeId, Variant, VariantId};
use crate::sys::durable;
use crate::sys::lock::WriterLock;
use rusqlite::{OptionalExtension as _, TransactionBehavior};
use std::io::Read as _;
use std::ops::Deref;
use std::path::Path;

/// An archive open for writing. Everything a [`Reader`] can, it can too.
///
/// Whoever records a fact puts the commits and blobs that it names first; a note on a verdict
/// goes before the verdict, so that every admitted variant has one.
#[derive(Debug)]
pub struct Writer {
    reader: Reader,
    next_seq: i64,
    _lock: WriterLock,
}

impl Deref for Writer {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Writer {
    /// Makes an archive in a folder that is new, empty, or holds what an interrupted creation
    /// left, and opens it. A `dgm.toml` that the user put there must equal `config_toml`.
    pub fn create(dir: &Path, config_toml: &str, now_ms: i64) -> Result<Self> {
        let layout = Layout::new(dir);
        may_create(&layout, config_toml)?;
        durable::create_dir_all(dir).map_err(|error| ArchiveError::write(dir, error))?;
        let lock = lock::acquire(&layout)?;
        // Another process may have made it in the meantime.
        may_create(&layout, config_toml)?;
        remove_unfinished(&layout)?;
        Git::init(&layout)?;
        Blobs::new(&layout).init()?;
        let config = layout.config();
        durable::write(&config, config_toml.as_bytes())
            .map_err(|error| ArchiveError::write(&config, error))?;
        durable::crash_point();
        db::create(&layout, &random_id()?, now_ms)?;
        durable::sync_folder(dir).map_err(|error| ArchiveError::write(dir, error))?;
        durable::crash_point();
        Self::with_lock(layout, lock)
    }

    /// Opens the archive in a folder for writing, and removes what a dead writer left.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = Layout::new(dir);
        // Looked at before the lock is taken: an archive that is not ours is not touched.
        writable(&layout)?;
        let lock = lock::acquire(&layout)?;
        Self::with_lock(layout, lock)
    }

    fn with_lock(layout: Layout, lock: WriterLock) -> Result<Self> {
        let format = writable(&layout)?;
        let connection = db::open_writer(&layout)?;
        let next_seq = db::next_seq(&connection)
            .map_err(|error| ArchiveError::read(&layout.database(), error))?;
        reap::stale_files(&layout)?;
        let git = Git::open_writer(&layout)?;
        let writer = Self {
            reader: Reader::of(layout, connection, git, format)?,
            next_seq,
            _lock: lock,
        };
        reap::unrecorded_variants(&writer)?;
        Ok(writer)
    }

    /// Records facts in one durable transaction: all of them or none.
    pub fn record(&mut self, facts: &[Fact]) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        for fact in facts {
            self.check(fact)?;
        }
        durable::crash_point();
        let path = self.layout.database();
        let fault = |error| ArchiveError::db_write(&path, error);
        let mut seq = self.next_seq;
        let transaction = self
            .reader
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        for fact in facts {
            encode::insert(&transaction, seq, fact).map_err(|error| {
                if is_constraint(&error) {
                    refused(fact, constraint(&error))
                } else {
                    ArchiveError::db_write(&path, error)
                }
            })?;
            seq += 1;
        }
        transaction.commit().map_err(fault)?;
        self.next_seq = seq;
        durable::crash_point();
        Ok(())
    }

    /// Stores bytes durably and returns their address.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<BlobId> {
        self.blobs.put(bytes)
    }

    /// Returns the id that a set of files would have as a tree, without storing anything.
    pub fn tree_id(&self, tree: &FileTree) -> Result<TreeId> {
        Git::tree_id(tree)
    }

    /// Stores a variant's source as a durable commit under `refs/dgm/variants/`. It is a
    /// variant when [`Fact::VariantMade`] is recorded; until then this can be repeated.
    pub fn commit_variant(
        &self,
        id: VariantId,
        tree: &FileTree,
        parent: Option<&CommitId>,
        message: &str,
        at_ms: i64,
    ) -> Result<(CommitId, TreeId)> {
        let recorded: Option<String> = self
            .connection
            .query_row(
                "SELECT commit_id FROM variant WHERE variant = ?1",
                [id.0],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| ArchiveError::read(&self.layout.database(), error))?;
        if recorded.is_some() {
            return Err(ArchiveError::Refused {
                fact: format!("variant {id}"),
                why: "it is in the archive already".to_owned(),
            });
        }
        self.git.commit_variant(id, tree, parent, message, at_ms)
    }

    /// Puts a note to a variant's commit, replacing one that is there.
    pub fn note(&self, commit: &CommitId, text: &str) -> Result<()> {
        self.git.note(commit, text)
    }

    /// Refuses a fact that names what is not there (A1).
    fn check(&self, fact: &Fact) -> Result<()> {
        if let Some(why) = encode::inexact_number(fact) {
            return Err(refused(fact, why));
        }
        for blob in encode::blobs(fact) {
            if !self.blobs.has(blob) {
                return Err(refused(fact, &format!("blob {blob} is not in the archive")));
            }
        }
        match fact {
            Fact::VariantMade(variant) => self.check_variant(fact, variant),
            _ => Ok(()),
        }
    }

    fn check_variant(&self, fact: &Fact, variant: &Variant) -> Result<()> {
        let commit = self
            .git
            .commit(&variant.commit)
            .map_err(|error| refused(fact, &error.to_string()))?;
        if commit.tree_id().to_string() != variant.tree.as_str() {
            return Err(refused(fact, "its commit has another tree"));
        }
        Ok(())
    }
}

fn writable(layout: &Layout) -> Result<u32> {
    let format = complete(layout)?;
    if format > FORMAT {
        return Err(ArchiveError::TooNew {
            dir: layout.dir().to_owned(),
            found: format,
        });
    }
    Ok(format)
}

/// Refuses a folder that holds an archive, or anything that no creation made.
fn may_create(layout: &Layout, config_toml: &str) -> Result<()> {
    let dir = layout.dir().to_owned();
    match db::state(layout)? {
        State::Complete(_) => return Err(ArchiveError::Exists { dir }),
        State::Absent | State::Unfinished => {}
    }
    for path in blob::list(&dir)? {
        let name = blob::name(&path);
        if !Layout::is_own_name(name) {
            return Err(ArchiveError::NotEmpty {
                dir,
                found: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            });
        }
    }
    // A creation locks first; so without that file, everything here is the user's.
    if !layout.lock().exists() {
        for own in [layout.agents(), layout.database(), layout.blobs()] {
            if own.exists() {
                return Err(ArchiveError::NotEmpty {
                    dir,
                    found: blob::name(&own).to_owned(),
                });
            }
        }
        let config = layout.config();
        if config.exists() {
            let text = std::fs::read_to_string(&config)
                .map_err(|error| ArchiveError::read(&config, error))?;
            if text != config_toml {
                return Err(ArchiveError::NotEmpty {
                    dir,
                    found: "dgm.toml` with other settings than asked for, `dgm.toml".to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn remove_unfinished(layout: &Layout) -> Result<()> {
    let database = layout.database();
    for path in [
        database.clone(),
        database.with_file_name("archive.db-wal"),
        database.with_file_name("archive.db-shm"),
        layout.agents(),
        layout.blobs(),
    ] {
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::write(&path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Returns 128 random bits. From the operating system, because a seeded generator would give
/// two archives the same id.
fn random_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| ArchiveError::read(path, error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn refused(fact: &Fact, why: &str) -> ArchiveError {
    ArchiveError::Refused {
        fact: encode::describe(fact),
        why: why.to_owned(),
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _)
        if error.code == rusqlite::ErrorCode::ConstraintViolation)
        || matches!(error, rusqlite::Error::ToSqlConversionFailure(_))
}

fn constraint(error: &rusqlite::Error) -> &'static str {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => match error.extended_code {
            rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => "it is recorded already",
            rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                "it belongs to something that is not recorded"
            }
            _ => "it contradicts the archive's format",
        },
        _ => "a number in it is too large",
    }
}
