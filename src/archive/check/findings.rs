//! What a check has found so far.

use crate::archive::error::Result;
use std::fmt;

/// What was found so far.
pub(super) struct Findings {
    pub(super) found: Vec<Finding>,
    pub(super) repair: bool,
}

impl Findings {
    /// Notes that something recorded is lost or contradictory.
    pub(super) fn damage(&mut self, what: String) {
        self.found.push(Finding {
            severity: Severity::Damage,
            what,
            repaired: false,
        });
    }

    /// Notes something that can be put right, and does so where asked to.
    pub(super) fn repairable(
        &mut self,
        severity: Severity,
        what: String,
        repair: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.repair {
            repair()?;
        }
        self.found.push(Finding {
            severity,
            what,
            repaired: self.repair,
        });
        Ok(())
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that a dead writer left; harmless, and repair removes it.
    Leftover,
    /// Something that follows from the facts, such as a ref; repair puts it back.
    Derived,
    /// Something recorded is lost or contradictory; repair does not touch it.
    Damage,
}

impl Severity {
    /// Returns the name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leftover => "leftover",
            Self::Derived => "derived",
            Self::Damage => "damage",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
