//! The dispatcher: the loop that linearizes everything. It has no rules of its own: what to
//! start is [`plan`]'s, what an end means is [`settle`](super::settle)'s and the
//! [`Recorder`]'s.

use super::Progress;
use super::budget::{BudgetKey, Exhausted};
use super::ends::Ended;
use super::event::{Event, JobEnd};
use super::inbox::{Inbox, MOST_EVENTS};
use super::parts::{EndCause, Finished, Parts, Unrecorded};
use super::plan::{Step, Volatile, plan};
use super::providers::Providers;
use super::record::Recorder;
use super::replay::{self, ReplaySource};
use super::start::Starter;
use crate::domain::{Decision, Disclosure, Fact, JobId, Purpose, RunEnd, RunId, VariantId};
use crate::lineage::Lineage;
use crate::policy::{Expansion, Policy};
use crate::sys::clock::now_ms;
use crate::sys::shutdown::{Level, Shutdown};
use anyhow::Context as _;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One run of the dispatcher.
pub struct Engine {
    recorder: Recorder,
    starter: Starter,
    policy: Arc<dyn Policy>,
    workers: usize,
    grace: std::time::Duration,
    shutdown: Shutdown,
    volatile: Volatile,
    events: mpsc::UnboundedReceiver<Event>,
    jobs: JoinSet<JobEnd>,
    job_of: HashMap<Id, Started>,
    cancel: CancellationToken,
    run: RunId,
    ends_at: Option<Instant>,
    exhausted: Option<Exhausted>,
    replay: Option<ReplaySource>,
    disclosure: Disclosure,
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
            parts.policy.clone(),
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
            policy: parts.policy,
            workers: settings.workers.max(1),
            grace: settings.grace,
            shutdown: parts.shutdown,
            volatile: Volatile::default(),
            events,
            jobs: JoinSet::new(),
            job_of: HashMap::new(),
            cancel: cancel.clone(),
            run,
            ends_at: settings
                .budgets
                .time
                .map(|limit| Instant::now() + limit.saturating_sub(earlier)),
            exhausted: None,
            replay: parts.replay,
            providers: Providers::new(parts.models.paces(), settings.outage_limit),
            disclosure: settings.disclosure,
            ending: None,
            starter: Starter::new(
                parts.place,
                parts.suite,
                parts.lacking,
                parts.models,
                settings,
                sender,
                cancel,
            ),
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
                self.recorder.judge_finished()?;
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
                    is_stale = !batch.iter().all(Event::is_of_a_call);
                    let is_awaited = self.recorder.has_waiting();
                    let now = inbox.take(&mut batch, Instant::now(), is_awaited);
                    self.recorder.handle(now)?;
                }
                () = sleep_until(inbox.due()), if inbox.due().is_some() => {
                    is_stale = false;
                    self.recorder.handle(inbox.flush())?;
                }
                Some(ended) = self.jobs.join_next_with_id() => {
                    // Events that the job sent before it ended are recorded first.
                    while let Ok(event) = self.events.try_recv() {
                        batch.push(event);
                    }
                    let now = inbox.take(&mut batch, Instant::now(), true);
                    self.recorder.handle(now)?;
                    // What was asked and not recorded makes what a job ends with worthless.
                    self.check_replay()?;
                    self.end(ended)?;
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
            match plan(
                lineage,
                self.policy.as_ref(),
                &self.volatile,
                Instant::now(),
            ) {
                Step::Decide(expansions) => self.decide(expansions)?,
                Step::Improve(id) => {
                    self.disclose(id)?;
                    let execution = self.recorder.next_execution(JobId::Attempt(id));
                    let job = self.starter.improve(&self.recorder, id, execution)?;
                    let handle = self.jobs.spawn(job);
                    let job = JobId::Attempt(id);
                    self.started(
                        handle.id(),
                        Started {
                            job,
                            purpose: None,
                            execution,
                        },
                    );
                }
                Step::Evaluate(key, purpose) => {
                    let job = JobId::Evaluation(key.clone());
                    let execution = self.recorder.next_execution(job.clone());
                    let run = self
                        .starter
                        .evaluate(&self.recorder, key, purpose, execution)?;
                    let handle = self.jobs.spawn(run);
                    self.started(
                        handle.id(),
                        Started {
                            job,
                            purpose: Some(purpose),
                            execution,
                        },
                    );
                }
                Step::Regrade(key) => {
                    let job = JobId::Regrade(key.clone());
                    let execution = self.recorder.next_execution(job.clone());
                    let run = self.starter.regrade(&self.recorder, key, execution)?;
                    let handle = self.jobs.spawn(run);
                    let purpose = None;
                    self.started(
                        handle.id(),
                        Started {
                            job,
                            purpose,
                            execution,
                        },
                    );
                }
                Step::Wait => return Ok(None),
                Step::Stop(reason) => return Ok(Some(reason)),
            }
        }
        Ok(None)
    }

    /// Puts on record that the diagnosis of an attempt will see what is hidden of the tasks,
    /// before it does.
    fn disclose(&mut self, attempt: VariantId) -> anyhow::Result<()> {
        let lineage = self.recorder.lineage();
        let is_proposed = lineage
            .attempt(attempt)
            .is_some_and(|found| found.proposal.is_some());
        if self.disclosure == Disclosure::Visible || is_proposed || lineage.is_disclosed(attempt) {
            return Ok(());
        }
        self.recorder.record(vec![Fact::Disclosed {
            attempt,
            run: self.run,
            at_ms: now_ms(),
        }])
    }

    fn started(&mut self, id: Id, started: Started) {
        self.volatile.waiting.remove(&started.job);
        self.volatile.running.insert(started.job.clone());
        self.job_of.insert(id, started);
        self.recorder.tell_status(self.jobs.len());
    }

    fn decide(&mut self, expansions: Vec<Expansion>) -> anyhow::Result<()> {
        let (policy, run, at_ms) = (self.policy.name(), self.run, now_ms());
        let facts = expansions.into_iter().map(|expansion| {
            Fact::Decided(Decision {
                attempt: expansion.attempt,
                round: expansion.round,
                parent: expansion.parent,
                entry: expansion.entry,
                policy: policy.clone(),
                weights: expansion.weights,
                run,
                at_ms,
            })
        });
        self.recorder.record(facts.collect())
    }

    fn end(&mut self, ended: Result<(Id, JobEnd), JoinError>) -> anyhow::Result<()> {
        let (id, ended) = match ended {
            Ok((id, end)) => (id, Ok(end)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(started) = self.job_of.remove(&id) else {
            anyhow::bail!("a job ended that was never started");
        };
        let job = started.job.clone();
        self.volatile.running.remove(&job);
        self.recorder.forget_traffic(&job);
        let ended = match ended {
            Ok(end) => self.recorder.end(end)?,
            // A panic is our own defect: the job counts as failed infrastructure.
            Err(error) => self.recorder.crashed(&started, &error.to_string())?,
        };
        match ended {
            Ended::Recorded => {}
            Ended::Held => {
                self.volatile.running.insert(job);
            }
            Ended::Released(jobs) => {
                for job in jobs {
                    self.volatile.running.remove(&job);
                }
            }
            Ended::Again(after, why) => {
                // What the job failed with may be the first that is known of a pause.
                self.heed_providers();
                self.recorder.tell(Progress::Retry {
                    what: job.to_string(),
                    why,
                    after: (!self.providers.is_out()).then_some(after),
                });
                self.volatile.waiting.insert(job, Instant::now() + after);
            }
        }
        self.recorder.tell_status(self.jobs.len());
        Ok(())
    }
}

/// A job that runs.
pub(super) struct Started {
    pub job: JobId,
    pub purpose: Option<Purpose>,
    pub execution: u32,
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
