//! What the books are to whoever makes calls: ask before, report after.

use super::Traffic;
use crate::domain::{Amount, CallId, CallSettlement, JobId, Role, Usd};
use futures_util::future::BoxFuture;

/// The books of an archive, kept by its one writer.
pub trait Books: Send + Sync {
    /// Puts a call on the books; it is durable when this returns. The request may leave only
    /// then. Every call that is put on the books is settled later, once.
    fn intend(&self, intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>>;

    /// Records how a call ended. Returns when it is recorded, or when nobody records any more.
    fn settle(&self, settlement: CallSettlement) -> BoxFuture<'_, ()>;

    /// Returns whether the traffic of calls is to be kept.
    fn keeps_traffic(&self) -> bool {
        false
    }

    /// Records how a call ended together with its traffic.
    fn settle_with(&self, settlement: CallSettlement, traffic: Traffic) -> BoxFuture<'_, ()> {
        drop(traffic);
        self.settle(settlement)
    }
}

/// A call that wants to leave; the writer adds ordinal, process and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What it is for.
    pub subject: JobId,
    /// Execution of the job within this process.
    pub execution: u32,
    /// Role of the model.
    pub role: Role,
    /// Name of the model as configured.
    pub model: String,
    /// What the call can cost at most.
    pub at_most: Usd,
    /// Tokens that the call can use at most.
    pub at_most_tokens: u64,
}

impl Intent {
    /// Returns what is reserved for it.
    pub fn reserved(&self) -> Amount {
        Amount {
            calls: 1,
            tokens: self.at_most_tokens,
            cost: self.at_most,
        }
    }
}

/// What a budget belongs to. It decides whose doing it is that a call may not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One execution of a job: the agent used up its allowance.
    Job,
    /// An attempt over all its executions.
    Attempt,
    /// The archive: nobody's doing; the run ends and can go on with a larger budget.
    Run,
}

/// Why a call may not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A budget would be exceeded.
    #[error("{what}")]
    Budget {
        /// Whose budget.
        scope: Scope,
        /// Which budget, how large it is, and how much of it is used.
        what: String,
    },
    /// The run is ending; nothing new may start.
    #[error("the run is stopping")]
    Stopping,
}
