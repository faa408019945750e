//! Every way an evaluation can end.

use std::fmt;

/// Outcome of one evaluation; the table of the design, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The reward reaches the task's pass mark.
    Resolved,
    /// The verifier ran; the reward is below the pass mark.
    Unresolved,
    /// The agent changed nothing.
    Empty,
    /// The agent crashed, or its output is unusable.
    AgentError,
    /// The agent used up its time; what it had changed was still verified.
    Timeout,
    /// The job's allowance ran out; what it had changed was still verified.
    Budget,
    /// The verifier gave no reward.
    VerifierError,
    /// Sandbox, engine or model provider failed.
    InfraError,
    /// Stopped by us.
    Cancelled,
}

/// Whether the same evaluation is to be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// It is a measurement; once is enough.
    Never,
    /// Once more, then it is reported.
    Once,
    /// With backoff, a bounded number of times.
    Bounded,
    /// Whenever the run goes on.
    Always,
}

impl Outcome {
    /// All outcomes, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Resolved,
        Self::Unresolved,
        Self::Empty,
        Self::AgentError,
        Self::Timeout,
        Self::Budget,
        Self::VerifierError,
        Self::InfraError,
        Self::Cancelled,
    ];

    /// Returns the name used in database, JSON and terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Unresolved => "unresolved",
            Self::Empty => "empty",
            Self::AgentError => "agent_error",
            Self::Timeout => "timeout",
            Self::Budget => "budget",
            Self::VerifierError => "verifier_error",
            Self::InfraError => "infra_error",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Returns whether an evaluation with this outcome counts in a score.
    pub fn counts(self) -> bool {
        match self {
            Self::Resolved
            | Self::Unresolved
            | Self::Empty
            | Self::AgentError
            | Self::Timeout
            | Self::Budget => true,
            Self::VerifierError | Self::InfraError | Self::Cancelled => false,
        }
    }

    /// Returns whether the evaluation is done again.
    pub fn redo(self) -> Redo {
        match self {
            Self::Resolved
            | Self::Unresolved
            | Self::Empty
            | Self::AgentError
            | Self::Timeout
            | Self::Budget => Redo::Never,
            Self::VerifierError => Redo::Once,
            Self::InfraError => Redo::Bounded,
            Self::Cancelled => Redo::Always,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
