//! Where tasks come from and how an answer is judged.
//!
//! Invariant: hidden tests and reference solutions are [`Hidden`]: opaque outside this
//! module, so that only the judge can place them into a sandbox, and only into a fresh one
//! that no agent has been in. Nothing a verifier does not say is made up: no reward is a
//! verifier error, never a zero.

mod task;

pub use task::{Hidden, Task, VerifierMode};
