//! Facts as rows and rows as facts, by the description of their [tables](super::tables).
//!
//! Invariants: an insert is all that ever happens to a table of facts, and unique keys, not
//! code, forbid a second result of the same job; reading gives back exactly what was recorded,
//! or an error that names the column, and nothing unknown is passed over. Columns are named in
//! both directions, so that a newer format may add some.

use super::column::{Binder, Columns, Field as _, Read};
use super::tables::{TABLES, table_of};
use crate::domain::Fact;
use rusqlite::Connection;

/// Adds one fact at a position.
pub(super) fn insert(db: &Connection, seq: i64, fact: &Fact) -> rusqlite::Result<()> {
    let table = table_of(fact);
    let mut statement = db.prepare_cached(&table.insert)?;
    let mut row = Binder::new(&mut statement);
    seq.bind(&mut row)?;
    (table.bind)(fact, &mut row)?;
    statement.raw_execute().map(drop)
}

/// Hands every fact of a database, with its position, to a function: table by table in an
/// order in which folding works, and within a table in the order of recording.
pub(super) fn each(db: &Connection, take: &mut dyn FnMut(i64, Fact)) -> Read<()> {
    each_of(db, &|_| true, take)
}

/// Hands the facts of some tables, with their positions, to a function, as [`each`] does.
pub(super) fn each_of(
    db: &Connection,
    is_wanted: &dyn Fn(&str) -> bool,
    take: &mut dyn FnMut(i64, Fact),
) -> Read<()> {
    for table in TABLES.into_iter().filter(|table| is_wanted(table.name)) {
        let (name, list) = (table.name, table.columns.join(", "));
        let mut statement = db.prepare(&format!("SELECT seq, {list} FROM {name} ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::new(row, name, table.columns);
            let fact = (table.take)(&mut columns)?;
            take(row.get(0)?, fact);
        }
    }
    Ok(())
}
