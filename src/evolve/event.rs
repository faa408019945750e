//! What jobs tell the dispatcher, and what they wait for.

use super::budget::BudgetKey;
use super::gates::GateEnd;
use crate::domain::{CallId, CallSettlement, FileTree, JobId, Proposal, Purpose, VariantId};
use crate::model::{Denied, Intent, Traffic};
use crate::trial::{EvaluateEnd, RegradeEnd};
use std::sync::Arc;
use tokio::sync::oneshot;

/// An event; the answer, where there is one, comes after the fact is durable.
pub(super) enum Event {
    /// A model call wants to leave.
    Intend(Intent, oneshot::Sender<Result<CallId, Denied>>),
    /// A model call ended; its traffic where that is kept.
    Settle(CallSettlement, Option<Traffic>, oneshot::Sender<()>),
    /// The host's own call does not fit into the allowance of a job that has used nothing, so
    /// it never will: why, and the key that says how large that is.
    Unaffordable { what: String, key: BudgetKey },
    /// The diagnosing model answered an attempt; the job goes on when this is recorded.
    Proposed {
        attempt: VariantId,
        proposal: Proposal,
        exchange: Vec<u8>,
        done: oneshot::Sender<()>,
    },
}

impl Event {
    /// Returns whether it is about a model call, and nothing else.
    pub(super) fn is_of_a_call(&self) -> bool {
        matches!(self, Self::Intend(..) | Self::Settle(..))
    }
}

/// How a job ended.
pub(super) struct JobEnd {
    pub job: JobId,
    pub execution: u32,
    pub transcript: Vec<u8>,
    pub overflow: bool,
    /// Whether a model's provider was in trouble that was not this job's alone: then a
    /// failure of the infrastructure says nothing about the job.
    pub provider_in_trouble: bool,
    pub end: End,
}

/// What it ended with.
pub(super) enum End {
    Evaluated(Purpose, Box<EvaluateEnd>),
    Improved(Box<ImproveEnd>),
    Regraded(Box<RegradeEnd>),
}

/// How an attempt ended, before anything of it is recorded.
pub(super) struct ImproveEnd {
    /// What the parent printed while it changed itself.
    pub log: Vec<u8>,
    /// Source before and after, if the parent got to work.
    pub change: Option<(Arc<FileTree>, FileTree)>,
    /// What the gates printed.
    pub gate_log: Vec<u8>,
    /// How it went.
    pub result: GateEnd,
}
