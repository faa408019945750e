//! What the archive and its attempts may use: who may make the next call, and who waits.
//!
//! A pure state machine over facts; the one writer drives it. Invariant: what is settled and
//! what open calls can use never exceed a budget together. A call that fits beside what is
//! settled waits until those that are in flight leave room for it; those behind it that
//! share its budget wait as well, so that a large call is not passed forever by small ones.

mod impossible;
mod key;

pub use impossible::{TooSmall, too_small, too_small_for};
pub use key::BudgetKey;

use crate::domain::{Amount, CallId, CallSettlement, JobId, Role, VariantId};
use crate::lineage::Lineage;
use crate::model::{Account, Allowance, Denied, Intent, Limit, Room, Scope};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// Limits on what is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Of the archive, over all its runs.
    pub run: Allowance,
    /// Of an attempt's own calls, over all its executions.
    pub attempt: Allowance,
    /// Of one execution of a job: of an evaluation, or of each role of an attempt.
    pub job: Allowance,
    /// Time that the archive's runs may last together.
    pub time: Option<Duration>,
}

/// A budget of the archive that is used up, or a limit that nothing fits into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// What is used up, in a sentence.
    pub what: String,
    /// The key that says how large it is.
    pub key: BudgetKey,
}

/// Accounts of the archive and of its attempts, and the calls that wait for room.
pub(super) struct Treasury<T> {
    run: Account,
    attempt: Allowance,
    attempts: HashMap<VariantId, Account>,
    open: HashMap<CallId, (Option<VariantId>, Amount)>,
    waiting: VecDeque<(Intent, T)>,
    exhausted: Option<Exhausted>,
}

/// What became of calls that asked.
pub(super) struct Granted<T> {
    /// These may leave.
    pub granted: Vec<(Intent, T)>,
    /// These may not.
    pub denied: Vec<(Denied, T)>,
}

impl<T> Treasury<T> {
    /// Opens the accounts of an archive. A call of a process that died unsettled may have
    /// used all that was reserved for it, and counts so.
    pub(super) fn new(budgets: &Budgets, lineage: &Lineage) -> Self {
        let mut used = Amount::default();
        let mut by_attempt: HashMap<VariantId, Amount> = HashMap::new();
        for (intent, settlement) in lineage.spend().calls() {
            let amount = settlement
                .as_ref()
                .map_or_else(|| intent.reserved(), CallSettlement::used);
            used = used + amount;
            if let JobId::Attempt(id) = intent.subject {
                let own = by_attempt.entry(id).or_default();
                *own = *own + amount;
            }
        }
        Self {
            run: Account::new(budgets.run, used),
            attempt: budgets.attempt,
            attempts: by_attempt
                .into_iter()
                .map(|(id, used)| (id, Account::new(budgets.attempt, used)))
                .collect(),
            open: HashMap::new(),
            waiting: VecDeque::new(),
            exhausted: None,
        }
    }

    /// Puts a call at the end of those that ask.
    pub(super) fn ask(&mut self, intent: Intent, answer: T) {
        self.waiting.push_back((intent, answer));
    }

    /// Settles a call. One that is not open was settled before or is another process's.
    pub(super) fn settle(&mut self, settlement: &CallSettlement) {
        let Some((attempt, reserved)) = self.open.remove(&settlement.id) else {
            return;
        };
        let used = settlement.used();
        self.run.settle(reserved, used);
        if let Some(id) = attempt {
            self.of_attempt(id).settle(reserved, used);
        }
    }

