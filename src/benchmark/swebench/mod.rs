//! SWE-bench: rows as Harbor task directories, and the grader of their logs.
//!
//! A row says what an instance is; [`import()`] makes a task directory of it whose verifier only
//! prints a log; [`grade()`] reads that log on the host, where nothing that ran in a container
//! can reach it.
//!
//! Invariant: what decides a grade (which tests, which parser) lies in `tests/row.json` and is
//! placed into no container at all.

mod classic;
mod diff;
mod facts;
mod grade;
mod import;
mod instance;
mod render;
mod rows;

pub use facts::{FactsError, facts};
pub use grade::{
    EvalType, Grade, GradeFacts, Infra, Log, Parser, Resolution, Split, StatusMap, TestsStatus,
    Tier, grade, infra, is_complete,
};
/// Takes the repository's other history away; agents' and judges' containers run it.
pub(crate) const HISTORY: &str = include_str!("history.sh");

pub use import::{ImportError, Imported, Selection, import};
pub use rows::RowsError;
