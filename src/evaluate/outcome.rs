//! From what was observed to an outcome: a pure table.

use crate::benchmark::RewardFault;
use crate::domain::{Cause, Judgement, Outcome};
use crate::sandbox::Exit;

/// What was observed of one evaluation.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// How the agent's process ended.
    pub exit: Exit,
    /// Why its answer cannot be used.
    pub answer_fault: Option<String>,
    /// What the verifier said; none: there was nothing to verify.
    pub verifier: Option<Result<f64, RewardFault>>,
    /// Reward from which on the task counts as resolved.
    pub pass_mark: f64,
    /// Whether the job's allowance ran out.
    pub out_of_budget: bool,
    /// Whether the run's budget ran out while the agent worked.
    pub cut_by_run: bool,
    /// What the model provider failed with at the end, if it did.
    pub provider_failed: Option<String>,
}

/// Decides. Whose doing it is comes first: an agent that the run's budget cut short was not
/// measured; a failed provider is nobody's measurement, unless
/// what the agent had done by then passes; an unusable answer is the agent's; then time and
/// budget, whose answers still count as a pass if they pass; then the reward.
pub(super) fn decide(facts: &Facts) -> Judgement {
    let verdict = |outcome, passed, reward, detail: String| Judgement {
        passed,
        reward,
        detail,
        ..Judgement::of(outcome)
    };
    let passed = matches!(&facts.verifier, Some(Ok(reward)) if *reward >= facts.pass_mark);
    let reward = facts
        .verifier
        .as_ref()
        .and_then(|reward| reward.as_ref().ok().copied());
    if facts.cut_by_run {
        let detail = "the run's budget ran out while the agent worked".to_owned();
        return Judgement::without_reward(Outcome::Cancelled, Cause::RunExhaustedBudget, detail);
    }
    if let Some(what) = &facts.provider_failed
        && !passed
    {
        let (outcome, cause) = (Outcome::InfraError, Cause::ModelProviderFailed);
        return Judgement {
            reward,
            ..Judgement::without_reward(outcome, cause, format!("model provider: {what}"))
        };
    }
    if let Some(fault) = &facts.answer_fault {
        return Judgement::agent_error(fault);
    }
    if let Some(Err(fault)) = &facts.verifier {
        return Judgement::verifier_error(fault.kind, &fault.why);
    }
    match facts.exit {
        Exit::TimedOut => {
            return verdict(
                Outcome::Timeout,
                passed,
                reward,
                "the agent's time was over".to_owned(),
            );
        }
        Exit::OutOfMemory => {
            let detail = "the agent ran out of memory".to_owned();
            return verdict(Outcome::AgentError, false, reward, detail);
        }
        Exit::OutOfDisk => {
            let detail = "the agent wrote more than it may".to_owned();
            return verdict(Outcome::AgentError, false, reward, detail);
        }
        Exit::Code(code) if code != 0 && !facts.out_of_budget => {
            let detail = format!("the agent ended with exit code {code}");
            return verdict(Outcome::AgentError, false, reward, detail);
        }
        Exit::Code(_) => {}
    }
    if facts.out_of_budget {
        let detail = "the job's allowance ran out".to_owned();
        return verdict(Outcome::Budget, passed, reward, detail);
    }
    match reward {
        None => verdict(
            Outcome::Empty,
            false,
            None,
            "the agent changed nothing".to_owned(),
        ),
        Some(value) if passed => verdict(Outcome::Resolved, true, Some(value), String::new()),
        Some(value) => verdict(Outcome::Unresolved, false, Some(value), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, decide};
    use crate::benchmark::RewardFault;
    use crate::domain::{Cause, NoReward, Outcome};
    use crate::sandbox::Exit;

    fn facts() -> Facts {
        Facts {
            exit: Exit::Code(0),
            answer_fault: None,
            verifier: None,
            pass_mark: 1.0,
            out_of_budget: false,
            cut_by_run: false,
            provider_failed: None,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line of the table per case")]
    fn follows_the_table() {
        let ok = || Some(Ok(1.0));
        let low = || Some(Ok(0.5));
        let broken = || Some(Err(RewardFault::new(NoReward::Empty, "no reward")));
        let cases = [
            (facts(), Outcome::Empty, false),
            (
                Facts {
                    verifier: ok(),
                    ..facts()
                },
                Outcome::Resolved,
                true,
            ),
            (
                Facts {
                    verifier: low(),
                    ..facts()
                },
                Outcome::Unresolved,
                false,
            ),
            (
                Facts {
                    verifier: low(),
                    pass_mark: 0.5,
                    ..facts()
                },
                Outcome::Resolved,
                true,
            ),
            (
                Facts {
                    verifier: broken(),
                    ..facts()
                },
                Outcome::VerifierError,
                false,
            ),
            (
                Facts {
                    answer_fault: Some("link".to_owned()),
                    ..facts()
                },
                Outcome::AgentError,
                false,
            ),
            (
                Facts {
                    exit: Exit::Code(1),
                    ..facts()
                },
                Outcome::AgentError,
                false,
            ),
            // A crash is the agent's fault even where its change would pass: the reward is kept
            // for a reader, the score is 0.
            (
                Facts {
                    exit: Exit::Code(1),
                    verifier: ok(),
                    ..facts()
                },
                Outcome::AgentError,
                false,
            ),
            (
                Facts {
                    exit: Exit::OutOfMemory,
                    ..facts()
                },
                Outcome::AgentError,
                false,
            ),
            (
                Facts {
                    exit: Exit::TimedOut,
                    ..facts()
                },
                Outcome::Timeout,
                false,
            ),
            (
                Facts {
                    exit: Exit::TimedOut,
                    verifier: ok(),
                    ..facts()
                },
                Outcome::Timeout,
                true,
            ),
            (
                Facts {
                    exit: Exit::TimedOut,
                    verifier: low(),
                    ..facts()
                },
                Outcome::Timeout,
                false,
            ),
            (
                Facts {
                    out_of_budget: true,
                    ..facts()
                },
                Outcome::Budget,
                false,
            ),
            (
                Facts {
                    out_of_budget: true,
                    exit: Exit::Code(1),
                    ..facts()
                },
                Outcome::Budget,
                false,
            ),
            (
                Facts {
                    out_of_budget: true,
                    verifier: ok(),
                    ..facts()
                },
                Outcome::Budget,
                true,
            ),
            // What the agent would have done with the rest of the budget, nobody knows.
            (
                Facts {
                    cut_by_run: true,
                    verifier: ok(),
                    ..facts()
                },
                Outcome::Cancelled,
                false,
            ),
            (
                Facts {
                    provider_failed: Some("x".to_owned()),
                    ..facts()
                },
                Outcome::InfraError,
                false,
            ),
            (
                Facts {
                    provider_failed: Some("x".to_owned()),
                    verifier: ok(),
                    ..facts()
                },
                Outcome::Resolved,
                true,
            ),
        ];
        for (given, outcome, passed) in cases {
            let judgement = decide(&given);
            assert_eq!(
                (judgement.outcome, judgement.passed),
                (outcome, passed),
                "{given:?}"
            );
            assert!(Cause::fits(judgement.cause, outcome), "{given:?}");
        }
    }

    #[test]
    fn causes_are_told_apart_as_data() {
        let why = RewardFault::new(NoReward::TimedOut, "model provider: nobody");
        let cases = [
            (
                Facts {
                    provider_failed: Some("x".to_owned()),
                    ..facts()
                },
                Cause::ModelProviderFailed,
            ),
            (
                Facts {
                    cut_by_run: true,
                    ..facts()
                },
                Cause::RunExhaustedBudget,
            ),
            (
                Facts {
                    verifier: Some(Err(why)),
                    ..facts()
                },
                Cause::VerifierFailed(NoReward::TimedOut),
            ),
        ];
        for (given, cause) in cases {
            assert_eq!(decide(&given).cause, Some(cause), "{given:?}");
        }
    }
}
