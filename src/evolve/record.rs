//! The one place that writes: turns ends and events into durable facts, in order.
//!
//! Invariant: blobs, then commits and notes, then one transaction that names them; the
//! in-memory lineage is changed only by facts that are durable.

use super::budget::{Exhausted, Granted, Treasury};
use super::jobs::JobEvent;
use super::notes;
use super::traffic::{EndedCall, Keeper};
use super::{Budgets, Progress};
use crate::archive::{Reader, Writer, diff_trees};
use crate::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, Fact, FileTree, JobId, Outcome, Regrade, RunId,
    VariantId, Verdict,
};
use crate::lineage::Lineage;
use crate::model::{Denied, Intent};
use crate::policy::Policy;
use crate::sandbox::AgentSource;
use crate::sys::clock::now_ms;
use anyhow::Context as _;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Where a job that wants to make a call waits.
type Asker = oneshot::Sender<Result<CallId, Denied>>;

/// The writer with the state it has written.
pub(super) struct Recorder {
    pub(super) writer: Writer,
    pub(super) lineage: Lineage,
    pub(super) run: RunId,
    pub(super) infra_retries: u32,
    progress: mpsc::UnboundedSender<Progress>,
    executions: HashMap<JobId, u32>,
    next_call: CallId,
    treasury: Treasury<Asker>,
    keeper: Keeper,
    /// How often each job ended because a provider was in trouble, which does not count.
    pub(super) excused: HashMap<JobId, usize>,
    calls: u64,
    evaluations: u64,
}

