//! The one rule of every budget: reserve what a call can use at most, then settle what it used.
//!
//! Invariant: what is settled and what open calls may still use never exceed the allowance
//! together, as long as no call uses more than was reserved for it.

use crate::domain::{Amount, Usd};
use std::fmt;

/// What may be used; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Model calls.
    pub calls: Option<u64>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// Money.
    pub cost: Option<Usd>,
}

/// One of the limits of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Model calls.
    Calls(u64),
    /// Input and output tokens together.
    Tokens(u64),
    /// Money.
    Cost(Usd),
}

impl Limit {
    /// Returns what the limit is called in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls(_) => "calls",
            Self::Tokens(_) => "tokens",
            Self::Cost(_) => "usd",
        }
    }

    /// Says of an amount what this limit counts of it.
    pub fn of(self, amount: Amount) -> Self {
        match self {
            Self::Calls(_) => Self::Calls(amount.calls),
            Self::Tokens(_) => Self::Tokens(amount.tokens),
            Self::Cost(_) => Self::Cost(amount.cost),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(1) => f.write_str("1 model call"),
            Self::Calls(calls) => write!(f, "{calls} model calls"),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
            Self::Cost(cost) => cost.fmt(f),
        }
    }
}

impl Allowance {
    /// Returns the limits that are set.
    pub fn limits(&self) -> impl Iterator<Item = Limit> + use<> {
        [
            self.calls.map(Limit::Calls),
            self.tokens.map(Limit::Tokens),
            self.cost.map(Limit::Cost),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the first limit that an amount is beyond.
    pub fn exceeded(&self, amount: Amount) -> Option<Limit> {
        self.all_exceeded(amount).next()
    }

    /// Returns all limits that an amount is beyond.
    pub fn all_exceeded(&self, amount: Amount) -> impl Iterator<Item = Limit> + use<> {
        self.limits().filter(move |limit| match limit {
            Limit::Calls(calls) => amount.calls > *calls,
            Limit::Tokens(tokens) => amount.tokens > *tokens,
            Limit::Cost(cost) => amount.cost > *cost,
        })
    }
}

/// Whether a call fits into an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It fits.
    Enough,
    /// It fits beside what is settled, but not beside the calls that are open.
    Later,
    /// It does not fit beside what is settled.
    Never(Limit),
}

/// An allowance and what was taken of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    allowance: Allowance,
    settled: Amount,
    open: Amount,
}

impl Account {
    /// Opens an account of which this much is used already.
    pub fn new(allowance: Allowance, settled: Amount) -> Self {
        Self {
            allowance,
            settled,
            open: Amount::default(),
        }
    }

    /// Returns whether nothing was taken of it yet, and nothing is reserved.
    pub fn is_untouched(&self) -> bool {
        self.settled == Amount::default() && self.open == Amount::default()
    }

    /// Returns whether a call that can use this much fits.
    pub fn room(&self, at_most: Amount) -> Room {
        if let Some(limit) = self.allowance.exceeded(self.settled + at_most) {
            return Room::Never(limit);
        }
        match self.allowance.exceeded(self.settled + self.open + at_most) {
            Some(_) => Room::Later,
            None => Room::Enough,
        }
    }

    /// Reserves what a call can use at most.
    pub fn reserve(&mut self, at_most: Amount) {
        self.open = self.open + at_most;
    }

    /// Puts what a call used in the place of what was reserved for it.
    pub fn settle(&mut self, reserved: Amount, used: Amount) {
        self.open = self.open.less(reserved);
        self.settled = self.settled + used;
    }

    /// Returns what is settled.
    pub fn settled(&self) -> Amount {
        self.settled
    }

    /// Returns what open calls can use at most.
    pub fn open(&self) -> Amount {
        self.open
    }

    /// Returns the first limit that is reached, so that nothing can follow.
    pub fn reached(&self) -> Option<Limit> {
        self.allowance.limits().find(|limit| match limit {
            Limit::Calls(calls) => self.settled.calls >= *calls,
            Limit::Tokens(tokens) => self.settled.tokens >= *tokens,
            Limit::Cost(cost) => self.settled.cost >= *cost,
        })
    }

    /// Says why a call does not fit, of an allowance with this name.
    pub fn refusal(&self, name: &str, limit: Limit, at_most: Amount) -> String {
        let used = limit.of(self.settled);
        if self.reached() == Some(limit) {
            return format!("{name} of {limit} is used up");
        }
        let more = limit.of(at_most);
        format!("{name} of {limit} does not cover this call: {used} used, {more} more at most")
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Allowance, Limit, Room};
    use crate::domain::{Amount, Usd};

    fn amount(calls: u64, tokens: u64, cost: i64) -> Amount {
        Amount {
            calls,
            tokens,
            cost: Usd(cost),
        }
    }

    #[test]
    fn what_does_not_fit_beside_open_calls_fits_later() {
        let allowance = Allowance {
            tokens: Some(100),
            ..Allowance::default()
        };
        let mut account = Account::new(allowance, amount(3, 10, 0));
        assert_eq!(account.room(amount(1, 90, 5)), Room::Enough);
        account.reserve(amount(1, 60, 5));
        assert_eq!(account.room(amount(1, 31, 5)), Room::Later);
        assert_eq!(
            account.room(amount(1, 91, 5)),
            Room::Never(Limit::Tokens(100))
        );
        account.settle(amount(1, 60, 5), amount(1, 20, 2));
        assert_eq!(account.room(amount(1, 70, 5)), Room::Enough);
        assert_eq!(
            (account.settled(), account.open()),
            (amount(4, 30, 2), amount(0, 0, 0))
        );
    }

    #[test]
    fn says_which_limit_and_what_is_left_of_it() {
        let allowance = Allowance {
            calls: Some(5),
            cost: Some(Usd(1_000_000)),
            ..Allowance::default()
        };
        let account = Account::new(allowance, amount(5, 0, 900_000));
        assert_eq!(account.reached(), Some(Limit::Calls(5)));
        let more = amount(1, 0, 200_000);
        assert_eq!(
            account.refusal("the job's allowance", Limit::Calls(5), more),
            "the job's allowance of 5 model calls is used up"
        );
        assert_eq!(
            account.refusal("the run's budget", Limit::Cost(Usd(1_000_000)), more),
            "the run's budget of $1.0000 does not cover this call: $0.9000 used, $0.2000 more at most"
        );
    }
}
