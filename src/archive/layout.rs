//! Where things lie in an archive's folder, and which format this program writes.

use std::path::{Path, PathBuf};

/// Version of the format on disk that this program writes. A newer one is read if possible
/// and never written; an older one is neither.
pub const FORMAT: u32 = 3;

/// The paths of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Returns the layout of the archive in a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the archive's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the configuration, which is the user's.
    pub fn config(&self) -> PathBuf {
        self.dir.join("dgm.toml")
    }

    /// Returns the path of the bare repository that holds every variant.
    pub fn agents(&self) -> PathBuf {
        self.dir.join("agents.git")
    }

    /// Returns the path of the database of facts.
    pub fn database(&self) -> PathBuf {
        self.dir.join("archive.db")
    }

    /// Returns the folder of logs, patches and transcripts.
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// Returns the path of the file that the one writer locks.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// Returns the settings that this program, and not the git command line, uses on the
    /// repository.
    pub(super) fn git_settings(&self) -> PathBuf {
        self.agents().join("dgm.config")
    }

    /// Returns whether a name in the folder is one that the archive itself makes.
    pub(super) fn is_own_name(name: &str) -> bool {
        matches!(
            name,
            "dgm.toml"
                | "agents.git"
                | "archive.db"
                | "archive.db-wal"
                | "archive.db-shm"
                | "archive.db-journal"
                | "blobs"
                | "lock"
        ) || Self::is_temporary(name)
    }

    /// Returns whether a name is that of a temporary file of a durable write.
    pub(super) fn is_temporary(name: &str) -> bool {
        name.starts_with(".tmp")
    }
}
