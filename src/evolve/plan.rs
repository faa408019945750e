//! What to start next: a pure function of facts, what is running, and the time.

use crate::domain::{EvaluationKey, Purpose, VariantId};
use crate::lineage::Lineage;
use crate::policy::{Action, Expansion, Policy, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tokio::time::Instant;

/// A job of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum JobKey {
    /// An attempt at self-modification.
    Improve(VariantId),
    /// An evaluation.
    Evaluate(EvaluationKey),
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Improve(id) => write!(f, "attempt {id}"),
            Self::Evaluate(key) => write!(f, "{} on {}", key.variant, key.task),
        }
    }
}

/// What is going on and not recorded: gone when the process dies, and then planned again.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    /// Jobs that run.
    pub running: BTreeSet<JobKey>,
    /// Jobs that wait for another try, until when.
    pub waiting: BTreeMap<JobKey, Instant>,
}

/// One step of the dispatcher.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Start an attempt that is decided.
    Improve(VariantId),
    /// Start an evaluation.
    Evaluate(EvaluationKey, Purpose),
    /// Record these decisions, then plan again.
    Decide(Vec<Expansion>),
    /// Nothing to start until something ends, or until a waiting job's time comes.
    Wait,
    /// Nothing to start ever again.
    Stop(String),
}

/// Plans one step for one free worker.
pub(super) fn plan(
    lineage: &Lineage,
    policy: &dyn Policy,
    volatile: &Volatile,
    now: Instant,
) -> Step {
    let is_free = |job: &JobKey| {
        !volatile.running.contains(job)
            && volatile.waiting.get(job).is_none_or(|until| *until <= now)
    };
    // Only a policy that judges variants makes attempts go on: `dgm eval` leaves them alone.
    if policy.stages().is_some() {
        let decided = lineage
            .attempts()
            .filter(|attempt| attempt.end.is_none())
            .map(|attempt| attempt.decision.attempt)
            .find(|id| is_free(&JobKey::Improve(*id)));
        if let Some(id) = decided {
            return Step::Improve(id);
        }
    }
    let busy: BTreeSet<EvaluationKey> = volatile
        .running
        .iter()
        .chain(
            volatile
                .waiting
                .iter()
                .filter(|(_, until)| **until > now)
                .map(|(job, _)| job),
        )
        .filter_map(|job| match job {
            JobKey::Evaluate(key) => Some(key.clone()),
            JobKey::Improve(_) => None,
        })
        .collect();
    match policy.decide(&Seen {
        lineage,
        busy: &busy,
    }) {
        Action::Expand(expansions) => Step::Decide(expansions),
        Action::Evaluate(key, purpose) => Step::Evaluate(key, purpose),
        Action::Wait => Step::Wait,
        Action::Stop(reason) => Step::Stop(reason),
    }
}
