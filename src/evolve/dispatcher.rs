//! The dispatcher: the loop that linearizes everything. It has no rules of its own: what to
//! start is the policy's word, what an end means is that of each kind of [job](super::jobs),
//! and the [`Recorder`] writes.

use super::Progress;
use super::budget::{BudgetKey, Exhausted};
use super::inbox::{Inbox, MOST_EVENTS};
use super::jobs::{self, EndedJob, JobEvent, Settlement, Workbench};
use super::parts::{EndCause, Finished, Parts, Unrecorded};
use super::plan::{Volatile, plan};
use super::providers::Providers;
use super::record::Recorder;
use super::replay::{self, ReplaySource};
use crate::domain::{Fact, RunEnd, RunId};
use crate::lineage::Lineage;
use crate::policy::{Action, Assignment, Choice, Policy};
use crate::sys::clock::now_ms;
use crate::sys::shutdown::{Level, Shutdown};
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One run of the dispatcher.
pub struct Engine {
    recorder: Recorder,
    bench: Workbench,
    policy: Arc<dyn Policy>,
    workers: usize,
    grace: std::time::Duration,
    shutdown: Shutdown,
    volatile: Volatile,
    events: mpsc::UnboundedReceiver<JobEvent>,
    jobs: JoinSet<EndedJob>,
    cancel: CancellationToken,
    run: RunId,
    ends_at: Option<Instant>,
    exhausted: Option<Exhausted>,
    replay: Option<ReplaySource>,
    providers: Providers,
    /// How the run ends as soon as its jobs are stopped.
    ending: Option<Finished>,
}

impl Engine {
    /// Runs until the policy stops, or Ctrl-C does. Jobs of a dead run are simply planned
    /// again; what their sandboxes left behind is removed first. Returns the archive's facts as
    /// they are then, too.
    pub async fn run(parts: Parts) -> anyhow::Result<(Finished, Lineage)> {
        let reaped = parts
            .place
            .reap()
            .await
            .context("could not remove leftovers")?;
        if reaped > 0 {
            drop(parts.progress.send(Progress::Reaped(reaped)));
        }
        let (sender, events) = mpsc::unbounded_channel();
        let run = parts.lineage.next_run();
        let cancel = parts.shutdown.kill().child_token();
        let start = parts.start(run);
        let settings = parts.settings.clone();
        let mut recorder = Recorder::new(
            parts.writer,
            parts.lineage,
            run,
            settings.infra_retries,
            &settings.budgets,
            parts.progress,
        );
        let earlier = recorder.lineage().run_time();
        let mut facts = vec![Fact::RunStarted(start)];
        let replayed = parts.replay.as_ref();
        facts.extend(replayed.map(|source| replay::fact(run, source)));
        recorder.record(facts)?;
        let mut engine = Self {
            recorder,
            policy: parts.policy.clone(),
            workers: settings.workers.max(1),
            grace: settings.grace,
            shutdown: parts.shutdown,
            volatile: Volatile::default(),
            events,
            jobs: JoinSet::new(),
            cancel: cancel.clone(),
            run,
            ends_at: settings
                .budgets
                .time
                .map(|limit| Instant::now() + limit.saturating_sub(earlier)),
            exhausted: None,
            replay: parts.replay,
            providers: Providers::new(parts.models.paces(), settings.outage_limit),
            ending: None,
            bench: Workbench {
                host: parts.place,
                suite: parts.suite,
                lacking: parts.lacking,
                models: parts.models,
                policy: parts.policy,
                settings,
                events: sender,
                cancel,
            },
        };
        let finished = engine.dispatch().await;
        // Whatever still runs after an error dies before anything is reported; its calls stay
        // on the books as unsettled.
        engine.cancel.cancel();
        engine.jobs.shutdown().await;
        let finished = finished?;
        let reason = finished.reason.clone();
        engine.recorder.record(vec![Fact::RunEnded(RunEnd {
            run,
            reason,
            at_ms: now_ms(),
        })])?;
        Ok((finished, engine.recorder.lineage))
    }

