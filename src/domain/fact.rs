//! What may be recorded. The archive is the fold of these facts; nothing is ever changed.

use super::{
    AttemptEnd, BlobId, CallIntent, CallSettlement, ChildDraft, Decision, Evaluation,
    EvaluationDecision, EvaluationKey, Fault, Proposal, Recording, Regrade, Replay, RunId, TaskId,
    Variant, VariantId, Verdict,
};

/// A process began to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Ordinal of the process.
    pub run: RunId,
    /// What it was asked to do, as typed.
    pub command: String,
    /// The configuration it ran with, as TOML.
    pub config: String,
    /// Version of the program.
    pub version: String,
    /// Name of the sandbox backend.
    pub sandbox: String,
    /// Tasks whose scores guide the policy, by group (DGM: stage).
    pub stages: Vec<Vec<TaskId>>,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// A process ended in order; after a crash this is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Ordinal of the process.
    pub run: RunId,
    /// Why it ended.
    pub reason: String,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// One recorded fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A process began.
    RunStarted(RunStart),
    /// A process ended.
    RunEnded(RunEnd),
    /// A policy decided on an attempt.
    Decided(Decision),
    /// A policy decided on an evaluation.
    EvaluationDecided(EvaluationDecision),
    /// The diagnosing model is shown hidden tests and reference solutions for an attempt,
    /// because the configuration asks for it; durable before it is.
    Disclosed {
        /// The attempt.
        attempt: VariantId,
        /// Ordinal of the process.
        run: RunId,
        /// Unix time in milliseconds.
        at_ms: i64,
    },
    /// The diagnosing model answered an attempt.
    Proposed {
        /// The attempt.
        attempt: VariantId,
        /// The answer.
        proposal: Proposal,
        /// What the model was shown and what it said, verbatim.
        exchange: BlobId,
    },
    /// An attempt came to a child that waits for the end of others: its commit is durable.
    Drafted(ChildDraft),
    /// An attempt ended.
    AttemptEnded(AttemptEnd),
    /// A variant exists: its commit is durable.
    VariantMade(Variant),
    /// An evaluation is settled.
    Evaluated(Evaluation),
    /// What was judged in an evaluation is kept, to be judged again; recorded with it.
    AnswerKept {
        /// The evaluation.
        key: EvaluationKey,
        /// The files that were changed, as the task counts them.
        answer: BlobId,
    },
    /// A kept answer was judged again.
    Regraded(Regrade),
    /// An execution did not count.
    Faulted(Fault),
    /// Admission decided on a variant.
    Judged {
        /// The variant.
        variant: VariantId,
        /// The decision.
        verdict: Verdict,
        /// Unix time in milliseconds.
        at_ms: i64,
    },
    /// A model call may leave.
    CallIntended(CallIntent),
    /// A model call ended.
    CallSettled(CallSettlement),
    /// A model call's traffic is kept.
    Recorded(Recording),
    /// A run takes its answers from recordings: no provider is asked, nothing is charged.
    Replays(Replay),
}
