//! An archive of an older format, brought up to date by the first writer that opens it.
//!
//! Invariant: one transaction does it all, so that a process that dies leaves either the old
//! format or the new one, and no fact is changed: rows get columns whose values say what the
//! older program meant. Readers never do this; they read the older format as it is.

use super::db;
use super::error::{ArchiveError, Result};
use super::layout::{FORMAT, Layout};
use crate::sys::durable;
use rusqlite::{Connection, TransactionBehavior};

/// From format 1: tables are made anew, because a condition of a table cannot be changed in
/// place. A child is dropped first and filled last, as its reference demands.
const KEEP: &str = "\
    CREATE TEMP TABLE old_evaluation AS SELECT * FROM main.evaluation;
    DROP TABLE main.evaluation;
    CREATE TEMP TABLE old_call AS SELECT * FROM main.call;
    CREATE TEMP TABLE old_call_settlement AS SELECT * FROM main.call_settlement;
    DROP TABLE main.call_settlement;
    DROP TABLE main.call;";

const FILL: &str = "\
    INSERT INTO main.evaluation
        SELECT seq, variant, task, repeat, stage, outcome, passed, reward, NULL, detail,
               task_digest, NULL, agent_log_blob, verifier_log_blob, patch_blob, transcript_blob,
               context_overflow, agent_ms, verifier_ms, run, execution, at_ms, 0
        FROM old_evaluation ORDER BY seq;
    DROP TABLE old_evaluation;
    INSERT INTO main.call SELECT * FROM old_call ORDER BY seq;
    INSERT INTO main.call_settlement
        SELECT seq, call, status, input_tokens, cached_tokens, cache_written_tokens, 0,
               output_tokens, reasoning_tokens, 0, cost_usd_micros, latency_ms
        FROM old_call_settlement ORDER BY seq;
    DROP TABLE old_call_settlement;
    DROP TABLE old_call;";

/// Brings an archive of this format up to date. The caller holds the lock.
pub(super) fn migrate(layout: &Layout, connection: &mut Connection, format: u32) -> Result<()> {
    if format >= FORMAT {
        return Ok(());
    }
    let path = layout.database();
    let fault = |error| ArchiveError::db_write(&path, error);
    durable::crash_point();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    to_newest(&transaction, format).map_err(fault)?;
    transaction.commit().map_err(fault)?;
    durable::crash_point();
    Ok(())
}

fn to_newest(db: &Connection, format: u32) -> rusqlite::Result<()> {
    if format < 2 {
        db.execute_batch(KEEP)?;
    }
    add_what_is_missing(db)?;
    if format < 2 {
        db.execute_batch(FILL)?;
    }
    db.execute_batch("DROP TRIGGER meta_no_update")?;
    db.execute(
        "UPDATE meta SET value = ?1 WHERE key = 'format'",
        [FORMAT.to_string()],
    )?;
    add_what_is_missing(db)
}

