//! What a run would do, and what that may cost, without doing any of it.
//!
//! A pure function of recorded facts and settings. What jobs cost is taken from the archive's
//! own history, tokens at today's prices; where there is none, from assumptions that are
//! said. Nothing here is a promise: what holds are the budgets.

mod history;

use self::history::History;
use super::Budgets;
use crate::domain::{Amount, CallIntent, EvaluationKey, JobId, Role, Tokens, Usd, VariantId};
use crate::lineage::Lineage;
use crate::model::{Allowance, Price};
use crate::policy::{DgmSettings, Stage};

/// Ended attempts, or evaluated children, from which on the archive's own rates are believed.
const ENOUGH: usize = 5;
/// Part of attempts that make a child, and of children that go on to the next stage, where
/// the archive does not say.
const CHILDREN: f64 = 0.6;
const GO_ON: f64 = 0.5;

/// How often something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// At least.
    pub least: u64,
    /// As likely as not.
    pub likely: u64,
    /// At most.
    pub most: u64,
}

/// What something uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Hardly ever less.
    pub low: Amount,
    /// On average.
    pub likely: Amount,
    /// Hardly ever more.
    pub high: Amount,
}

/// What is known of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What it is.
    pub kind: Kind,
    /// How often it is done.
    pub jobs: Count,
    /// What it uses each time.
    pub each: Spread,
    /// Jobs of the archive's history that say so; none: it is assumed.
    pub seen: usize,
}

/// Kinds of work that use a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Diagnosing what a parent failed at.
    Diagnose,
    /// A parent changes its own source.
    Modify,
    /// A child has to solve a trivial task.
    Gates,
    /// A variant solves a task.
    Evaluate,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Diagnose, Self::Modify, Self::Gates, Self::Evaluate];

    /// Returns the role of the model that does it.
    pub fn role(self) -> Role {
        match self {
            Self::Diagnose => Role::Diagnose,
            Self::Modify => Role::Modify,
            Self::Gates | Self::Evaluate => Role::Solve,
        }
    }

    fn of(intent: &CallIntent) -> Option<Self> {
        match (&intent.subject, intent.role) {
            (JobId::Attempt(_), Role::Diagnose) => Some(Self::Diagnose),
            (JobId::Attempt(_), Role::Modify) => Some(Self::Modify),
            (JobId::Attempt(_), Role::Solve) => Some(Self::Gates),
            (JobId::Evaluation(_), _) => Some(Self::Evaluate),
            (JobId::Regrade(_) | JobId::Manual, _) => None,
        }
    }

    /// Returns the assumed calls of one job, and the tokens of one call: low, likely, high.
    fn assumed(self) -> [(u64, Tokens); 3] {
        let tokens = |input, output| Tokens {
            input,
            output,
            ..Tokens::default()
        };
        match self {
            Self::Diagnose => [
                (1, tokens(5_000, 1_000)),
                (1, tokens(20_000, 3_000)),
                (4, tokens(60_000, 8_000)),
            ],
            Self::Modify => [
                (5, tokens(5_000, 300)),
                (40, tokens(20_000, 800)),
                (150, tokens(60_000, 2_000)),
            ],
            Self::Gates => [
                (1, tokens(1_000, 100)),
                (3, tokens(2_000, 200)),
                (10, tokens(5_000, 500)),
            ],
            Self::Evaluate => [
                (5, tokens(3_000, 200)),
                (30, tokens(12_000, 600)),
                (150, tokens(40_000, 1_500)),
            ],
        }
    }
}

/// What is left to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Rounds that have begun.
    pub rounds_begun: u32,
    /// Rounds in all.
    pub rounds: u32,
    /// Attempts that are still to be made or to be ended.
    pub attempts: u64,
    /// Evaluations of each stage.
    pub stages: Vec<Count>,
    /// The work, by kind.
    pub work: Vec<Work>,
    /// Part of attempts that make a child, and from how many ended ones it is known.
    pub children: (f64, usize),
    /// Part of children that go on to the next stage, and from how many it is known.
    pub go_on: (f64, usize),
    /// What all of it uses.
    pub total: Spread,
}

