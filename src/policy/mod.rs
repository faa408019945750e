//! What to do next: which parent to expand, which evaluation to run, when to stop.
//!
//! Invariant: pure functions of recorded facts and a seeded generator; no I/O, no clock. The
//! generator of a decision is seeded by the run's seed and the decision's number, so that a
//! resumed run draws what an uninterrupted one would have drawn.

mod dgm;
mod generator;
mod interface;
mod lists;
mod registry;
mod settings;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use interface::{Action, Assignment, Choice, Expansion, Measurement, Policy, Snapshot};
pub use lists::{EvalPolicy, RegradePolicy};
pub use registry::make;
pub use settings::{PolicySettings, Stage, UnknownName};
