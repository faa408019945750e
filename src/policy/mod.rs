//! What to do next: which parent to expand, which evaluation to run, when to stop.
//!
//! Invariant: pure functions of recorded facts and a seeded generator; no I/O, no clock. The
//! generator of a decision is seeded by the run's seed and the decision's number, so that a
//! resumed run draws what an uninterrupted one would have drawn.

mod admission;
mod dgm;
mod entry;
mod eval;
mod selection;
mod stages;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use admission::{Admission, admit};
pub use dgm::{Dgm, DgmSettings};
pub use entry::choose_entry;
pub use eval::{EvalPolicy, RegradePolicy};
pub use selection::{Selection, probabilities};
pub use stages::{Next, Stage, Stages};

use crate::domain::{Entry, EvaluationKey, Purpose, VariantId};
use crate::lineage::Lineage;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::BTreeSet;

/// What a policy can see.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The recorded facts.
    pub lineage: &'a Lineage,
    /// Evaluations that are running, or wait for another try.
    pub busy: &'a BTreeSet<EvaluationKey>,
}

/// One decided expansion.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// Number of the attempt.
    pub attempt: VariantId,
    /// Round of the loop, from 1.
    pub round: u32,
    /// The parent.
    pub parent: VariantId,
    /// What to learn from.
    pub entry: Entry,
    /// Selection probabilities at that time.
    pub weights: Vec<(VariantId, f64)>,
}

/// What to do with a free worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Decide on these attempts, together or not at all.
    Expand(Vec<Expansion>),
    /// Run this evaluation.
    Evaluate(EvaluationKey, Purpose),
    /// Have the kept answer of this evaluation judged again.
    Regrade(EvaluationKey),
    /// Nothing until something that runs has ended.
    Wait,
    /// Nothing ever again: the goal is reached, or cannot be; the sentence says which.
    Stop(String),
}

/// Decides. Attempts that were decided but have not ended are started by the dispatcher
/// before the policy is asked, so a policy never decides on them again.
pub trait Policy: Send + Sync {
    /// Returns the name recorded with each decision, such as `dgm/score_child_prop`.
    fn name(&self) -> String;

    /// Returns what to do with one free worker.
    fn decide(&self, seen: &Seen<'_>) -> Action;

    /// Returns the stages that decide how far a variant is evaluated, for policies that
    /// judge variants.
    fn stages(&self) -> Option<&Stages>;

    /// Returns whether the attempts of one round are recorded in order of number, so that a
    /// run with many workers records what one with a single worker would.
    fn orders_rounds(&self) -> bool;

    /// Returns whether a variant whose evaluation is finished becomes a parent.
    fn admission(&self) -> Option<&Admission>;
}

/// Returns the generator of one decision.
fn generator(seed: u64, decision: VariantId) -> StdRng {
    // SplitMix64's increment spreads neighboring numbers over the seed space.
    StdRng::seed_from_u64(seed ^ u64::from(decision.0).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
