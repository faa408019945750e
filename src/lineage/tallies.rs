//! What is counted while facts are added, so that a decision in a large archive costs no
//! more than looking at its variants once.
//!
//! Invariant: whatever the order of the facts, this equals counting anew.

use crate::domain::{EvaluationKey, Purpose, Tally, VariantId};
use std::collections::{BTreeMap, BTreeSet};

/// Counts that belong to a [`Lineage`](super::Lineage).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tallies {
    scores: BTreeMap<VariantId, Scores>,
    admitted_children: BTreeMap<VariantId, usize>,
    /// Variants without a verdict.
    pub(super) evaluating: BTreeSet<VariantId>,
    /// Attempts without an end.
    pub(super) open: BTreeSet<VariantId>,
    /// Evaluations that were decided and have no result.
    pub(super) open_evaluations: BTreeSet<EvaluationKey>,
}

/// Scores of one variant.
#[derive(Clone, Debug, Default, PartialEq)]
struct Scores {
    stages: Tally,
    stage: BTreeMap<u32, Tally>,
    extra: Tally,
    holdout: Tally,
}

impl Tallies {
    /// Adds an evaluation that was not there before.
    pub(super) fn evaluated(&mut self, id: VariantId, purpose: Purpose, judged: Tally) {
        let scores = self.scores.entry(id).or_default();
        scores.add(purpose, judged);
    }

    /// Counts a variant's evaluations anew, after one was replaced or judged again.
    pub(super) fn recount(
        &mut self,
        id: VariantId,
        judged: impl Iterator<Item = (Purpose, Tally)>,
    ) {
        let mut scores = Scores::default();
        judged.for_each(|(purpose, judged)| scores.add(purpose, judged));
        self.scores.insert(id, scores);
    }

    /// Follows a variant into the pool of parents, or out of it: `before` and `after` are its
    /// parents as long as it is in.
    pub(super) fn moved(&mut self, before: Option<VariantId>, after: Option<VariantId>) {
        if before == after {
            return;
        }
        if let Some(parent) = before
            && let Some(count) = self.admitted_children.get_mut(&parent)
        {
            *count -= 1;
        }
        if let Some(parent) = after {
            *self.admitted_children.entry(parent).or_default() += 1;
        }
    }

    pub(super) fn admitted_children(&self, parent: VariantId) -> usize {
        self.admitted_children.get(&parent).copied().unwrap_or(0)
    }

    pub(super) fn score(&self, id: VariantId) -> Tally {
        self.of(id, |scores| scores.stages)
    }

    pub(super) fn stage_score(&self, id: VariantId, stage: u32) -> Tally {
        self.of(id, |scores| {
            scores.stage.get(&stage).copied().unwrap_or_default()
        })
    }

    pub(super) fn extra_score(&self, id: VariantId) -> Tally {
        self.of(id, |scores| scores.extra)
    }

    pub(super) fn holdout_score(&self, id: VariantId) -> Tally {
        self.of(id, |scores| scores.holdout)
    }

    fn of(&self, id: VariantId, pick: impl Fn(&Scores) -> Tally) -> Tally {
        self.scores.get(&id).map(pick).unwrap_or_default()
    }
}

