//! One try at self-modification: how it was decided, and how it ended.

use super::{
    BlobId, Cause, CommitId, Entry, EvaluationKey, Proposal, Purpose, RunId, TreeId, VariantId,
};
use std::fmt;

/// Why this parent and this entry: recorded before the work starts, never drawn again.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Number of the attempt.
    pub attempt: VariantId,
    /// Ordinal of its group, from 1: attempts of a group know nothing of each other (a round of
    /// DGM's loop, its generation).
    pub group: u32,
    /// The chosen parent.
    pub parent: VariantId,
    /// What to learn from.
    pub entry: Entry,
    /// Name of the policy and its selection, such as `dgm/score_child_prop`.
    pub policy: String,
    /// All eligible parents at that time in order of number, each with its weight in the draw;
    /// what a weight is (DGM: a probability) the policy's name says.
    pub candidates: Vec<(VariantId, f64)>,
    /// Where the policy stood, in its own words, such as `round 2/4`.
    pub why: String,
    /// The process that decided.
    pub run: RunId,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// Why this evaluation, of a policy that draws which to run: recorded before it starts, never
/// drawn again.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationDecision {
    /// The evaluation.
    pub key: EvaluationKey,
    /// Where it counts.
    pub purpose: Purpose,
    /// Name of the policy.
    pub policy: String,
    /// All variants that could have been evaluated, each with its weight in the draw.
    pub candidates: Vec<(VariantId, f64)>,
    /// Where the policy stood, in its own words.
    pub why: String,
    /// The process that decided.
    pub run: RunId,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// A cheap gate that a child must pass before it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// The parent changed something.
    Changed,
    /// What it left is a usable source tree.
    Usable,
    /// No other variant has the same tree.
    New,
    /// The child starts.
    Starts,
    /// The child solves one trivial edit task.
    Edits,
}

impl Gate {
    /// Returns the name used in database and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Usable => "usable",
            Self::New => "new",
            Self::Starts => "starts",
            Self::Edits => "edits",
        }
    }

    /// Returns the gate of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Changed,
            Self::Usable,
            Self::New,
            Self::Starts,
            Self::Edits,
        ]
        .into_iter()
        .find(|gate| gate.name() == name)
    }
}

/// Why an attempt made no child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The diagnosing model gave no usable proposal.
    NoProposal,
    /// The child failed a gate.
    Gate(Gate),
    /// The allowance of the attempt, or of one of its jobs, ran out before there was a child
    /// that passed the gates: it says nothing about parent or child.
    OutOfBudget,
    /// Sandbox, engine or provider failed more often than is retried.
    Infrastructure(Cause),
}

impl Failure {
    /// Returns the name used in database and JSON, such as `gate:starts`.
    pub fn encode(self) -> String {
        match self {
            Self::NoProposal => "no_proposal".to_owned(),
            Self::Gate(gate) => format!("gate:{}", gate.name()),
            Self::OutOfBudget => "out_of_budget".to_owned(),
            Self::Infrastructure(_) => "infrastructure".to_owned(),
        }
    }

    /// Returns what failed, where it was not the attempt's own doing.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Infrastructure(cause) => Some(cause),
            Self::NoProposal | Self::Gate(_) | Self::OutOfBudget => None,
        }
    }

    /// Reads what [`Self::encode`] wrote, with its [cause](Self::cause).
    pub fn decode(text: &str, cause: Option<Cause>) -> Option<Self> {
        match (text, cause) {
            ("infrastructure", Some(cause)) => Some(Self::Infrastructure(cause)),
            (_, Some(_)) => None,
            ("no_proposal", None) => Some(Self::NoProposal),
            ("out_of_budget", None) => Some(Self::OutOfBudget),
            (other, None) => Gate::from_name(other.strip_prefix("gate:")?).map(Self::Gate),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoProposal => "no usable proposal",
            Self::Gate(Gate::Changed) => "changed nothing",
            Self::Gate(Gate::Usable) => "left an unusable source tree",
            Self::Gate(Gate::New) => "made an agent that exists already",
            Self::Gate(Gate::Starts) => "does not start",
            Self::Gate(Gate::Edits) => "cannot do a trivial edit",
            Self::OutOfBudget => "ran out of its allowance",
            Self::Infrastructure(_) => "infrastructure failed",
        })
    }
}

/// How an attempt ended. At most one per attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Number of the attempt.
    pub attempt: VariantId,
    /// None: there is a child of that number. Otherwise why not, with details for a reader.
    pub failure: Option<(Failure, String)>,
    /// What the parent printed while it edited itself.
    pub log: Option<BlobId>,
    /// The model calls of the modification.
    pub transcript: Option<BlobId>,
    /// Unified diff of the change, also of one that failed a gate.
    pub patch: Option<BlobId>,
    /// What the gates printed.
    pub gate_log: Option<BlobId>,
    /// The process and the execution whose result this is.
    pub run: RunId,
    /// Execution of the job within that process.
    pub execution: u32,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// A child that passed the gates and waits for the end of other attempts: only then is it known
/// whether it is new. Its commit is durable, under `refs/dgm/drafts/`. At most one per attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildDraft {
    /// Number of the attempt.
    pub attempt: VariantId,
    /// The commit whose tree is the child's complete source.
    pub commit: CommitId,
    /// That tree.
    pub tree: TreeId,
    /// What the parent printed while it edited itself.
    pub log: Option<BlobId>,
    /// The model calls of the modification.
    pub transcript: Option<BlobId>,
    /// Unified diff of the change.
    pub patch: Option<BlobId>,
    /// What the gates printed.
    pub gate_log: Option<BlobId>,
    /// The process and the execution whose result this is.
    pub run: RunId,
    /// Execution of the job within that process.
    pub execution: u32,
    /// Time of the commit, Unix time in milliseconds.
    pub created_ms: i64,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

impl ChildDraft {
    /// Returns how the attempt ended, given whether its child is not new, and why.
    pub fn end(&self, failure: Option<(Failure, String)>) -> AttemptEnd {
        AttemptEnd {
            attempt: self.attempt,
            failure,
            log: self.log.clone(),
            transcript: self.transcript.clone(),
            patch: self.patch.clone(),
            gate_log: self.gate_log.clone(),
            run: self.run,
            execution: self.execution,
            at_ms: self.at_ms,
        }
    }
}

/// Everything known of one attempt: a fold of its facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Why it was made.
    pub decision: Decision,
    /// What the diagnosing model answered, with the evidence it was given.
    pub proposal: Option<(Proposal, BlobId)>,
    /// The child that waits to be one; none where it did not have to wait.
    pub draft: Option<ChildDraft>,
    /// How it ended; none while it runs or after a crash, until it is redone.
    pub end: Option<AttemptEnd>,
}
