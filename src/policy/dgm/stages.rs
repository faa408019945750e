//! How far a variant is evaluated: a list of tasks per stage, and when to go on.

use crate::domain::{EvaluationKey, Outcome, Purpose, Tally, VariantId};
use crate::lineage::Lineage;
use crate::policy::settings::Stage;

/// All stages of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stages {
    /// In order.
    pub(super) stages: Vec<Stage>,
    /// Evaluations per task, pooled.
    pub(super) repeats: u32,
}

/// What a variant's evaluation needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// These evaluations have no settled result yet.
    Missing(Vec<(EvaluationKey, Purpose)>),
    /// Enough is known.
    Finished,
}

impl Stages {
    /// Returns the evaluations of one stage.
    pub(super) fn keys(
        &self,
        variant: VariantId,
        stage: usize,
    ) -> impl Iterator<Item = EvaluationKey> {
        let repeats = self.repeats;
        self.stages[stage].tasks.iter().flat_map(move |task| {
            (0..repeats).map(move |repeat| EvaluationKey {
                variant,
                task: task.clone(),
                repeat,
            })
        })
    }

    /// Returns what is missing for a variant. The seed runs every stage, so that there is a
    /// baseline on every task; a child goes on where it resolved enough (arXiv 2505.22954,
    /// section 4: 10 tasks, and 50 more for those that resolve at least 4).
    pub(super) fn next(&self, lineage: &Lineage, variant: VariantId) -> NextStep {
        for (index, stage) in self.stages.iter().enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let missing: Vec<_> = self
                .keys(variant, index)
                .filter(|key| lineage.evaluation(key).is_none())
                .map(|key| (key, Purpose::Stage(number)))
                .collect();
            if !missing.is_empty() {
                return NextStep::Missing(missing);
            }
            let score: Tally = lineage.stage_score(variant, number);
            if variant != VariantId::SEED && score.mean() + 1e-9 < stage.go_on {
                return NextStep::Finished;
            }
        }
        NextStep::Finished
    }

    /// Returns how many evaluations of the first stage gave no measurement.
    pub(super) fn unmeasured(&self, lineage: &Lineage, variant: VariantId) -> usize {
        self.keys(variant, 0)
            .filter(|key| {
                lineage
                    .evaluation(key)
                    .is_none_or(|found| !found.judgement.outcome.counts())
            })
            .count()
    }

    /// Returns whether some evaluation of the variant ended with a change.
    pub(super) fn changed_something(&self, lineage: &Lineage, variant: VariantId) -> bool {
        lineage.evaluations_of(variant).any(|evaluation| {
            evaluation.judgement.outcome.counts()
                && evaluation.judgement.outcome != Outcome::Empty
                && evaluation.patch.is_some()
        })
    }
}
