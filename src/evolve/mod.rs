//! The engine: one dispatcher that observes the archive, asks the policy, runs jobs and
//! records how they end.
//!
//! Invariants:
//! - the dispatcher is the only writer; jobs send it events and wait where something must be
//!   durable before they go on (the intent of a model call, a proposal);
//! - planning ([`plan`]) is a pure function of recorded facts, so whatever was running when a
//!   process died is simply missing and is planned again: resume is not a code path;
//! - a job's end is recorded in one transaction, after everything it names is durable.

mod books;
mod budget;
mod children;
mod comparable;
mod dispatcher;
mod forecast;
mod inbox;
mod jobs;
mod manual_calls;
mod notes;
mod parts;
mod plan;
mod progress;
mod providers;
mod record;
mod replay;
mod settings;
mod traffic;

pub use budget::{BudgetKey, Budgets, TooSmall, too_small, too_small_for};
pub use comparable::{Incomparable, comparable, never_mixed, same_tasks};
pub use dispatcher::Engine;
pub use forecast::forecast;
pub use jobs::RoleModels;
pub use manual_calls::ManualCalls;
pub use parts::{EndCause, Finished, Parts, Unrecorded};
pub use progress::{Progress, Slowdown};
pub use providers::Providers;
pub use replay::ReplaySource;
pub use settings::EngineSettings;
