//! What the jobs of an archive have used so far, for what is still to come. A job counts once it
//! has ended, with the calls of all its executions.

use crate::domain::{Amount, CallIntent, JobId, Role, Spread, Usd, WorkKind};
use crate::lineage::Lineage;
use crate::model::Price;
use std::collections::{BTreeMap, HashMap};

/// What jobs of the past used, by kind.
pub(super) struct History {
    jobs: BTreeMap<WorkKind, Vec<Amount>>,
}

impl History {
    /// Sums the calls of each job that has ended, over all its executions.
    pub(super) fn of(lineage: &Lineage, prices: [Price; 3]) -> Self {
        let has_ended = |subject: &JobId| match subject {
            JobId::Attempt(id) => lineage.attempt(*id).is_some_and(|it| it.end.is_some()),
            JobId::Evaluation(key) => lineage.evaluation(key).is_some(),
            JobId::Regrade(_) | JobId::Manual => false,
        };
        let mut sums: HashMap<(WorkKind, &JobId), Amount> = HashMap::new();
        for (intent, settlement) in lineage.spend().calls() {
            let (Some(kind), Some(settlement)) = (kind_of(intent), settlement) else {
                continue;
            };
            if !has_ended(&intent.subject) {
                continue;
            }
            let price = prices[Role::ALL
                .iter()
                .position(|role| *role == intent.role)
                .unwrap_or(0)];
            let used = Amount {
                cost: price.cost(settlement.tokens),
                ..settlement.used()
            };
            let job = sums.entry((kind, &intent.subject)).or_default();
            *job = *job + used;
        }
        let mut jobs: BTreeMap<WorkKind, Vec<Amount>> = BTreeMap::new();
        for ((kind, _), amount) in sums {
            jobs.entry(kind).or_default().push(amount);
        }
        Self { jobs }
    }

    /// Returns what jobs of a kind used: the mean, and what one in ten used less, or more.
    pub(super) fn spread(&self, kind: WorkKind) -> Option<(Spread, usize)> {
        let jobs = self.jobs.get(&kind)?;
        let count = jobs.len();
        let quantiles = |of: &dyn Fn(&Amount) -> u64| {
            let mut sorted: Vec<u64> = jobs.iter().map(of).collect();
            sorted.sort_unstable();
            let mean = sorted
                .iter()
                .fold(0_u64, |sum, one| sum.saturating_add(*one))
                / count as u64;
            let last = count - 1;
            [sorted[last / 10], mean, sorted[last - last / 10]]
        };
        let calls = quantiles(&|job| job.calls);
        let tokens = quantiles(&|job| job.tokens);
        let cost = quantiles(&|job| job.cost.0.unsigned_abs());
        let at = |index: usize| Amount {
            calls: calls[index],
            tokens: tokens[index],
            cost: Usd(i64::try_from(cost[index]).unwrap_or(i64::MAX)),
        };
        let spread = Spread {
            low: at(0),
            likely: at(1),
            high: at(2),
        };
        Some((spread, count))
    }
}

/// Returns which kind of work made a call; none: a person did.
fn kind_of(intent: &CallIntent) -> Option<WorkKind> {
    match (&intent.subject, intent.role) {
        (JobId::Attempt(_), Role::Diagnose) => Some(WorkKind::Diagnose),
        (JobId::Attempt(_), Role::Modify) => Some(WorkKind::Modify),
        (JobId::Attempt(_), Role::Solve) => Some(WorkKind::Gates),
        (JobId::Evaluation(_), _) => Some(WorkKind::Evaluate),
        (JobId::Regrade(_) | JobId::Manual, _) => None,
    }
}
