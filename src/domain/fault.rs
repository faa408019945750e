//! An execution of a job that did not count.

use super::{Cause, JobId, Outcome, RunId};

/// An execution that did not count and is redone or given up: a fact, but not a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The job.
    pub subject: JobId,
    /// What happened.
    pub outcome: Outcome,
    /// Whose doing it is.
    pub cause: Cause,
    /// For a reader.
    pub detail: String,
    /// The process.
    pub run: RunId,
    /// Execution of the job within that process.
    pub execution: u32,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}
