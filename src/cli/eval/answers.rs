//! Which kept answers are judged again.

use super::Args;
use super::order::{Chosen, Order};
use crate::domain::{Evaluation, EvaluationKey, Outcome, Purpose};
use crate::lineage::{Lineage, newest_judgement};

impl Args {
    /// Returns the evaluations whose answers are to be judged again, and how many others have
    /// none that could be.
    pub(super) fn answers(
        &self,
        order: &Order,
        lineage: &Lineage,
        chosen: &Chosen,
        all: bool,
    ) -> (Vec<EvaluationKey>, usize) {
        let (mut keys, mut left_out) = (Vec::new(), 0);
        for evaluation in lineage.evaluations_of(order.variant) {
            let is_held_out = evaluation.purpose == Purpose::Holdout;
            let task = chosen
                .tasks
                .iter()
                .find(|task| task.id == evaluation.key.task);
            let Some(task) = task.filter(|_| is_held_out == self.holdout) else {
                continue;
            };
            let newest = newest_judgement(evaluation, lineage.regrade(&evaluation.key));
            let no_reward = newest.outcome == Outcome::VerifierError;
            if !(all || no_reward || newest.task_digest != task.digest) {
                continue;
            }
            if lineage.answer(&evaluation.key).is_some() {
                keys.push(evaluation.key.clone());
            } else if !nothing_was_judged(evaluation) {
                left_out += 1;
            } else if newest.task_digest != task.digest {
                // It ends so whatever the verifier says; only that is put on record.
                keys.push(evaluation.key.clone());
            }
        }
        (keys, left_out)
    }
}

/// Returns whether an evaluation ended as it did without a verifier: nothing was changed, or
/// nothing that could be an answer.
fn nothing_was_judged(evaluation: &Evaluation) -> bool {
    evaluation.judgement.outcome.counts()
        && evaluation.judgement.reward.is_none()
        && evaluation.patch.is_none()
}
