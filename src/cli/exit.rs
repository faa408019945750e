//! How the program ends, as scripts see it.

use std::process::ExitCode;

/// Exit codes. Documented in `dgm --help`; they never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done,
    /// It was tried and failed.
    Failed,
    /// The command line, or something it names, is wrong.
    Usage,
    /// The budget was reached before the goal.
    Budget,
    /// Nothing usable: the machine lacks what the command needs.
    Unusable,
    /// Interrupted by a signal.
    Interrupted,
}

impl Code {
    /// Returns the number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Budget => 3,
            Self::Unusable => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// The table for `dgm --help`.
pub(super) const HELP: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line, or something it names, is wrong
  3    the budget was reached before the goal
  4    nothing usable: no sandbox on this machine, or a model that cannot be asked
  130  interrupted";
