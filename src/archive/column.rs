//! Values as columns of a row, in both directions.
//!
//! Invariant: what cannot be understood is an error that names its column.

use crate::domain::{
    BlobId, CallId, CallStatus, Cause, CommitId, Entry, Outcome, Role, RunId, TaskId, TreeId, Usd,
    VariantId,
};
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Row, Statement};

/// Result of reading a row.
pub(super) type Read<T> = rusqlite::Result<T>;

/// The parameters of an insert, bound one after the other.
pub(super) struct Binder<'a, 'db> {
    statement: &'a mut Statement<'db>,
    bound: usize,
}

impl<'a, 'db> Binder<'a, 'db> {
    /// Returns the parameters of a statement, none of them bound.
    pub(super) fn new(statement: &'a mut Statement<'db>) -> Self {
        Self {
            statement,
            bound: 0,
        }
    }

    /// Binds the next one.
    fn put(&mut self, value: ToSqlOutput<'_>) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}

/// A row whose columns are taken one after the other. By position, because looking for a
/// name in every row takes longer than everything else.
pub(super) struct Columns<'row> {
    row: &'row Row<'row>,
    table: &'static str,
    names: &'static [&'static str],
    taken: usize,
}

impl<'row> Columns<'row> {
    /// Returns a row whose columns after the first, its position, have these names.
    pub(super) fn new(
        row: &'row Row<'row>,
        table: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self {
            row,
            table,
            names,
            taken: 0,
        }
    }

    fn value(&mut self) -> Read<ValueRef<'row>> {
        self.taken += 1;
        self.row.get_ref(self.taken)
    }

    /// Says that the column taken last cannot be understood.
    pub(super) fn unreadable(&self, text: &str) -> rusqlite::Error {
        let column = self
            .taken
            .checked_sub(1)
            .and_then(|index| self.names.get(index));
        let problem = format!(
            "column `{}` of table `{}` holds `{text}`, which this program does not know",
            column.unwrap_or(&""),
            self.table
        );
        rusqlite::Error::FromSqlConversionFailure(self.taken, Type::Text, problem.into())
    }

    fn unreadable_value(&self, value: ValueRef<'_>) -> rusqlite::Error {
        match value {
            ValueRef::Null => self.unreadable("NULL"),
            ValueRef::Integer(number) => self.unreadable(&number.to_string()),
            ValueRef::Real(number) => self.unreadable(&number.to_string()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                self.unreadable(&String::from_utf8_lossy(bytes))
            }
        }
    }
}

/// A value that takes one or several columns of a row, one after the other.
pub(super) trait Field: Sized {
    /// Binds its columns.
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()>;

    /// Takes its columns.
    fn take(row: &mut Columns<'_>) -> Read<Self>;
}

/// A value that takes one column, which is not null.
pub(super) trait ColumnCell: Sized {
    /// Returns what SQLite holds for it.
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>>;

    /// Returns what SQLite's value stands for; none: nothing that is known.
    fn load(value: ValueRef<'_>) -> Option<Self>;
}

impl<T: ColumnCell> Field for T {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        row.put(self.store()?)
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        let value = row.value()?;
        T::load(value).ok_or_else(|| row.unreadable_value(value))
    }
}

impl<T: ColumnCell> Field for Option<T> {
    fn bind(&self, row: &mut Binder<'_, '_>) -> rusqlite::Result<()> {
        match self {
            Some(value) => row.put(value.store()?),
            None => row.put(ToSqlOutput::Borrowed(ValueRef::Null)),
        }
    }

    fn take(row: &mut Columns<'_>) -> Read<Self> {
        match row.value()? {
            ValueRef::Null => Ok(None),
            value => T::load(value)
                .map(Some)
                .ok_or_else(|| row.unreadable_value(value)),
        }
    }
}

impl ColumnCell for i64 {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self).into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok()
    }
}

impl ColumnCell for f64 {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self).into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        value.as_f64().ok()
    }
}

impl ColumnCell for u64 {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // SQLite knows signed numbers only.
        let number = i64::try_from(*self);
        let number =
            number.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(number.into())
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        i64::load(value)?.try_into().ok()
    }
}

/// Cells by what is stored and how that is read: `Type: value => stored, stored => value`.
macro_rules! cells {
    ($($value:ty: |$this:ident| $store:expr, |$stored:ident: $as:ty| $load:expr;)+) => {$(
        impl ColumnCell for $value {
            fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let $this = self;
                Ok($store.into())
            }

            fn load(value: ValueRef<'_>) -> Option<Self> {
                let $stored = <$as as StoredValue>::stored(value)?;
                $load
            }
        }
    )+};
}

/// What [`cells`] read.
trait StoredValue<'a>: Sized {
    fn stored(value: ValueRef<'a>) -> Option<Self>;
}

impl<'a> StoredValue<'a> for i64 {
    fn stored(value: ValueRef<'a>) -> Option<Self> {
        value.as_i64().ok()
    }
}

impl<'a> StoredValue<'a> for &'a str {
    fn stored(value: ValueRef<'a>) -> Option<Self> {
        value.as_str().ok()
    }
}

cells! {
    bool: |on| *on, |number: i64| Some(number != 0);
    u32: |number| *number, |number: i64| number.try_into().ok();
    VariantId: |id| id.0, |number: i64| number.try_into().ok().map(Self);
    RunId: |run| run.0, |number: i64| number.try_into().ok().map(Self);
    Usd: |cost| cost.0, |number: i64| Some(Self(number));
    String: |text| text.as_str(), |text: &str| Some(text.to_owned());
    TaskId: |task| task.as_str(), |text: &str| Some(Self::new(text));
    CommitId: |commit| commit.as_str(), |text: &str| Some(Self::new(text));
    TreeId: |tree| tree.as_str(), |text: &str| Some(Self::new(text));
    BlobId: |blob| blob.as_str(), |text: &str| Some(Self::from_hex(text));
    Outcome: |outcome| outcome.name(), |name: &str| Self::from_name(name);
    Cause: |cause| cause.encode(), |text: &str| Self::decode(text);
    Role: |role| role.name(), |name: &str| Self::from_name(name);
    CallStatus: |status| status.name(), |name: &str| Self::from_name(name);
    Entry: |entry| entry.encode(), |text: &str| Self::decode(text);
}

impl ColumnCell for CallId {
    fn store(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.store()
    }

    fn load(value: ValueRef<'_>) -> Option<Self> {
        u64::load(value).map(Self)
    }
}
