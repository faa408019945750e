//! The operating system, once: durable writes, the clock, the writer's lock, memory, signals.

pub mod clock;
pub mod durable;
pub mod files;
pub mod lock;
pub mod memory;
pub mod shutdown;
