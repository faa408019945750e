//! What a command line names: a variant, an attempt, an evaluation.

use super::error::usage;
use crate::archive::resolve;
use crate::domain::{Attempt, Evaluation, TaskId, VariantId};
use crate::lineage::Lineage;
use std::collections::BTreeSet;

/// Returns the variant or the attempt that a name stands for: attempts without a child have
/// numbers, too.
pub(super) fn find(lineage: &Lineage, name: &str) -> anyhow::Result<VariantId> {
    let number = name.strip_prefix('#').unwrap_or(name).parse();
    if let Ok(id) = number.map(VariantId)
        && lineage.attempt(id).is_some()
    {
        return Ok(id);
    }
    Ok(resolve(lineage, name)?)
}

/// Returns the attempt of that number.
pub(super) fn find_attempt(lineage: &Lineage, id: VariantId) -> anyhow::Result<&Attempt> {
    lineage.attempt(id).map_or_else(
        || {
            usage(
                format!("no attempt made variant {id}"),
                "the seed was given, not made",
            )
        },
        Ok,
    )
}

/// Returns the evaluation of a variant on a task, which may be named by a part that only one
/// of the evaluated tasks has; `list` is the command that lists them. Without a repeat it is
/// the first one that is recorded: those of `dgm eval` do not begin at 0.
pub(super) fn find_evaluation<'a>(
    lineage: &'a Lineage,
    id: VariantId,
    name: &str,
    repeat: Option<u32>,
    list: &str,
) -> anyhow::Result<&'a Evaluation> {
    let tasks: BTreeSet<&TaskId> = lineage
        .evaluations_of(id)
        .map(|evaluation| &evaluation.key.task)
        .collect();
    let exact = tasks.iter().copied().find(|task| task.as_str() == name);
    let parts: Vec<&TaskId> = tasks
        .iter()
        .copied()
        .filter(|task| task.as_str().contains(name))
        .collect();
    let task = match (exact, parts.as_slice()) {
        (Some(task), _) | (None, &[task]) => task,
        (None, parts) => {
            let what = match parts {
                [] => format!("variant {id} has no evaluation on a task `{name}`"),
                _ => format!("`{name}` is part of several tasks' names"),
            };
            return usage(what, other_tasks(name, &tasks, parts, list));
        }
    };
    let mut repeats: Vec<&Evaluation> = lineage
        .evaluations_of(id)
        .filter(|evaluation| evaluation.key.task == *task)
        .collect();
    repeats.sort_by_key(|evaluation| evaluation.key.repeat);
    let found = repeats
        .iter()
        .copied()
        .find(|evaluation| repeat.is_none_or(|repeat| evaluation.key.repeat == repeat));
    found.map_or_else(
        || {
            let known: Vec<String> = repeats
                .iter()
                .map(|evaluation| evaluation.key.repeat.to_string())
                .collect();
            usage(
                format!("`{task}` has no repeat {}", repeat.unwrap_or_default()),
                format!(
                    "recorded repeats: {}; those from 1000 on are further evaluations",
                    known.join(", ")
                ),
            )
        },
        Ok,
    )
}

fn other_tasks(name: &str, tasks: &BTreeSet<&TaskId>, parts: &[&TaskId], list: &str) -> String {
    let near = tasks
        .iter()
        .map(|task| (strsim::jaro_winkler(task.as_str(), name), *task))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if !parts.is_empty() {
        let names: Vec<String> = parts
            .iter()
            .take(5)
            .map(|task| format!("`{task}`"))
            .collect();
        return format!("it may be {}", names.join(", "));
    }
    match near {
        Some((_, task)) => format!("did you mean `{task}`?"),
        None => format!("`{list}` lists its evaluations"),
    }
}
