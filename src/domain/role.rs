//! What a model is used for; each role has its own model settings.

use std::fmt;

/// Purpose of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads evidence on the host and proposes an improvement.
    Diagnose,
    /// Drives the parent while it edits its own source.
    Modify,
    /// Drives a variant on a benchmark task.
    Solve,
}

impl Role {
    /// All roles, in the order in which a run needs them.
    pub const ALL: [Self; 3] = [Self::Diagnose, Self::Modify, Self::Solve];

    /// Returns the name used in configuration, database and environment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Diagnose => "diagnose",
            Self::Modify => "modify",
            Self::Solve => "solve",
        }
    }

    /// Returns the role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
