//! Who may call now: a pure state machine, told the time.
//!
//! Invariants:
//! - whoever asks is let through in the order of asking, as soon as the state allows it;
//! - a pause that the provider asked for is kept, and no pause is longer than
//!   [`LONGEST_ASKED`];
//! - a slow-down ends by itself: the limit of calls in flight grows with answers and with
//!   time until it is gone;
//! - during an outage one call at a time is let through as a probe, and the first answer
//!   ends the outage.

use super::signal::{Advice, Signal};
use std::collections::BTreeMap;
use std::time::Duration;

/// Different calls that must fail with no answer in between until it is taken for an outage.
pub(super) const SHARED: usize = 3;
/// Failures that lie further apart have nothing to do with each other.
const FORGET: Duration = Duration::from_mins(10);
/// Pause before the first probe; it doubles with every further one.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// Longest pause between two probes.
pub(super) const LONGEST_PROBE: Duration = Duration::from_mins(1);
/// First pause where the provider asks for none; it doubles while nothing is answered.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause where the provider asks for none.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that is kept because the provider asked for it; after that it is asked.
pub(super) const LONGEST_ASKED: Duration = Duration::from_hours(1);
/// Time without a complaint after which the limit grows by an eighth.
const QUIET: Duration = Duration::from_secs(10);

/// One try that asked for its turn; later tries have higher tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// The state. Moments are durations since it began.
#[derive(Debug, Default)]
pub(super) struct Regulator {
    /// Tries that wait, in the order of asking, and the call that each belongs to.
    queue: BTreeMap<Ticket, u64>,
    in_flight: BTreeMap<Ticket, Flight>,
    tickets: u64,
    admissions: u64,
    /// Nothing is let through before.
    not_before: Duration,
    slow: Option<Slow>,
    streak: Streak,
    out: Option<Outage>,
    barred: Option<String>,
}

/// One try that was let through.
#[derive(Clone, Copy, Debug)]
struct Flight {
    call: u64,
    /// Its place in the order of admissions.
    admission: u64,
}

/// A slow-down.
#[derive(Debug)]
struct Slow {
    /// Most calls in flight.
    limit: usize,
    /// Calls in flight when it began; with twice as many allowed it is over.
    peak: usize,
    /// Admissions up to the last cut: what was let through before tells nothing new.
    cut_at: u64,
    /// Cuts since the last answer.
    cuts: u32,
    /// Answers since the limit grew.
    answers: usize,
    /// When the limit grew last, or may begin to.
    grown_at: Duration,
    what: String,
}

/// Different calls that failed since the last answer.
#[derive(Debug, Default)]
struct Streak {
    calls: Vec<u64>,
    what: String,
    first: Duration,
    last: Duration,
}

/// A time in which nothing is answered.
#[derive(Debug)]
struct Outage {
    since: Duration,
    what: String,
    /// Whether a probe has failed: before that it may have been a moment's disturbance.
    is_confirmed: bool,
    pause: Duration,
    probe_at: Duration,
    probe: Option<Ticket>,
}

/// What is known of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    Well,
    Slowed {
        what: &'a str,
        /// Nothing is let through before; it may be over.
        until: Duration,
    },
    Out {
        since: Duration,
        what: &'a str,
        until: Duration,
    },
    Barred {
        what: &'a str,
    },
}

