//! The account of one job: what it may use, and the calls that are open.
//!
//! Invariant: a call that is on the books is settled exactly once, by one of [`OpenCall`]'s
//! ends or by its drop; and what a job has used plus what its open calls can use at most never
//! exceeds its allowance. A call that fits beside what is settled, but not beside the open
//! calls, waits for them, in the order in which calls came.

use super::tape::Tape;
use super::{
    Account, Allowance, Books, Denied, Intent, JobSubject, ModelError, Reply, Room, Scope,
};
use crate::domain::{Amount, CallId, CallSettlement, CallStatus, Tokens, Usd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The account of one job.
pub(super) struct Ledger {
    books: Arc<dyn Books>,
    account: Mutex<Account>,
    /// Whose turn it is to wait for room; held by one call at a time, in order of arrival.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
    settling: TaskTracker,
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
            account: Mutex::new(Account::new(allowance, Amount::default())),
            turn: tokio::sync::Mutex::default(),
            freed: Notify::new(),
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
        tape: Arc<Tape>,
    ) -> Result<OpenCall, Denied> {
        let reserved = intent.reserved();
        self.reserve(reserved).await?;
        let (sender, receiver) = oneshot::channel();
        let ledger = self.clone();
        self.settling.spawn(async move {
            let opened = match ledger.books.intend(intent).await {
                Ok(id) => Ok(OpenCall {
                    ledger,
                    id,
                    bound,
                    tape,
                    reserved,
                    began: Instant::now(),
                    has_left: false,
                    is_settled: false,
                }),
                Err(denied) => {
                    ledger.free(reserved, Amount::default());
                    Err(denied)
                }
            };
            // Where nobody waits any more, the call comes back and is settled by its drop.
            drop(sender.send(opened));
        });
        receiver.await.unwrap_or(Err(Denied::Stopping))
    }

    /// Returns the tape of a try.
    pub(super) fn tape(&self, who: Arc<JobSubject>, tried: u32) -> Arc<Tape> {
        Tape::new(who, tried, self.books.keeps_traffic())
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

    /// Takes what a call can use at most out of the allowance, waiting for open calls where
    /// it does not fit beside them.
    async fn reserve(&self, at_most: Amount) -> Result<(), Denied> {
        let _turn = self.turn.lock().await;
        loop {
            {
                let mut account = self.account();
                match account.room(at_most) {
                    Room::Enough => {
                        account.reserve(at_most);
                        return Ok(());
                    }
                    Room::Never(limit) => {
                        return Err(Denied::Budget {
                            scope: Scope::Job,
                            what: account.refusal("the job's allowance", limit, at_most),
                        });
                    }
                    Room::Later => {}
                }
            }
            // Remembered where it comes before anybody waits for it.
            self.freed.notified().await;
        }
    }

    fn free(&self, reserved: Amount, used: Amount) {
        self.account().settle(reserved, used);
        self.freed.notify_one();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is on the books and not settled yet.
#[must_use = "a call that is dropped is settled as abandoned"]
pub(super) struct OpenCall {
    ledger: Arc<Ledger>,
    id: CallId,
    bound: Bound,
    tape: Arc<Tape>,
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

    /// Returns what is taken down of it.
    pub(super) fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    /// Notes that the request leaves now: from here on it may be charged.
    pub(super) fn leaves(&mut self) {
        self.has_left = true;
        self.began = Instant::now();
    }

    /// Settles a call that was answered.
    pub(super) fn answered(self, reply: &Reply) {
        self.counted(CallStatus::Answered, reply);
    }

    /// Settles a call at what its reply says it used.
    pub(super) fn counted(mut self, status: CallStatus, reply: &Reply) {
        self.end(status, reply.tokens, reply.estimated, reply.cost);
    }

    /// Settles a try that was not answered.
    pub(super) fn failed(mut self, error: &ModelError) {
        let status = match error {
            ModelError::Refused { .. } => CallStatus::Refused,
            ModelError::Failed { may_be_charged, .. } if *may_be_charged => {
                return self.unknown(CallStatus::Failed);
            }
            ModelError::Busy { .. } | ModelError::Failed { .. } | ModelError::Unusable { .. } => {
                CallStatus::Failed
            }
        };
        self.end(status, Tokens::default(), false, Usd::default());
    }

    /// Settles a call whose use is not known at the most it can have used, so that no budget
    /// is ever exceeded by what was not seen.
    pub(super) fn unknown(mut self, status: CallStatus) {
        let Bound { tokens, cost } = self.bound;
        self.end(status, tokens, true, cost);
    }

    /// Settles in a task of its own, which the caller's end cannot stop.
    fn end(&mut self, status: CallStatus, tokens: Tokens, estimated: bool, cost: Usd) {
        self.is_settled = true;
        let (tokens, estimated, cost) = match self.tape.replayed(status) {
            Some(recorded) => (recorded.tokens, recorded.estimated, recorded.cost),
            None => (tokens, estimated, cost),
        };
        let settlement = CallSettlement {
            id: self.id,
            status,
            tokens,
            estimated,
            cost,
            latency_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.ledger.free(self.reserved, settlement.used());
        let Ok(runtime) = Handle::try_current() else {
            tracing::debug!(call = self.id.0, "left unsettled: the runtime has ended");
            return;
        };
        let (ledger, tape) = (self.ledger.clone(), self.tape.clone());
        let record = async move {
            match tape.traffic() {
                Some(traffic) => ledger.books.settle_with(settlement, traffic).await,
                None => ledger.books.settle(settlement).await,
            }
        };
        drop(self.ledger.settling.spawn_on(record, &runtime));
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let Bound { tokens, cost } = self.bound;
        if self.has_left {
            self.end(CallStatus::Abandoned, tokens, true, cost);
        } else {
            let (tokens, cost) = (Tokens::default(), Usd::default());
            self.end(CallStatus::Abandoned, tokens, false, cost);
        }
    }
}
