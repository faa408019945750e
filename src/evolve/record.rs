//! The one place that writes: turns ends and events into durable facts, in order.
//!
//! Invariant: blobs, then commits and notes, then one transaction that names them; the
//! in-memory lineage is changed only by facts that are durable.

use super::Progress;
use super::dispatcher::Started;
use super::event::{End, Event, ImproveEnd, JobEnd};
use super::gates::GateEnd;
use super::notes;
use super::plan::JobKey;
use super::settle::{Settlement, settlement};
use crate::archive::{Reader, Writer, diff_trees};
use crate::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, CallSubject, Evaluation, EvaluationKey, Fact, Failure,
    Fault, FileTree, Gate, Outcome, Purpose, RunId, Variant, VariantId, Verdict,
};
use crate::evaluate::EvaluateEnd;
use crate::lineage::Lineage;
use crate::model::Intent;
use crate::policy::{Next, Policy, admit};
use crate::sys::clock::now_ms;
use anyhow::Context as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What became of a job's end.
pub(super) enum Ended {
    /// It is recorded, or dropped because it was stopped by us.
    Recorded,
    /// It waits for attempts of lower number in its round.
    Held,
    /// It is recorded, and so are these, which had waited for it.
    Released(Vec<JobKey>),
    /// It is to be tried again after this time.
    Again(Duration),
}

/// The writer with the state it has written.
pub(super) struct Recorder {
    writer: Writer,
    lineage: Lineage,
    run: RunId,
    policy: Arc<dyn Policy>,
    infra_retries: u32,
    progress: mpsc::UnboundedSender<Progress>,
    executions: HashMap<JobKey, u32>,
    next_call: CallId,
    held: BTreeMap<VariantId, JobEnd>,
    calls: u64,
    evaluations: u64,
}

impl Recorder {
    pub(super) fn new(
        writer: Writer,
        lineage: Lineage,
        run: RunId,
        policy: Arc<dyn Policy>,
        infra_retries: u32,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> Self {
        let next_call = lineage.spend().next_id();
        Self {
            writer,
            lineage,
            run,
            policy,
            infra_retries,
            progress,
            executions: HashMap::new(),
            next_call,
            held: BTreeMap::new(),
            calls: 0,
            evaluations: 0,
        }
    }

    pub(super) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.writer
    }

    /// Sends progress; nobody has to listen.
    pub(super) fn tell(&self, progress: Progress) {
        drop(self.progress.send(progress));
    }

    pub(super) fn tell_status(&self, running: usize) {
        let (evaluations, calls) = (self.evaluations, self.calls);
        self.tell(Progress::Status {
            running,
            evaluations,
            calls,
        });
    }

    /// Returns the number of a job's next execution in this process.
    pub(super) fn next_execution(&mut self, job: JobKey) -> u32 {
        let execution = self.executions.entry(job).or_insert(0);
        *execution += 1;
        *execution
    }

