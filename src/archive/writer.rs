//! Writing an archive. Only the holder of the lock can.

use super::about;
use super::blob::{self, Blobs};
use super::db::{self, State};
use super::error::{ArchiveError, Result};
use super::fact_row;
use super::git::{self, Git};
use super::layout::{FORMAT, Layout};
use super::lock;
use super::reader::{Reader, complete};
use super::reap;
use crate::domain::{BlobId, ChildDraft, CommitId, Fact, FileTree, TreeId, VariantId};
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
        writable(&layout)?;
        let connection = db::open_writer(&layout)?;
        let next_seq = db::next_seq(&connection)
            .map_err(|error| ArchiveError::read(&layout.database(), error))?;
        reap::stale_files(&layout)?;
        let git = Git::open_writer(&layout)?;
        let writer = Self {
            reader: Reader::of(layout, connection, git, FORMAT)?,
            next_seq,
            _lock: lock,
        };
        reap::unrecorded_refs(&writer)?;
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
            fact_row::insert(&transaction, seq, fact).map_err(|error| {
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
        let mut ids = self.blobs.put(&[bytes])?;
        Ok(ids.remove(0))
    }

    /// Stores several contents durably, waiting for the disk less often than one by one, and
    /// returns their addresses.
    pub fn put_blobs(&self, contents: &[&[u8]]) -> Result<Vec<BlobId>> {
        self.blobs.put(contents)
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
        self.git
            .commit_files(git::VARIANTS, id, tree, parent, message, at_ms)
    }

    /// Stores the source of a child that has to wait as a durable commit under
    /// `refs/dgm/drafts/`. It is a draft when [`Fact::Drafted`] is recorded; until then this
    /// can be repeated.
    pub fn commit_draft(
        &self,
        attempt: VariantId,
        tree: &FileTree,
        parent: &CommitId,
        message: &str,
        at_ms: i64,
    ) -> Result<(CommitId, TreeId)> {
        self.git
            .commit_files(git::DRAFTS, attempt, tree, Some(parent), message, at_ms)
    }

    /// Keeps a draft's commit under `refs/dgm/variants/` as well. It is a variant when
    /// [`Fact::VariantMade`] is recorded; until then this can be repeated.
    pub fn adopt(&self, draft: &ChildDraft) -> Result<()> {
        let commit = git::oid(draft.commit.as_str())?;
        self.git.keep(git::VARIANTS, draft.attempt, commit)
    }

    /// Puts a note to a variant's commit, replacing one that is there.
    pub fn note(&self, commit: &CommitId, text: &str) -> Result<()> {
        self.git.note(commit, text)
    }

    /// Refuses a fact that names what is not there (A1).
    fn check(&self, fact: &Fact) -> Result<()> {
        if let Some(why) = about::unstorable(fact) {
            return Err(refused(fact, why));
        }
        for blob in about::blobs(fact) {
            if !self.blobs.has(blob) {
                return Err(refused(fact, &format!("blob {blob} is not in the archive")));
            }
        }
        match fact {
            Fact::VariantMade(variant) => self.check_commit(fact, &variant.commit, &variant.tree),
            Fact::Drafted(draft) => self.check_commit(fact, &draft.commit, &draft.tree),
            _ => Ok(()),
        }
    }

    fn check_commit(&self, fact: &Fact, commit: &CommitId, tree: &TreeId) -> Result<()> {
        let commit = self
            .git
            .commit(commit)
            .map_err(|error| refused(fact, &error.to_string()))?;
        if commit.tree_id().to_string() != tree.as_str() {
            return Err(refused(fact, "its commit has another tree"));
        }
        Ok(())
    }
}

