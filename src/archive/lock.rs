//! Taking the writer's lock of an archive.

use super::error::{ArchiveError, Result};
use super::layout::Layout;
use crate::sys::lock::{LockError, WriterLock};
use std::time::Duration;

/// Takes the lock of an archive.
///
/// A process that was just started holds copies of its parent's open files until it begins
/// its own program, locks included. So one that seems held is tried again for a moment.
pub(super) fn acquire(layout: &Layout) -> Result<WriterLock> {
    let mut tries = 0;
    loop {
        match WriterLock::acquire(&layout.lock()) {
            Err(LockError::Held { .. }) if tries < 25 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(ArchiveError::locked(layout.dir(), error)),
            Ok(lock) => return Ok(lock),
        }
    }
}
