//! How fast a provider may be asked, shared by everybody who asks it.
//!
//! Every try of a call waits for its turn in [`Call::admit`] and tells in [`Permit::hear`]
//! what came of it. From that follows the pace of all jobs: a provider that says slow down
//! gets fewer calls at once, and none before the time it names; one that answers nobody is
//! taken for out, and then calls wait instead of failing, while one at a time is let through
//! as a probe. Whoever wants to know watches [`Health`].
//!
//! [`regulator`] decides all of it and knows no clock; here it is given one.

mod regulator;
mod signal;

pub use signal::{Advice, Signal};

use crate::sys::clock::now_ms;
use regulator::{Condition, Regulator, Ticket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// Turns that one call waits for at the most because others fail too. A call whose request
/// itself makes the provider fail must not keep all others from being the probe.
const MOST_TURNS: u32 = 8;

/// How a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Well,
    /// It answers, and asked for fewer calls.
    Slowed {
        /// What it said.
        what: String,
        /// When the next call may leave; it lies in the past where calls leave.
        until: Instant,
    },
    /// It answers nobody; calls wait.
    Out {
        /// Unix time in milliseconds of the first failure.
        since_ms: i64,
        /// What the last call failed with.
        what: String,
        /// No call leaves before, because it said so once; mostly in the past.
        until: Instant,
    },
    /// It lets nobody in until key, account or settings are corrected.
    Barred {
        /// What it said.
        what: String,
    },
}

/// The pace of one provider. Clones share it.
#[derive(Clone)]
pub struct Pace {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<PaceState>,
    born: Instant,
    calls: AtomicU64,
    health: watch::Sender<Health>,
}

#[derive(Default)]
struct PaceState {
    regulator: Regulator,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
    /// When the timer that runs will look again.
    armed: Option<Duration>,
    /// When the outage that was announced began, in Unix time.
    announced: Option<i64>,
}

/// One call, with all of its tries.
#[derive(Debug)]
pub struct Call {
    pace: Pace,
    number: u64,
    turns: u32,
}

/// One try that may leave now; it holds its place until it is dropped.
#[must_use = "a permit that is dropped frees its place"]
#[derive(Debug)]
pub struct Permit {
    turn: CallTurn,
}

/// A place in the queue or in flight.
#[derive(Debug)]
struct CallTurn {
    pace: Pace,
    ticket: Ticket,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                born: Instant::now(),
                calls: AtomicU64::new(0),
                health: watch::Sender::new(Health::Well),
            }),
        }
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pace({:?})", *self.shared.health.borrow())
    }
}

impl Pace {
    /// Begins a call.
    pub fn call(&self) -> Call {
        Call {
            pace: self.clone(),
            number: self.shared.calls.fetch_add(1, Ordering::Relaxed),
            turns: 0,
        }
    }

    /// Returns the provider's health, now and whenever it changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// Returns what the last call failed with, where none was answered since: then a failure
    /// says more about the provider than about the call.
    pub fn trouble(&self) -> Option<String> {
        let state = self.shared.state();
        state.regulator.trouble().map(str::to_owned)
    }

    /// Changes the state, then does what follows from it: lets through whoever may go, looks
    /// again when time will change something, announces the health.
    fn change<R>(&self, change: impl FnOnce(&mut PaceState, Duration) -> R) -> R {
        let mut state = self.shared.state();
        let now = self.shared.born.elapsed();
        let result = change(&mut state, now);
        for ticket in state.regulator.advance(now) {
            if let Some(waiting) = state.waiting.remove(&ticket) {
                // Who is gone already gives the place back when its turn is dropped.
                waiting.send(()).unwrap_or_default();
            }
        }
        self.arm(&mut state, now);
        self.announce(&mut state, now);
        result
    }

    /// Sets the timer, unless one that runs already is early enough.
    fn arm(&self, state: &mut PaceState, now: Duration) {
        let Some(at) = state.regulator.next_change(now) else {
            return;
        };
        if state.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        // Without a runtime nobody waits any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        state.armed = Some(at);
        let moment = self.shared.born + at;
        let shared = Arc::downgrade(&self.shared);
        runtime.spawn(async move {
            tokio::time::sleep_until(moment).await;
            if let Some(shared) = shared.upgrade() {
                Self { shared }.change(|state, _| state.armed = None);
            }
        });
    }

