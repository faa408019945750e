//! What jobs tell the dispatcher, and what they wait for.

use crate::domain::{CallId, CallSettlement, Proposal, VariantId};
use crate::evolve::budget::BudgetKey;
use crate::model::{Denied, Intent, Traffic};
use tokio::sync::oneshot;

/// An event; the answer, where there is one, comes after the fact is durable.
pub(in crate::evolve) enum JobEvent {
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

impl JobEvent {
    /// Returns whether it is about a model call, and nothing else.
    pub(in crate::evolve) fn is_of_a_call(&self) -> bool {
        matches!(self, Self::Intend(..) | Self::Settle(..))
    }
}
