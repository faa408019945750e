//! A fixed list of further evaluations, for `dgm eval`, or of answers to judge again.

use super::{Action, Admission, Policy, Seen, Stages};
use crate::domain::{EvaluationKey, JobId, Outcome, Purpose, RunId, TaskId, VariantId};
use crate::lineage::Lineage;

/// Repeats from here on are further evaluations: they can never take the place of a repeat
/// that a stage will ask for.
const FIRST_EXTRA_REPEAT: u32 = 1000;

/// The policy that runs a list and stops.
#[derive(Clone, Debug)]
pub struct EvalPolicy {
    purpose: Purpose,
    keys: Vec<EvaluationKey>,
}

impl EvalPolicy {
    /// Returns a policy that brings each task to `attempts` evaluations of that purpose: asked
    /// a second time it runs what is missing, and nothing where nothing is. An evaluation that
    /// the infrastructure failed measured nothing: another one takes its place.
    pub fn missing(
        lineage: &Lineage,
        variant: VariantId,
        purpose: Purpose,
        tasks: &[TaskId],
        attempts: u32,
    ) -> Self {
        let mut missing = Vec::new();
        for task in tasks {
            let known = || {
                let all = lineage.evaluations_of(variant);
                all.filter(|found| found.key.task == *task)
            };
            let next = known()
                .map(|found| found.key.repeat + 1)
                .max()
                .unwrap_or(0)
                .max(FIRST_EXTRA_REPEAT);
            let done = known()
                .filter(|found| {
                    found.purpose == purpose && found.judgement.outcome != Outcome::InfraError
                })
                .count();
            let done = u32::try_from(done).unwrap_or(u32::MAX);
            for index in 0..attempts.saturating_sub(done) {
                let key = EvaluationKey {
                    variant,
                    task: task.clone(),
                    repeat: next + index,
                };
                missing.push((done + index, key));
            }
        }
        // First once for each task, then once more: what is interrupted has seen all of them.
        missing.sort_by_key(|(attempt, _)| *attempt);
        Self {
            purpose,
            keys: missing.into_iter().map(|(_, key)| key).collect(),
        }
    }

    /// Returns what it will evaluate.
    pub fn keys(&self) -> &[EvaluationKey] {
        &self.keys
    }
}

impl Policy for EvalPolicy {
    fn name(&self) -> String {
        "eval".to_owned()
    }

    fn decide(&self, seen: &Seen<'_>) -> Action {
        let is_done = |key: &&EvaluationKey| seen.lineage.evaluation(key).is_some();
        match first(&self.keys, seen, is_done) {
            First::Free(key) => Action::Evaluate(key.clone(), self.purpose),
            First::Busy => Action::Wait,
            First::None => Action::Stop(format!("all {} evaluations are done", self.keys.len())),
        }
    }

    fn stages(&self) -> Option<&Stages> {
        None
    }

    fn orders_rounds(&self) -> bool {
        false
    }

    fn admission(&self) -> Option<&Admission> {
        None
    }
}

/// The policy that has kept answers judged again, each once.
#[derive(Clone, Debug)]
pub struct RegradePolicy {
    keys: Vec<EvaluationKey>,
    /// What was known of each before.
    before: Vec<(Option<RunId>, usize)>,
    tries: usize,
}

impl RegradePolicy {
    /// Returns a policy that has these judged again; one that the infrastructure fails more
    /// often than so many times is given up.
    pub fn new(lineage: &Lineage, keys: Vec<EvaluationKey>, infra_retries: u32) -> Self {
        let before = keys.iter().map(|key| known(lineage, key)).collect();
        Self {
            keys,
            before,
            tries: infra_retries as usize + 1,
        }
    }

    /// Returns what it will have judged.
    pub fn keys(&self) -> &[EvaluationKey] {
        &self.keys
    }

    fn is_done(&self, lineage: &Lineage, index: usize) -> bool {
        let (Some(key), Some((run, faults))) = (self.keys.get(index), self.before.get(index))
        else {
            return true;
        };
        let (newest, now) = known(lineage, key);
        newest > *run || now >= faults + self.tries
    }
}

/// Returns the process that judged it last, and how often the infrastructure failed it.
fn known(lineage: &Lineage, key: &EvaluationKey) -> (Option<RunId>, usize) {
    let subject = JobId::Regrade(key.clone());
    let faults = lineage.faults_of(&subject, Outcome::InfraError).count();
    (lineage.regrade(key).map(|regrade| regrade.run), faults)
}

impl Policy for RegradePolicy {
    fn name(&self) -> String {
        "regrade".to_owned()
    }

    fn decide(&self, seen: &Seen<'_>) -> Action {
        let open: Vec<EvaluationKey> = (0..self.keys.len())
            .filter(|index| !self.is_done(seen.lineage, *index))
            .filter_map(|index| self.keys.get(index).cloned())
            .collect();
        match first(&open, seen, |_| false) {
            First::Free(key) => Action::Regrade(key.clone()),
            First::Busy => Action::Wait,
            First::None => {
                Action::Stop(format!("all {} answers are judged again", self.keys.len()))
            }
        }
    }

    fn stages(&self) -> Option<&Stages> {
        None
    }

    fn orders_rounds(&self) -> bool {
        false
    }

    fn admission(&self) -> Option<&Admission> {
        None
    }
}

enum First<'a> {
    Free(&'a EvaluationKey),
    Busy,
    None,
}

/// Returns the first that is neither done nor under way.
fn first<'a>(
    keys: &'a [EvaluationKey],
    seen: &Seen<'_>,
    is_done: impl Fn(&&EvaluationKey) -> bool,
) -> First<'a> {
    let mut open = keys.iter().filter(|key| !is_done(key)).peekable();
    if open.peek().is_none() {
        return First::None;
    }
    open.find(|key| !seen.busy.contains(*key))
        .map_or(First::Busy, First::Free)
}
