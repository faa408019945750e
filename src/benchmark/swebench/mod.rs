//! SWE-bench: rows as Harbor task directories, and the grader of their logs.
//!
//! A row says what an instance is; [`import`] makes a task directory of it whose verifier only
//! prints a log; [`grade()`] reads that log on the host, where nothing that ran in a container
//! can reach it.

mod facts;
mod grade;

pub use facts::{FactsError, facts};
pub use grade::{
    EvalType, Grade, GradeFacts, Infra, Log, Parser, Resolution, Split, StatusMap, TestsStatus,
    Tier, grade,
};
