//! The writer's lock: held by one process, dropped by the operating system when it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Proof that this process is the one writer; released when dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this value is dropped"]
pub struct WriterLock {
    _file: File,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process{holder} is writing to this archive")]
    Held {
        /// ` (pid N)`, or nothing where it is not known.
        holder: String,
    },
    /// The file could not be opened or locked.
    #[error("could not lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl WriterLock {
    /// Takes the lock, or fails at once.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let fault = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder's number is a courtesy: an unreadable file only loses it.
                let known = file.read_to_string(&mut text).is_ok();
                let holder = match text.trim() {
                    pid if known && !pid.is_empty() => format!(" (pid {pid})"),
                    _ => String::new(),
                };
                return Err(LockError::Held { holder });
            }
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        file.set_len(0).map_err(fault)?;
        file.rewind().map_err(fault)?;
        write!(file, "{}", std::process::id()).map_err(fault)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::{LockError, WriterLock};

    #[test]
    fn names_the_holder_and_is_free_after_a_drop() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("lock");
        let held = WriterLock::acquire(&path).expect("the first one gets it");
        let error = WriterLock::acquire(&path).expect_err("the second one does not");
        let LockError::Held { holder } = error else {
            panic!("{error}")
        };
        assert_eq!(holder, format!(" (pid {})", std::process::id()));
        drop(held);
        drop(WriterLock::acquire(&path).expect("free again"));
    }
}