impl Recorder {
    pub(super) fn new(
        writer: Writer,
        lineage: Lineage,
        run: RunId,
        infra_retries: u32,
        budgets: &Budgets,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> Self {
        let next_call = lineage.spend().next_id();
        let treasury = Treasury::new(budgets, &lineage);
        Self {
            writer,
            lineage,
            run,
            infra_retries,
            progress,
            executions: HashMap::new(),
            next_call,
            treasury,
            keeper: Keeper::default(),
            excused: HashMap::new(),
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
    pub(super) fn next_execution(&mut self, job: &JobId) -> u32 {
        let execution = self.executions.entry(job.clone()).or_insert(0);
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
            self.evaluations += u64::from(matches!(fact, Fact::Evaluated(_) | Fact::Regraded(_)));
            self.tell_fact(fact);
        }
        Ok(())
    }

    fn tell_fact(&self, fact: &Fact) {
        let progress = match fact {
            Fact::Decided(decision) => Progress::Decided {
                attempt: decision.attempt,
                why: decision.why.clone(),
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
            Fact::Drafted(draft) => Progress::Waits {
                attempt: draft.attempt,
            },
            Fact::VariantMade(variant) => Progress::Made {
                variant: variant.id,
                summary: variant.summary.clone(),
            },
            Fact::Evaluated(evaluation) => Progress::Evaluated {
                key: evaluation.key.clone(),
                outcome: evaluation.judgement.outcome,
                passed: evaluation.judgement.passed,
            },
            Fact::Regraded(regrade) => Progress::Regraded {
                key: regrade.key.clone(),
                before: self.judged_before(regrade),
                outcome: regrade.judgement.outcome,
                passed: regrade.judgement.passed,
            },
            Fact::CallSettled(settlement) => Progress::Spent {
                cost: settlement.cost,
                tokens: settlement.tokens.total(),
            },
            Fact::Judged {
                variant, verdict, ..
            } => Progress::Judged {
                variant: *variant,
                verdict: verdict.clone(),
                score: self.lineage.score(*variant),
            },
            Fact::AttemptEnded(_)
            | Fact::EvaluationDecided(_)
            | Fact::Disclosed { .. }
            | Fact::RunStarted(_)
            | Fact::RunEnded(_)
            | Fact::Faulted(_)
            | Fact::CallIntended(_)
            | Fact::AnswerKept { .. }
            | Fact::Recorded(_)
            | Fact::Replays(_) => return,
        };
        self.tell(progress);
    }

    /// Forgets what was kept of a job's traffic: it has ended.
    pub(super) fn forget_traffic(&mut self, job: &JobId) {
        self.keeper.forget(|who| who.subject == *job);
    }

    /// Returns how an evaluation had ended before any of its answer was judged again.
    fn judged_before(&self, regrade: &Regrade) -> Option<(Outcome, bool)> {
        let evaluation = self.lineage.evaluation(&regrade.key)?;
        Some((evaluation.judgement.outcome, evaluation.judgement.passed))
    }

    /// Returns the budget of the archive that is used up, if one is.
    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        self.treasury.exhausted()
    }

    /// Returns whether calls wait for what the end of another frees.
    pub(super) fn has_waiting(&self) -> bool {
        self.treasury.waiting() > 0
    }

    /// Handles what jobs sent, all in one transaction; answers go out after it. Settlements
    /// make room first, then calls are let go in the order in which they asked.
    pub(super) fn handle(&mut self, events: Vec<JobEvent>) -> anyhow::Result<()> {
        let mut facts = Vec::new();
        let mut answers: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        let mut ended = Vec::new();
        for event in events {
            match event {
                JobEvent::Intend(intent, done) => self.treasury.ask(intent, done),
                JobEvent::Settle(settlement, traffic, done) => {
                    self.treasury.settle(&settlement);
                    let call = settlement.id;
                    ended.extend(traffic.map(|traffic| EndedCall { call, traffic }));
                    facts.push(Fact::CallSettled(settlement));
                    answers.push(Box::new(move || done.send(()).unwrap_or_default()));
                }
                JobEvent::Unaffordable { what, key } => self.treasury.exhaust(what, key),
                JobEvent::Proposed {
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
        facts.extend(self.keeper.keep(&self.writer, ended)?);
        let mut id = self.next_call;
        let Granted { granted, denied } = self.treasury.grant(&mut self.next_call);
        for (intent, done) in granted {
            self.calls += 1;
            facts.push(Fact::CallIntended(self.intent(id, intent)));
            // A receiver that is gone has given the call up: it stays unsettled.
            answers.push(Box::new(move || drop(done.send(Ok(id)))));
            id = CallId(id.0 + 1);
        }
        for (denied, done) in denied {
            answers.push(Box::new(move || drop(done.send(Err(denied)))));
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
    pub(super) fn judge_finished(&mut self, policy: &dyn Policy) -> anyhow::Result<()> {
        let judged: Vec<(VariantId, Verdict)> = self
            .lineage
            .evaluating()
            .filter_map(|id| Some((id, policy.verdict(&self.lineage, id)?)))
            .collect();
        for (variant, verdict) in judged {
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

    /// Reads a variant's source.
    pub(super) fn source(&self, id: VariantId) -> anyhow::Result<AgentSource> {
        let variant = self
            .lineage
            .variant(id)
            .with_context(|| format!("{id} is not in the archive"))?;
        let files = self.writer.files(&variant.commit)?;
        Ok(AgentSource {
            id: variant.tree.as_str().to_owned(),
            files: Arc::new(files),
        })
    }

    /// Stores contents, all at once; there is no blob of nothing.
    pub(super) fn blobs<const N: usize>(
        &self,
        contents: [&[u8]; N],
    ) -> anyhow::Result<[Option<BlobId>; N]> {
        let some = contents.into_iter().filter(|bytes| !bytes.is_empty());
        let mut ids = self
            .writer
            .put_blobs(&some.collect::<Vec<_>>())?
            .into_iter();
        Ok(contents.map(|bytes| if bytes.is_empty() { None } else { ids.next() }))
    }
}

/// Returns a change as a unified diff; empty where nothing changed.
pub(super) fn patch(change: Option<(&FileTree, &FileTree)>) -> anyhow::Result<Vec<u8>> {
    match change {
        Some((before, after)) if !before.change_to(after).is_empty() => {
            Ok(diff_trees(before, after)?.into_bytes())
        }
        Some(_) | None => Ok(Vec::new()),
    }
}
