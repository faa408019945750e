//! `dgm` grows an archive of self-improving coding agents.
//!
//! The modules in reading order; `docs/architecture.md` draws the map and `tests/tidy`
//! keeps who may import whom.
//!
//! Three promises hold everywhere:
//! 1. nothing inside a sandbox can cheat or leak;
//! 2. nothing is lost, nothing is counted twice;
//! 3. every number can be explained.

// Words, numbers, the operating system.
pub mod domain;

pub mod stats;

pub mod sys;

// The archive as a value, what decides on it, where it is kept.
pub mod lineage;

pub mod policy;

pub mod archive;

// Models, and how an agent without network reaches one.
pub mod model;

pub mod gateway;

// Where untrusted code runs, and on what.
pub mod sandbox;

pub mod benchmark;

// The jobs of a run.
pub mod propose;

pub mod agent;

pub mod trial;

// The run itself, and what tells it what to do.
pub mod evolve;

pub mod config;

// What people and scripts see.
pub mod view;

pub mod cli;
