//! What this process knows stays in it: its memory holds keys.

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps this process's memory out of core dumps, and out of the reach of other processes of
/// the same user: they cannot trace it, nor read its memory or its environment. Whatever it
/// starts is as it would be otherwise, but leaves no core dumps either.
pub fn keep_private() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Without the limit a handler of core dumps could still be given one.
    setrlimit(Resource::Core, none)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