    /// Decides on the calls that ask, in the order in which they came. Each that is granted
    /// gets the next ordinal.
    pub(super) fn grant(&mut self, next: &mut CallId) -> Granted<T> {
        let mut decided = Granted {
            granted: Vec::new(),
            denied: Vec::new(),
        };
        let mut run_waits = false;
        let mut attempts_wait = HashSet::new();
        for (intent, answer) in std::mem::take(&mut self.waiting) {
            let attempt = attempt(&intent.subject);
            let is_behind = run_waits || attempt.is_some_and(|id| attempts_wait.contains(&id));
            match self.room(attempt, &intent) {
                Err(denied) => decided.denied.push((denied, answer)),
                Ok(None) if !is_behind => {
                    self.reserve(*next, attempt, intent.reserved());
                    *next = CallId(next.0 + 1);
                    decided.granted.push((intent, answer));
                }
                Ok(scope) => {
                    match (scope, attempt) {
                        (Some(Scope::Run), _) => run_waits = true,
                        (Some(Scope::Attempt | Scope::Job), Some(id)) => {
                            attempts_wait.insert(id);
                        }
                        (_, _) => {}
                    }
                    self.waiting.push_back((intent, answer));
                }
            }
        }
        decided
    }

    /// Returns the budget of the archive that a call was refused for, or that is used up.
    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        self.exhausted.clone().or_else(|| {
            let limit = self.run.reached()?;
            Some(exhausted(
                limit,
                format!("the budget of {limit} is used up"),
            ))
        })
    }

    /// Notes that nothing can go on before this key is raised.
    pub(super) fn exhaust(&mut self, what: String, key: BudgetKey) {
        self.exhausted.get_or_insert(Exhausted { what, key });
    }

    /// Returns what is settled of the archive's budget.
    #[cfg(test)]
    pub(super) fn settled(&self) -> Amount {
        self.run.settled()
    }

    /// Returns how many calls wait for others.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whose budget a call has to wait for; none: it fits.
    fn room(
        &mut self,
        attempt: Option<VariantId>,
        intent: &Intent,
    ) -> Result<Option<Scope>, Denied> {
        let at_most = intent.reserved();
        let own = attempt.map(|id| *self.of_attempt(id));
        let own_room = own.map_or(Room::Enough, |own| own.room(at_most));
        if let (Some(own), Room::Never(limit)) = (own, own_room) {
            let what = own.refusal("the attempt's allowance", limit, at_most);
            // No attempt can begin where its first call, which the host makes, does not fit:
            // the run would use up all its rounds without one.
            let scope = if intent.role == Role::Diagnose && own.is_untouched() {
                let key = BudgetKey::of(Scope::Attempt, limit);
                self.exhaust(no_diagnosis(&what), key);
                Scope::Run
            } else {
                // One that has used up its own allowance is no reason to end the run.
                Scope::Attempt
            };
            return Err(Denied::Budget { scope, what });
        }
        match (self.run.room(at_most), own_room) {
            (Room::Never(limit), _) => {
                let what = self.run.refusal("the run's budget", limit, at_most);
                self.exhausted
                    .get_or_insert_with(|| exhausted(limit, what.clone()));
                Err(Denied::Budget {
                    scope: Scope::Run,
                    what,
                })
            }
            (Room::Later, _) => Ok(Some(Scope::Run)),
            (Room::Enough, Room::Later) => Ok(Some(Scope::Attempt)),
            (Room::Enough, Room::Enough | Room::Never(_)) => Ok(None),
        }
    }

    fn reserve(&mut self, id: CallId, attempt: Option<VariantId>, amount: Amount) {
        self.run.reserve(amount);
        if let Some(id) = attempt {
            self.of_attempt(id).reserve(amount);
        }
        self.open.insert(id, (attempt, amount));
    }

    fn of_attempt(&mut self, id: VariantId) -> &mut Account {
        let allowance = self.attempt;
        self.attempts
            .entry(id)
            .or_insert_with(|| Account::new(allowance, Amount::default()))
    }
}

fn attempt(subject: &JobId) -> Option<VariantId> {
    match subject {
        JobId::Attempt(id) => Some(*id),
        JobId::Evaluation(_) | JobId::Regrade(_) | JobId::Manual => None,
    }
}

/// Says that an attempt cannot begin, and why.
pub(super) fn no_diagnosis(why: &str) -> String {
    format!("an attempt cannot pay for its diagnosis: {why}")
}

fn exhausted(limit: Limit, what: String) -> Exhausted {
    Exhausted {
        what,
        key: BudgetKey::of(Scope::Run, limit),
    }
}

#[cfg(test)]
mod tests;
