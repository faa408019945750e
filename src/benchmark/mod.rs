//! Where tasks come from and how an answer is judged.
//!
//! Invariant: hidden tests and reference solutions are [`Hidden`]: opaque outside this
//! module, so that only the judge can place them into a sandbox, and only into a fresh one
//! that no agent has been in. The one other door is [`Task::disclose`], which stays shut
//! unless the configuration opens it. Nothing a verifier does not say is made up: no reward is a
//! verifier error, never a zero.

mod answer;
mod check;
mod checks;
mod compose;
mod digest;
mod disclose;
mod fault;
#[cfg(test)]
mod fixture;
mod folder;
mod glob;
pub mod images;
mod judge;
mod kept;
mod lint;
mod load;
mod manifest;
mod patch;
pub mod polyglot;
mod publish;
mod reader;
mod reward;
mod step;
pub mod subset;
mod suite;
pub mod swebench;
mod task;
mod total;
mod trial;
mod turn;

pub use answer::{Answer, AnswerFault, take_answer};
pub use check::{CheckRow, Checked, Effort, NotRun, check};
pub use checks::{Checks, Standing};
pub use disclose::Disclosed;
pub use fault::{LoadError, Spot};
pub use folder::read_folder;
pub use glob::matches as name_matches;
pub use judge::{VerifierEnd, judge};
pub use lint::Finding;
pub use patch::patch;
pub use publish::PublishError;
pub use reward::RewardFault;
pub use suite::{SelectError, Selection, Suite, SuiteError};
pub use task::{Grader, Hidden, Kind, Permits, Recipe, Steps, Task};
pub use trial::{Trial, TrialEnd};
pub use turn::{Played, Player, Turn};
