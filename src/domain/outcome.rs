//! Every way an evaluation can end, and whose doing it is.

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

/// What kept an evaluation from being a plain measurement, apart by whose doing it is; the
/// causes that Harbor's error policy tells apart, under its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The agent changed nothing, crashed, or left what cannot be used: a measurement.
    AgentFailed,
    /// The agent used up its time or its allowance: a measurement.
    AgentExhaustedBudget,
    /// The verifier gave no reward: the task's doing.
    VerifierFailed,
    /// The sandbox or its engine failed.
    SandboxFailed,
    /// The model's provider failed.
    ModelProviderFailed,
    /// We stopped it.
    Cancelled,
}

impl Cause {
    /// How the detail of an outcome begins where the model's provider failed.
    pub const PROVIDER: &str = "model provider: ";

    /// All causes, in order.
    pub const ALL: [Self; 6] = [
        Self::AgentFailed,
        Self::AgentExhaustedBudget,
        Self::VerifierFailed,
        Self::SandboxFailed,
        Self::ModelProviderFailed,
        Self::Cancelled,
    ];

    /// Returns the cause of an outcome, if it is no plain measurement.
    pub fn of(outcome: Outcome, detail: &str) -> Option<Self> {
        match outcome {
            Outcome::Resolved | Outcome::Unresolved => None,
            Outcome::Empty | Outcome::AgentError => Some(Self::AgentFailed),
            Outcome::Timeout | Outcome::Budget => Some(Self::AgentExhaustedBudget),
            Outcome::VerifierError => Some(Self::VerifierFailed),
            Outcome::InfraError if detail.starts_with(Self::PROVIDER) => {
                Some(Self::ModelProviderFailed)
            }
            Outcome::InfraError => Some(Self::SandboxFailed),
            Outcome::Cancelled => Some(Self::Cancelled),
        }
    }

    /// Returns the name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentFailed => "agent_failed",
            Self::AgentExhaustedBudget => "agent_exhausted_budget",
            Self::VerifierFailed => "verifier_failed",
            Self::SandboxFailed => "sandbox_failed",
            Self::ModelProviderFailed => "model_provider_failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a verifier gave no reward, as Harbor tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoReward {
    /// It did not end in its time.
    TimedOut,
    /// The file of the reward is empty.
    Empty,
    /// The file of the reward holds something else.
    Unreadable,
    /// There is none.
    Missing,
}

impl NoReward {
    /// What the detail of an outcome says where the verifier did not end in its time.
    pub const TIMED_OUT: &str = "did not end within";
    /// What it says where the file of the reward is empty.
    pub const EMPTY: &str = "the verifier left an empty";
    /// How it begins where the file of the reward holds something else.
    pub const UNREADABLE: &str = "the verifier's";

    /// Returns what the detail of a verifier's error says.
    pub fn of(detail: &str) -> Self {
        // Those of several steps begin with the step.
        let said = |what: &str| detail.starts_with(what) || detail.contains(&format!(": {what}"));
        if said(Self::EMPTY) {
            Self::Empty
        } else if said(Self::UNREADABLE) {
            Self::Unreadable
        } else if detail.contains(Self::TIMED_OUT) {
            Self::TimedOut
        } else {
            Self::Missing
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
