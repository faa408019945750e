//! What an archive recorded, made ready to answer the calls of a run.

use crate::archive::Reader;
use crate::domain::{CallId, CallIntent, CallSettlement, Fact, JobId, Outcome, RunId};
use crate::lineage::Lineage;
use crate::model::{Recorded, Replay};
use anyhow::Context as _;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a run takes its answers from.
#[derive(Clone, Debug)]
pub struct ReplaySource {
    /// What answers.
    pub replay: Arc<Replay>,
    /// Random id of the archive.
    pub archive: String,
    /// Where it is, as typed.
    pub place: String,
    /// Recorded calls.
    pub calls: usize,
}

impl ReplaySource {
    /// Reads the recordings of an archive.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let reader = Reader::open(dir)?;
        let lineage = reader.lineage()?;
        let recordings = reader
            .recordings()
            .context("could not read the recordings")?;
        let calls: HashMap<CallId, &(CallIntent, Option<CallSettlement>)> = lineage
            .spend()
            .calls()
            .map(|call| (call.0.id, call))
            .collect();
        let executions = Executions::of(&lineage);
        let mut recorded = Vec::new();
        for recording in recordings {
            let call = recording.call;
            let (intent, settlement) = calls
                .get(&call)
                .with_context(|| format!("call {} is recorded, but not on the books", call.0))?;
            recorded.push(Recorded {
                recording,
                subject: intent.subject.clone(),
                role: intent.role,
                execution: executions.ordinal(intent),
                settlement: settlement.clone(),
            });
        }
        let archive = reader.id().to_owned();
        let count = recorded.len();
        let reader = Mutex::new(reader);
        let replay = Replay::new(recorded, move |blob| {
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.blob(blob).map_err(|error| error.to_string())
        });
        Ok(Self {
            replay: Arc::new(replay),
            archive,
            place: dir.display().to_string(),
            calls: count,
        })
    }
}

/// The executions that came to an end, by job: those that a run without interruption would
/// have had.
#[derive(Default)]
struct Executions {
    ended: HashMap<JobId, BTreeSet<(RunId, u32)>>,
}

impl Executions {
    fn of(lineage: &Lineage) -> Self {
        let mut executions = Self::default();
        for evaluation in lineage.evaluations() {
            let key = &evaluation.key;
            let subject = JobId::Evaluation(key.clone());
            executions.add(subject, evaluation.run, evaluation.execution);
        }
        for attempt in lineage.attempts() {
            let id = JobId::Attempt(attempt.decision.attempt);
            if let Some(end) = &attempt.end {
                executions.add(id, end.run, end.execution);
            } else if let Some(draft) = &attempt.draft {
                executions.add(id, draft.run, draft.execution);
            }
        }
        for fault in lineage.faults() {
            if fault.outcome != Outcome::Cancelled {
                executions.add(fault.subject.clone(), fault.run, fault.execution);
            }
        }
        executions
    }

    fn add(&mut self, subject: JobId, run: RunId, execution: u32) {
        self.ended
            .entry(subject)
            .or_default()
            .insert((run, execution));
    }

    /// Returns which of its job's executions a call belongs to, from 1.
    fn ordinal(&self, intent: &CallIntent) -> Option<u32> {
        let ended = self.ended.get(&intent.subject)?;
        let place = ended
            .iter()
            .position(|ended| *ended == (intent.run, intent.execution))?;
        u32::try_from(place + 1).ok()
    }
}

/// Returns the fact that a run replays this.
pub(super) fn fact(run: RunId, source: &ReplaySource) -> Fact {
    Fact::Replays(crate::domain::Replay {
        run,
        archive: source.archive.clone(),
        place: source.place.clone(),
    })
}
