//! How much of a task a diagnosis may see.

use std::fmt;

/// What of a task reaches the diagnosing model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// What the agent could see, and the names and outcomes of the tests.
    #[default]
    Visible,
    /// Also the hidden tests, what they printed, and the reference solution, as in the DGM
    /// paper: what is learned may then be the answers.
    Paper,
}

impl Disclosure {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Visible, Self::Paper];

    /// Returns the name used in configuration and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Paper => "paper",
        }
    }

    /// Returns the one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.name() == name)
    }
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
