//! Tar streams in and out, without trusting what comes out.
//!
//! Invariant: what is collected is a [`FileTree`] of regular files under checked paths;
//! everything else that was there is named in `refused`, and nothing is ever unpacked to disk.

use crate::domain::FileTree;

/// Files collected from one folder of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The regular files, relative to the folder.
    pub files: FileTree,
    /// What was there but was refused, one sentence each (`symlink `x` → …`), bounded.
    pub refused: Vec<String>,
    /// Whether size or number limits cut the collection short.
    pub truncated: bool,
}
