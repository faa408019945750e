//! What is to be evaluated: of which variant, and on which tasks.

use crate::benchmark::{Suite, Task};
use crate::config::Settings;
use crate::domain::{TaskId, VariantId};
use crate::evolve::ReplaySource;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be evaluated, and with what.
pub(super) struct Order {
    pub(super) dir: PathBuf,
    /// The folder as it was typed.
    pub(super) typed: String,
    pub(super) variant: VariantId,
    pub(super) settings: Settings,
    pub(super) replay: Option<ReplaySource>,
}

/// The tasks that are asked for, among all that an evaluation may need.
pub(super) struct Chosen {
    pub(super) suite: Suite,
    pub(super) tasks: Vec<Arc<Task>>,
    /// Those that are asked for as well and cannot run.
    pub(super) refused: Vec<(String, String)>,
}

impl Chosen {
    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|task| task.id.clone()).collect()
    }
}
