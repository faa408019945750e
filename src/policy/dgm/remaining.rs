//! How much of the loop is left: attempts, children, and evaluations of each stage. Where the
//! archive has seen enough, its own rates say what is likely.

use super::stages::Stages;
use crate::domain::{Count, EvaluationGroup, Goal, Raise, Rate, Remaining, VariantId};
use crate::lineage::Lineage;
use crate::policy::settings::Stage;

/// Ended attempts, or evaluated children, from which on the archive's own rates are believed.
const ENOUGH: usize = 5;
/// Part of attempts that make a child, and of children that go on to the next stage, where
/// the archive does not say.
const CHILDREN: f64 = 0.6;
const GO_ON: f64 = 0.5;
/// Rounds that are proposed to who has done all of them.
const MORE: u64 = 4;

/// Where the rounds stand.
pub(super) struct Rounds {
    /// Rounds in all.
    pub(super) rounds: u32,
    /// Rounds that have begun.
    pub(super) begun: u32,
    /// Attempts of the last of them that are not decided yet.
    pub(super) undecided: u32,
    /// Attempts of each round.
    pub(super) attempts: u32,
}

/// Returns what is left.
pub(super) fn remaining(lineage: &Lineage, plan: Rounds, stages: &Stages) -> Remaining {
    let attempts = attempts_left(lineage, &plan);
    let children = children(lineage);
    let go_on = going_on(lineage, &stages.stages);
    let left = evaluations(lineage, stages, attempts, children.part, go_on.part);
    let groups = stages.stages.iter().zip(left).enumerate();
    Remaining {
        goal: Goal {
            unit: "rounds",
            begun: u64::from(plan.begun),
            of: u64::from(plan.rounds),
            raise: Some(Raise {
                option: "generations",
                value: u64::from(plan.rounds) + MORE,
            }),
        },
        attempts: Count::exactly(attempts),
        children: Count {
            least: 0,
            likely: share(attempts, children.part),
            most: attempts,
        },
        evaluations: groups
            .map(|(number, (stage, left))| EvaluationGroup {
                label: format!("stage {number}"),
                tasks: stage.tasks.clone(),
                left,
            })
            .collect(),
        rates: vec![children, go_on],
    }
}

/// Returns how many attempts are still to be made or to be ended.
fn attempts_left(lineage: &Lineage, plan: &Rounds) -> u64 {
    let open = lineage.open_attempts().count() as u64;
    let rest =
        u64::from(plan.rounds.saturating_sub(plan.begun)).saturating_mul(u64::from(plan.attempts));
    let started = match plan.begun > plan.rounds {
        true => 0,
        false => u64::from(plan.undecided),
    };
    rest.saturating_add(started).saturating_add(open)
}

/// Returns which part of ended attempts made a child.
fn children(lineage: &Lineage) -> Rate {
    let ended: Vec<bool> = lineage
        .attempts()
        .filter_map(|attempt| attempt.end.as_ref())
        .map(|end| end.failure.is_none())
        .collect();
    rate("attempts", "make a child", &ended, CHILDREN)
}

/// Returns which part of children resolved enough of a stage to go on to the next one.
fn going_on(lineage: &Lineage, stages: &[Stage]) -> Rate {
    let mut went_on = Vec::new();
    for variant in lineage.variants().filter(|of| of.id != VariantId::SEED) {
        for (number, stage) in (0..).zip(stages) {
            let score = lineage.stage_score(variant.id, number);
            if (score.counted as usize) < stage.tasks.len() {
                break;
            }
            went_on.push(score.mean() + 1e-9 >= stage.go_on);
        }
    }
    let what = "resolve enough of a stage to go on to the next one";
    rate("children", what, &went_on, GO_ON)
}

#[expect(clippy::cast_precision_loss, reason = "counts of attempts are small")]
fn rate(of: &'static str, what: &'static str, seen: &[bool], otherwise: f64) -> Rate {
    let yes = seen.iter().filter(|yes| **yes).count();
    let (part, seen) = match seen.len() {
        few if few < ENOUGH => (otherwise, 0),
        enough => (yes as f64 / enough as f64, enough),
    };
    Rate {
        of,
        what,
        part,
        seen,
    }
}

/// Returns how many evaluations of each stage are left: of variants that exist, and of
/// children that attempts may still make.
fn evaluations(
    lineage: &Lineage,
    stages: &Stages,
    attempts: u64,
    children: f64,
    go_on: f64,
) -> Vec<Count> {
    let mut counts = vec![Count::default(); stages.stages.len()];
    // The seed runs every stage.
    let mut existing: Vec<VariantId> = lineage.evaluating().collect();
    if lineage.variant(VariantId::SEED).is_none() {
        existing.push(VariantId::SEED);
    }
    for id in existing {
        let mut likely = 1.0;
        let mut is_sure = true;
        for (index, stage) in stages.stages.iter().enumerate() {
            let missing = stages
                .keys(id, index)
                .filter(|key| lineage.evaluation(key).is_none())
                .count() as u64;
            counts[index] = counts[index].plus(Count {
                least: if is_sure { missing } else { 0 },
                likely: share(missing, likely),
                most: missing,
            });
            if id == VariantId::SEED {
                continue;
            }
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let score = lineage.stage_score(id, number);
            if missing > 0 {
                is_sure = false;
                likely *= go_on;
            } else if score.mean() + 1e-9 < stage.go_on {
                break;
            }
        }
    }
    let mut likely = children;
    for (count, stage) in counts.iter_mut().zip(&stages.stages) {
        let full = stage.tasks.len() as u64 * u64::from(stages.repeats);
        let all = attempts.saturating_mul(full);
        *count = count.plus(Count {
            least: 0,
            likely: share(all, likely),
            most: all,
        });
        likely *= go_on;
    }
    counts
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; shares lie between 0 and 1"
)]
fn share(whole: u64, part: f64) -> u64 {
    (whole as f64 * part).round() as u64
}
