//! The contract between `dgm` and a variant's source: protocol 1.
//!
//! Invariant: an agent is run from a read-only copy of its source, sees its instruction, its
//! workspace and one socket, and is believed in nothing: its answer is what the sandbox
//! collected, its doings are what the gateway recorded.

mod manifest;

pub use manifest::{Manifest, ManifestError};
