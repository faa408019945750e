//! Where tasks come from and how an answer is judged.
//!
//! Invariant: hidden tests and reference solutions are [`Hidden`]: opaque outside this
//! module, so that only the judge can place them into a sandbox, and only into a fresh one
//! that no agent has been in. The one other door is [`Task::disclose`], which stays shut
//! unless the configuration opens it. Nothing a verifier does not say is made up: no reward is a
//! verifier error, never a zero.

mod check_row;
mod checks;
mod compose;
mod digest;
mod disclose;
mod fault;
mod finding;
#[cfg(test)]
pub(crate) mod fixture;
mod folder;
mod glob;
mod hidden;
pub mod images;
mod lint;
mod load;
mod manifest;
mod patch;
mod permits;
pub mod polyglot;
mod publish;
mod reader;
mod recipe;
mod reward;
mod step;
mod steps;
pub mod subset;
mod suite;
pub mod swebench;
mod task;
mod task_files;
mod total;

pub use check_row::{CheckRow, Checked};
pub use checks::{Checks, Standing};
pub use disclose::Disclosed;
pub use fault::{LoadError, Spot};
pub use finding::Finding;
pub use folder::read_folder;
pub use glob::matches as name_matches;
pub use hidden::Hidden;
pub use patch::patch;
pub use permits::Permits;
pub use publish::PublishError;
pub use recipe::Recipe;
pub use reward::RewardError;
pub(crate) use reward::{Reward, beside, read as read_reward, single};
pub(crate) use step::{FreshVerifier, Step, StepVerifier};
pub use suite::{SelectError, Selection, Suite, SuiteError};
pub use task::{Delivery, Grader, Steps, Task};
pub(crate) use total::{below_gate, total};
