//! A row of a table of facts, column by column.
//!
//! Invariant: what cannot be understood is an error that names its column.

use crate::domain::{BlobId, CallSubject, RunId, TaskId, VariantId};
use rusqlite::Row;
use rusqlite::types::{FromSql, Type};
use serde::de::DeserializeOwned;

pub(super) type Read<T> = rusqlite::Result<T>;

/// A row whose columns are taken one after the other. By position, because looking for a
/// name in every row takes longer than everything else.
pub(super) struct Columns<'row> {
    pub(super) row: &'row Row<'row>,
    pub(super) table: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) taken: usize,
}

impl Columns<'_> {
    /// Takes the next column.
    pub(super) fn take<T: FromSql>(&mut self) -> Read<T> {
        self.taken += 1;
        self.row.get(self.taken)
    }

    /// Takes a column that holds a name of ours; one that is not known is an error.
    pub(super) fn named<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        let text: String = self.take()?;
        read(&text).ok_or_else(|| self.unreadable(&text))
    }

    pub(super) fn optionally_named<T>(
        &mut self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Read<Option<T>> {
        match self.take::<Option<String>>()? {
            None => Ok(None),
            Some(text) => read(&text).map(Some).ok_or_else(|| self.unreadable(&text)),
        }
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Read<T> {
        self.named(|text| serde_json::from_str(text).ok())
    }

    pub(super) fn optional_count(&mut self) -> Read<Option<u64>> {
        let number: Option<i64> = self.take()?;
        let exact = number.map(u64::try_from).transpose();
        exact.map_err(|_| self.unreadable("a number below zero"))
    }

    pub(super) fn count(&mut self) -> Read<u64> {
        let number: i64 = self.take()?;
        u64::try_from(number).map_err(|_| self.unreadable(&number.to_string()))
    }

    pub(super) fn blob(&mut self) -> Read<Option<BlobId>> {
        Ok(self.take::<Option<String>>()?.map(BlobId::from_hex))
    }

    pub(super) fn variant(&mut self) -> Read<VariantId> {
        self.take().map(VariantId)
    }

    pub(super) fn task(&mut self) -> Read<TaskId> {
        Ok(TaskId::new(self.take::<String>()?))
    }

    pub(super) fn run(&mut self) -> Read<RunId> {
        self.take().map(RunId)
    }

    /// Takes the columns `attempt`, `variant`, `task`, `repeat`.
    pub(super) fn subject(&mut self) -> Read<CallSubject> {
        let attempt: Option<u32> = self.take()?;
        let evaluation: (Option<u32>, Option<String>, Option<u32>) =
            (self.take()?, self.take()?, self.take()?);
        match (attempt, evaluation) {
            (Some(attempt), (None, None, None)) => Ok(CallSubject::Attempt(VariantId(attempt))),
            (None, (Some(variant), Some(task), Some(repeat))) => Ok(CallSubject::Evaluation(
                VariantId(variant),
                TaskId::new(task),
                repeat,
            )),
            (None, (None, None, None)) => Ok(CallSubject::Manual),
            _ => Err(self.unreadable("neither an attempt nor an evaluation")),
        }
    }

    /// Says that the column taken last cannot be understood.
    pub(super) fn unreadable(&self, text: &str) -> rusqlite::Error {
        let column = self
            .taken
            .checked_sub(1)
            .and_then(|index| self.columns.get(index));
        let problem = format!(
            "column `{}` of table `{}` holds `{text}`, which this program does not know",
            column.unwrap_or(&""),
            self.table
        );
        rusqlite::Error::FromSqlConversionFailure(self.taken, Type::Text, problem.into())
    }
}
