//! What the recorder does with a job's end.
//!
//! Invariant: at most one result per job; an execution that does not count is a fault, which
//! is kept as well.

use super::dispatcher::Started;
use super::event::{End, ImproveEnd, JobEnd};
use super::gates::GateEnd;
use super::notes;
use super::record::Recorder;
use super::settle::{Settlement, excused_pause, settlement};
use crate::archive::diff_trees;
use crate::domain::{
    AttemptEnd, BlobId, Cause, Evaluation, EvaluationKey, Fact, Failure, Fault, FileTree, Gate,
    JobId, Judgement, Outcome, Purpose, Regrade, Variant, VariantId,
};
use crate::sys::clock::{commit_ms, now_ms};
use crate::trial::{EvaluateEnd, RegradeEnd};
use anyhow::Context as _;
use std::time::Duration;

/// What became of a job's end.
pub(super) enum Ended {
    /// It is recorded, or dropped because it was stopped by us.
    Recorded,
    /// It waits for attempts of lower number in its round.
    Held,
    /// It is recorded, and so are these, which had waited for it.
    Released(Vec<JobId>),
    /// It is to be tried again after this time, because of this.
    Again(Duration, String),
}

impl Recorder {
    /// Records a job's end.
    pub(super) fn end(&mut self, end: JobEnd) -> anyhow::Result<Ended> {
        match (&end.job, end.end) {
            (JobId::Evaluation(key), End::Evaluated(purpose, evaluated)) => {
                let meta = Meta {
                    execution: end.execution,
                    transcript: end.transcript,
                    overflow: end.overflow,
                    is_excused: end.provider_in_trouble,
                };
                self.end_evaluation(key.clone(), purpose, *evaluated, meta)
            }
            (JobId::Regrade(key), End::Regraded(regraded)) => {
                self.end_regrade(key.clone(), *regraded, end.execution)
            }
            (JobId::Attempt(id), improved) => {
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
            (JobId::Evaluation(_) | JobId::Regrade(_) | JobId::Manual, _) => {
                anyhow::bail!("a job ended as one of another kind")
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
            && self.lineage.open_attempts().any(|other| {
                other.decision.round == attempt.decision.round && other.decision.attempt < id
            })
    }

    fn release(&mut self, id: VariantId, ended: Ended) -> anyhow::Result<Ended> {
        if !matches!(ended, Ended::Recorded) {
            return Ok(ended);
        }
        let mut released = vec![JobId::Attempt(id)];
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
            released.push(JobId::Attempt(next));
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
        let subject = JobId::Evaluation(key.clone());
        let settlement = match end.is_lasting {
            true => Settlement::Final,
            false => self.settlement(&subject, end.judgement.outcome, meta.is_excused),
        };
        match settlement {
            Settlement::Final => {}
            Settlement::Again(after) => {
                self.fault(subject, &end.judgement, meta.execution)?;
                return Ok(Ended::Again(after, end.judgement.detail));
            }
            Settlement::Drop => {
                self.fault(subject, &end.judgement, meta.execution)?;
                return Ok(Ended::Recorded);
            }
        }
        self.evaluations += 1;
        let patch = match end.patch {
            Some(judged) => judged,
            None => {
                let change = end.change.as_ref();
                patch(change.map(|(before, after)| (&**before, after)))?.into_bytes()
            }
        };
        let [agent_log, verifier_log, patch, transcript, answer] = self.blobs([
            &end.agent_log,
            &end.verifier_log,
            &patch,
            &meta.transcript,
            end.answer.as_deref().unwrap_or_default(),
        ])?;
        let answer = answer.map(|answer| Fact::AnswerKept {
            key: key.clone(),
            answer,
        });
        let fact = Fact::Evaluated(Evaluation {
            key,
            purpose,
            judgement: end.judgement,
            image: end.image,
            agent_log,
            verifier_log,
            patch,
            transcript,
            context_overflow: meta.overflow,
            timing: end.timing,
            run: self.run,
            execution: meta.execution,
            at_ms: now_ms(),
        });
        self.record([fact].into_iter().chain(answer).collect())?;
        Ok(Ended::Recorded)
    }

    fn end_regrade(
        &mut self,
        key: EvaluationKey,
        end: RegradeEnd,
        execution: u32,
    ) -> anyhow::Result<Ended> {
        let subject = JobId::Regrade(key.clone());
        let outcome = end.judgement.outcome;
        let settlement = self.settlement(&subject, outcome, false);
        match settlement {
            // A failure of ours says nothing about the answer: what is known of it stays.
            Settlement::Final if outcome != Outcome::InfraError => {}
            Settlement::Final | Settlement::Drop | Settlement::Again(_) => {
                self.fault(subject, &end.judgement, execution)?;
                return Ok(match settlement {
                    Settlement::Again(after) => Ended::Again(after, end.judgement.detail),
                    Settlement::Final | Settlement::Drop => Ended::Recorded,
                });
            }
        }
        self.evaluations += 1;
        let [verifier_log] = self.blobs([&end.verifier_log])?;
        self.record(vec![Fact::Regraded(Regrade {
            key,
            judgement: end.judgement,
            verifier_log,
            verifier_ms: end.verifier_ms,
            run: self.run,
            execution,
            at_ms: now_ms(),
        })])?;
        Ok(Ended::Recorded)
    }

    fn end_attempt(&mut self, end: JobEnd) -> anyhow::Result<Ended> {
        let JobEnd {
            job: JobId::Attempt(id),
            end: End::Improved(improved),
            provider_in_trouble,
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
                let stopped =
                    Judgement::without_reward(Outcome::Cancelled, Cause::Cancelled, "stopped");
                return self.attempt_fault(id, &stopped, end.execution, false);
            }
            GateEnd::Infra(cause, detail) => {
                let failed = Judgement::without_reward(Outcome::InfraError, cause, detail.clone());
                let ended = self.attempt_fault(id, &failed, end.execution, provider_in_trouble)?;
                if matches!(ended, Ended::Again(..)) {
                    return Ok(ended);
                }
                (None, Some((Failure::Infrastructure(cause), detail)))
            }
        };
        let change = change.as_ref();
        let patch = patch(change.map(|(before, after)| (&**before, after)))?;
        let [log, transcript, patch, gate_log] =
            self.blobs([&log, &end.transcript, patch.as_bytes(), &gate_log])?;
        let mut facts = vec![Fact::AttemptEnded(AttemptEnd {
            attempt: id,
            failure,
            log,
            transcript,
            patch,
            gate_log,
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
        how: &Judgement,
        execution: u32,
        is_excused: bool,
    ) -> anyhow::Result<Ended> {
        let subject = JobId::Attempt(id);
        let settlement = self.settlement(&subject, how.outcome, is_excused);
        self.fault(subject, how, execution)?;
        Ok(match settlement {
            Settlement::Again(after) => Ended::Again(after, how.detail.clone()),
            Settlement::Final | Settlement::Drop => Ended::Recorded,
        })
    }

    /// Records that a job's own task panicked.
    pub(super) fn crashed(&mut self, started: &Started, detail: &str) -> anyhow::Result<Ended> {
        let end = match (&started.job, started.purpose) {
            (JobId::Regrade(_), _) => {
                let end = RegradeEnd::without_verifier(Judgement::sandbox_error(detail));
                End::Regraded(Box::new(end))
            }
            (JobId::Attempt(_) | JobId::Manual, _) | (JobId::Evaluation(_), None) => {
                End::Improved(Box::new(ImproveEnd {
                    log: Vec::new(),
                    change: None,
                    gate_log: Vec::new(),
                    result: GateEnd::Infra(Cause::SandboxFailed, detail.to_owned()),
                }))
            }
            (JobId::Evaluation(_), Some(purpose)) => {
                let end = EvaluateEnd::without_answer(Judgement::sandbox_error(detail));
                End::Evaluated(purpose, Box::new(end))
            }
        };
        self.end(JobEnd {
            job: started.job.clone(),
            execution: started.execution,
            transcript: Vec::new(),
            overflow: false,
            provider_in_trouble: false,
            end,
        })
    }

    fn fault(&mut self, subject: JobId, how: &Judgement, execution: u32) -> anyhow::Result<()> {
        // A plain measurement is no fault; without a cause it could only be ours.
        let cause = how.cause.unwrap_or(Cause::SandboxFailed);
        self.record(vec![Fact::Faulted(Fault {
            subject,
            outcome: how.outcome,
            cause,
            detail: how.detail.clone(),
            run: self.run,
            execution,
            at_ms: now_ms(),
        })])
    }

    /// Decides about an execution that ended so. One whose provider was in trouble is done
    /// again, as often as it takes, and does not count among those that failed.
    fn settlement(&mut self, subject: &JobId, outcome: Outcome, is_excused: bool) -> Settlement {
        let excused = self.excused.get(subject).copied().unwrap_or(0);
        if is_excused && outcome == Outcome::InfraError {
            self.excused.insert(subject.clone(), excused + 1);
            return Settlement::Again(excused_pause(excused));
        }
        let earlier = self.earlier(subject, outcome);
        let counted = if outcome == Outcome::InfraError {
            earlier.saturating_sub(excused)
        } else {
            earlier
        };
        settlement(outcome, counted, self.infra_retries)
    }

    /// Returns how often the job ended so before without counting. A failure of the
    /// infrastructure is forgotten with the process: whoever starts again has mended it. A
    /// verifier without a reward is the task's doing and is not.
    fn earlier(&self, subject: &JobId, outcome: Outcome) -> usize {
        let faults = self.lineage.faults_of(subject, outcome);
        if outcome == Outcome::InfraError {
            faults.filter(|fault| fault.run == self.run).count()
        } else {
            faults.count()
        }
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
        let message = notes::commit_message(&self.lineage, id, parent.id, &entry, proposal);
        let created_ms = commit_ms();
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

    /// Stores contents, all at once; there is no blob of nothing.
    fn blobs<const N: usize>(&self, contents: [&[u8]; N]) -> anyhow::Result<[Option<BlobId>; N]> {
        let some = contents.into_iter().filter(|bytes| !bytes.is_empty());
        let mut ids = self
            .writer
            .put_blobs(&some.collect::<Vec<_>>())?
            .into_iter();
        Ok(contents.map(|bytes| if bytes.is_empty() { None } else { ids.next() }))
    }
}

/// Returns a change as a unified diff; empty where nothing changed.
fn patch(change: Option<(&FileTree, &FileTree)>) -> anyhow::Result<String> {
    match change {
        Some((before, after)) if !before.change_to(after).is_empty() => {
            Ok(diff_trees(before, after)?)
        }
        Some(_) | None => Ok(String::new()),
    }
}

/// What goes with an evaluation beside its end.
struct Meta {
    execution: u32,
    transcript: Vec<u8>,
    overflow: bool,
    is_excused: bool,
}
