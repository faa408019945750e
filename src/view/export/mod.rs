//! What other tools read, one file for each format.
//!
//! A format that is not ours is written strictly: only keys that it knows, and everything that
//! only `dgm` knows where the format has a place for such things.

mod atif;
mod csv;
mod harbor;
mod parquet;
mod predictions;
mod swebench_report;
mod table;

pub use self::csv::csv;
pub use self::harbor::{HarborJob, HarborTrial, harbor_job, harbor_trial};
pub use self::parquet::parquet;
pub use self::predictions::{Prediction, predictions, preds};
pub use self::swebench_report::{
    Graded, GradedInstance, InfraReport, SwebenchRun, swebench_instance, swebench_run,
};
pub use self::table::{Row, rows};

use crate::domain::{Attempt, BlobId, Evaluation, Trajectory, Variant};
use crate::lineage::Lineage;

/// Whose trajectory it is.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// A variant on a task.
    Evaluation(&'a Evaluation),
    /// A parent on its own source.
    Attempt(&'a Attempt),
}

/// A trajectory with what is known around it.
#[derive(Clone, Copy, Debug)]
pub struct ExportSubject<'a> {
    /// Random id of the archive.
    pub archive: &'a str,
    /// The archive.
    pub lineage: &'a Lineage,
    /// What the agent worked on.
    pub work: Work<'a>,
    /// The agent: the variant that acted.
    pub agent: &'a Variant,
    /// What its `agent.toml` calls it.
    pub agent_name: &'a str,
    /// Where its transcript is.
    pub transcript: &'a BlobId,
    /// What it did.
    pub trajectory: &'a Trajectory,
}

/// Returns a trajectory as ATIF, the interchange format of Harbor; none where nothing was said.
pub fn atif(subject: &ExportSubject<'_>) -> Option<String> {
    atif::text(subject)
}

/// Returns a moment as other tools write it (ISO 8601 with milliseconds).
fn timestamp(ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