/// Returns what a run with these settings would do on an archive. `prices` are those of the
/// roles in the order of [`Role::ALL`].
pub fn forecast(
    lineage: &Lineage,
    policy: &DgmSettings,
    budgets: &Budgets,
    prices: [Price; 3],
) -> Forecast {
    let (rounds_begun, _) = begun(lineage);
    let attempts = attempts_left(lineage, policy);
    let children = children(lineage);
    let go_on = going_on(lineage, &policy.stages.stages);
    let stages = evaluations(lineage, policy, attempts, children.0, go_on.0);
    let history = History::of(lineage, prices);
    let work: Vec<Work> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let jobs = match kind {
                Kind::Diagnose | Kind::Modify => Count {
                    least: attempts,
                    likely: attempts,
                    most: attempts,
                },
                Kind::Gates => Count {
                    least: 0,
                    likely: share(attempts, children.0),
                    most: attempts,
                },
                Kind::Evaluate => stages.iter().copied().fold(Count::default(), plus),
            };
            let price = prices[Role::ALL
                .iter()
                .position(|role| *role == kind.role())
                .unwrap_or(0)];
            let (each, seen) = history
                .spread(kind)
                .unwrap_or_else(|| (assumed(kind, price, allowance(kind, budgets)), 0));
            Work {
                kind,
                jobs,
                each,
                seen,
            }
        })
        .collect();
    let total = work.iter().fold(Spread::default(), |sum, work| Spread {
        low: sum.low + times(work.each.low, work.jobs.least),
        likely: sum.likely + times(work.each.likely, work.jobs.likely),
        high: sum.high + times(work.each.high, work.jobs.most),
    });
    Forecast {
        rounds_begun,
        rounds: policy.rounds,
        attempts,
        stages,
        work,
        children,
        go_on,
        total,
    }
}

/// Returns how many attempts are still to be made or to be ended.
pub fn attempts_left(lineage: &Lineage, policy: &DgmSettings) -> u64 {
    let (rounds_begun, decided) = begun(lineage);
    let open = lineage.open_attempts().count() as u64;
    let rest = u64::from(policy.rounds.saturating_sub(rounds_begun))
        .saturating_mul(u64::from(policy.attempts));
    let started = match rounds_begun {
        0 => 0,
        _ if rounds_begun > policy.rounds => 0,
        _ => u64::from(policy.attempts.saturating_sub(decided)),
    };
    rest.saturating_add(started).saturating_add(open)
}

/// Returns the last round that has begun, and how many attempts of it are decided.
fn begun(lineage: &Lineage) -> (u32, u32) {
    let last = lineage.attempts().next_back();
    let round = last.map_or(0, |attempt| attempt.decision.round);
    let of_round = lineage
        .attempts()
        .rev()
        .take_while(|attempt| attempt.decision.round == round);
    (round, u32::try_from(of_round.count()).unwrap_or(u32::MAX))
}

/// Returns which part of ended attempts made a child.
fn children(lineage: &Lineage) -> (f64, usize) {
    let ended: Vec<bool> = lineage
        .attempts()
        .filter_map(|attempt| attempt.end.as_ref())
        .map(|end| end.failure.is_none())
        .collect();
    part(&ended, CHILDREN)
}

/// Returns which part of children resolved enough of a stage to go on to the next one.
fn going_on(lineage: &Lineage, stages: &[Stage]) -> (f64, usize) {
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
    part(&went_on, GO_ON)
}

#[expect(clippy::cast_precision_loss, reason = "counts of attempts are small")]
fn part(seen: &[bool], otherwise: f64) -> (f64, usize) {
    if seen.len() < ENOUGH {
        return (otherwise, 0);
    }
    let yes = seen.iter().filter(|yes| **yes).count();
    (yes as f64 / seen.len() as f64, seen.len())
}

