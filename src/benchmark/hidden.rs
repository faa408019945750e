//! Files that no agent may see.

use crate::domain::FileTree;
use std::sync::Arc;

/// Files that no agent may see: tests, reference solutions.
#[derive(Clone, Debug)]
pub struct Hidden(pub(super) Arc<FileTree>);

impl Hidden {
    /// Opens the files, to place them into a sandbox that may see them. A test of the source's
    /// shape keeps everything but `trial` from calling this.
    pub(crate) fn reveal(&self) -> &Arc<FileTree> {
        &self.0
    }
}
