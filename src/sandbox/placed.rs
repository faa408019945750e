//! Files that are put into a sandbox.

use crate::domain::FileTree;
use std::sync::Arc;

/// Files to put at a place before the command starts.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Absolute folder inside the sandbox, or [`IN_WORKDIR`](super::IN_WORKDIR) where the root is the image's.
    pub at: String,
    /// The files.
    pub files: Arc<FileTree>,
}
