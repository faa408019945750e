//! From what was observed to an outcome: a pure table.

use super::interruption::Interruption;
use crate::benchmark::RewardError;
use crate::domain::{Cause, Judgement, Outcome, Rewards};

/// What was observed of one evaluation.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// What kept the agent from ending by itself.
    pub(super) interruption: Option<Interruption>,
    /// Why its answer cannot be used.
    pub(super) fault: Option<String>,
    /// What the verifier said; none: there was nothing to verify.
    pub(super) verifier: Option<Result<f64, RewardError>>,
    /// Reward from which on the task counts as resolved.
    pub(super) pass_mark: f64,
}

/// Decides. Whose doing it is comes first: an agent that the run's budget cut short was not
/// measured; a failed provider is nobody's measurement, unless what the agent had done by then
/// passes; an unusable answer is the agent's; then time and allowance, whose answers still count
/// as a pass if they pass; then the reward.
pub(super) fn decide(observed: &Observed) -> Judgement {
    let reward = observed
        .verifier
        .as_ref()
        .and_then(|said| said.as_ref().ok());
    let reward = reward.copied();
    let passed = reward.is_some_and(|reward| reward >= observed.pass_mark);
    let judged = |outcome, passed, cause, detail: String| Judgement {
        outcome,
        passed,
        reward,
        rewards: Rewards::new(),
        cause,
        detail,
        task_digest: String::new(),
    };
    match &observed.interruption {
        Some(Interruption::RunBudget) => {
            let detail = "the run's budget ran out while the agent worked";
            let cause = Cause::RunExhaustedBudget;
            return Judgement::without_reward(Outcome::Cancelled, cause, detail);
        }
        Some(Interruption::Provider(what)) if !passed => {
            let cause = Some(Cause::ModelProviderFailed);
            let detail = format!("model provider: {what}");
            return judged(Outcome::InfraError, false, cause, detail);
        }
        Some(_) | None => {}
    }
    if let Some(fault) = &observed.fault {
        return Judgement::agent_error(fault.clone());
    }
    if let Some(Err(error)) = &observed.verifier {
        return Judgement::verifier_error(error.kind, error.why.clone());
    }
    let (outcome, passed, cause, detail) = match &observed.interruption {
        Some(Interruption::Allowance(_)) => {
            let detail = "the job's allowance ran out".to_owned();
            (Outcome::Budget, passed, Cause::AgentExhaustedBudget, detail)
        }
        Some(Interruption::Time) => {
            let detail = "the agent's time was over".to_owned();
            (
                Outcome::Timeout,
                passed,
                Cause::AgentExhaustedBudget,
                detail,
            )
        }
        // A crash is the agent's fault even where its change would pass: the reward is kept for
        // a reader, the score is 0.
        Some(Interruption::Memory) => crash("the agent ran out of memory".to_owned()),
        Some(Interruption::Disk) => crash("the agent wrote more than it may".to_owned()),
        Some(Interruption::Crash(code)) => crash(format!("the agent ended with exit code {code}")),
        Some(Interruption::RunBudget | Interruption::Provider(_)) | None => {
            return match reward {
                None => {
                    let detail = "the agent changed nothing";
                    Judgement::without_reward(Outcome::Empty, Cause::AgentFailed, detail)
                }
                Some(_) if passed => judged(Outcome::Resolved, true, None, String::new()),
                Some(_) => judged(Outcome::Unresolved, false, None, String::new()),
            };
        }
    };
    judged(outcome, passed, Some(cause), detail)
}

fn crash(detail: String) -> (Outcome, bool, Cause, String) {
    (Outcome::AgentError, false, Cause::AgentFailed, detail)
}

#[cfg(test)]
mod tests {
    use super::{Interruption, Observed, RewardError, decide};
    use crate::domain::{Cause, NoReward, Outcome};

    fn observed(
        interruption: Option<Interruption>,
        verifier: Option<Result<f64, RewardError>>,
    ) -> Observed {
        Observed {
            interruption,
            fault: None,
            verifier,
            pass_mark: 1.0,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line of the table per case")]
    fn follows_the_table() {
        let ok = || Some(Ok(1.0));
        let low = || Some(Ok(0.5));
        let broken = || Some(Err(RewardError::new(NoReward::Missing, "no reward")));
        let provider = || Some(Interruption::Provider("x".to_owned()));
        let allowance = || Some(Interruption::Allowance("x".to_owned()));
        let (time, crash) = (Some(Interruption::Time), Some(Interruption::Crash(1)));
        let failed = Some(Cause::AgentFailed);
        let exhausted = Some(Cause::AgentExhaustedBudget);
        let verifier = Some(Cause::VerifierFailed(NoReward::Missing));
        let other = Some(Cause::ModelProviderFailed);
        let run = Some(Cause::RunExhaustedBudget);
        let lenient = Observed {
            pass_mark: 0.5,
            ..observed(None, low())
        };
        let link = Observed {
            fault: Some("link".to_owned()),
            ..observed(None, broken())
        };
        for (given, outcome, passed, cause) in [
            (observed(None, None), Outcome::Empty, false, failed),
            (observed(None, ok()), Outcome::Resolved, true, None),
            (observed(None, low()), Outcome::Unresolved, false, None),
            (lenient, Outcome::Resolved, true, None),
            (
                observed(None, broken()),
                Outcome::VerifierError,
                false,
                verifier,
            ),
            (link, Outcome::AgentError, false, failed),
            (
                observed(crash.clone(), None),
                Outcome::AgentError,
                false,
                failed,
            ),
            (
                observed(crash.clone(), ok()),
                Outcome::AgentError,
                false,
                failed,
            ),
            (
                observed(crash, broken()),
                Outcome::VerifierError,
                false,
                verifier,
            ),
            (
                observed(Some(Interruption::Memory), ok()),
                Outcome::AgentError,
                false,
                failed,
            ),
            (
                observed(Some(Interruption::Disk), None),
                Outcome::AgentError,
                false,
                failed,
            ),
            (
                observed(time.clone(), None),
                Outcome::Timeout,
                false,
                exhausted,
            ),
            (
                observed(time.clone(), ok()),
                Outcome::Timeout,
                true,
                exhausted,
            ),
            (observed(time, low()), Outcome::Timeout, false, exhausted),
            (
                observed(allowance(), None),
                Outcome::Budget,
                false,
                exhausted,
            ),
            (
                observed(allowance(), ok()),
                Outcome::Budget,
                true,
                exhausted,
            ),
            // What the agent would have done with the rest of the budget, nobody knows.
            (
                observed(Some(Interruption::RunBudget), ok()),
                Outcome::Cancelled,
                false,
                run,
            ),
            (
                observed(provider(), None),
                Outcome::InfraError,
                false,
                other,
            ),
            (
                observed(provider(), low()),
                Outcome::InfraError,
                false,
                other,
            ),
            (
                observed(provider(), broken()),
                Outcome::InfraError,
                false,
                other,
            ),
            (observed(provider(), ok()), Outcome::Resolved, true, None),
        ] {
            let judged = decide(&given);
            let decided = (judged.outcome, judged.passed, judged.cause);
            assert_eq!(decided, (outcome, passed, cause), "{given:?}");
            assert!(Cause::fits(judged.cause, judged.outcome), "{judged:?}");
        }
    }
}