    async fn dispatch(&mut self) -> anyhow::Result<Finished> {
        let (mut inbox, mut batch) = (Inbox::default(), Vec::new());
        // Whether there may be something to decide: calls alone change no plan.
        let mut is_stale = true;
        let mut stopped = None;
        let mut killed_at: Option<Instant> = None;
        loop {
            self.check_replay()?;
            is_stale |= self.heed_providers();
            if is_stale {
                self.recorder.end_drafts(self.policy.as_ref())?;
                self.recorder.judge_finished(self.policy.as_ref())?;
            }
            if self.exhausted.is_none() && self.shutdown.level() == Level::Run {
                self.exhausted = self.used_up();
                if self.exhausted.is_some() {
                    self.shutdown.escalate();
                }
            }
            if is_stale && self.shutdown.level() == Level::Run && self.ending.is_none() {
                stopped = self.start_jobs()?;
            }
            is_stale = true;
            if self.jobs.is_empty() && self.events.is_empty() && inbox.is_empty() {
                if let Some(finished) = self.ending.take() {
                    return Ok(finished);
                }
                if self.shutdown.level() > Level::Run {
                    return Ok(self.stopped());
                }
                if let Some(reason) = stopped.take() {
                    return Ok(Finished {
                        reason,
                        cause: EndCause::Goal,
                        raise: None,
                    });
                }
                // Without this a defect of a policy would look like a run that takes long.
                if self.volatile.waiting.is_empty() && !self.providers.is_out() {
                    anyhow::bail!("the policy waits, but nothing runs");
                }
            }
            let next_try = self.volatile.waiting.values().min().copied();
            let draining = self.shutdown.level() > Level::Run;
            tokio::select! {
                _ = self.events.recv_many(&mut batch, MOST_EVENTS) => {
                    is_stale = !batch.iter().all(JobEvent::is_of_a_call);
                    let is_awaited = self.recorder.has_waiting();
                    let now = inbox.take(&mut batch, Instant::now(), is_awaited);
                    self.recorder.handle(now)?;
                }
                () = sleep_until(inbox.due()), if inbox.due().is_some() => {
                    is_stale = false;
                    self.recorder.handle(inbox.flush())?;
                }
                Some(ended) = self.jobs.join_next() => {
                    // Events that the job sent before it ended are recorded first.
                    while let Ok(event) = self.events.try_recv() {
                        batch.push(event);
                    }
                    let now = inbox.take(&mut batch, Instant::now(), true);
                    self.recorder.handle(now)?;
                    // What was asked and not recorded makes what a job ends with worthless.
                    self.check_replay()?;
                    self.end(ended.context("a job was lost")?)?;
                }
                () = self.shutdown.drain().cancelled(), if killed_at.is_none() => {
                    killed_at = Some(Instant::now() + self.grace);
                    self.recorder.tell(Progress::Draining {
                        running: self.jobs.len(),
                        grace: self.grace,
                    });
                }
                () = sleep_until(killed_at), if draining && !self.cancel.is_cancelled() => {
                    self.cancel.cancel();
                }
                () = sleep_until(self.ends_at), if !draining && self.ends_at.is_some() => {}
                () = self.providers.changed() => {}
                () = sleep_until(next_try), if !draining && next_try.is_some() => {
                    self.volatile.waiting.retain(|_, until| *until > Instant::now());
                }
            }
        }
    }

    /// Fails where something was asked that was not recorded: from there on nothing would be
    /// what it was.
    fn check_replay(&self) -> anyhow::Result<()> {
        match self
            .replay
            .as_ref()
            .and_then(|source| source.replay.missing())
        {
            Some(what) => Err(Unrecorded(what).into()),
            None => Ok(()),
        }
    }

    /// Ends the run where the models' providers leave no other way: what goes on is stopped,
    /// and is planned again when the run goes on. Returns whether a pause began or ended.
    fn heed_providers(&mut self) -> bool {
        if self.ending.is_some() {
            return false;
        }
        let was_out = self.providers.is_out();
        let recorder = &self.recorder;
        let ending = self.providers.heed(|progress| recorder.tell(progress));
        if let Some(reason) = ending {
            self.ending = Some(Finished {
                reason,
                cause: EndCause::Provider,
                raise: None,
            });
            self.cancel.cancel();
        }
        was_out != self.providers.is_out()
    }

    fn stopped(&self) -> Finished {
        if let Some(Exhausted { what, key }) = &self.exhausted {
            return Finished {
                reason: what.clone(),
                cause: EndCause::Budget,
                raise: Some(*key),
            };
        }
        Finished {
            reason: "interrupted".to_owned(),
            cause: EndCause::Interrupted,
            raise: None,
        }
    }

    /// Returns the budget of the archive that is used up, if one is.
    fn used_up(&self) -> Option<Exhausted> {
        let is_late = self.ends_at.is_some_and(|end| Instant::now() >= end);
        let late = || Exhausted {
            what: "the time that the archive's runs may last is over".to_owned(),
            key: BudgetKey::Hours,
        };
        self.recorder.exhausted().or_else(|| is_late.then(late))
    }

    /// Starts jobs while workers are free; returns why nothing will ever be started again.
    fn start_jobs(&mut self) -> anyhow::Result<Option<String>> {
        let width = self.providers.width(self.workers);
        while self.jobs.len() < width {
            let lineage = self.recorder.lineage();
            let now = Instant::now();
            match plan(lineage, self.policy.as_ref(), &self.volatile, now) {
                Action::Decide(choices) => self.decide(choices)?,
                Action::Start(assignment) => self.start(assignment)?,
                Action::Wait => return Ok(None),
                Action::Stop(reason) => return Ok(Some(reason)),
            }
        }
        Ok(None)
    }

    fn decide(&mut self, choices: Vec<Choice>) -> anyhow::Result<()> {
        let (policy, run, at_ms) = (self.policy.name(), self.run, now_ms());
        let facts = choices
            .into_iter()
            .map(|choice| choice.into_fact(policy.clone(), run, at_ms));
        self.recorder.record(facts.collect())
    }

    fn start(&mut self, assignment: Assignment) -> anyhow::Result<()> {
        let job = jobs::prepare(assignment, &self.bench, &mut self.recorder)?;
        self.volatile.start(job.id);
        self.jobs.spawn(job.run);
        self.recorder.tell_status(self.jobs.len());
        Ok(())
    }

    fn end(&mut self, ended: EndedJob) -> anyhow::Result<()> {
        let id = ended.id.clone();
        self.recorder.forget_traffic(&id);
        let settlement = ended.settle(&mut self.recorder)?;
        self.volatile.running.remove(&id);
        match settlement {
            Settlement::Recorded => {}
            Settlement::Again(after, why) => {
                // What the job failed with may be the first that is known of a pause.
                self.heed_providers();
                self.recorder.tell(Progress::Retry {
                    what: id.to_string(),
                    why,
                    after: (!self.providers.is_out()).then_some(after),
                });
                self.volatile.waiting.insert(id, Instant::now() + after);
            }
        }
        self.recorder.tell_status(self.jobs.len());
        Ok(())
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