    fn announce(&self, state: &mut PaceState, now: Duration) {
        let health = match state.regulator.condition() {
            Condition::Well => Health::Well,
            Condition::Slowed { what, until } => Health::Slowed {
                what: what.to_owned(),
                until: self.shared.born + until,
            },
            Condition::Out { since, what, until } => {
                let what = what.to_owned();
                let ago = i64::try_from((now - since).as_millis()).unwrap_or(i64::MAX);
                let began = || now_ms().saturating_sub(ago);
                let since_ms = *state.announced.get_or_insert_with(began);
                let until = self.shared.born + until;
                Health::Out {
                    since_ms,
                    what,
                    until,
                }
            }
            Condition::Barred { what } => Health::Barred {
                what: what.to_owned(),
            },
        };
        if !matches!(health, Health::Out { .. }) {
            state.announced = None;
        }
        self.shared.health.send_if_modified(|old| {
            let is_new = *old != health;
            if is_new {
                *old = health;
            }
            is_new
        });
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, PaceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Waits until another try may leave. Dropping the future gives the place up.
    pub async fn admit(&self) -> Permit {
        let (turn, waiting) = self.pace.change(|state, _| {
            let ticket = state.regulator.ask(self.number);
            let turn = CallTurn {
                pace: self.pace.clone(),
                ticket,
            };
            let (sender, waiting) = oneshot::channel();
            state.waiting.insert(ticket, sender);
            (turn, waiting)
        });
        // The sender is kept until it is this one's turn.
        waiting.await.unwrap_or_default();
        Permit { turn }
    }

    /// Tells what came of a try, and returns what to do next where that was a failure.
    pub fn hear(&mut self, permit: &Permit, heard: Signal) -> Advice {
        let ticket = permit.turn.ticket;
        let advice = self
            .pace
            .change(|state, now| state.regulator.hear(ticket, heard, now));
        if advice == Advice::Wait {
            self.turns += 1;
            if self.turns > MOST_TURNS {
                return Advice::Own;
            }
        }
        advice
    }
}

impl Permit {
    /// Tells what came of a try later, when its call does not ask what to do any more.
    pub fn hear(&self, heard: Signal) {
        let CallTurn { pace, ticket } = &self.turn;
        pace.change(|state, now| state.regulator.hear(*ticket, heard, now));
    }
}

impl Drop for CallTurn {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.pace.change(|state, now| {
            state.waiting.remove(&ticket);
            state.regulator.leave(ticket, now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Advice, Health, Pace, Signal};
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};

    fn failure() -> Signal {
        Signal::Failure {
            what: "connection refused".to_owned(),
        }
    }

    /// Makes three calls that fail together, and returns the third.
    async fn fail(pace: &Pace) -> super::Call {
        let mut last = None;
        for _ in 0..3 {
            let mut call = pace.call();
            let permit = call.admit().await;
            let advice = call.hear(&permit, failure());
            last = Some((call, advice));
        }
        let (call, advice) = last.expect("three calls were made");
        assert_eq!(advice, Advice::Wait);
        call
    }

    #[tokio::test]
    async fn calls_wait_through_an_outage_and_all_go_on_after_it() {
        let pace = Pace::default();
        let mut health = pace.health();
        let began = Instant::now();
        let mut probing = fail(&pace).await;
        assert_eq!(*health.borrow_and_update(), Health::Well);
        let permit = probing.admit().await;
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(probing.hear(&permit, failure()), Advice::Wait);
        drop(permit);
        let state = health.borrow_and_update().clone();
        let Health::Out { since_ms, what, .. } = state else {
            panic!("{state:?}");
        };
        assert!(since_ms > 0);
        assert_eq!(what, "connection refused");
        let mut context = Context::from_waker(Waker::noop());
        let mut first = Box::pin(probing.admit());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let call = pace.call();
                tokio::spawn(async move { drop(call.admit().await) })
            })
            .collect();
        let permit = first.await;
        assert!(began.elapsed() >= Duration::from_secs(3));
        probing.hear(&permit, Signal::Answer);
        assert_eq!(*health.borrow_and_update(), Health::Well);
        for call in waiting {
            call.await.expect("it was let through");
        }
        assert_eq!(pace.trouble(), None);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_no_trace() {
        let pace = Pace::default();
        drop(fail(&pace).await);
        {
            let call = pace.call();
            let mut waiting = pin!(call.admit());
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
        }
        let call = pace.call();
        let permit = call.admit().await;
        assert!(pace.shared.state().waiting.is_empty());
        drop(permit);
    }

    #[tokio::test]
    async fn a_pause_that_is_asked_for_holds_everybody() {
        let pace = Pace::default();
        let mut call = pace.call();
        let permit = call.admit().await;
        let began = Instant::now();
        let pause = Duration::from_millis(300);
        let heard = Signal::SlowDown {
            retry_after: Some(pause),
            what: "rate limit".to_owned(),
        };
        assert_eq!(call.hear(&permit, heard), Advice::Wait);
        drop(permit);
        let health = pace.health().borrow().clone();
        let Health::Slowed { until, .. } = health else {
            panic!("{health:?}");
        };
        assert!(until > tokio::time::Instant::now());
        let mut other = pace.call();
        let permit = other.admit().await;
        assert!(began.elapsed() >= pause);
        other.hear(&permit, Signal::Answer);
    }

    #[tokio::test]
    async fn a_call_waits_for_so_many_turns_and_no_more() {
        let pace = Pace::default();
        let mut call = pace.call();
        let mut turns = 0;
        loop {
            let permit = call.admit().await;
            let heard = Signal::SlowDown {
                retry_after: Some(Duration::from_millis(1)),
                what: "rate limit".to_owned(),
            };
            match call.hear(&permit, heard) {
                Advice::Wait => turns += 1,
                Advice::Own => break,
            }
        }
        assert_eq!(turns, super::MOST_TURNS);
    }
}