/// Makes every table and trigger of the schema that the database lacks, so that a format that
/// only adds tables needs nothing else here.
fn add_what_is_missing(db: &Connection) -> rusqlite::Result<()> {
    let newest = Connection::open_in_memory()?;
    newest.execute_batch(&db::schema())?;
    let mut found = db.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ?1")?;
    let mut expected = newest
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
    let mut rows = expected.query([])?;
    while let Some(row) = rows.next()? {
        let (name, sql): (String, String) = (row.get(0)?, row.get(1)?);
        if !found.exists([&name])? {
            db.execute_batch(&sql)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::archive::{FORMAT, Layout, Reader, Writer, fsck};
    use crate::domain::{
        CallId, CallIntent, CallSettlement, CallStatus, CallSubject, Fact, Role, RunId, RunStart,
        TaskId, Tokens, Usd, VariantId,
    };
    use rusqlite::Connection;
    use std::path::Path;

    /// The schema as the first format had it.
    const FIRST: &str = include_str!("schema_1.sql");

    fn facts() -> Vec<Fact> {
        let intent = |id, subject| {
            Fact::CallIntended(CallIntent {
                id: CallId(id),
                run: RunId(1),
                execution: 1,
                subject,
                role: Role::Solve,
                model: "m".to_owned(),
                at_most: Usd(100),
                at_most_tokens: 50,
                at_ms: 2,
            })
        };
        vec![
            Fact::RunStarted(RunStart {
                run: RunId(1),
                command: "dgm evolve".to_owned(),
                config: String::new(),
                version: "0.1.0".to_owned(),
                sandbox: "local".to_owned(),
                stages: vec![vec![TaskId::new("t")]],
                at_ms: 1,
            }),
            intent(1, evaluation()),
            Fact::CallSettled(CallSettlement {
                id: CallId(1),
                status: CallStatus::Answered,
                tokens: Tokens {
                    input: 9,
                    cached: 3,
                    cache_written: 2,
                    cache_written_long: 0,
                    output: 4,
                    reasoning: 1,
                },
                estimated: false,
                cost: Usd(42),
                latency_ms: 7,
            }),
            intent(2, evaluation()),
        ]
    }

    fn evaluation() -> CallSubject {
        CallSubject::Evaluation(VariantId::SEED, TaskId::new("t"), 0)
    }

    /// Makes an archive as the first format had it, with those facts.
    fn first_format(dir: &Path) {
        drop(Writer::create(dir, "", 1).unwrap());
        let path = Layout::new(dir).database();
        let (id, created): (String, String) = Connection::open(&path)
            .unwrap()
            .query_row(
                "SELECT (SELECT value FROM meta WHERE key = 'id'),
                        (SELECT value FROM meta WHERE key = 'created_ms')",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&super::db::with_triggers(
            FIRST,
            super::db::FACT_TABLES
                .into_iter()
                .filter(|(_, since)| *since == 1)
                .map(|(table, _)| table),
        ))
        .unwrap();
        db.execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             INSERT INTO meta VALUES ('id', '{id}'), ('created_ms', '{created}'), ('format', '1');
             INSERT INTO run VALUES (1, 1, 'dgm evolve', '', '0.1.0', 'local', '[[\"t\"]]', 1);
             PRAGMA foreign_keys = OFF;
             INSERT INTO call VALUES (2, 1, 1, 1, NULL, 0, 't', 0, 'solve', 'm', 100, 50, 2);
             INSERT INTO call_settlement VALUES (3, 1, 'answered', 9, 3, 2, 4, 1, 42, 7);
             INSERT INTO call VALUES (4, 2, 1, 1, NULL, 0, 't', 0, 'solve', 'm', 100, 50, 2);"
        ))
        .unwrap();
    }

    #[test]
    fn the_first_format_is_read_as_it_is_and_brought_up_to_date_by_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        first_format(dir);
        let path = Layout::new(dir).database();
        let bytes = std::fs::read(&path).unwrap();
        let reader = Reader::open(dir).unwrap();
        assert_eq!((reader.format(), reader.facts().unwrap()), (1, facts()));
        drop(reader);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "readers do not write");
        // Its calls belong to a variant that this small history lacks.
        let db = Connection::open(&path).unwrap();
        db.execute_batch("INSERT INTO variant VALUES (5, 0, 'c', 't', NULL, 0, '', 1);")
            .unwrap();
        drop(db);
        let mut writer = Writer::open(dir).unwrap();
        assert_eq!(writer.format(), FORMAT);
        let read = writer.facts().unwrap();
        assert_eq!(read[..4], facts());
        let by_hand = CallIntent {
            id: CallId(3),
            run: RunId(1),
            execution: 1,
            subject: CallSubject::Manual,
            role: Role::Solve,
            model: "m".to_owned(),
            at_most: Usd(1),
            at_most_tokens: 1,
            at_ms: 3,
        };
        writer
            .record(&[Fact::CallIntended(by_hand.clone())])
            .unwrap();
        drop(writer);
        let reader = Reader::open(dir).unwrap();
        assert_eq!(reader.format(), FORMAT);
        let last = reader.facts().unwrap().pop();
        assert_eq!(last, Some(Fact::CallIntended(by_hand)));
        let found = fsck(dir, false).unwrap();
        let about_database: Vec<_> = found
            .iter()
            .filter(|finding| finding.what.contains("database") || finding.what.contains("table"))
            .collect();
        assert!(about_database.is_empty(), "{found:?}");
    }
}
