//! The one door through which hidden files leave this module other than into a sandbox.

use super::Task;
use crate::domain::{Disclosure, FileTree};
use std::sync::Arc;

/// What is hidden of a task.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// `tests/`.
    pub tests: Arc<FileTree>,
    /// `solution/`, where there is one.
    pub solution: Option<Arc<FileTree>>,
}

impl Task {
    /// Returns the hidden files, if the configuration lets the diagnosing model see them.
    pub fn disclose(&self, disclosure: Disclosure) -> Option<Disclosed> {
        match disclosure {
            Disclosure::Visible => None,
            Disclosure::Paper => Some(Disclosed {
                tests: self.tests.0.clone(),
                solution: self.solution.as_ref().map(|hidden| hidden.0.clone()),
            }),
        }
    }
}
