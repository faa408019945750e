//! The account of one job: what it may use, and the calls that are open.
//!
//! Invariant: a call that is on the books is settled exactly once, by [`OpenCall::settle`]
//! or by its drop; and what a job has used plus what its open calls can use at most never
//! exceeds its allowance when a call is opened.

use super::{Allowance, Books, Denied, Intent};
use crate::domain::{CallId, CallSettlement, CallStatus, Tokens, Usd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The account of one job.
pub(super) struct Ledger {
    books: Arc<dyn Books>,
    allowance: Allowance,
    taken: Mutex<Amount>,
    settling: TaskTracker,
}

/// What calls use, or may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    calls: u64,
    tokens: u64,
    cost: Usd,
}

/// What one call can use at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub tokens: Tokens,
    pub cost: Usd,
}

impl Ledger {
    pub(super) fn new(books: Arc<dyn Books>, allowance: Allowance) -> Self {
        Self {
            books,
            allowance,
            taken: Mutex::default(),
            settling: TaskTracker::new(),
        }
    }

    /// Puts a call on the books, if allowance and budgets cover it.
    ///
    /// The books are asked in a task of its own: where the caller goes away while they
    /// write, the intent may be durable already, and somebody must be left to settle it.
    pub(super) async fn open(
        self: &Arc<Self>,
        intent: Intent,
        bound: Bound,
    ) -> Result<OpenCall, Denied> {
        let reserved = Amount {
            calls: 1,
            tokens: bound.tokens.total(),
            cost: bound.cost,
        };
        self.reserve(reserved)?;
        let (sender, receiver) = oneshot::channel();
        let ledger = self.clone();
        self.settling.spawn(async move {
            let opened = match ledger.books.intend(intent).await {
                Ok(id) => Ok(OpenCall {
                    ledger,
                    id,
                    bound,
                    reserved,
                    began: Instant::now(),
                    has_left: false,
                    is_settled: false,
                }),
                Err(denied) => {
                    ledger.replace(reserved, Amount::default());
                    Err(denied)
                }
            };
            // Where nobody waits any more, the call comes back and is settled by its drop.
            drop(sender.send(opened));
        });
        receiver.await.unwrap_or(Err(Denied::Stopping))
    }

    /// Returns a token that [`Self::settled`] waits for: a call that has not come to its
    /// settlement yet.
    pub(super) fn begin(&self) -> TaskTrackerToken {
        self.settling.token()
    }

    /// Waits until no call is under way and every settlement is recorded.
    pub(super) async fn settled(&self) {
        self.settling.close();
        self.settling.wait().await;
        self.settling.reopen();
    }

    fn reserve(&self, more: Amount) -> Result<(), Denied> {
        let mut taken = self.taken();
        let sum = Amount {
            calls: taken.calls.saturating_add(more.calls),
            tokens: taken.tokens.saturating_add(more.tokens),
            cost: taken.cost + more.cost,
        };
        let Allowance {
            calls,
            tokens,
            cost,
        } = self.allowance;
        let refuse = |limit: String| {
            Err(Denied::Budget {
                what: format!("the job's allowance of {limit} is used up"),
            })
        };
        if let Some(limit) = calls.filter(|limit| sum.calls > *limit) {
            return refuse(format!("{limit} model calls"));
        }
        if let Some(limit) = tokens.filter(|limit| sum.tokens > *limit) {
            return refuse(format!("{limit} tokens"));
        }
        if let Some(limit) = cost.filter(|limit| sum.cost > *limit) {
            return refuse(limit.to_string());
        }
        *taken = sum;
        Ok(())
    }

    fn replace(&self, reserved: Amount, used: Amount) {
        let mut taken = self.taken();
        taken.calls = taken.calls.saturating_sub(reserved.calls) + used.calls;
        taken.tokens = taken
            .tokens
            .saturating_sub(reserved.tokens)
            .saturating_add(used.tokens);
        taken.cost = Usd(taken.cost.0.saturating_sub(reserved.cost.0)) + used.cost;
    }

    fn taken(&self) -> MutexGuard<'_, Amount> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is on the books and not settled yet.
#[must_use = "a call that is dropped is settled as abandoned"]
pub(super) struct OpenCall {
    ledger: Arc<Ledger>,
    id: CallId,
    bound: Bound,
    reserved: Amount,
    began: Instant,
    has_left: bool,
    is_settled: bool,
}

impl OpenCall {
    /// Returns the call's ordinal.
    pub(super) fn id(&self) -> CallId {
        self.id
    }

    /// Notes that the request leaves now: from here on it may be charged.
    pub(super) fn leaves(&mut self) {
        self.has_left = true;
        self.began = Instant::now();
    }

    /// Records how the call ended, and waits until that is recorded.
    pub(super) async fn settle(self, status: CallStatus, tokens: Tokens, cost: Usd) {
        self.settle_as(status, tokens, false, cost).await;
    }

    /// Records how the call ended, where its tokens may be a guess, and waits until that is
    /// recorded.
    pub(super) async fn settle_as(
        mut self,
        status: CallStatus,
        tokens: Tokens,
        estimated: bool,
        cost: Usd,
    ) {
        if let Some(recorded) = self.end(status, tokens, estimated, cost) {
            // It fails only with the runtime, when nobody records any more.
            let _recorded = recorded.await;
        }
    }

    /// Settles a call whose use is not known at the most it can have used, so that no budget
    /// is ever exceeded by what was not seen.
    pub(super) async fn settle_unknown(self, status: CallStatus) {
        let Bound { tokens, cost } = self.bound;
        self.settle_as(status, tokens, true, cost).await;
    }

    /// Settles in a task of its own, which the caller's end cannot stop.
    fn end(
        &mut self,
        status: CallStatus,
        tokens: Tokens,
        estimated: bool,
        cost: Usd,
    ) -> Option<JoinHandle<()>> {
        self.is_settled = true;
        // A failure of the provider that used nothing is not the job's call.
        let is_free_failure = status == CallStatus::Failed && tokens == Tokens::default();
        let used = Amount {
            calls: u64::from(!is_free_failure),
            tokens: tokens.total(),
            cost,
        };
        self.ledger.replace(self.reserved, used);
        let settlement = CallSettlement {
            id: self.id,
            status,
            tokens,
            estimated,
            cost,
            latency_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let Ok(runtime) = Handle::try_current() else {
            tracing::debug!(call = self.id.0, "left unsettled: the runtime has ended");
            return None;
        };
        let ledger = self.ledger.clone();
        let record = async move { ledger.books.settle(settlement).await };
        Some(self.ledger.settling.spawn_on(record, &runtime))
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let Bound { tokens, cost } = self.bound;
        let recorded = if self.has_left {
            self.end(CallStatus::Abandoned, tokens, true, cost)
        } else {
            self.end(
                CallStatus::Abandoned,
                Tokens::default(),
                false,
                Usd::default(),
            )
        };
        drop(recorded);
    }
}
