//! The books of an archive for calls that a person makes by hand: no policy, no jobs.
//!
//! Invariant: like the dispatcher, it is the only writer of its process, and what it is told
//! is recorded by the same [`Recorder`] in the same way.

use super::Budgets;
use super::books::ChannelBooks;
use super::inbox::{Inbox, MOST_EVENTS};
use super::jobs::JobEvent;
use super::record::Recorder;
use crate::archive::Writer;
use crate::domain::{CallSettlement, Fact, RunEnd, RunId, RunStart};
use crate::model::Books;
use crate::sys::clock::now_ms;
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Books that are open; [`ManualCalls::close`] ends them in order.
#[must_use = "books that are not closed look like those of a process that crashed"]
pub struct ManualCalls {
    books: ChannelBooks,
    run: RunId,
    recording: JoinHandle<anyhow::Result<Recorder>>,
}

impl ManualCalls {
    /// Returns them with the traffic of calls kept, or not.
    pub fn keeping_traffic(self, keeps_traffic: bool) -> Self {
        Self {
            books: self.books.keeping_traffic(keeps_traffic),
            ..self
        }
    }

    /// Begins a run of calls by hand, under the archive's budget for all its runs. Each
    /// settlement is sent to `told` when it is recorded.
    pub fn open(
        writer: Writer,
        command: String,
        config: String,
        budgets: &Budgets,
        told: mpsc::UnboundedSender<CallSettlement>,
    ) -> anyhow::Result<Self> {
        let lineage = writer.lineage()?;
        let run = lineage.next_run();
        let (progress, _nobody) = mpsc::unbounded_channel();
        let mut recorder = Recorder::new(writer, lineage, run, 0, budgets, progress);
        recorder.record(vec![Fact::RunStarted(RunStart {
            run,
            command,
            config,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sandbox: "none".to_owned(),
            stages: Vec::new(),
            at_ms: now_ms(),
        })])?;
        let (sender, events) = mpsc::unbounded_channel();
        Ok(Self {
            books: ChannelBooks::new(sender),
            run,
            // Beside those who ask, so that no other thread has to wake up for them.
            recording: tokio::spawn(record(recorder, events, told)),
        })
    }

    /// Returns the books, for whoever makes calls.
    pub fn books(&self) -> Arc<dyn Books> {
        Arc::new(self.books.clone())
    }

    /// Waits until nobody holds the books any more, and records the end of the run.
    pub async fn close(self, reason: &str) -> anyhow::Result<()> {
        drop(self.books);
        let recorded = self.recording.await.context("the books are damaged")?;
        let mut recorder = recorded.context("a call could not be recorded")?;
        recorder.record(vec![Fact::RunEnded(RunEnd {
            run: self.run,
            reason: reason.to_owned(),
            at_ms: now_ms(),
        })])
    }
}

/// Records what comes until nobody can send any more.
async fn record(
    mut recorder: Recorder,
    mut events: mpsc::UnboundedReceiver<JobEvent>,
    told: mpsc::UnboundedSender<CallSettlement>,
) -> anyhow::Result<Recorder> {
    let (mut inbox, mut batch) = (Inbox::default(), Vec::new());
    loop {
        let more = events.recv_many(&mut batch, MOST_EVENTS);
        let came = match inbox.due() {
            Some(due) => tokio::time::timeout_at(due, more).await.ok(),
            None => Some(more.await),
        };
        let now = match came {
            // Time is up, or nobody is left.
            None | Some(0) => inbox.flush(),
            Some(_) => inbox.take(&mut batch, Instant::now(), recorder.has_waiting()),
        };
        let settled: Vec<CallSettlement> = now
            .iter()
            .filter_map(|event| match event {
                JobEvent::Settle(settlement, ..) => Some(settlement.clone()),
                JobEvent::Intend(..)
                | JobEvent::Proposed { .. }
                | JobEvent::Unaffordable { .. } => None,
            })
            .collect();
        recorder.handle(now)?;
        for settlement in settled {
            // Nobody has to listen.
            drop(told.send(settlement));
        }
        if came == Some(0) {
            return Ok(recorder);
        }
    }
}
