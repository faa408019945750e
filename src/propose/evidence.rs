//! What a diagnosis is made from, as plain data.

use crate::domain::{Entry, FileTree, Outcome, TaskId};
use std::sync::Arc;

/// Everything the diagnosing model is shown. It is cut to size when it is written down, so
/// texts may have any length here.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What the attempt is to learn from.
    pub entry: Entry,
    /// What happened there.
    pub material: Material,
    /// Titles of earlier attempts on the same parent, each with how it ended.
    pub earlier: Vec<String>,
    /// The parent's complete source.
    pub source: Arc<FileTree>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Material {
    /// One run, in detail.
    Run(Box<Run>),
    /// Several runs, in short: for a pattern over all of them.
    Runs(Vec<Run>),
}

/// One run of the parent on a task.
#[derive(Clone, Debug)]
pub struct Run {
    /// The task.
    pub task: TaskId,
    /// What the agent was asked.
    pub instruction: String,
    /// How it ended.
    pub outcome: Outcome,
    /// One sentence more about that.
    pub detail: String,
    /// What the agent changed, as a unified diff.
    pub patch: String,
    /// Names and outcomes of the verifier's tests, where it names them.
    pub tests: Vec<TestResult>,
    /// What the agent printed.
    pub agent_log: String,
    /// What is hidden of the task; only where the configuration asks for it.
    pub hidden: Option<HiddenFiles>,
    /// Its model calls: a transcript as [`crate::model::Metered`] keeps it.
    pub transcript: Vec<u8>,
}

/// What no agent sees of a task, and no diagnosis unless the configuration asks for it.
#[derive(Clone, Debug)]
pub struct HiddenFiles {
    /// The tests.
    pub tests: Arc<FileTree>,
    /// What the verifier printed.
    pub test_output: String,
    /// The reference solution, where there is one.
    pub solution: Option<Arc<FileTree>>,
}

/// One of the verifier's tests: its name and outcome is all that may be known of it, unless
/// there is a [`HiddenFiles`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
}
