//! The figures of every variant, computed in one pass over the archive.
//!
//! Asking the lineage variant by variant would look at every call and every variant again for
//! each of them; archives of 100,000 variants must be drawn in seconds.

use crate::domain::{Evaluation, Failure, Purpose, Standing, Tally, VariantId, Verdict};
use crate::lineage::{Lineage, SubjectSpend};
use crate::stats::{Interval, newcombe};
use std::collections::{BTreeMap, BTreeSet};

/// Difference to the parent, on the evaluations that count for both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delta {
    /// Own mean minus the parent's mean.
    pub(super) mean: f64,
    /// On how many evaluations (same task, same repeat).
    pub(super) shared: u32,
}

/// How much better the tasks that guided the evolution are resolved than those that were held
/// out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    /// Mean of training minus mean of hold-out.
    pub(super) mean: f64,
    /// Its 95 % interval.
    pub(super) interval: Interval,
}

/// Returns the gap, where both were measured.
pub(super) fn gap(training: Tally, holdout: Tally) -> Option<Gap> {
    let pair = |tally: Tally| (tally.resolved, tally.counted);
    (training.counted > 0 && holdout.counted > 0).then(|| Gap {
        mean: training.mean() - holdout.mean(),
        interval: newcombe(pair(training), pair(holdout)),
    })
}

/// Figures of one number: a variant, or an attempt without a child.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Resolved of counted over all stages.
    pub(super) score: Tally,
    /// Against the parent, where they have evaluations in common.
    pub(super) delta: Option<Delta>,
    /// Resolved of counted over held-out tasks.
    pub(super) holdout: Tally,
    /// Variants made from it.
    pub(super) children: u64,
    /// Attempts on it that made none.
    pub(super) attempts_failed: u64,
    /// What making and evaluating it cost.
    pub(super) spend: SubjectSpend,
}

/// Figures of the whole archive.
#[derive(Clone, Debug, Default)]
pub(super) struct Digest {
    figures: BTreeMap<VariantId, Figures>,
    /// Variants.
    pub(super) variants: u64,
    /// Variants in the pool of parents.
    pub(super) admitted: u64,
    /// Variants that are kept, but are no parents.
    pub(super) rejected: u64,
    /// Variants whose evaluation is not finished.
    pub(super) evaluating: u64,
    /// Attempts, running ones included.
    pub(super) attempts: u64,
    /// Attempts that have not ended.
    pub(super) attempts_open: u64,
    /// Attempts without a child, by reason.
    pub(super) failed: BTreeMap<String, (Failure, u64)>,
    /// Highest generation.
    pub(super) generations: u32,
    /// The best variant.
    pub(super) best: Option<VariantId>,
    /// Its ancestors and itself, from the seed.
    pub(super) path: Vec<VariantId>,
    /// The same as a set.
    pub(super) on_path: BTreeSet<VariantId>,
    /// The best against the seed, where it is not the seed.
    pub(super) best_delta: Option<Delta>,
    /// All calls.
    pub(super) spend: SubjectSpend,
    /// Settled evaluations.
    pub(super) evaluations: u64,
}

impl Digest {
    /// Computes the figures.
    pub(super) fn of(lineage: &Lineage) -> Self {
        let mut digest = Self {
            best: lineage.best(),
            evaluations: lineage.evaluations().count() as u64,
            ..Self::default()
        };
        digest.add_variants(lineage);
        digest.add_attempts(lineage);
        digest.add_spend(lineage);
        digest.add_path(lineage);
        digest
    }

    /// Returns the figures of a variant or attempt; all zero where there are none.
    pub(super) fn figures(&self, id: VariantId) -> Figures {
        self.figures.get(&id).copied().unwrap_or_default()
    }

    /// Returns how many attempts made no child.
    pub(super) fn attempts_failed(&self) -> u64 {
        self.failed.values().map(|(_, number)| number).sum()
    }

