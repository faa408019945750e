//! An image that is built from files.

use super::hidden::Hidden;
use std::time::Duration;

/// An image that is built from files of a task.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name, which changes with the files.
    pub image: String,
    /// Time for building it.
    pub timeout: Duration,
    /// The files, a `Dockerfile` among them; of a verifier's image, so hidden ones.
    pub(super) files: Hidden,
}
