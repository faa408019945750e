//! What a parser of a log is told, and gives.

use crate::benchmark::swebench::grade::status::StatusMap;

/// What a parser knows of an instance beside its log.
#[derive(Clone, Copy, Debug)]
pub(in crate::benchmark::swebench::grade) struct About<'a> {
    /// Its id.
    pub(in crate::benchmark::swebench::grade) instance_id: &'a str,
    /// Version of its repository.
    pub(in crate::benchmark::swebench::grade) version: &'a str,
}

/// Why a log cannot be read at all: where the official parser fails, so that there is no
/// result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub(in crate::benchmark::swebench::grade) struct Unreadable(
    pub(in crate::benchmark::swebench::grade) &'static str,
);

/// What parsing gives.
pub(in crate::benchmark::swebench::grade) type Parsed<'a> = Result<StatusMap<'a>, Unreadable>;
