//! What one job may ask of the gateway's time and memory.

use std::time::Duration;

/// Most bytes of a request's body.
pub(super) const BODY_LIMIT: usize = 64 << 20;
/// Most bytes that are taken in of a body after it is refused.
pub(super) const DISCARDED: usize = 2 * BODY_LIMIT;
/// Most bytes that are read ahead, or wait to be written, for one connection.
pub(super) const MOST_BUFFERED: usize = 64 << 10;

/// Limits of one job's gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections that are served at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Time for the head of a request, which is also how long a connection may be idle.
    pub head: Duration,
    /// Time for the body of a request, waiting for room in memory included.
    pub body: Duration,
    /// Time in which the rest of a body that is refused is taken in.
    pub discard: Duration,
    /// How long a client may keep an answer waiting in all; what it reads gives time back.
    pub stall: Duration,
    /// Kibibytes that the bodies which come in may take together.
    pub bytes: u32,
    /// Kibibytes that the requests under way may take together as values.
    pub values: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // A connection can need two descriptors, its own and the provider's. A job must not
        // use up what all jobs of this process share.
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let share = files.map_or(usize::MAX, |files| {
            usize::try_from(files / 32).unwrap_or(usize::MAX)
        });
        Self {
            connections: share.clamp(32, 256),
            head: Duration::from_secs(30),
            body: Duration::from_secs(60),
            discard: Duration::from_secs(5),
            stall: Duration::from_secs(60),
            bytes: 128 << 10,
            values: 192 << 10,
        }
    }
}
