//! What the limits of `[budget]` are called in the configuration and on the command line.

use crate::model::{Limit, Scope};
use std::fmt;

/// A key of `[budget]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetKey {
    /// Hours of work.
    Hours,
    /// A limit on what calls use, by the name of what it counts.
    Use(Scope, &'static str),
}

impl BudgetKey {
    /// Returns the key that sets a limit.
    pub fn of(scope: Scope, limit: Limit) -> Self {
        Self::Use(scope, limit.name())
    }

    /// Returns the option of the command line that sets it as well; none: the limits of
    /// attempts and jobs are the configuration's alone.
    pub fn option(self) -> Option<String> {
        match self {
            Self::Hours => Some("--budget-hours".to_owned()),
            Self::Use(Scope::Run, name) => Some(format!("--budget-{name}")),
            Self::Use(Scope::Attempt | Scope::Job, _) => None,
        }
    }
}

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hours => f.write_str("budget.hours"),
            Self::Use(Scope::Run, name) => write!(f, "budget.{name}"),
            Self::Use(Scope::Attempt, name) => write!(f, "budget.{name}_per_attempt"),
            Self::Use(Scope::Job, name) => write!(f, "budget.{name}_per_job"),
        }
    }
}
