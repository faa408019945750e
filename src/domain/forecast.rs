//! What is still to be done and what that may use: figures that policies give, the engine
//! prices, and views show.

use super::{Amount, Role, TaskId};

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

impl Count {
    /// Returns a number that is certain.
    pub fn exactly(number: u64) -> Self {
        Self {
            least: number,
            likely: number,
            most: number,
        }
    }

    /// Returns the sum; one that is too large for a number is the largest number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_add(other.least),
            likely: self.likely.saturating_add(other.likely),
            most: self.most.saturating_add(other.most),
        }
    }
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

/// The setting that lets a policy go on which has reached its goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Name of the option of the command line, such as `generations`.
    pub option: &'static str,
    /// A value that leaves something to do.
    pub value: u64,
}

/// How far a policy has come, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// What it counts, in the plural, such as `rounds`.
    pub unit: &'static str,
    /// How many have begun.
    pub begun: u64,
    /// How many there are to be.
    pub of: u64,
    /// What would let it go on after them.
    pub raise: Option<Raise>,
}

/// Evaluations that a policy asks for together, such as those of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationGroup {
    /// The policy's name for it.
    pub label: String,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// How many are left.
    pub left: Count,
}

/// A part of a whole that an archive shows, or that is assumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Of what, such as `attempts`.
    pub of: &'static str,
    /// What the part does, such as `make a child`.
    pub what: &'static str,
    /// The part, from 0 to 1.
    pub part: f64,
    /// How many of the archive say so; none: it is assumed.
    pub seen: usize,
}

/// What a policy still wants to have done.
#[derive(Clone, Debug, PartialEq)]
pub struct Remaining {
    /// How far it has come.
    pub goal: Goal,
    /// Attempts to be made or to be ended.
    pub attempts: Count,
    /// Children that these attempts may make.
    pub children: Count,
    /// Evaluations, of variants that exist and of those children.
    pub evaluations: Vec<EvaluationGroup>,
    /// What the likely figures rest on.
    pub rates: Vec<Rate>,
}

impl Remaining {
    /// Returns the evaluations of all groups.
    pub fn all_evaluations(&self) -> Count {
        let groups = self.evaluations.iter();
        groups.fold(Count::default(), |sum, group| sum.plus(group.left))
    }
}

/// Kinds of work that use a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// Diagnosing what a parent failed at.
    Diagnose,
    /// A parent changes its own source.
    Modify,
    /// A child has to solve a trivial task.
    Gates,
    /// A variant solves a task.
    Evaluate,
}

impl WorkKind {
    /// All kinds, in the order of an attempt.
    pub const ALL: [Self; 4] = [Self::Diagnose, Self::Modify, Self::Gates, Self::Evaluate];

    /// Returns the role of the model that does it.
    pub fn role(self) -> Role {
        match self {
            Self::Diagnose => Role::Diagnose,
            Self::Modify => Role::Modify,
            Self::Gates | Self::Evaluate => Role::Solve,
        }
    }
}

/// What is known of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkEstimate {
    /// What it is.
    pub kind: WorkKind,
    /// How often it is done.
    pub jobs: Count,
    /// What it uses each time.
    pub each: Spread,
    /// Jobs of the archive's history that say so; none: it is assumed.
    pub seen: usize,
}

/// What a run would do and may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What is left.
    pub remaining: Remaining,
    /// The work, by kind.
    pub work: Vec<WorkEstimate>,
    /// What all of it uses.
    pub total: Spread,
}
