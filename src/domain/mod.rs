//! The words of the field as plain data: variants, attempts, tasks, outcomes, money.
//!
//! Invariant: no I/O, no async, no serialization; imports nothing of this crate. Formats
//! that reach a disk or a user are owned by the modules that write them.

mod attempt;
mod blob;
mod call;
mod cause;
mod cost;
mod disclosure;
mod entry;
mod evaluation;
mod fact;
mod fault;
mod file_tree;
mod forecast;
mod id;
mod job;
mod judgement;
mod outcome;
mod proposal;
mod recording;
mod role;
mod score;
mod trajectory;
mod variant;

pub use attempt::{Attempt, AttemptEnd, ChildDraft, Decision, EvaluationDecision, Failure, Gate};
pub use blob::BlobId;
pub use call::{CallId, CallIntent, CallSettlement, CallStatus};
pub use cause::{Cause, NoReward};
pub use cost::{Amount, Tokens, Usd};
pub use disclosure::Disclosure;
pub use entry::{Entry, Pattern};
pub use evaluation::{Evaluation, EvaluationKey, Purpose, Regrade, Timing};
pub use fact::{Fact, RunEnd, RunStart};
pub use fault::Fault;
pub use file_tree::{Change, FileEntry, FileTree, PathError, TreePath};
pub use forecast::{
    Count, EvaluationGroup, Forecast, Goal, Raise, Rate, Remaining, Spread, WorkEstimate, WorkKind,
};
pub use id::{CommitId, RunId, TaskId, TreeId, VariantId};
pub use job::JobId;
pub use judgement::{Judgement, Rewards};
pub use outcome::{Outcome, Redo};
pub use proposal::Proposal;
pub use recording::{Recording, Replay};
pub use role::Role;
pub use score::Tally;
pub use trajectory::{Answer, Said, Speaker, Step, ToolCall, Trajectory, Turn, TurnEnd};
pub use variant::{Standing, Variant, Verdict};
