//! A fixed list of further evaluations, for `dgm eval`, or of answers to judge again.

use super::interface::{Action, Assignment, Policy, Snapshot};
use crate::domain::{
    Count, EvaluationGroup, EvaluationKey, Goal, JobId, Outcome, Purpose, Remaining, RunId, TaskId,
    VariantId, Verdict,
};
use crate::lineage::Lineage;
use std::collections::BTreeSet;

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

    fn decide(&self, snapshot: &Snapshot<'_>) -> Action {
        let open = self.keys.iter();
        let open = open
            .filter(|key| snapshot.lineage.evaluation(key).is_none())
            .map(|key| Assignment::Evaluate(key.clone(), self.purpose));
        next(open.collect(), snapshot, || {
            format!("all {} evaluations are done", self.keys.len())
        })
    }

    fn verdict(&self, _: &Lineage, _: VariantId) -> Option<Verdict> {
        None
    }

    fn is_due(&self, _: &Lineage, _: VariantId) -> bool {
        false
    }

    fn guiding_tasks(&self) -> Vec<Vec<TaskId>> {
        Vec::new()
    }

    fn remaining(&self, lineage: &Lineage) -> Remaining {
        of_list("evaluations", &self.keys, &|key| {
            lineage.evaluation(key).is_none()
        })
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

    /// Returns what is not done.
    fn open(&self, lineage: &Lineage) -> impl Iterator<Item = &EvaluationKey> {
        let keys = self.keys.iter().enumerate();
        keys.filter_map(move |(index, key)| (!self.is_done(lineage, index)).then_some(key))
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

    fn decide(&self, snapshot: &Snapshot<'_>) -> Action {
        let open = self.open(snapshot.lineage).cloned();
        next(open.map(Assignment::Regrade).collect(), snapshot, || {
            format!("all {} answers are judged again", self.keys.len())
        })
    }

    fn verdict(&self, _: &Lineage, _: VariantId) -> Option<Verdict> {
        None
    }

    fn is_due(&self, _: &Lineage, _: VariantId) -> bool {
        false
    }

    fn guiding_tasks(&self) -> Vec<Vec<TaskId>> {
        Vec::new()
    }

    fn remaining(&self, lineage: &Lineage) -> Remaining {
        let open: BTreeSet<&EvaluationKey> = self.open(lineage).collect();
        of_list("answers", &self.keys, &|key| open.contains(key))
    }
}

/// Starts the first that is not under way.
fn next(open: Vec<Assignment>, snapshot: &Snapshot<'_>, all_done: impl Fn() -> String) -> Action {
    if open.is_empty() {
        return Action::Stop(all_done());
    }
    open.into_iter()
        .find(|assignment| snapshot.is_free(&assignment.job()))
        .map_or(Action::Wait, Action::Start)
}

/// Returns what is left of a list.
fn of_list(
    unit: &'static str,
    keys: &[EvaluationKey],
    is_left: &dyn Fn(&EvaluationKey) -> bool,
) -> Remaining {
    let left = keys.iter().filter(|key| is_left(key)).count() as u64;
    let of = keys.len() as u64;
    let tasks: BTreeSet<&TaskId> = keys.iter().map(|key| &key.task).collect();
    Remaining {
        goal: Goal {
            unit,
            begun: of - left,
            of,
            raise: None,
        },
        attempts: Count::default(),
        children: Count::default(),
        evaluations: vec![EvaluationGroup {
            label: unit.to_owned(),
            tasks: tasks.into_iter().cloned().collect(),
            left: Count::exactly(left),
        }],
        rates: Vec::new(),
    }
}