/// Returns how many evaluations of each stage are left: of variants that exist, and of
/// children that attempts may still make.
fn evaluations(
    lineage: &Lineage,
    policy: &DgmSettings,
    attempts: u64,
    children: f64,
    go_on: f64,
) -> Vec<Count> {
    let repeats = policy.stages.repeats;
    let stages = &policy.stages.stages;
    let full: Vec<u64> = stages
        .iter()
        .map(|stage| stage.tasks.len() as u64 * u64::from(repeats))
        .collect();
    let mut counts = vec![Count::default(); stages.len()];
    // The seed runs every stage.
    let seed_is_done = lineage.is_admitted(VariantId::SEED);
    let mut existing: Vec<VariantId> = lineage.evaluating().collect();
    if lineage.variant(VariantId::SEED).is_none() && !seed_is_done {
        existing.push(VariantId::SEED);
    }
    for id in existing {
        let mut likely = 1.0;
        let mut is_sure = true;
        for (index, stage) in stages.iter().enumerate() {
            let missing = missing(lineage, id, stage, repeats);
            counts[index] = plus(
                counts[index],
                Count {
                    least: if is_sure { missing } else { 0 },
                    likely: share(missing, likely),
                    most: missing,
                },
            );
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
    for (count, full) in counts.iter_mut().zip(full) {
        let more = Count {
            least: 0,
            likely: share(attempts.saturating_mul(full), likely),
            most: attempts.saturating_mul(full),
        };
        *count = plus(*count, more);
        likely *= go_on;
    }
    counts
}

fn missing(lineage: &Lineage, variant: VariantId, stage: &Stage, repeats: u32) -> u64 {
    let keys = stage.tasks.iter().flat_map(|task| {
        (0..repeats).map(move |repeat| EvaluationKey {
            variant,
            task: task.clone(),
            repeat,
        })
    });
    keys.filter(|key| lineage.evaluation(key).is_none()).count() as u64
}

/// Returns what one job of a kind may use: an attempt's jobs share the attempt's allowance.
fn allowance(kind: Kind, budgets: &Budgets) -> Allowance {
    let Budgets { job, attempt, .. } = budgets;
    let attempt = match kind {
        Kind::Diagnose | Kind::Modify | Kind::Gates => *attempt,
        Kind::Evaluate => Allowance::default(),
    };
    Allowance {
        calls: [job.calls, attempt.calls].into_iter().flatten().min(),
        tokens: [job.tokens, attempt.tokens].into_iter().flatten().min(),
        cost: [job.cost, attempt.cost].into_iter().flatten().min(),
    }
}

/// Returns what a job is assumed to use, no more than its allowance.
fn assumed(kind: Kind, price: Price, allowance: Allowance) -> Spread {
    let [low, likely, high] = kind.assumed().map(|(calls, tokens)| {
        let calls = allowance.calls.map_or(calls, |most| calls.min(most));
        let used = times(
            Amount {
                calls: 1,
                tokens: tokens.total(),
                cost: price.cost(tokens),
            },
            calls,
        );
        Amount {
            calls: used.calls,
            tokens: allowance
                .tokens
                .map_or(used.tokens, |most| used.tokens.min(most)),
            cost: allowance.cost.map_or(used.cost, |most| used.cost.min(most)),
        }
    });
    Spread { low, likely, high }
}

fn plus(a: Count, b: Count) -> Count {
    Count {
        least: a.least.saturating_add(b.least),
        likely: a.likely.saturating_add(b.likely),
        most: a.most.saturating_add(b.most),
    }
}

fn times(amount: Amount, count: u64) -> Amount {
    let cost = i64::try_from(count).map_or(i64::MAX, |count| amount.cost.0.saturating_mul(count));
    Amount {
        calls: amount.calls.saturating_mul(count),
        tokens: amount.tokens.saturating_mul(count),
        cost: Usd(cost),
    }
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

#[cfg(test)]
mod tests {
    use super::{Count, Kind, forecast};
    use crate::domain::{Amount, TaskId, Usd};
    use crate::evolve::Budgets;
    use crate::lineage::Lineage;
    use crate::model::{Allowance, Price};
    use crate::policy::{Admission, DgmSettings, Selection, Stage, Stages};

    fn settings() -> DgmSettings {
        let stage = |tasks: &[&str]| Stage {
            tasks: tasks.iter().copied().map(TaskId::new).collect(),
            go_on: 0.4,
        };
        DgmSettings {
            seed: 1,
            rounds: 3,
            attempts: 2,
            barrier: false,
            width: 2,
            selection: Selection::Random,
            admission: Admission::KeepAll,
            stages: Stages {
                stages: vec![stage(&["a", "b"]), stage(&["c"])],
                repeats: 2,
            },
        }
    }

    #[test]
    fn an_empty_archive_runs_the_seed_and_may_make_children() {
        let prices = [
            Price::Free,
            Price::Free,
            Price::plain(Usd(1_000_000), Usd(0)),
        ];
        let budgets = Budgets {
            job: Allowance {
                calls: Some(20),
                ..Allowance::default()
            },
            ..Budgets::default()
        };
        let forecast = forecast(&Lineage::default(), &settings(), &budgets, prices);
        assert_eq!((forecast.rounds_begun, forecast.attempts), (0, 6));
        assert_eq!(
            forecast.stages,
            [
                Count {
                    least: 4,
                    likely: 4 + 14,
                    most: 4 + 24
                },
                Count {
                    least: 2,
                    likely: 2 + 4,
                    most: 2 + 12
                },
            ]
        );
        let evaluate = forecast.work.last().expect("there is work");
        assert_eq!((evaluate.kind, evaluate.seen), (Kind::Evaluate, 0));
        assert_eq!(
            evaluate.each.likely,
            Amount {
                calls: 20,
                tokens: 20 * 12_600,
                cost: Usd(20 * 12_000)
            }
        );
        assert_eq!(forecast.total.low.cost, Usd(6 * 5 * 3_000));
        assert!(forecast.total.low.cost < forecast.total.likely.cost);
        assert!(forecast.total.likely.cost < forecast.total.high.cost);
    }

    #[test]
    fn nothing_overflows() {
        let settings = DgmSettings {
            rounds: u32::MAX,
            attempts: u32::MAX,
            ..settings()
        };
        let price = Price::plain(Usd(i64::MAX), Usd(i64::MAX));
        let forecast = forecast(
            &Lineage::default(),
            &settings,
            &Budgets::default(),
            [price; 3],
        );
        assert_eq!(forecast.total.high.cost, Usd(i64::MAX));
    }
}
