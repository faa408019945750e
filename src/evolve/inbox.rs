//! Which events are recorded together.
//!
//! Every transaction waits for the disk. A call that wants to leave waits with it; that a call
//! ended can wait a moment, and then it is recorded with what comes next, for one wait less.
//! Invariant: events leave in the order in which they came, and none stays longer than
//! [`MOMENT`].

use super::jobs::JobEvent;
use std::time::Duration;
use tokio::time::Instant;

/// How long the end of a call may wait for others.
const MOMENT: Duration = Duration::from_millis(2);
/// Events that are recorded in one transaction at most.
pub(super) const MOST_EVENTS: usize = 1024;

/// Events that came and are not recorded yet.
#[derive(Default)]
pub(super) struct Inbox {
    held: Vec<JobEvent>,
    due: Option<Instant>,
}

impl Inbox {
    /// Takes in events, and returns those to record now: all of them where somebody waits for
    /// one, or where calls wait for what the end of another frees.
    #[must_use]
    pub(super) fn take(
        &mut self,
        came: &mut Vec<JobEvent>,
        now: Instant,
        is_awaited: bool,
    ) -> Vec<JobEvent> {
        let is_urgent = is_awaited
            || came
                .iter()
                .any(|event| !matches!(event, JobEvent::Settle(..)));
        self.held.append(came);
        if is_urgent || self.held.len() >= MOST_EVENTS {
            return self.flush();
        }
        if !self.held.is_empty() && self.due.is_none() {
            self.due = Some(now + MOMENT);
        }
        Vec::new()
    }

    /// Returns when what is held must be recorded.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns everything that is held.
    pub(super) fn flush(&mut self) -> Vec<JobEvent> {
        self.due = None;
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, JobEvent, MOMENT, MOST_EVENTS};
    use crate::domain::{CallId, CallSettlement, CallStatus, JobId, Role, Tokens, Usd};
    use crate::model::Intent;
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    const NONE: [u64; 0] = [];

    fn settle(id: u64) -> JobEvent {
        let settlement = CallSettlement {
            id: CallId(id),
            status: CallStatus::Answered,
            tokens: Tokens::default(),
            estimated: false,
            cost: Usd(0),
            latency_ms: 0,
        };
        JobEvent::Settle(settlement, None, oneshot::channel().0)
    }

    fn intend() -> JobEvent {
        let intent = Intent {
            subject: JobId::Manual,
            execution: 1,
            role: Role::Solve,
            model: "m".to_owned(),
            at_most: Usd(0),
            at_most_tokens: 0,
        };
        JobEvent::Intend(intent, oneshot::channel().0)
    }

    fn ids(events: &[JobEvent]) -> Vec<u64> {
        let id = |event: &JobEvent| match event {
            JobEvent::Settle(settlement, ..) => settlement.id.0,
            JobEvent::Intend(..) | JobEvent::Proposed { .. } | JobEvent::Unaffordable { .. } => 0,
        };
        events.iter().map(id).collect()
    }

    #[test]
    fn ends_of_calls_wait_for_a_call_that_wants_to_leave() {
        let mut inbox = Inbox::default();
        let now = Instant::now();
        assert_eq!(ids(&inbox.take(&mut vec![settle(1)], now, false)), NONE);
        assert_eq!(
            ids(&inbox.take(&mut vec![settle(2)], now + MOMENT / 2, false)),
            NONE
        );
        // The first one decides how long.
        assert_eq!(inbox.due(), Some(now + MOMENT));
        let came = &mut vec![intend(), settle(3)];
        assert_eq!(ids(&inbox.take(came, now, false)), [1, 2, 0, 3]);
        assert!(inbox.is_empty() && inbox.due().is_none());
        assert!(inbox.take(&mut Vec::new(), now, false).is_empty());
        assert_eq!(inbox.due(), None);
    }

    #[test]
    fn nothing_is_held_that_is_waited_for_or_too_much() {
        let mut inbox = Inbox::default();
        let now = Instant::now();
        assert_eq!(ids(&inbox.take(&mut vec![settle(1)], now, true)), [1]);
        let mut many: Vec<JobEvent> = (0..MOST_EVENTS as u64).map(settle).collect();
        assert_eq!(inbox.take(&mut many, now, false).len(), MOST_EVENTS);
        assert_eq!(ids(&inbox.take(&mut vec![settle(7)], now, false)), NONE);
        assert_eq!(ids(&inbox.flush()), [7]);
        assert_eq!(inbox.due(), None);
    }
}
