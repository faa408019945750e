//! What an attempt learns from (DGM's published code, SWE-bench mode).

use crate::domain::{Entry, Outcome, Pattern, Purpose, TaskId, VariantId};
use crate::lineage::Lineage;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// Chance of each pattern, where it applies.
const PATTERN: f64 = 0.25;

/// Chooses an entry from the parent's stage evaluations: with chance 0.25 each, in this
/// order, the pattern of empty patches (if at least a tenth ended empty), of unstable
/// results, of an unhandled context overflow (if there was one); else a task not resolved,
/// else one that ended empty, else any (where the published code crashes).
pub(super) fn choose_entry(
    lineage: &Lineage,
    parent: VariantId,
    rng: &mut StdRng,
) -> Option<Entry> {
    let mut resolved: Vec<&TaskId> = Vec::new();
    let mut unresolved: Vec<&TaskId> = Vec::new();
    let mut empty: Vec<&TaskId> = Vec::new();
    let mut overflow = false;
    for evaluation in lineage.evaluations_of(parent) {
        if !evaluation.judgement.outcome.counts()
            || !matches!(evaluation.purpose, Purpose::Stage(_))
        {
            continue;
        }
        let task = &evaluation.key.task;
        if evaluation.judgement.passed {
            resolved.push(task);
        } else if evaluation.judgement.outcome == Outcome::Empty {
            empty.push(task);
            overflow |= evaluation.context_overflow;
        } else {
            unresolved.push(task);
            overflow |= evaluation.context_overflow;
        }
    }
    let all = resolved.len() + unresolved.len() + empty.len();
    if all == 0 {
        return None;
    }
    let mut chance = || rng.random::<f64>() < PATTERN;
    if empty.len() * 10 >= all && !empty.is_empty() && chance() {
        return Some(Entry::Pattern(Pattern::EmptyPatches));
    }
    if chance() {
        return Some(Entry::Pattern(Pattern::Stochasticity));
    }
    if overflow && chance() {
        return Some(Entry::Pattern(Pattern::ContextLength));
    }
    let tasks = [unresolved, empty, resolved]
        .into_iter()
        .find(|tasks| !tasks.is_empty())?;
    let index = rng.random_range(0..tasks.len());
    Some(Entry::Task(tasks[index].clone()))
}
