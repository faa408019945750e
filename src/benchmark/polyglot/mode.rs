//! How much of an exercise a task holds.

use std::fmt;

/// Which tests run and what an agent is told. Results of different modes must not be mixed,
/// so the mode stands in the dataset's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Every test runs; hints are left out.
    #[default]
    Full,
    /// As Aider's benchmark runs them: what its replacements miss stays skipped.
    Aider,
    /// As the published DGM runs: Java's disabled tests stay disabled, hints are shown.
    Dgm,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Full, Self::Aider, Self::Dgm];

    /// Returns the mode's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Aider => "aider",
            Self::Dgm => "dgm",
        }
    }

    /// Returns the mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