fn writable(layout: &Layout) -> Result<()> {
    let format = complete(layout)?;
    if format > FORMAT {
        return Err(ArchiveError::TooNew {
            dir: layout.dir().to_owned(),
            found: format,
        });
    }
    Ok(())
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
        fact: about::describe(fact),
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

#[cfg(test)]
mod tests {
    use super::Writer;
    use crate::archive::{ArchiveError, FORMAT, Layout, Reader};
    use crate::archive::{exists, fsck};
    use crate::domain::{Fact, RunId, RunStart, TaskId};
    use rusqlite::Connection;
    use std::path::Path;

    fn start() -> Fact {
        Fact::RunStarted(RunStart {
            run: RunId(1),
            command: "dgm evolve".to_owned(),
            config: String::new(),
            version: String::new(),
            sandbox: "local".to_owned(),
            stages: vec![vec![TaskId::new("t")]],
            at_ms: 1,
        })
    }

    fn change(dir: &Path, sql: &str) {
        let db = Connection::open(Layout::new(dir).database()).unwrap();
        db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        db.execute_batch(&format!("DROP TRIGGER IF EXISTS meta_no_update; {sql}"))
            .unwrap();
    }

    #[test]
    fn a_newer_format_is_read_if_possible_and_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let mut writer = Writer::create(dir, "", 1).unwrap();
        writer.record(&[start()]).unwrap();
        drop(writer);
        change(
            dir,
            "UPDATE meta SET value = '4' WHERE key = 'format';
             ALTER TABLE run ADD COLUMN host TEXT;
             CREATE TABLE prophecy (seq INTEGER PRIMARY KEY, text TEXT) STRICT;",
        );
        let bytes = std::fs::read(Layout::new(dir).database()).unwrap();
        assert!(exists(dir));
        let reader = Reader::open(dir).unwrap();
        assert_eq!(reader.format(), FORMAT + 1);
        assert_eq!(reader.facts().unwrap(), [start()]);
        assert_eq!(fsck(dir, false).unwrap(), []);
        drop(reader);
        let text = format!(
            "the archive in `{}` has format 4, but this program knows formats up to 3",
            dir.display()
        );
        for result in [
            Writer::open(dir).map(drop),
            fsck(dir, true).map(drop),
            Writer::create(dir, "", 1).map(drop),
        ] {
            let error = result.expect_err("it must not be written");
            let expected = match error {
                ArchiveError::Exists { .. } => {
                    format!("`{}` holds an archive already", dir.display())
                }
                _ => text.clone(),
            };
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(std::fs::read(Layout::new(dir).database()).unwrap(), bytes);
        change(
            dir,
            "INSERT INTO verdict SELECT 9, 0, 'admitted', NULL, 1 WHERE 0",
        );
        change(
            dir,
            "INSERT INTO fault VALUES (9, NULL, 0, 't', 0, 0, 'enlightened', 'cancelled', '', 1, 1, 1)",
        );
        let error = Reader::open(dir)
            .unwrap()
            .facts()
            .expect_err("it is from the future");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn an_older_format_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        drop(Writer::create(dir, "", 1).unwrap());
        change(dir, "UPDATE meta SET value = '2' WHERE key = 'format'");
        let bytes = std::fs::read(Layout::new(dir).database()).unwrap();
        assert!(exists(dir));
        for result in [
            Reader::open(dir).map(drop),
            Writer::open(dir).map(drop),
            fsck(dir, false).map(drop),
            fsck(dir, true).map(drop),
        ] {
            let error = result.expect_err("it is of the past");
            let text = format!(
                "the archive in `{}` has format 2, but this program knows format 3 only",
                dir.display()
            );
            assert_eq!(error.to_string(), text);
            assert!(
                error
                    .hint()
                    .unwrap()
                    .starts_with("use the `dgm` that made it")
            );
        }
        Writer::create(dir, "", 1).expect_err("there is an archive");
        assert_eq!(std::fs::read(Layout::new(dir).database()).unwrap(), bytes);
    }

    #[test]
    fn an_unfinished_creation_is_no_archive_and_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        drop(Writer::create(dir, "a = 1\n", 1).unwrap());
        change(
            dir,
            "DROP TRIGGER meta_no_delete; DELETE FROM meta WHERE key = 'format'",
        );
        assert!(!exists(dir));
        let error = Writer::open(dir).expect_err("it is unfinished");
        assert!(matches!(error, ArchiveError::Unfinished { .. }), "{error}");
        drop(Writer::create(dir, "a = 2\n", 1).unwrap());
        assert!(exists(dir));
        let config = std::fs::read_to_string(Layout::new(dir).config()).unwrap();
        assert_eq!(config, "a = 2\n");
    }

    #[test]
    fn a_damaged_database_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        drop(Writer::create(dir, "", 1).unwrap());
        let database = Layout::new(dir).database();
        crate::sys::durable::write(&database, &[b'x'; 8192]).unwrap();
        assert!(exists(dir));
        Writer::create(dir, "", 1).expect_err("there is something");
        Writer::open(dir).expect_err("it cannot be read");
        assert_eq!(std::fs::read(&database).unwrap(), [b'x'; 8192]);
    }

    #[test]
    fn every_archive_has_an_id_of_its_own() {
        let ids: Vec<String> = (0..2)
            .map(|_| {
                let folder = tempfile::tempdir().unwrap();
                Writer::create(folder.path(), "", 1)
                    .unwrap()
                    .id()
                    .to_owned()
            })
            .collect();
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_ne!(ids[0], ids[1]);
    }
}
