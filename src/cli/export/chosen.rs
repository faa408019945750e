//! Which evaluations are exported, and where to.

use super::args::Args;
use crate::benchmark::name_matches;
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::domain::{Evaluation, VariantId};
use crate::lineage::Lineage;
use crate::sys::durable;
use crate::view::evidence_of;
use anyhow::Context as _;
use std::collections::BTreeSet;
impl Args {
    /// Returns whether a task is among those that are meant.
    pub(super) fn means(&self, task: &str) -> bool {
        self.tasks.is_empty() || self.tasks.iter().any(|pattern| matches(pattern, task))
    }
}

pub(super) fn matches(pattern: &str, task: &str) -> bool {
    task == pattern || name_matches(pattern, task)
}

/// Returns the evaluations that a command line means; no variant stands for all.
pub(super) fn choose<'a>(
    args: &Args,
    lineage: &'a Lineage,
    variants: &[VariantId],
) -> anyhow::Result<Vec<&'a Evaluation>> {
    let of_variants: Vec<&Evaluation> = if variants.is_empty() {
        lineage.evaluations().collect()
    } else {
        let ids: BTreeSet<&VariantId> = variants.iter().collect();
        let evaluations = ids.into_iter().map(|id| lineage.evaluations_of(*id));
        evaluations.flatten().collect()
    };
    for pattern in &args.tasks {
        let is_of = |found: &&Evaluation| matches(pattern, found.key.task.as_str());
        if !of_variants.iter().any(is_of) {
            return usage(
                format!("no evaluation is of a task `{pattern}`"),
                "`dgm show` lists the evaluations of a variant",
            );
        }
    }
    let is_meant = |evaluation: &&Evaluation| {
        let key = &evaluation.key;
        args.means(key.task.as_str()) && args.repeat.is_none_or(|repeat| key.repeat == repeat)
    };
    let chosen: Vec<&Evaluation> = of_variants.into_iter().filter(is_meant).collect();
    if chosen.is_empty() {
        return usage(
            "no such evaluation is recorded",
            "`dgm tree` shows what was evaluated, `dgm show` what of a variant",
        );
    }
    Ok(chosen)
}

/// Says of evaluations that go where there is no place for it that their agent was made from
/// hidden tests.
pub(super) fn announced<'a>(
    ui: Ui,
    lineage: &Lineage,
    chosen: Vec<&'a Evaluation>,
) -> Vec<&'a Evaluation> {
    let agents: BTreeSet<VariantId> = chosen.iter().map(|of| of.key.variant).collect();
    for told in agents.iter().filter_map(|id| evidence_of(lineage, *id)) {
        ui.warn(&told);
    }
    chosen
}

/// Writes one file, or to standard output.
pub(super) fn write(args: &Args, ui: Ui, bytes: &[u8]) -> anyhow::Result<Code> {
    let Some(out) = &args.out else {
        ui.data(bytes)?;
        return Ok(Code::Done);
    };
    if out.is_dir() {
        return usage(
            format!("`{}` is a folder", out.display()),
            "this is one file: name that",
        );
    }
    if out.exists() && !args.force {
        return usage(
            format!("`{}` is there already", out.display()),
            "name another file, or write over it with `--force`",
        );
    }
    durable::write(out, bytes).with_context(|| format!("could not write `{}`", out.display()))?;
    Ok(Code::Done)
}
