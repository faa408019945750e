//! How a table of facts is described: each column once, for writing and for reading.

use super::column::{Binder, Columns, Read};
use crate::domain::Fact;
use std::sync::LazyLock;

/// A table of facts.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its columns but `seq`, in the order in which they are bound and taken.
    pub(super) columns: &'static [&'static str],
    pub(super) bind: fn(&Fact, &mut Binder<'_, '_>) -> rusqlite::Result<()>,
    pub(super) take: fn(&mut Columns<'_>) -> Read<Fact>,
    pub(super) insert: LazyLock<String>,
}

impl Table {
    /// Returns the statement that adds a row.
    pub(super) fn insert_sql(name: &str, columns: &[&str]) -> String {
        let marks = ", ?".repeat(columns.len());
        format!(
            "INSERT INTO {name} (seq, {}) VALUES (?{marks})",
            columns.join(", ")
        )
    }
}

/// Describes tables: `NAME "table" Variant(Struct) { field: ["column", …], … }` for a fact
/// that holds a struct, and without `(Struct)` for one with fields of its own. A field takes
/// as many columns as its type binds. Also makes the function that finds a fact's table.
macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $name:ident $table:literal $variant:ident $(($inner:ident))? { $($fields:tt)+ }
    )+) => {
        $(
            $(#[$doc])*
            static $name: Table = tables!(@table $table $variant $(($inner))? { $($fields)+ });
        )+

        /// Returns the table of a fact.
        pub(super) fn table_of(fact: &Fact) -> &'static Table {
            match fact {
                $( Fact::$variant { .. } => &$name, )+
            }
        }
    };
    (@table $table:literal $variant:ident ($inner:ident) {
        $($field:ident: [$($column:literal),+]),+ $(,)?
    }) => {
        tables!(@shape $table (Fact::$variant($inner { $($field),+ }))
            { $($field: [$($column),+]),+ })
    };
    (@table $table:literal $variant:ident { $($field:ident: [$($column:literal),+]),+ $(,)? }) => {
        tables!(@shape $table (Fact::$variant { $($field),+ }) { $($field: [$($column),+]),+ })
    };
    (@shape $table:literal ($($shape:tt)+) { $($field:ident: [$($column:literal),+]),+ }) => {
        Table {
            name: $table,
            columns: &[$($($column),+),+],
            bind: |fact, row| {
                // Of another kind of fact, no row is asked for.
                if let $($shape)+ = fact {
                    $( $crate::archive::column::Field::bind($field, row)?; )+
                }
                Ok(())
            },
            take: |row| {
                $( let $field = $crate::archive::column::Field::take(row)?; )+
                Ok($($shape)+)
            },
            insert: std::sync::LazyLock::new(|| Table::insert_sql($table, &[$($($column),+),+])),
        }
    };
}
pub(super) use tables;
