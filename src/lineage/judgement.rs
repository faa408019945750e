//! Which judgement of an evaluation counts.
//!
//! Invariant: a score that guides an evolution never changes: there the first judgement
//! counts, whatever is judged again. Everywhere else the newest one does.

use crate::domain::{Evaluation, Judgement, Purpose, Regrade};

/// Returns the judgement that counts.
pub(super) fn counting<'a>(
    evaluation: &'a Evaluation,
    regrade: Option<&'a Regrade>,
) -> &'a Judgement {
    match evaluation.purpose {
        Purpose::Extra | Purpose::Holdout => newest_judgement(evaluation, regrade),
        Purpose::Stage(_) => &evaluation.judgement,
    }
}

/// Returns the newest judgement, whether or not it counts.
pub fn newest_judgement<'a>(
    evaluation: &'a Evaluation,
    regrade: Option<&'a Regrade>,
) -> &'a Judgement {
    regrade.map_or(&evaluation.judgement, |regrade| &regrade.judgement)
}
