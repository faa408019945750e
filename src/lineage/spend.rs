//! The books as a value: what calls cost, for what, and what is still open.

use crate::domain::{
    Amount, CallId, CallIntent, CallSettlement, CallStatus, JobId, Role, RunId, Tokens, Usd,
};
use std::collections::BTreeMap;

/// All calls of an archive.
#[derive(Clone, Debug, Default)]
pub struct Spend {
    calls: BTreeMap<CallId, (CallIntent, Option<CallSettlement>)>,
}

/// Totals over some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectSpend {
    /// Calls in all.
    pub calls: u64,
    /// Calls that the provider refused.
    pub refused: u64,
    /// Calls that the provider failed at.
    pub failed: u64,
    /// Calls whose caller went away before the answer came.
    pub abandoned: u64,
    /// Settled cost; exact but for what is estimated.
    pub cost: Usd,
    /// Settled tokens.
    pub tokens: Tokens,
    /// Settled calls whose tokens the provider did not tell.
    pub estimated: u64,
    /// What those cost, on the high side; part of the settled cost.
    pub estimated_cost: Usd,
    /// Calls whose end is not known.
    pub unsettled: u64,
    /// What those can have cost at most.
    pub unsettled_at_most: Usd,
    /// Tokens that those can have used at most.
    pub unsettled_at_most_tokens: u64,
}

impl SubjectSpend {
    /// Adds one call.
    pub fn add(&mut self, intent: &CallIntent, settlement: Option<&CallSettlement>) {
        self.calls += 1;
        let Some(settlement) = settlement else {
            self.unsettled += 1;
            self.unsettled_at_most += intent.at_most;
            self.unsettled_at_most_tokens = self
                .unsettled_at_most_tokens
                .saturating_add(intent.at_most_tokens);
            return;
        };
        match settlement.status {
            CallStatus::Answered => {}
            CallStatus::Refused => self.refused += 1,
            CallStatus::Failed => self.failed += 1,
            CallStatus::Abandoned => self.abandoned += 1,
        }
        self.cost += settlement.cost;
        self.tokens += settlement.tokens;
        if settlement.estimated {
            self.estimated += 1;
            self.estimated_cost += settlement.cost;
        }
    }

    /// Returns the totals of both.
    pub fn plus(mut self, other: &Self) -> Self {
        self.calls += other.calls;
        self.refused += other.refused;
        self.failed += other.failed;
        self.abandoned += other.abandoned;
        self.cost += other.cost;
        self.tokens += other.tokens;
        self.estimated += other.estimated;
        self.estimated_cost += other.estimated_cost;
        self.unsettled += other.unsettled;
        self.unsettled_at_most += other.unsettled_at_most;
        self.unsettled_at_most_tokens = self
            .unsettled_at_most_tokens
            .saturating_add(other.unsettled_at_most_tokens);
        self
    }

    /// Returns the calls that ended without an answer.
    pub fn unanswered(&self) -> u64 {
        self.refused + self.failed + self.abandoned
    }

    /// Returns what the calls can have cost at most.
    pub fn at_most(&self) -> Usd {
        self.cost + self.unsettled_at_most
    }
}

impl Spend {
    pub(super) fn intend(&mut self, intent: &CallIntent) {
        self.calls.insert(intent.id, (intent.clone(), None));
    }

    pub(super) fn settle(&mut self, settlement: &CallSettlement) {
        if let Some(call) = self.calls.get_mut(&settlement.id) {
            call.1 = Some(settlement.clone());
        }
    }

    /// Returns all calls in order.
    pub fn calls(&self) -> impl Iterator<Item = &(CallIntent, Option<CallSettlement>)> {
        self.calls.values()
    }

    /// Returns the ordinal of the next call.
    pub fn next_id(&self) -> CallId {
        CallId(self.calls.keys().next_back().map_or(1, |id| id.0 + 1))
    }

    /// Returns the totals of the calls that a filter keeps.
    pub fn total(&self, keep: impl Fn(&CallIntent) -> bool) -> SubjectSpend {
        let mut total = SubjectSpend::default();
        for (intent, settlement) in self.calls.values().filter(|(intent, _)| keep(intent)) {
            total.add(intent, settlement.as_ref());
        }
        total
    }

    /// Returns what budgets count: what is settled, and what unsettled calls can use at most.
    pub fn used(&self) -> (Amount, Amount) {
        let (mut settled, mut unsettled) = (Amount::default(), Amount::default());
        for (intent, settlement) in self.calls.values() {
            match settlement {
                Some(settlement) => settled = settled + settlement.used(),
                None => unsettled = unsettled + intent.reserved(),
            }
        }
        (settled, unsettled)
    }

    /// Returns the totals of everything done for a subject.
    pub fn of(&self, subject: &JobId) -> SubjectSpend {
        self.total(|intent| intent.subject == *subject)
    }

    /// Returns the totals of one execution of a subject.
    pub fn of_execution(&self, subject: &JobId, run: RunId, execution: u32) -> SubjectSpend {
        self.total(|intent| {
            intent.subject == *subject && intent.run == run && intent.execution == execution
        })
    }

    /// Returns the totals of a role.
    pub fn of_role(&self, role: Role) -> SubjectSpend {
        self.total(|intent| intent.role == role)
    }
}