impl Scores {
    fn add(&mut self, purpose: Purpose, tally: Tally) {
        match purpose {
            Purpose::Stage(stage) => {
                self.stages += tally;
                *self.stage.entry(stage).or_default() += tally;
            }
            Purpose::Extra => self.extra += tally,
            Purpose::Holdout => self.holdout += tally,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{
        AttemptEnd, CommitId, Decision, Entry, Evaluation, EvaluationKey, Fact, Judgement, Outcome,
        Purpose, Regrade, RunId, Tally, TaskId, Timing, TreeId, Variant, VariantId, Verdict,
    };
    use crate::lineage::Lineage;
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};

    const VARIANTS: u32 = 6;
    const STAGES: u32 = 3;

    fn purpose(number: u32) -> Purpose {
        match number {
            STAGES => Purpose::Extra,
            number if number > STAGES => Purpose::Holdout,
            number => Purpose::Stage(number),
        }
    }

    fn regraded(variant: u32, task: u32, run: u32, outcome: Outcome) -> Fact {
        Fact::Regraded(Regrade {
            key: EvaluationKey {
                variant: VariantId(variant),
                task: TaskId::new(format!("t{task}")),
                repeat: 0,
            },
            judgement: Judgement::of(outcome),
            verifier_log: None,
            verifier_ms: 0,
            run: RunId(run),
            execution: 1,
            at_ms: 0,
        })
    }

    fn evaluated(variant: u32, task: u32, stage: u32, outcome: Outcome, passed: bool) -> Fact {
        Fact::Evaluated(Evaluation {
            key: EvaluationKey {
                variant: VariantId(variant),
                task: TaskId::new(format!("t{task}")),
                repeat: 0,
            },
            purpose: purpose(stage),
            judgement: Judgement {
                passed,
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
        })
    }

    fn made(id: u32, parent: Option<u32>) -> Fact {
        Fact::VariantMade(Variant {
            id: VariantId(id),
            commit: CommitId::new("c"),
            tree: TreeId::new("t"),
            parent: parent.map(VariantId),
            generation: 0,
            summary: String::new(),
            created_ms: 0,
        })
    }

    fn judged(id: u32, admitted: bool) -> Fact {
        Fact::Judged {
            variant: VariantId(id),
            verdict: match admitted {
                true => Verdict::Admitted,
                false => Verdict::Rejected("why".to_owned()),
            },
            at_ms: 0,
        }
    }

    fn decided(attempt: u32) -> Fact {
        Fact::Decided(Decision {
            attempt: VariantId(attempt),
            group: 1,
            parent: VariantId::SEED,
            entry: Entry::Task(TaskId::new("t0")),
            policy: String::new(),
            candidates: Vec::new(),
            why: String::new(),
            run: RunId(1),
            at_ms: 0,
        })
    }

    fn ended(attempt: u32) -> Fact {
        Fact::AttemptEnded(AttemptEnd {
            attempt: VariantId(attempt),
            failure: None,
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run: RunId(1),
            execution: 1,
            at_ms: 0,
        })
    }

    fn fact() -> impl Strategy<Value = Fact> {
        let numbers = (0..VARIANTS, 0..4_u32, 0..=STAGES + 1);
        (0..10_u32, numbers, any::<bool>()).prop_map(|(kind, (id, other, stage), yes)| match kind {
            0 => made(id, yes.then_some(other)),
            1 => judged(id, yes),
            2 => decided(id),
            3 => ended(id),
            4 => evaluated(id, other, stage, Outcome::InfraError, yes),
            5 => evaluated(id, other, stage, Outcome::Timeout, yes),
            6 => regraded(id, other, stage, Outcome::VerifierError),
            7 if yes => regraded(id, other, stage, Outcome::Resolved),
            7 => regraded(id, other, stage, Outcome::Unresolved),
            _ => {
                let outcome = if yes {
                    Outcome::Resolved
                } else {
                    Outcome::Unresolved
                };
                evaluated(id, other, stage, outcome, yes)
            }
        })
    }

    fn counted(lineage: &Lineage, id: VariantId, keep: impl Fn(Purpose) -> bool) -> Tally {
        let found = lineage
            .evaluations()
            .filter(|evaluation| evaluation.key.variant == id && keep(evaluation.purpose))
            .map(|evaluation| lineage.judgement(evaluation))
            .filter(|judged| judged.outcome.counts());
        found
            .map(|judged| Tally {
                resolved: u32::from(judged.passed),
                counted: 1,
            })
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// In any order, with repetitions and with facts about what is not there (yet).
        #[test]
        fn counts_equal_what_counting_anew_gives(facts in vec(fact(), 0..120)) {
            let lineage = Lineage::from_facts(facts);
            for id in (0..VARIANTS).map(VariantId) {
                let stages = |purpose| matches!(purpose, Purpose::Stage(_));
                prop_assert_eq!(lineage.score(id), counted(&lineage, id, stages));
                let extra = |purpose| purpose == Purpose::Extra;
                prop_assert_eq!(lineage.extra_score(id), counted(&lineage, id, extra));
                let holdout = |purpose| purpose == Purpose::Holdout;
                prop_assert_eq!(lineage.holdout_score(id), counted(&lineage, id, holdout));
                for stage in 0..=STAGES {
                    let one = |purpose| purpose == Purpose::Stage(stage);
                    prop_assert_eq!(lineage.stage_score(id, stage), counted(&lineage, id, one));
                }
                let children = lineage.variants().filter(|variant| {
                    variant.parent == Some(id) && lineage.is_admitted(variant.id)
                });
                prop_assert_eq!(lineage.admitted_children(id), children.count());
            }
            let evaluating = lineage
                .variants()
                .map(|variant| variant.id)
                .filter(|id| !lineage.verdicts.contains_key(id));
            prop_assert_eq!(
                lineage.evaluating().collect::<Vec<_>>(),
                evaluating.collect::<Vec<_>>()
            );
            let open = lineage.attempts().filter(|attempt| attempt.end.is_none());
            prop_assert_eq!(
                lineage.open_attempts().collect::<Vec<_>>(),
                open.collect::<Vec<_>>()
            );
        }
    }

    /// What guides an evolution keeps its first judgement; elsewhere the newest counts.
    #[test]
    fn a_regrade_never_changes_a_score_that_guides() {
        let (seed, resolved) = (VariantId::SEED, Outcome::Resolved);
        let facts = [
            evaluated(0, 0, 0, resolved, true),
            evaluated(0, 1, STAGES, resolved, true),
            evaluated(0, 2, STAGES + 1, Outcome::VerifierError, false),
            regraded(0, 0, 2, Outcome::Unresolved),
            regraded(0, 1, 2, Outcome::Unresolved),
            regraded(0, 2, 3, resolved),
            // Found later, but of an older process.
            regraded(0, 2, 2, Outcome::Unresolved),
        ];
        let lineage = Lineage::from_facts(facts);
        let pair = |tally: Tally| (tally.resolved, tally.counted);
        assert_eq!(pair(lineage.score(seed)), (1, 1));
        assert_eq!(pair(lineage.extra_score(seed)), (0, 1));
        assert_eq!(pair(lineage.holdout_score(seed)), (1, 1));
    }
}