    /// Records facts in one transaction.
    pub(super) fn record(&mut self, facts: Vec<Fact>) -> anyhow::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.writer.record(&facts)?;
        for fact in &facts {
            self.lineage.apply(fact);
            self.tell_fact(fact);
        }
        Ok(())
    }

    fn tell_fact(&self, fact: &Fact) {
        let progress = match fact {
            Fact::Decided(decision) => Progress::Decided {
                attempt: decision.attempt,
                round: decision.round,
                parent: decision.parent,
                entry: decision.entry.clone(),
            },
            Fact::Proposed {
                attempt, proposal, ..
            } => Progress::Proposed {
                attempt: *attempt,
                title: proposal.title(),
            },
            Fact::AttemptEnded(AttemptEnd {
                attempt,
                failure: Some((failure, detail)),
                ..
            }) => Progress::Failed {
                attempt: *attempt,
                failure: *failure,
                detail: detail.clone(),
            },
            Fact::VariantMade(variant) => Progress::Made {
                variant: variant.id,
                summary: variant.summary.clone(),
            },
            Fact::Evaluated(evaluation) => Progress::Evaluated {
                key: evaluation.key.clone(),
                outcome: evaluation.outcome,
                passed: evaluation.passed,
            },
            Fact::Judged {
                variant, verdict, ..
            } => Progress::Judged {
                variant: *variant,
                verdict: verdict.clone(),
                score: self.lineage.score(*variant),
            },
            Fact::AttemptEnded(_)
            | Fact::RunStarted(_)
            | Fact::RunEnded(_)
            | Fact::Faulted(_)
            | Fact::CallIntended(_)
            | Fact::CallSettled(_) => return,
        };
        self.tell(progress);
    }

    /// Handles what jobs sent, all in one transaction; answers go out after it.
    pub(super) fn handle(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        let mut facts = Vec::new();
        let mut answers: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for event in events {
            match event {
                Event::Intend(intent, done) => {
                    let id = self.next_call;
                    self.next_call = CallId(id.0 + 1);
                    self.calls += 1;
                    facts.push(Fact::CallIntended(self.intent(id, intent)));
                    // A receiver that is gone has given the call up: it stays unsettled.
                    answers.push(Box::new(move || drop(done.send(Ok(id)))));
                }
                Event::Settle(settlement, done) => {
                    facts.push(Fact::CallSettled(settlement));
                    answers.push(Box::new(move || done.send(()).unwrap_or_default()));
                }
                Event::Proposed {
                    attempt,
                    proposal,
                    exchange,
                    done,
                } => {
                    let exchange = self.writer.put_blob(&exchange)?;
                    facts.push(Fact::Proposed {
                        attempt,
                        proposal,
                        exchange,
                    });
                    answers.push(Box::new(move || done.send(()).unwrap_or_default()));
                }
            }
        }
        self.record(facts)?;
        for answer in answers {
            answer();
        }
        Ok(())
    }

    fn intent(&self, id: CallId, intent: Intent) -> CallIntent {
        CallIntent {
            id,
            run: self.run,
            execution: intent.execution,
            subject: intent.subject,
            role: intent.role,
            model: intent.model,
            at_most: intent.at_most,
            at_most_tokens: intent.at_most_tokens,
            at_ms: now_ms(),
        }
    }

    /// Records verdicts on variants whose evaluation is finished.
    pub(super) fn judge_finished(&mut self) -> anyhow::Result<()> {
        let policy = self.policy.clone();
        let (Some(stages), Some(admission)) = (policy.stages(), policy.admission()) else {
            return Ok(());
        };
        let open: Vec<VariantId> = self
            .lineage
            .variants()
            .map(|variant| variant.id)
            .filter(|id| self.lineage.standing(*id) == crate::domain::Standing::Evaluating)
            .filter(|id| stages.next(&self.lineage, *id) == Next::Finished)
            .collect();
        for variant in open {
            let verdict = admit(&self.lineage, stages, *admission, variant);
            if verdict == Verdict::Admitted {
                let note = notes::note(&self.lineage, variant);
                let commit = self
                    .lineage
                    .variant(variant)
                    .map(|found| found.commit.clone());
                if let Some(commit) = commit {
                    self.writer.note(&commit, &note)?;
                }
            }
            self.record(vec![Fact::Judged {
                variant,
                verdict,
                at_ms: now_ms(),
            }])?;
        }
        Ok(())
    }

    /// Records a job's end.
    pub(super) fn end(&mut self, end: JobEnd) -> anyhow::Result<Ended> {
        match (&end.job, end.end) {
            (JobKey::Evaluate(key), End::Evaluated(purpose, evaluated)) => {
                let meta = Meta {
                    execution: end.execution,
                    transcript: end.transcript,
                    overflow: end.overflow,
                };
                self.end_evaluation(key.clone(), purpose, *evaluated, meta)
            }
            (JobKey::Improve(id), improved) => {
                let id = *id;
                let end = JobEnd {
                    end: improved,
                    ..end
                };
                if self.must_wait(id) {
                    self.held.insert(id, end);
                    return Ok(Ended::Held);
                }
                let ended = self.end_attempt(end)?;
                self.release(id, ended)
            }
            (JobKey::Evaluate(_), End::Improved(_)) => {
                anyhow::bail!("an evaluation ended as an attempt")
            }
        }
    }

    /// Attempts of one ordered round are recorded in order of number, so that which of two
    /// equal children is the new one does not depend on timing.
    fn must_wait(&self, id: VariantId) -> bool {
        let Some(attempt) = self.lineage.attempt(id) else {
            return false;
        };
        self.policy.orders_rounds()
            && self.lineage.attempts().any(|other| {
                other.decision.round == attempt.decision.round
                    && other.decision.attempt < id
                    && other.end.is_none()
            })
    }

    fn release(&mut self, id: VariantId, ended: Ended) -> anyhow::Result<Ended> {
        if !matches!(ended, Ended::Recorded) {
            return Ok(ended);
        }
        let mut released = vec![JobKey::Improve(id)];
        while let Some(next) = self
            .held
            .keys()
            .copied()
            .find(|next| !self.must_wait(*next))
        {
            let Some(end) = self.held.remove(&next) else {
                break;
            };
            self.end_attempt(end)?;
            released.push(JobKey::Improve(next));
        }
        Ok(Ended::Released(released))
    }

    fn end_evaluation(
        &mut self,
        key: EvaluationKey,
        purpose: Purpose,
        end: EvaluateEnd,
        meta: Meta,
    ) -> anyhow::Result<Ended> {
        let subject = CallSubject::Evaluation(key.variant, key.task.clone(), key.repeat);
        let earlier = self.lineage.faults_of(&subject, end.outcome);
        match settlement(end.outcome, earlier, self.infra_retries) {
            Settlement::Final => {}
            Settlement::Again(after) => {
                self.fault(subject, end.outcome, end.detail, meta.execution)?;
                return Ok(Ended::Again(after));
            }
            Settlement::Drop => {
                self.fault(subject, end.outcome, end.detail, meta.execution)?;
                return Ok(Ended::Recorded);
            }
        }
        self.evaluations += 1;
        let patch = match &end.change {
            Some((before, after)) => self.patch(before, after)?,
            None => None,
        };
        let fact = Fact::Evaluated(Evaluation {
            key,
            purpose,
            outcome: end.outcome,
            passed: end.passed,
            reward: end.reward,
            detail: end.detail,
            task_digest: end.task_digest,
            agent_log: self.blob(&end.agent_log)?,
            verifier_log: self.blob(&end.verifier_log)?,
            patch,
            transcript: self.blob(&meta.transcript)?,
            context_overflow: meta.overflow,
            timing: end.timing,
            run: self.run,
            execution: meta.execution,
            at_ms: now_ms(),
        });
        self.record(vec![fact])?;
        Ok(Ended::Recorded)
    }

    fn end_attempt(&mut self, end: JobEnd) -> anyhow::Result<Ended> {
        let JobEnd {
            job: JobKey::Improve(id),
            end: End::Improved(improved),
            ..
        } = end
        else {
            anyhow::bail!("an attempt ended as an evaluation");
        };
        let ImproveEnd {
            log,
            change,
            gate_log,
            result,
        } = *improved;
        let (child, failure) = match result {
            GateEnd::Child(files) => match self.same_tree(&files)? {
                None => (Some(files), None),
                Some(twin) => {
                    let detail = format!("its source is the same as that of {twin}");
                    (None, Some((Failure::Gate(Gate::New), detail)))
                }
            },
            GateEnd::Failed(failure, detail) => (None, Some((failure, detail))),
            GateEnd::Cancelled => {
                return self.attempt_fault(id, Outcome::Cancelled, "stopped", end.execution);
            }
            GateEnd::Infra(detail) => {
                let ended = self.attempt_fault(id, Outcome::InfraError, &detail, end.execution)?;
                if matches!(ended, Ended::Again(_)) {
                    return Ok(ended);
                }
                (None, Some((Failure::Infrastructure, detail)))
            }
        };
        let patch = match &change {
            Some((before, after)) => self.patch(before, after)?,
            None => None,
        };
        let mut facts = vec![Fact::AttemptEnded(AttemptEnd {
            attempt: id,
            failure,
            log: self.blob(&log)?,
            transcript: self.blob(&end.transcript)?,
            patch,
            gate_log: self.blob(&gate_log)?,
            run: self.run,
            execution: end.execution,
            at_ms: now_ms(),
        })];
        if let Some(files) = child {
            facts.push(Fact::VariantMade(self.commit(id, &files)?));
        }
        self.record(facts)?;
        Ok(Ended::Recorded)
    }

    /// Records that an execution of an attempt did not count.
    fn attempt_fault(
        &mut self,
        id: VariantId,
        outcome: Outcome,
        detail: &str,
        execution: u32,
    ) -> anyhow::Result<Ended> {
        let subject = CallSubject::Attempt(id);
        let earlier = self.lineage.faults_of(&subject, outcome);
        self.fault(subject, outcome, detail.to_owned(), execution)?;
        Ok(match settlement(outcome, earlier, self.infra_retries) {
            Settlement::Again(after) => Ended::Again(after),
            Settlement::Final | Settlement::Drop => Ended::Recorded,
        })
    }

    /// Records that a job's own task panicked.
    pub(super) fn crashed(&mut self, started: &Started, detail: &str) -> anyhow::Result<Ended> {
        let end = match started.purpose {
            None => End::Improved(Box::new(ImproveEnd {
                log: Vec::new(),
                change: None,
                gate_log: Vec::new(),
                result: GateEnd::Infra(detail.to_owned()),
            })),
            Some(purpose) => {
                let end = EvaluateEnd::without_answer(Outcome::InfraError, detail.to_owned());
                End::Evaluated(purpose, Box::new(end))
            }
        };
        self.end(JobEnd {
            job: started.job.clone(),
            execution: started.execution,
            transcript: Vec::new(),
            overflow: false,
            end,
        })
    }

    fn fault(
        &mut self,
        subject: CallSubject,
        outcome: Outcome,
        detail: String,
        execution: u32,
    ) -> anyhow::Result<()> {
        let run = self.run;
        let at_ms = now_ms();
        self.record(vec![Fact::Faulted(Fault {
            subject,
            outcome,
            detail,
            run,
            execution,
            at_ms,
        })])
    }

    /// Returns the variant with this source, if there is one.
    fn same_tree(&self, files: &FileTree) -> anyhow::Result<Option<VariantId>> {
        let tree = self.writer.tree_id(files)?;
        Ok(self
            .lineage
            .variants()
            .find(|variant| variant.tree == tree)
            .map(|variant| variant.id))
    }

    fn commit(&self, id: VariantId, files: &FileTree) -> anyhow::Result<Variant> {
        let attempt = self
            .lineage
            .attempt(id)
            .context("an attempt ended that was not decided")?;
        let (proposal, _) = attempt
            .proposal
            .as_ref()
            .context("a child without a proposal")?;
        let parent = self
            .lineage
            .variant(attempt.decision.parent)
            .context("the parent of an attempt is not in the archive")?;
        let entry = attempt.decision.entry.encode();
        let message = notes::commit_message(id, parent.id, &entry, proposal);
        let created_ms = now_ms();
        let (commit, tree) =
            self.writer
                .commit_variant(id, files, Some(&parent.commit), &message, created_ms)?;
        Ok(Variant {
            id,
            commit,
            tree,
            parent: Some(parent.id),
            generation: parent.generation + 1,
            summary: proposal.title(),
            created_ms,
        })
    }

    fn patch(&self, before: &FileTree, after: &FileTree) -> anyhow::Result<Option<BlobId>> {
        if before.change_to(after).is_empty() {
            return Ok(None);
        }
        let patch = diff_trees(before, after)?;
        Ok(Some(self.writer.put_blob(patch.as_bytes())?))
    }

    fn blob(&self, bytes: &[u8]) -> anyhow::Result<Option<BlobId>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.writer.put_blob(bytes)?))
    }
}

/// What goes with an evaluation beside its end.
struct Meta {
    execution: u32,
    transcript: Vec<u8>,
    overflow: bool,
}
