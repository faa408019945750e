//! What can go wrong with an archive, in the user's words.

use super::layout::FORMAT;
use crate::domain::PathError;
use crate::sys::lock::LockError;
use std::io;
use std::path::{Path, PathBuf};

/// What the libraries below said.
pub type ErrorSource = Box<dyn std::error::Error + Send + Sync>;

/// Result of an operation on the archive.
pub type Result<T> = std::result::Result<T, ArchiveError>;

/// Why an operation on the archive failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no archive in the folder.
    #[error("`{}` holds no archive", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// Creating the archive was interrupted before anything was recorded.
    #[error("the archive in `{}` was never completely created", dir.display())]
    Unfinished {
        /// The folder.
        dir: PathBuf,
    },
    /// There is an archive in the folder already.
    #[error("`{}` holds an archive already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds something else.
    #[error("`{}` is not empty and holds no archive (it holds `{found}`)", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// Something in it that is no part of an archive.
        found: String,
    },
    /// A newer program made the archive.
    #[error(
        "the archive in `{}` has format {found}, but this program knows formats up to {FORMAT}",
        dir.display()
    )]
    TooNew {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An older program made the archive.
    #[error(
        "the archive in `{}` has format {found}, but this program knows format {FORMAT} only",
        dir.display()
    )]
    TooOld {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The writer's lock could not be had.
    #[error("could not open the archive in `{}` for writing", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: LockError,
    },
    /// The disk is full; nothing of what was to be written is visible.
    #[error("could not write `{}`: no space left on device", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: ErrorSource,
    },
    /// Something could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why.
        source: ErrorSource,
    },
    /// Something could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why.
        source: ErrorSource,
    },
    /// Git refuses repositories of other users, because their settings could run programs.
    #[error("`{}` belongs to another user", path.display())]
    Owner {
        /// The repository.
        path: PathBuf,
    },
    /// A fact that would break an invariant; nothing was recorded.
    #[error("refused to record {fact}: {why}")]
    Refused {
        /// What was to be recorded.
        fact: String,
        /// The invariant.
        why: String,
    },
    /// A set of files that git cannot hold safely.
    #[error("path `{path}` {why}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The archive is damaged.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// A name that stands for no variant, or for several.
    #[error("{problem}")]
    Unknown {
        /// What is wrong with the name.
        problem: String,
        /// What would be right.
        hint: String,
    },
    /// Files are to be written where others are.
    #[error("`{}` is not empty", dir.display())]
    Occupied {
        /// The folder.
        dir: PathBuf,
    },
}

impl ArchiveError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => {
                "run `dgm init DIR` or `dgm evolve DIR` to make one, or name the folder of one"
                    .to_owned()
            }
            Self::Unfinished { dir } => format!(
                "run `dgm init {0}` or `dgm evolve {0}` again; nothing is lost",
                dir.display()
            ),
            Self::Exists { dir } => {
                format!("run `dgm evolve {}` to go on with it", dir.display())
            }
            Self::NotEmpty { .. } => "name a new or an empty folder".to_owned(),
            Self::TooNew { .. } => "use the `dgm` that made it, or a newer one".to_owned(),
            Self::TooOld { .. } => {
                "use the `dgm` that made it, or name a new folder to begin again".to_owned()
            }
            Self::Locked { source, .. } => match source {
                LockError::Held { .. } => {
                    "wait until it has ended, or stop it; reading commands work meanwhile"
                        .to_owned()
                }
                LockError::Io { .. } => "check the permissions of the folder".to_owned(),
            },
            Self::Full { .. } => {
                "free some space and run the same command again; what was recorded before is safe"
                    .to_owned()
            }
            Self::Owner { path } => format!(
                "run as its owner, or trust it with `git config --global --add safe.directory {}`",
                path.display()
            ),
            Self::Damaged(_) => "run `dgm fsck` to see what else is affected".to_owned(),
            Self::Unknown { hint, .. } => hint.clone(),
            Self::Occupied { .. } => "name a new or an empty folder".to_owned(),
            Self::Write { .. }
            | Self::Read { .. }
            | Self::Refused { .. }
            | Self::Unusable { .. } => return None,
        })
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        let full = is_full(&source);
        Self::not_written(path, full, source.into())
    }

    pub(super) fn read(path: &Path, source: impl Into<ErrorSource>) -> Self {
        Self::Read {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn db_write(path: &Path, source: rusqlite::Error) -> Self {
        // A full disk can also show when SQLite enlarges the index of its log.
        let full = matches!(&source, rusqlite::Error::SqliteFailure(error, _)
            if error.code == rusqlite::ErrorCode::DiskFull
                || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        Self::not_written(path, full, source.into())
    }

    pub(super) fn git_write(path: &Path, source: git2::Error) -> Self {
        if source.code() == git2::ErrorCode::Owner {
            return Self::Owner {
                path: path.to_owned(),
            };
        }
        let full = source.message().contains("No space left on device")
            || source.message().contains("Disk quota exceeded");
        Self::not_written(path, full, source.into())
    }

    pub(super) fn git_read(path: &Path, source: git2::Error) -> Self {
        if source.code() == git2::ErrorCode::Owner {
            return Self::Owner {
                path: path.to_owned(),
            };
        }
        Self::read(path, source)
    }

    pub(super) fn locked(dir: &Path, source: LockError) -> Self {
        match source {
            LockError::Io { path, source } if is_full(&source) => Self::write(&path, source),
            source => Self::Locked {
                dir: dir.to_owned(),
                source,
            },
        }
    }

    fn not_written(path: &Path, full: bool, source: ErrorSource) -> Self {
        let path = path.to_owned();
        if full {
            Self::Full { path, source }
        } else {
            Self::Write { path, source }
        }
    }
}

impl From<PathError> for ArchiveError {
    fn from(error: PathError) -> Self {
        Self::Unusable {
            path: error.path,
            why: error.why,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
