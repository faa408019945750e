//! The books as a value: what calls cost, for what, and what is still open.

use crate::domain::{CallId, CallIntent, CallSettlement, CallSubject, Role, RunId, Tokens, Usd};
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
    /// Settled cost: exact.
    pub cost: Usd,
    /// Settled tokens.
    pub tokens: Tokens,
    /// Calls whose end is not known.
    pub unsettled: u64,
    /// What those can have cost at most.
    pub unsettled_at_most: Usd,
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
            total.calls += 1;
            match settlement {
                Some(settlement) => {
                    total.cost += settlement.cost;
                    total.tokens += settlement.tokens;
                }
                None => {
                    total.unsettled += 1;
                    total.unsettled_at_most += intent.at_most;
                }
            }
        }
        total
    }

    /// Returns the totals of everything done for a subject.
    pub fn of(&self, subject: &CallSubject) -> SubjectSpend {
        self.total(|intent| intent.subject == *subject)
    }

    /// Returns the totals of one execution of a subject.
    pub fn of_execution(&self, subject: &CallSubject, run: RunId, execution: u32) -> SubjectSpend {
        self.total(|intent| {
            intent.subject == *subject && intent.run == run && intent.execution == execution
        })
    }

    /// Returns the totals of a role.
    pub fn of_role(&self, role: Role) -> SubjectSpend {
        self.total(|intent| intent.role == role)
    }
}
