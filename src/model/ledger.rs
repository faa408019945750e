//! The account of one job: what it may use, and the calls that are open.
//!
//! Invariant: a call that is on the books is settled exactly once, by one of [`OpenCall`]'s
//! ends or by its drop; and what a job has used plus what its open calls can use at most never
//! exceeds its allowance. A call that fits beside what is settled, but not beside the open
//! calls, waits for them, in the order in which calls came.

use super::tape::Tape;
use super::{
    Account, Allowance, Books, Denied, Intent, JobSubject, Limit, ModelError, Reply, Room, Scope,
};
use crate::domain::{Amount, CallId, CallSettlement, CallStatus, Tokens, Usd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
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
    /// The limit that a call did not fit into although nothing was used yet.
    unaffordable: OnceLock<Limit>,
    /// Who wants to know why tries fail: the books do not say.
    witness: OnceLock<mpsc::UnboundedSender<FailedTry>>,
}

/// Why a call, which is one try of a request, was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTry {
    /// The call's ordinal.
    pub call: CallId,
    /// What it failed with.
    pub why: String,
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
            unaffordable: OnceLock::new(),
            witness: OnceLock::new(),
        }
    }

    /// Returns the limit that a call did not fit into although nothing was used yet.
    pub(super) fn unaffordable(&self) -> Option<Limit> {
        self.unaffordable.get().copied()
    }

    /// Has somebody told why tries fail; the first who asks is.
    pub(super) fn tell(&self, witness: mpsc::UnboundedSender<FailedTry>) {
        drop(self.witness.set(witness));
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
                        if account.is_untouched() {
                            self.unaffordable.get_or_init(|| limit);
                        }
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

    /// Tells why it was not answered, before its settlement is.
    pub(super) fn tell(&self, why: &impl ToString) {
        if let Some(witness) = self.ledger.witness.get() {
            let (call, why) = (self.id, why.to_string());
            // Nobody has to listen.
            drop(witness.send(FailedTry { call, why }));
        }
    }

    /// Settles a try that was not answered.
    pub(super) fn failed(mut self, error: &ModelError) {
        self.tell(error);
        let status = match error {
            ModelError::Refused { .. } => CallStatus::Refused,
            ModelError::Busy { may_be_charged, .. } | ModelError::Failed { may_be_charged, .. }
                if *may_be_charged =>
            {
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

#[cfg(test)]
mod tests {
    use super::{Bound, Ledger};
    use crate::domain::{Amount, CallStatus, JobId, Role, Tokens, Usd};
    use crate::model::fixture::{Remembered, Row};
    use crate::model::{Allowance, Denied, Intent, Scope};
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any};
    use proptest::{prop_assert, prop_assert_eq, proptest};
    use std::sync::Arc;
    use std::time::Duration;

    /// What one caller does.
    #[derive(Clone, Copy, Debug)]
    struct Caller {
        starts_after: u64,
        takes: u64,
        tokens: u64,
        uses: u64,
        how: u8,
    }

    fn caller() -> impl Strategy<Value = Caller> {
        (0..4_u64, 0..4_u64, 1..100_u64, 0..100_u64, any::<u8>()).prop_map(
            |(starts_after, takes, tokens, uses, how)| Caller {
                starts_after,
                takes,
                tokens,
                uses,
                how,
            },
        )
    }

    /// Makes one call as it is told; returns whether it was denied.
    async fn call(ledger: Arc<Ledger>, caller: Caller) -> bool {
        tokio::time::sleep(Duration::from_millis(caller.starts_after)).await;
        let tokens = Tokens {
            input: caller.tokens,
            ..Tokens::default()
        };
        let bound = Bound {
            tokens,
            cost: Usd(0),
        };
        let intent = Intent {
            subject: JobId::Manual,
            execution: 1,
            role: Role::Solve,
            model: "m".to_owned(),
            at_most: Usd(0),
            at_most_tokens: caller.tokens,
        };
        let tape = ledger.tape(Arc::new(crate::model::fixture::job()), 1);
        let mut open = match ledger.open(intent, bound, tape).await {
            Ok(open) => open,
            Err(Denied::Budget { scope, .. }) => {
                assert_eq!(scope, Scope::Job);
                return true;
            }
            Err(Denied::Stopping) => panic!("nobody stops"),
        };
        open.leaves();
        tokio::time::sleep(Duration::from_millis(caller.takes)).await;
        let used = Tokens {
            input: caller.uses.min(caller.tokens),
            ..Tokens::default()
        };
        match caller.how % 6 {
            0..=2 => open.end(CallStatus::Answered, used, false, Usd(0)),
            3 => {
                let none = Tokens::default();
                open.end(CallStatus::Failed, none, false, Usd(0));
            }
            4 => open.unknown(CallStatus::Failed),
            _ => drop(open),
        }
        false
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn an_allowance_holds_for_64_callers_at_once(
            callers in vec(caller(), 64),
            impatient in vec(any::<bool>(), 64),
            tokens in 50..2000_u64,
            calls in 1..64_u64,
        ) {
            let allowance = Allowance { calls: Some(calls), tokens: Some(tokens), cost: None };
            let books = Arc::new(Remembered::default());
            let ledger = Arc::new(Ledger::new(books.clone(), allowance));
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_time()
                .build()
                .expect("a runtime");
            let ended = runtime.block_on(async {
                let tasks: Vec<_> = callers
                    .iter()
                    .map(|caller| tokio::spawn(call(ledger.clone(), *caller)))
                    .collect();
                for (task, impatient) in tasks.iter().zip(&impatient) {
                    if *impatient && task.id().to_string().ends_with('7') {
                        tokio::task::yield_now().await;
                        task.abort();
                    }
                }
                let all = async {
                    for task in tasks {
                        drop(task.await);
                    }
                    ledger.settled().await;
                };
                tokio::time::timeout(Duration::from_secs(30), all).await
            });
            prop_assert!(ended.is_ok(), "somebody waits forever");
            // Every intent has its settlement; what was used is within the allowance.
            let count = books.endings().len() as u64;
            let mut used = Amount::default();
            for row in books.rows() {
                if let Row::Settled(settlement) = row {
                    used = used + settlement.used();
                }
            }
            prop_assert!(used.tokens <= tokens, "{used:?} of {count}");
            prop_assert!(used.calls <= calls, "{used:?} of {count}");
            let account = *ledger.account();
            prop_assert_eq!((account.settled(), account.open()), (used, Amount::default()));
        }
    }
}
