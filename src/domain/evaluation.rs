//! One run of one variant on one task, and its outcome.

use super::{BlobId, Judgement, RunId, TaskId, VariantId};
use std::fmt;

/// Identity of an evaluation: at most one settled result exists for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EvaluationKey {
    /// The variant.
    pub variant: VariantId,
    /// The task.
    pub task: TaskId,
    /// Which repeat, from 0.
    pub repeat: u32,
}

impl fmt::Display for EvaluationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variant,
            task,
            repeat,
        } = self;
        write!(f, "{variant} on `{task}`, repeat {repeat}")
    }
}

/// Why an evaluation was made, which decides where it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Part of a stage (from 0) of the evolution; guides selection.
    Stage(u32),
    /// Asked for by `dgm eval`; shown, but never guides selection.
    Extra,
    /// Asked for by `dgm eval --holdout` on a task that is held out: shown beside the score, and
    /// never seen by anything that an evolution does.
    Holdout,
}

/// How long the parts of an evaluation took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Agent sandbox, from creation to removal.
    pub agent_ms: u64,
    /// Verifier sandbox, from creation to removal.
    pub verifier_ms: u64,
}

/// A settled evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What was evaluated.
    pub key: EvaluationKey,
    /// Why.
    pub purpose: Purpose,
    /// How it ended.
    pub judgement: Judgement,
    /// Id of the image that the task ran in (`sha256:…`); none: it ran without one.
    pub image: Option<String>,
    /// What the agent printed.
    pub agent_log: Option<BlobId>,
    /// What the verifier printed.
    pub verifier_log: Option<BlobId>,
    /// The agent's change as a unified diff.
    pub patch: Option<BlobId>,
    /// The model calls, in order.
    pub transcript: Option<BlobId>,
    /// The model reported a context overflow that the agent did not handle.
    pub context_overflow: bool,
    /// Where the time went.
    pub timing: Timing,
    /// The process whose execution this is.
    pub run: RunId,
    /// Execution of the job within that process.
    pub execution: u32,
    /// Unix time in milliseconds when it was settled.
    pub at_ms: i64,
}

/// A stored answer was judged again; the evaluation itself stays as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Regrade {
    /// The evaluation whose answer it is.
    pub key: EvaluationKey,
    /// How it would have ended with this verifier, and the task as it was by then.
    pub judgement: Judgement,
    /// What the verifier printed.
    pub verifier_log: Option<BlobId>,
    /// Verifier sandbox, from creation to removal, in milliseconds.
    pub verifier_ms: u64,
    /// The process; it judges an answer once.
    pub run: RunId,
    /// Execution of the job within that process.
    pub execution: u32,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}
