//! The database: how it is made, opened for the one writer, and opened for readers.
//!
//! Invariant: a database is an archive's only when its `meta` table names a format, and that
//! row becomes visible in the last durable write of a creation.

use super::error::{ArchiveError, Result};
use super::layout::{FORMAT, Layout};
use super::tables::TABLES;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages of the write-ahead log after which it is written back to the database: the writer, and
/// whoever waits for it, stands still meanwhile. The last pages of tables are written again and
/// again, so a longer log makes it rarer and not much longer.
const LOG_PAGES: u32 = 4000;

const SCHEMA: &str = include_str!("schema.sql");

/// How far the creation of an archive came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is no database.
    Absent,
    /// There is one, but the last step of its creation is missing.
    Unfinished,
    /// There is an archive of this format.
    Complete(u32),
}

/// Looks how far the creation of an archive came.
pub(super) fn state(layout: &Layout) -> Result<State> {
    let path = layout.database();
    match std::fs::symlink_metadata(&path) {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(State::Absent);
        }
        Err(error) => return Err(ArchiveError::read(&path, error)),
    }
    // Asked first, because SQLite would not say why. Opening and closing the file instead
    // would drop locks that this process may hold on it.
    rustix::fs::access(&path, rustix::fs::Access::READ_OK)
        .map_err(|error| ArchiveError::read(&path, std::io::Error::from(error)))?;
    let fault = |error| ArchiveError::read(&path, error);
    let connection = open_reader(layout)?;
    let has_meta: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')",
            [],
            |row| row.get(0),
        )
        .map_err(fault)?;
    if !has_meta {
        return Ok(State::Unfinished);
    }
    match meta(&connection, "format").map_err(fault)? {
        None => Ok(State::Unfinished),
        Some(text) => text.parse().map(State::Complete).map_err(|_| {
            ArchiveError::Damaged(format!("`{}` has format `{text}`", path.display()))
        }),
    }
}

/// Returns a value of the `meta` table.
pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
}

/// Makes the database; its transaction is what makes the archive one.
pub(super) fn create(layout: &Layout, id: &str, now_ms: i64) -> Result<()> {
    let path = layout.database();
    let fault = |error| ArchiveError::db_write(&path, error);
    let mut connection = Connection::open(&path).map_err(fault)?;
    set_up_writer(&connection).map_err(fault)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    transaction.execute_batch(&schema()).map_err(fault)?;
    for (key, value) in [
        ("id", id.to_owned()),
        ("created_ms", now_ms.to_string()),
        ("format", FORMAT.to_string()),
    ] {
        transaction
            .execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2)",
                [key, &value],
            )
            .map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

/// Returns the whole schema: the tables, and the triggers that keep facts from changing.
pub(super) fn schema() -> String {
    let triggers = TABLES
        .iter()
        .map(|table| table.name)
        .chain(["meta"])
        .flat_map(|table| [(table, "UPDATE", "update"), (table, "DELETE", "delete")])
        .map(|(table, verb, name)| {
            format!(
                "CREATE TRIGGER {table}_no_{name} BEFORE {verb} ON {table} \
                 BEGIN SELECT RAISE(ABORT, 'facts are only appended'); END;"
            )
        });
    let parts: Vec<String> = [SCHEMA.to_owned()].into_iter().chain(triggers).collect();
    parts.join("\n")
}

/// Opens the database for the one writer.
pub(super) fn open_writer(layout: &Layout) -> Result<Database> {
    let path = layout.database();
    let fault = |error| ArchiveError::db_write(&path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(fault)?;
    set_up_writer(&connection).map_err(fault)?;
    Ok(connection.into())
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        // Some network file systems refuse it. Rollback journals are as durable; readers and
        // the writer then wait for each other.
        tracing::warn!(
            mode,
            "the database could not be switched to a write-ahead log"
        );
    }
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA wal_autocheckpoint = {LOG_PAGES};"
    ))
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    // Fields are dropped in order, so the connection is closed by then.
    _traces: Option<Traces>,
}

impl Deref for Database {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Database {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl From<Connection> for Database {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            _traces: None,
        }
    }
}

/// What a reader of a database at rest leaves: SQLite gives it an empty log with an index,
/// and a connection that may not write does not take them away. Dropped after that
/// connection, this does, unless somebody uses them by now.
#[derive(Debug)]
struct Traces {
    database: PathBuf,
}

impl Drop for Traces {
    fn drop(&mut self) {
        let log = log_of(&self.database);
        if std::fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            // The last connection that may write removes them when it closes. Where that
            // fails they stay, and harm nobody.
            drop(
                Connection::open_with_flags(&self.database, flags)
                    .and_then(|connection| probe(&connection)),
            );
        }
    }
}

fn log_of(database: &Path) -> PathBuf {
    database.with_file_name("archive.db-wal")
}

/// Opens the database for reading; works beside a writer and on a read-only disk.
pub(super) fn open_reader(layout: &Layout) -> Result<Database> {
    let path = layout.database();
    let log = log_of(&path);
    let _traces = (!log.exists()).then(|| Traces {
        database: path.clone(),
    });
    let fault = |error: rusqlite::Error| ArchiveError::read(&path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(fault)?;
    connection
        .busy_timeout(Duration::from_secs(10))
        .map_err(fault)?;
    match probe(&connection) {
        Ok(()) => {
            return Ok(Database {
                connection,
                _traces,
            });
        }
        Err(error) if !is_unwritable_folder(&error) => return Err(fault(error)),
        Err(_) => {}
    }
    // The log's index cannot be made here. Without a log the database is complete and nobody
    // can be writing to it; with one (an archive copied while it was written to) both are read
    // from a private copy, because SQLite would ignore the log.
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Ok(open_copy(&path, &log)?.into());
    }
    let uri = format!("file:{}?immutable=1", escape_uri(&path));
    let connection =
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(fault)?;
    probe(&connection).map_err(fault)?;
    Ok(connection.into())
}

fn open_copy(database: &Path, log: &Path) -> Result<Connection> {
    let folder = tempfile::tempdir().map_err(|error| ArchiveError::read(database, error))?;
    let copy = folder.path().join("archive.db");
    for (from, to) in [(database, copy.clone()), (log, log_of(&copy))] {
        std::fs::copy(from, &to).map_err(|error| ArchiveError::write(&to, error))?;
    }
    let fault = |error: rusqlite::Error| ArchiveError::read(database, error);
    let connection = Connection::open(&copy).map_err(fault)?;
    probe(&connection).map_err(fault)?;
    // The files stay readable through the connection after their names are gone.
    Ok(connection)
}

fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn is_unwritable_folder(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _)
        if matches!(error.code, rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly))
}

fn escape_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Returns the position of the next fact.
pub(super) fn next_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let mut next = 1;
    for table in TABLES {
        let sql = format!("SELECT coalesce(max(seq), 0) + 1 FROM {}", table.name);
        next = next.max(connection.query_row(&sql, [], |row| row.get(0))?);
    }
    Ok(next)
}
