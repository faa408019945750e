//! `dgm.toml`: what a user may set, and what the rest of the program gets from it.
//!
//! Two steps: [`raw`] parses and refuses what it does not know; [`Settings::resolve`] is the
//! one fallible step from there to values that modules receive. No module sees the file.

mod holdout;
mod load;
mod permits;
mod provider;
mod raw;
mod resolve;

pub use holdout::Split;
pub use load::{ConfigError, parse};
pub use permits::is_secret_name;
pub use raw::{
    Raw, RawBench, RawBenchmark, RawBudget, RawEvolve, RawHoldout, RawModel, RawModels, RawPolicy,
    RawPrice, RawSandbox, RawStage,
};
pub use resolve::{Backend, Overrides, Settings, Unchecked, budgets};
