//! The operating system, once: durable writes, the clock, the writer's lock, memory, threads, signals.

pub mod clock;
pub mod durable;
pub mod files;
pub mod lock;
pub mod memory;
pub mod parallel;
pub mod shutdown;
