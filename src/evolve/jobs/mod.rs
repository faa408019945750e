//! The kinds of jobs, a file each: what a job needs is read before it starts, it runs without
//! touching the archive, and its end becomes facts here. What goes wrong is told apart by
//! kind; the dispatcher knows none of them.

mod evaluate;
mod event;
mod improve;
mod job;
mod regrade;
mod retry;
mod workbench;

pub(super) use event::JobEvent;
pub(super) use job::{EndedJob, Job, Settlement};
pub(super) use workbench::Workbench;

pub use workbench::RoleModels;

use super::record::Recorder;
use crate::policy::Assignment;

/// Makes a job ready to run.
pub(super) fn prepare(
    assignment: Assignment,
    bench: &Workbench,
    recorder: &mut Recorder,
) -> anyhow::Result<Job> {
    Ok(match assignment {
        Assignment::Improve(id) => Job::new(improve::prepare(id, bench, recorder)?),
        Assignment::Evaluate(key, purpose) => {
            Job::new(evaluate::prepare(key, purpose, bench, recorder)?)
        }
        Assignment::Regrade(key) => Job::new(regrade::prepare(key, bench, recorder)?),
    })
}