impl Regulator {
    /// Puts a try of a call into the queue; [`Self::advance`] lets it through.
    pub(super) fn ask(&mut self, call: u64) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.queue.insert(ticket, call);
        ticket
    }

    /// Takes a try out, wherever it is: it has ended, or nobody waits for it any more.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Duration) {
        self.queue.remove(&ticket);
        self.in_flight.remove(&ticket);
        if let Some(out) = &mut self.out
            && out.probe == Some(ticket)
        {
            out.probe = None;
            out.probe_at = now + out.pause;
        }
    }

    /// Takes in what was heard of a try that was let through.
    pub(super) fn hear(&mut self, ticket: Ticket, heard: Signal, now: Duration) -> Advice {
        let Some(flight) = self.in_flight.get(&ticket).copied() else {
            return Advice::Own;
        };
        match heard {
            Signal::Answer => {
                self.answered(flight, now);
                Advice::Own
            }
            Signal::SlowDown { retry_after, what } => {
                self.cut(flight, retry_after, what.clone(), now);
                self.failed(ticket, flight.call, what, now);
                Advice::Wait
            }
            Signal::Failure { what } => {
                self.failed(ticket, flight.call, what, now);
                if self.out.is_some() {
                    Advice::Wait
                } else {
                    Advice::Own
                }
            }
            Signal::Barred { what } => {
                self.barred = Some(what);
                Advice::Own
            }
        }
    }

    /// Lets through whoever may go now; returns them in order.
    pub(super) fn advance(&mut self, now: Duration) -> Vec<Ticket> {
        self.ease(now);
        let mut admitted = Vec::new();
        while self.may_go(now)
            && let Some((ticket, call)) = self.queue.pop_first()
        {
            self.admissions += 1;
            let admission = self.admissions;
            self.in_flight.insert(ticket, Flight { call, admission });
            if let Some(out) = &mut self.out {
                out.probe = Some(ticket);
            }
            admitted.push(ticket);
        }
        admitted
    }

    /// Returns when time alone will change something, if it will; call [`Self::advance`]
    /// then. Asked after `advance(now)`, the answer lies after `now`.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        let growth = self.slow.as_ref().map(|slow| slow.grown_at + QUIET);
        let gate = match &self.out {
            _ if self.queue.is_empty() => None,
            None => Some(self.not_before),
            Some(out) if out.probe.is_none() => Some(out.probe_at.max(self.not_before)),
            Some(_) => None,
        };
        let later = |moment: &Duration| *moment > now;
        growth.into_iter().chain(gate).filter(later).min()
    }

    /// Returns what is known of the provider.
    pub(super) fn condition(&self) -> Condition<'_> {
        if let Some(what) = &self.barred {
            return Condition::Barred { what };
        }
        match (&self.out, &self.slow) {
            (Some(out), _) if out.is_confirmed => Condition::Out {
                since: out.since,
                what: &out.what,
                until: self.not_before,
            },
            (Some(_) | None, Some(slow)) => Condition::Slowed {
                what: &slow.what,
                until: self.not_before,
            },
            (Some(_) | None, None) => Condition::Well,
        }
    }

    /// Returns what the last call failed with, where none was answered since.
    pub(super) fn trouble(&self) -> Option<&str> {
        let out = self.out.as_ref().map(|out| &out.what);
        let streak = (!self.streak.calls.is_empty()).then_some(&self.streak.what);
        let worst = self.barred.as_ref().or(out).or(streak);
        worst.map(String::as_str)
    }

    fn may_go(&self, now: Duration) -> bool {
        if now < self.not_before {
            return false;
        }
        match (&self.out, &self.slow) {
            (Some(out), _) => out.probe.is_none() && now >= out.probe_at,
            (None, Some(slow)) => self.in_flight.len() < slow.limit,
            (None, None) => true,
        }
    }

    fn answered(&mut self, flight: Flight, now: Duration) {
        self.streak.calls.clear();
        self.out = None;
        self.barred = None;
        if let Some(slow) = &mut self.slow
            && flight.admission > slow.cut_at
        {
            slow.cuts = 0;
            slow.answers += 1;
            if slow.answers >= slow.limit {
                slow.answers = 0;
                slow.limit += 1;
                slow.grown_at = slow.grown_at.max(now);
            }
        }
        self.ease(now);
    }

    /// Halves what may be in flight, once for all that were let through together, and lets
    /// nobody through for a while: as long as was asked for by whoever asked for most.
    fn cut(&mut self, flight: Flight, retry_after: Option<Duration>, what: String, now: Duration) {
        let in_flight = self.in_flight.len();
        let slow = self.slow.get_or_insert_with(|| Slow {
            limit: in_flight,
            peak: in_flight,
            cut_at: 0,
            cuts: 0,
            answers: 0,
            grown_at: now,
            what: String::new(),
        });
        slow.what = what;
        if flight.admission > slow.cut_at {
            slow.limit = (slow.limit.min(in_flight) / 2).max(1);
            slow.cut_at = self.admissions;
            slow.cuts += 1;
            slow.answers = 0;
        }
        let doubled = 2_u32.saturating_pow(slow.cuts.saturating_sub(1));
        let pause = retry_after.map_or_else(
            || FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE),
            |asked| asked.min(LONGEST_ASKED),
        );
        self.not_before = self.not_before.max(now + pause);
        slow.grown_at = slow.grown_at.max(self.not_before);
    }

    fn failed(&mut self, ticket: Ticket, call: u64, what: String, now: Duration) {
        self.streak.add(call, &what, now);
        if let Some(out) = &mut self.out {
            out.what = what;
            if out.probe == Some(ticket) {
                out.probe = None;
                out.is_confirmed = true;
                out.pause = (out.pause * 2).min(LONGEST_PROBE);
                out.probe_at = now + out.pause;
            }
        } else if self.streak.calls.len() >= SHARED {
            self.out = Some(Outage {
                since: self.streak.first,
                what,
                is_confirmed: false,
                pause: FIRST_PROBE,
                probe_at: now + FIRST_PROBE,
                probe: None,
            });
        }
    }

    /// Raises the limit for the time that went by without a complaint.
    fn ease(&mut self, now: Duration) {
        let Some(slow) = &mut self.slow else {
            return;
        };
        while now >= slow.grown_at + QUIET && slow.limit < 2 * slow.peak {
            slow.limit += (slow.limit / 8).max(1);
            slow.grown_at += QUIET;
        }
        if slow.limit >= 2 * slow.peak {
            self.slow = None;
        }
    }
}

impl Streak {
    fn add(&mut self, call: u64, what: &str, now: Duration) {
        if now.saturating_sub(self.last) > FORGET {
            self.calls.clear();
        }
        if self.calls.is_empty() {
            self.first = now;
        }
        self.last = now;
        what.clone_into(&mut self.what);
        if self.calls.len() < SHARED && !self.calls.contains(&call) {
            self.calls.push(call);
        }
    }
}

#[cfg(test)]
mod tests;
