//! `dgm` grows an archive of self-improving coding agents.
//!
//! The modules in reading order; `docs/architecture.md` draws the map and `tests/tidy.rs`
//! keeps who may import whom.
//!
//! Three promises hold everywhere:
//! 1. nothing inside a sandbox can cheat or leak;
//! 2. nothing is lost, nothing is counted twice;
//! 3. every number can be explained.

pub mod archive;
pub mod benchmark;
pub mod cli;
pub mod domain;
pub mod lineage;
pub mod policy;
pub mod sandbox;
pub mod stats;
pub mod sys;
pub mod view;
