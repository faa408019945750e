//! What a run would use, without doing any of it.
//!
//! A pure function of recorded facts and of what the policy says is left. What jobs cost is
//! taken from the archive's own history, tokens at today's prices; where there is none, from
//! assumptions that are said. Nothing here is a promise: what holds are the budgets.

mod history;

use self::history::History;
use super::Budgets;
use crate::domain::{
    Amount, Forecast, Remaining, Role, Spread, Tokens, Usd, WorkEstimate, WorkKind,
};
use crate::lineage::Lineage;
use crate::model::{Allowance, Price};

/// Returns what doing what is left would use on an archive. `prices` are those of the roles in
/// the order of [`Role::ALL`].
pub fn forecast(
    lineage: &Lineage,
    remaining: Remaining,
    budgets: &Budgets,
    prices: [Price; 3],
) -> Forecast {
    let history = History::of(lineage, prices);
    let work: Vec<WorkEstimate> = WorkKind::ALL
        .into_iter()
        .map(|kind| {
            let jobs = match kind {
                WorkKind::Diagnose | WorkKind::Modify => remaining.attempts,
                WorkKind::Gates => remaining.children,
                WorkKind::Evaluate => remaining.all_evaluations(),
            };
            let price = prices[Role::ALL
                .iter()
                .position(|role| *role == kind.role())
                .unwrap_or(0)];
            let (each, seen) = history
                .spread(kind)
                .unwrap_or_else(|| (assumed(kind, price, allowance(kind, budgets)), 0));
            WorkEstimate {
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
        remaining,
        work,
        total,
    }
}

/// Returns the assumed calls of one job, and the tokens of one call: low, likely, high.
fn usual(kind: WorkKind) -> [(u64, Tokens); 3] {
    let tokens = |input, output| Tokens {
        input,
        output,
        ..Tokens::default()
    };
    match kind {
        WorkKind::Diagnose => [
            (1, tokens(5_000, 1_000)),
            (1, tokens(20_000, 3_000)),
            (4, tokens(60_000, 8_000)),
        ],
        WorkKind::Modify => [
            (5, tokens(5_000, 300)),
            (40, tokens(20_000, 800)),
            (150, tokens(60_000, 2_000)),
        ],
        WorkKind::Gates => [
            (1, tokens(1_000, 100)),
            (3, tokens(2_000, 200)),
            (10, tokens(5_000, 500)),
        ],
        WorkKind::Evaluate => [
            (5, tokens(3_000, 200)),
            (30, tokens(12_000, 600)),
            (150, tokens(40_000, 1_500)),
        ],
    }
}

/// Returns what one job of a kind may use: an attempt's jobs share the attempt's allowance.
fn allowance(kind: WorkKind, budgets: &Budgets) -> Allowance {
    let Budgets { job, attempt, .. } = budgets;
    let attempt = match kind {
        WorkKind::Diagnose | WorkKind::Modify | WorkKind::Gates => *attempt,
        WorkKind::Evaluate => Allowance::default(),
    };
    Allowance {
        calls: [job.calls, attempt.calls].into_iter().flatten().min(),
        tokens: [job.tokens, attempt.tokens].into_iter().flatten().min(),
        cost: [job.cost, attempt.cost].into_iter().flatten().min(),
    }
}

/// Returns what a job is assumed to use, no more than its allowance.
fn assumed(kind: WorkKind, price: Price, allowance: Allowance) -> Spread {
    let [low, likely, high] = usual(kind).map(|(calls, tokens)| {
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

fn times(amount: Amount, count: u64) -> Amount {
    let cost = i64::try_from(count).map_or(i64::MAX, |count| amount.cost.0.saturating_mul(count));
    Amount {
        calls: amount.calls.saturating_mul(count),
        tokens: amount.tokens.saturating_mul(count),
        cost: Usd(cost),
    }
}

#[cfg(test)]
mod tests {
    use super::forecast;
    use crate::domain::{Amount, Count, EvaluationGroup, Goal, Remaining, TaskId, Usd, WorkKind};
    use crate::evolve::Budgets;
    use crate::lineage::Lineage;
    use crate::model::{Allowance, Price};

    /// Attempts that are certain, each of which may make a child with some evaluations.
    fn remaining(attempts: u64, each: u64) -> Remaining {
        Remaining {
            goal: Goal {
                unit: "rounds",
                begun: 0,
                of: 3,
                raise: None,
            },
            attempts: Count::exactly(attempts),
            children: Count {
                least: 0,
                likely: attempts / 2,
                most: attempts,
            },
            evaluations: [2, each]
                .map(|sure| EvaluationGroup {
                    label: String::new(),
                    tasks: vec![TaskId::new("t")],
                    left: Count {
                        least: 2,
                        likely: sure,
                        most: attempts.saturating_mul(each),
                    },
                })
                .to_vec(),
            rates: Vec::new(),
        }
    }

    #[test]
    fn what_is_left_is_multiplied_with_what_a_job_of_its_kind_uses() {
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
        let forecast = forecast(&Lineage::default(), remaining(6, 4), &budgets, prices);
        let jobs: Vec<u64> = forecast.work.iter().map(|work| work.jobs.likely).collect();
        assert_eq!(jobs, [6, 6, 3, 2 + 4]);
        let evaluate = forecast.work.last().expect("there is work");
        assert_eq!((evaluate.kind, evaluate.seen), (WorkKind::Evaluate, 0));
        assert_eq!(
            evaluate.each.likely,
            Amount {
                calls: 20,
                tokens: 20 * 12_600,
                cost: Usd(20 * 12_000)
            }
        );
        assert_eq!(forecast.total.low.cost, Usd(4 * 5 * 3_000));
        assert!(forecast.total.low.cost < forecast.total.likely.cost);
        assert!(forecast.total.likely.cost < forecast.total.high.cost);
    }

    #[test]
    fn nothing_overflows() {
        let price = Price::plain(Usd(i64::MAX), Usd(i64::MAX));
        let forecast = forecast(
            &Lineage::default(),
            remaining(u64::MAX, u64::MAX),
            &Budgets::default(),
            [price; 3],
        );
        assert_eq!(forecast.total.high.cost, Usd(i64::MAX));
    }
}
