//! Why an evaluation or an attempt is no plain measurement, by whose doing it is.
//!
//! Invariant: a cause is recorded as data. The sentence beside it is for people, and nothing
//! is ever read out of it.

use super::Outcome;

/// The cause of an outcome that is no plain measurement: the causes that Harbor's error policy
/// tells apart, under its names, and the run's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The agent changed nothing, crashed, or left what cannot be used: a measurement.
    AgentFailed,
    /// The agent used up its time or its allowance: a measurement.
    AgentExhaustedBudget,
    /// The verifier gave no reward: the task's doing.
    VerifierFailed(NoReward),
    /// The sandbox or its engine failed.
    SandboxFailed,
    /// The model's provider failed.
    ModelProviderFailed,
    /// The run's budget ran out while the agent worked.
    RunExhaustedBudget,
    /// We stopped it.
    Cancelled,
}

impl Cause {
    /// The names of all causes, in order.
    pub const NAMES: [&str; 7] = [
        "agent_failed",
        "agent_exhausted_budget",
        "verifier_failed",
        "sandbox_failed",
        "model_provider_failed",
        "run_exhausted_budget",
        "cancelled",
    ];

    /// Returns the name used in JSON, which is the same for every [`NoReward`].
    pub fn name(self) -> &'static str {
        let [
            agent,
            exhausted,
            verifier,
            sandbox,
            provider,
            run,
            cancelled,
        ] = Self::NAMES;
        match self {
            Self::AgentFailed => agent,
            Self::AgentExhaustedBudget => exhausted,
            Self::VerifierFailed(_) => verifier,
            Self::SandboxFailed => sandbox,
            Self::ModelProviderFailed => provider,
            Self::RunExhaustedBudget => run,
            Self::Cancelled => cancelled,
        }
    }

    /// Returns why the verifier gave no reward, where that is the cause.
    pub fn no_reward(self) -> Option<NoReward> {
        match self {
            Self::VerifierFailed(why) => Some(why),
            Self::AgentFailed
            | Self::AgentExhaustedBudget
            | Self::SandboxFailed
            | Self::ModelProviderFailed
            | Self::RunExhaustedBudget
            | Self::Cancelled => None,
        }
    }

    /// Returns the text used in the database, such as `verifier_failed:timed_out`.
    pub fn encode(self) -> &'static str {
        match self {
            Self::VerifierFailed(why) => match why {
                NoReward::TimedOut => "verifier_failed:timed_out",
                NoReward::Empty => "verifier_failed:empty",
                NoReward::Unreadable => "verifier_failed:unreadable",
                NoReward::Missing => "verifier_failed:missing",
                NoReward::Unsealed => "verifier_failed:unsealed",
                NoReward::TooMuchOutput => "verifier_failed:too_much_output",
                NoReward::NoResult => "verifier_failed:no_result",
                NoReward::NoAnswer => "verifier_failed:no_answer",
            },
            Self::AgentFailed
            | Self::AgentExhaustedBudget
            | Self::SandboxFailed
            | Self::ModelProviderFailed
            | Self::RunExhaustedBudget
            | Self::Cancelled => self.name(),
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let all = NoReward::ALL.into_iter().map(Self::VerifierFailed);
        let mut all = all.chain([
            Self::AgentFailed,
            Self::AgentExhaustedBudget,
            Self::SandboxFailed,
            Self::ModelProviderFailed,
            Self::RunExhaustedBudget,
            Self::Cancelled,
        ]);
        all.find(|cause| cause.encode() == text)
    }

    /// Returns the cause of an outcome of which nothing else is known.
    pub fn usual(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Resolved | Outcome::Unresolved => None,
            Outcome::Empty | Outcome::AgentError => Some(Self::AgentFailed),
            Outcome::Timeout | Outcome::Budget => Some(Self::AgentExhaustedBudget),
            Outcome::VerifierError => Some(Self::VerifierFailed(NoReward::Missing)),
            Outcome::InfraError => Some(Self::SandboxFailed),
            Outcome::Cancelled => Some(Self::Cancelled),
        }
    }

    /// Returns whether an outcome can have this cause; none: it is a plain measurement.
    pub fn fits(cause: Option<Self>, outcome: Outcome) -> bool {
        match cause {
            None => matches!(outcome, Outcome::Resolved | Outcome::Unresolved),
            Some(Self::AgentFailed) => matches!(outcome, Outcome::Empty | Outcome::AgentError),
            Some(Self::AgentExhaustedBudget) => {
                matches!(outcome, Outcome::Timeout | Outcome::Budget)
            }
            Some(Self::VerifierFailed(_)) => outcome == Outcome::VerifierError,
            Some(Self::SandboxFailed | Self::ModelProviderFailed) => outcome == Outcome::InfraError,
            Some(Self::RunExhaustedBudget | Self::Cancelled) => outcome == Outcome::Cancelled,
        }
    }
}

/// Why a verifier gave no reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoReward {
    /// It did not end in its time.
    TimedOut,
    /// The file of the reward is empty.
    Empty,
    /// The file of the reward holds something else.
    Unreadable,
    /// It left no file of a reward.
    Missing,
    /// The reward is not the verifier's own: its seal is broken.
    Unsealed,
    /// It wrote or printed more than it may.
    TooMuchOutput,
    /// What its tests printed holds no result.
    NoResult,
    /// The answer that was kept for it cannot be read.
    NoAnswer,
}

impl NoReward {
    /// All reasons, in order.
    pub const ALL: [Self; 8] = [
        Self::TimedOut,
        Self::Empty,
        Self::Unreadable,
        Self::Missing,
        Self::Unsealed,
        Self::TooMuchOutput,
        Self::NoResult,
        Self::NoAnswer,
    ];

    /// Returns the name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::Unsealed => "unsealed",
            Self::TooMuchOutput => "too_much_output",
            Self::NoResult => "no_result",
            Self::NoAnswer => "no_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, NoReward};
    use crate::domain::Outcome;
    use std::collections::BTreeSet;

    fn all() -> Vec<Cause> {
        let reasons = NoReward::ALL.into_iter().map(Cause::VerifierFailed);
        let others = [
            Cause::AgentFailed,
            Cause::AgentExhaustedBudget,
            Cause::SandboxFailed,
            Cause::ModelProviderFailed,
            Cause::RunExhaustedBudget,
            Cause::Cancelled,
        ];
        reasons.chain(others).collect()
    }

    #[test]
    fn texts_are_read_back_and_begin_with_a_name() {
        for cause in all() {
            let text = cause.encode();
            assert_eq!(Cause::decode(text), Some(cause));
            let expected = match cause.no_reward() {
                Some(why) => format!("{}:{}", cause.name(), why.name()),
                None => cause.name().to_owned(),
            };
            assert_eq!(text, expected);
        }
        let names: BTreeSet<&str> = all().into_iter().map(Cause::name).collect();
        assert_eq!(names, BTreeSet::from(Cause::NAMES));
        assert_eq!(Cause::decode("verifier_failed"), None);
    }

    #[test]
    fn every_cause_fits_one_kind_of_outcome_and_every_outcome_has_one_that_fits() {
        for outcome in Outcome::ALL {
            assert!(Cause::fits(Cause::usual(outcome), outcome), "{outcome}");
        }
        for cause in all() {
            let fitting = Outcome::ALL.map(|outcome| Cause::fits(Some(cause), outcome));
            let count = fitting.into_iter().filter(|fits| *fits).count();
            let expected = match cause {
                Cause::AgentFailed | Cause::AgentExhaustedBudget => 2,
                _ => 1,
            };
            assert_eq!(count, expected, "{cause:?}");
        }
    }
}
