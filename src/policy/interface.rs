//! What the engine asks a policy, and what a policy can answer. The engine knows no rounds, no
//! stages and no chances: it records decisions, starts what it is told to, and asks again.

use crate::domain::{
    Decision, Entry, EvaluationDecision, EvaluationKey, Fact, JobId, Purpose, Remaining, RunId,
    TaskId, VariantId, Verdict,
};
use crate::lineage::Lineage;
use std::collections::BTreeSet;

/// What a policy can see.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The recorded facts.
    pub lineage: &'a Lineage,
    /// Jobs that run, or wait for another try.
    pub busy: &'a BTreeSet<JobId>,
}

impl Snapshot<'_> {
    /// Returns the first that was decided and is neither done nor under way, attempts before
    /// evaluations: what a process that died left, or what was decided just now.
    pub fn decided(&self) -> Option<Assignment> {
        let attempts = self
            .lineage
            .open_attempts()
            .filter(|attempt| attempt.draft.is_none())
            .map(|attempt| Assignment::Improve(attempt.decision.attempt));
        let evaluations = self
            .lineage
            .open_evaluations()
            .map(|chosen| Assignment::Evaluate(chosen.key.clone(), chosen.purpose));
        attempts
            .chain(evaluations)
            .find(|assignment| self.is_free(&assignment.job()))
    }

    /// Returns whether a job neither runs nor waits for another try.
    pub fn is_free(&self, job: &JobId) -> bool {
        !self.busy.contains(job)
    }
}

/// One decided attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// Number of the attempt.
    pub attempt: VariantId,
    /// Ordinal of its group, from 1: attempts of a group know nothing of each other.
    pub group: u32,
    /// The parent.
    pub parent: VariantId,
    /// What to learn from.
    pub entry: Entry,
    /// Who could have been the parent, each with its weight in the draw.
    pub candidates: Vec<(VariantId, f64)>,
    /// Where the policy stands, in its own words, such as `round 2/4`.
    pub why: String,
}

/// One decided evaluation, of a policy that draws which to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The evaluation.
    pub key: EvaluationKey,
    /// Where it counts.
    pub purpose: Purpose,
    /// Which variants could have been evaluated, each with its weight in the draw.
    pub candidates: Vec<(VariantId, f64)>,
    /// Where the policy stands, in its own words.
    pub why: String,
}

/// A decision that is a fact before anything of it starts, so that a run that goes on repeats
/// it instead of drawing again.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// To make an attempt.
    Attempt(Expansion),
    /// To run an evaluation.
    Evaluation(Measurement),
}

impl Choice {
    /// Returns the fact that it was made by the policy of that name.
    pub fn into_fact(self, policy: String, run: RunId, at_ms: i64) -> Fact {
        match self {
            Self::Attempt(expansion) => Fact::Decided(Decision {
                attempt: expansion.attempt,
                group: expansion.group,
                parent: expansion.parent,
                entry: expansion.entry,
                policy,
                candidates: expansion.candidates,
                why: expansion.why,
                run,
                at_ms,
            }),
            Self::Evaluation(measurement) => Fact::EvaluationDecided(EvaluationDecision {
                key: measurement.key,
                purpose: measurement.purpose,
                policy,
                candidates: measurement.candidates,
                why: measurement.why,
                run,
                at_ms,
            }),
        }
    }
}

/// A job to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Make the attempt of that number, which was decided.
    Improve(VariantId),
    /// Run this evaluation.
    Evaluate(EvaluationKey, Purpose),
    /// Have the kept answer of this evaluation judged again.
    Regrade(EvaluationKey),
}

impl Assignment {
    /// Returns the identity of the job.
    pub fn job(&self) -> JobId {
        match self {
            Self::Improve(id) => JobId::Attempt(*id),
            Self::Evaluate(key, _) => JobId::Evaluation(key.clone()),
            Self::Regrade(key) => JobId::Regrade(key.clone()),
        }
    }
}

/// What to do with a free worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Record these decisions, together or not at all, and ask again.
    Decide(Vec<Choice>),
    /// Start a job.
    Start(Assignment),
    /// Nothing until something that runs has ended.
    Wait,
    /// Nothing ever again: the goal is reached, or cannot be; the sentence says which.
    Stop(String),
}

/// Decides. Whether jobs that were decided and have not ended are gone on with is its word as
/// well: [`Snapshot::decided`] finds them.
pub trait Policy: Send + Sync {
    /// Returns the name recorded with each decision, such as `dgm/score_child_prop`.
    fn name(&self) -> String;

    /// Returns what to do with one free worker.
    fn decide(&self, snapshot: &Snapshot<'_>) -> Action;

    /// Returns what becomes of a variant whose evaluation is finished; none: it is not, or
    /// this policy judges nobody.
    fn verdict(&self, lineage: &Lineage, variant: VariantId) -> Option<Verdict>;

    /// Returns whether it is the turn of an attempt that came to a child: then the child is
    /// compared with those that exist, and becomes a variant if it is new. One whose turn it
    /// is not stays a draft.
    fn is_due(&self, lineage: &Lineage, attempt: VariantId) -> bool;

    /// Returns the tasks whose scores guide it, by group: all runs of an archive must agree on
    /// them, or scores could not be compared. None: it is guided by no score.
    fn guiding_tasks(&self) -> Vec<Vec<TaskId>>;

    /// Returns what is still to be done.
    fn remaining(&self, lineage: &Lineage) -> Remaining;
}
