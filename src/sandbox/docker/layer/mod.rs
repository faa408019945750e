//! The writable layer of a container whose root is the image's own: files put in before it
//! starts, what changed taken out after it has stopped, kept as a state, and watched for size.
//!
//! Invariant: everything here is done by the engine from outside, in a container that does not
//! run. What comes out is bounded and goes through the same sieve as every hostile archive.

mod difference;
mod ignored;
mod index;
mod put;
mod state;
mod take;
mod watch;
mod whole;

pub(super) use difference::difference;
pub(super) use put::put;
pub(super) use state::{STATE_LABEL, commit, discard, reap};
pub(super) use take::{collect, take};
pub(super) use watch::overflows;
pub(super) use whole::{changed, gone, lay};
