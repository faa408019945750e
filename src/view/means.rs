//! What all evaluations of a variant come to, and why some of them say nothing.
//!
//! Two means are shown, because they differ where something failed that is nobody's
//! measurement: over what was graded, and with what has no grade as 0, as Harbor reports it.

use super::json::round;
use crate::domain::{Cause, Evaluation, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;

/// The two means, and how often each cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Means {
    /// Over what was graded.
    pub(crate) graded: Mean,
    /// Over everything; what was not graded counts as 0.
    pub(crate) missing_as_zero: Mean,
    /// How the evaluations ended: the outcomes, and of `infra_error` whether it was the
    /// `sandbox` or the model's `provider`.
    pub(crate) causes: BTreeMap<String, u32>,
}

/// A mean of rewards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Mean {
    /// Over how many evaluations.
    pub(crate) count: u32,
    /// None: over none.
    pub(crate) reward: Option<f64>,
}

impl Means {
    /// Returns those of some evaluations.
    pub(crate) fn of<'a>(evaluations: impl Iterator<Item = &'a Evaluation>) -> Self {
        let (mut sum, mut graded, mut all) = (0.0, 0, 0);
        let mut causes = BTreeMap::new();
        for evaluation in evaluations {
            all += 1;
            *causes.entry(cause(evaluation)).or_insert(0) += 1;
            if evaluation.judgement.outcome.counts() {
                graded += 1;
                let passed = f64::from(u8::from(evaluation.judgement.passed));
                sum += evaluation.judgement.reward.unwrap_or(passed);
            }
        }
        let mean = |count: u32| Mean {
            count,
            reward: (count > 0).then(|| round(sum / f64::from(count))),
        };
        Self {
            graded: mean(graded),
            missing_as_zero: mean(all),
            causes,
        }
    }

    /// Returns a sentence, where the two differ.
    pub(crate) fn sentence(&self) -> Option<String> {
        let (graded, all) = (self.graded.reward?, self.missing_as_zero.reward?);
        (self.graded.count != self.missing_as_zero.count).then(|| {
            format!(
                "mean reward {graded} of {} graded, {all} of {} with what has no grade as 0",
                self.graded.count, self.missing_as_zero.count
            )
        })
    }
}

fn cause(evaluation: &Evaluation) -> String {
    match evaluation.judgement.outcome {
        Outcome::InfraError => match evaluation.judgement.cause {
            Some(Cause::ModelProviderFailed) => "infra_error:provider".to_owned(),
            Some(_) | None => "infra_error:sandbox".to_owned(),
        },
        outcome @ (Outcome::Resolved
        | Outcome::Unresolved
        | Outcome::Empty
        | Outcome::AgentError
        | Outcome::Timeout
        | Outcome::Budget
        | Outcome::VerifierError
        | Outcome::Cancelled) => outcome.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Means;
    use crate::domain::{
        Cause, Evaluation, EvaluationKey, Judgement, Outcome, Purpose, RunId, TaskId, Timing,
        VariantId,
    };

    fn evaluation(outcome: Outcome, reward: Option<f64>, cause: Option<Cause>) -> Evaluation {
        Evaluation {
            key: EvaluationKey {
                variant: VariantId::SEED,
                task: TaskId::new("t"),
                repeat: 0,
            },
            purpose: Purpose::Extra,
            judgement: Judgement {
                reward,
                cause,
                // Sentences are for people.
                detail: "model provider: 503".to_owned(),
                ..Judgement::of(outcome)
            },
            image: None,
            agent_log: None,
            verifier_log: None,
            patch: None,
            transcript: None,
            context_overflow: false,
            timing: Timing::default(),
            run: RunId(1),
            execution: 1,
            at_ms: 0,
        }
    }

    #[test]
    fn what_has_no_grade_is_told_apart() {
        let all = [
            evaluation(Outcome::Resolved, Some(1.0), None),
            evaluation(Outcome::Unresolved, Some(0.5), None),
            evaluation(Outcome::AgentError, None, Some(Cause::AgentFailed)),
            evaluation(
                Outcome::VerifierError,
                None,
                Cause::usual(Outcome::VerifierError),
            ),
            evaluation(Outcome::InfraError, None, Some(Cause::ModelProviderFailed)),
            evaluation(Outcome::InfraError, None, Some(Cause::SandboxFailed)),
        ];
        let means = Means::of(all.iter());
        assert_eq!((means.graded.count, means.graded.reward), (3, Some(0.5)));
        let zero = means.missing_as_zero;
        assert_eq!((zero.count, zero.reward), (6, Some(0.25)));
        assert_eq!(means.causes["infra_error:provider"], 1);
        assert_eq!(means.causes["infra_error:sandbox"], 1);
        assert_eq!(means.causes["verifier_error"], 1);
        assert!(means.sentence().is_some());
        assert_eq!(Means::of(all[..3].iter()).sentence(), None);
        assert_eq!(Means::of(std::iter::empty()).graded.reward, None);
    }
}
