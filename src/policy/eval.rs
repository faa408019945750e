//! A fixed list of further evaluations, for `dgm eval`.

use super::{Action, Admission, Policy, Seen, Stages};
use crate::domain::{EvaluationKey, Purpose, TaskId, VariantId};
use crate::lineage::Lineage;

/// Repeats from here on are further evaluations: they can never take the place of a repeat
/// that a stage will ask for.
const FIRST_EXTRA_REPEAT: u32 = 1000;

/// The policy that runs a list and stops.
#[derive(Clone, Debug)]
pub struct EvalPolicy {
    keys: Vec<EvaluationKey>,
}

impl EvalPolicy {
    /// Returns a policy that adds `repeats` further evaluations of each task to what the
    /// archive already holds.
    pub fn further(lineage: &Lineage, variant: VariantId, tasks: &[TaskId], repeats: u32) -> Self {
        let mut keys = Vec::new();
        for task in tasks {
            let first = lineage
                .evaluations_of(variant)
                .filter(|found| found.key.task == *task && found.purpose == Purpose::Extra)
                .map(|found| found.key.repeat + 1)
                .max()
                .unwrap_or(FIRST_EXTRA_REPEAT);
            keys.extend((0..repeats).map(|index| EvaluationKey {
                variant,
                task: task.clone(),
                repeat: first + index,
            }));
        }
        Self { keys }
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
        let mut waiting = false;
        for key in &self.keys {
            if seen.lineage.evaluation(key).is_some() {
                continue;
            }
            if !seen.busy.contains(key) {
                return Action::Evaluate(key.clone(), Purpose::Extra);
            }
            waiting = true;
        }
        if waiting {
            Action::Wait
        } else {
            Action::Stop(format!("all {} evaluations are done", self.keys.len()))
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