    fn add_variants(&mut self, lineage: &Lineage) {
        for variant in lineage.variants() {
            self.variants += 1;
            self.generations = self.generations.max(variant.generation);
            match lineage.standing(variant.id) {
                Standing::Evaluating => self.evaluating += 1,
                Standing::Judged(Verdict::Admitted) => self.admitted += 1,
                Standing::Judged(Verdict::Rejected(_)) => self.rejected += 1,
            }
            let figures = self.figures.entry(variant.id).or_default();
            figures.score = lineage.score(variant.id);
            figures.holdout = lineage.holdout_score(variant.id);
            figures.delta = variant
                .parent
                .and_then(|parent| delta(lineage, variant.id, parent));
            if let Some(parent) = variant.parent {
                self.figures.entry(parent).or_default().children += 1;
            }
        }
    }

    fn add_attempts(&mut self, lineage: &Lineage) {
        for attempt in lineage.attempts() {
            self.attempts += 1;
            let Some(end) = &attempt.end else {
                self.attempts_open += 1;
                continue;
            };
            if let Some((failure, _)) = &end.failure {
                let parent = attempt.decision.parent;
                self.figures.entry(parent).or_default().attempts_failed += 1;
                self.failed
                    .entry(failure.encode())
                    .or_insert((*failure, 0))
                    .1 += 1;
            }
        }
    }

    fn add_spend(&mut self, lineage: &Lineage) {
        for (intent, settlement) in lineage.spend().calls() {
            self.spend.add(intent, settlement.as_ref());
            let Some(id) = intent.subject.variant() else {
                continue;
            };
            let own = &mut self.figures.entry(id).or_default().spend;
            own.add(intent, settlement.as_ref());
        }
    }

    fn add_path(&mut self, lineage: &Lineage) {
        let mut next = self.best;
        while let Some(id) = next {
            // A damaged archive can hold a circle; drawing it must end all the same.
            if !self.on_path.insert(id) {
                break;
            }
            self.path.push(id);
            next = lineage.variant(id).and_then(|variant| variant.parent);
        }
        self.path.reverse();
        self.best_delta = self
            .best
            .filter(|best| *best != VariantId::SEED)
            .and_then(|best| delta(lineage, best, VariantId::SEED));
    }
}

/// Compares two variants where both were tried: a child that was not worth a second stage and
/// a parent that was are compared on the first.
fn delta(lineage: &Lineage, child: VariantId, parent: VariantId) -> Option<Delta> {
    let counted = |evaluation: &&Evaluation| {
        evaluation.judgement.outcome.counts() && matches!(evaluation.purpose, Purpose::Stage(_))
    };
    let mut theirs = lineage.evaluations_of(parent).filter(counted).peekable();
    let (mut own_passed, mut their_passed, mut shared) = (0_u32, 0_u32, 0_u32);
    for own in lineage.evaluations_of(child).filter(counted) {
        let place = (&own.key.task, own.key.repeat);
        while theirs
            .next_if(|other| (&other.key.task, other.key.repeat) < place)
            .is_some()
        {}
        if let Some(other) = theirs.next_if(|other| (&other.key.task, other.key.repeat) == place) {
            own_passed += u32::from(own.judgement.passed);
            their_passed += u32::from(other.judgement.passed);
            shared += 1;
        }
    }
    (shared > 0).then(|| Delta {
        mean: (f64::from(own_passed) - f64::from(their_passed)) / f64::from(shared),
        shared,
    })
}

/// Returns a variant's scores by stage, for those stages it has evaluations of.
pub(super) fn stage_tallies(lineage: &Lineage, id: VariantId) -> BTreeMap<u32, Tally> {
    let mut stages = BTreeMap::new();
    for evaluation in lineage.evaluations_of(id) {
        if let Purpose::Stage(stage) = evaluation.purpose {
            stages
                .entry(stage)
                .or_insert_with(|| lineage.stage_score(id, stage));
        }
    }
    stages
}
