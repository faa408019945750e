//! Answers and grades for those who work with SWE-bench's own harness.

use crate::agent::Manifest;
use crate::archive::Reader;
use crate::benchmark::swebench::GradeFacts;
use crate::benchmark::{Grader, Suite, Task};
use crate::cli::error::usage;
use crate::cli::ui::Ui;
use crate::cli::{run, workplace};
use crate::config::Overrides;
use crate::domain::{Evaluation, Outcome, VariantId};
use crate::lineage::Lineage;
use crate::view::export::Prediction;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::Path;

/// An archive with the benchmark that it evaluates on.
pub(super) struct Exporter<'a> {
    reader: &'a Reader,
    lineage: &'a Lineage,
    suite: Suite,
}

/// An evaluation on an instance.
pub(super) struct Answered<'a> {
    pub(super) evaluation: &'a Evaluation,
    pub(super) facts: &'a GradeFacts,
    /// What the agent changed, as a diff; empty: nothing.
    pub(super) patch: Vec<u8>,
}

impl<'a> Exporter<'a> {
    /// Reads the archive's benchmark.
    pub(super) fn open(
        dir: &Path,
        reader: &'a Reader,
        lineage: &'a Lineage,
    ) -> anyhow::Result<Self> {
        let settings = run::configured(dir, &Overrides::default())?;
        Ok(Self {
            reader,
            lineage,
            suite: workplace::read_suite(&settings.benchmark)?,
        })
    }

    /// Returns the first evaluation of each instance that has an answer. One that the sandbox or
    /// the provider failed has none: it must not look as if nothing had been changed.
    pub(super) fn answered<'b>(
        &'b self,
        evaluations: &[&'b Evaluation],
    ) -> anyhow::Result<Vec<Answered<'b>>> {
        let mut answered: Vec<Answered<'b>> = Vec::new();
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for evaluation in evaluations {
            let facts = self.facts(evaluation)?;
            let is_answer = match evaluation.outcome {
                Outcome::Resolved
                | Outcome::Unresolved
                | Outcome::Empty
                | Outcome::AgentError
                | Outcome::Timeout
                | Outcome::Budget
                | Outcome::VerifierError => true,
                Outcome::InfraError | Outcome::Cancelled => false,
            };
            if !is_answer || !known.insert(&facts.instance_id) {
                continue;
            }
            let patch = evaluation.patch.as_ref();
            let patch = patch.map(|patch| self.reader.blob(patch)).transpose()?;
            answered.push(Answered {
                evaluation,
                facts,
                patch: patch.unwrap_or_default(),
            });
        }
        Ok(answered)
    }

    fn facts(&self, evaluation: &Evaluation) -> anyhow::Result<&GradeFacts> {
        let id = &evaluation.key.task;
        let Some(task) = self.suite.get(id) else {
            return usage(
                format!("task `{id}` is not in `{}`", self.suite.path.display()),
                "put the benchmark back as it was when the variant was evaluated",
            );
        };
        let Some(facts) = facts(task) else {
            return usage(
                format!("task `{id}` is no instance of SWE-bench"),
                "this format is for benchmarks that `dgm bench import swebench` made; `csv`, \
                 `parquet` and `atif` are for all",
            );
        };
        Ok(facts)
    }

    /// Returns what the agent is called in predictions and reports, which make it the name of a
    /// folder: its own name and its commit.
    pub(super) fn model(&self, id: VariantId) -> anyhow::Result<String> {
        let variant = self.lineage.variant(id);
        let variant = variant.context("the agent is not in the archive")?;
        let manifest = Manifest::read(&self.reader.files(&variant.commit)?);
        let name = manifest.as_ref().map_or("unnamed", |found| &found.name);
        let plain = name.chars().map(|c| {
            let is_plain = c.is_ascii_alphanumeric() || "-_.".contains(c);
            if is_plain { c } else { '-' }
        });
        let plain: String = plain.collect();
        Ok(format!("{plain}-{}", variant.commit.short()))
    }
}

/// Returns the instance that a task is, if it is one.
fn facts(task: &Task) -> Option<&GradeFacts> {
    match &task.grader {
        Grader::Swebench(facts) => Some(facts),
        Grader::Verifier => None,
    }
}

/// Returns what a variant answered.
pub(super) fn predictions(
    ui: Ui,
    exporter: &Exporter<'_>,
    evaluations: &[&Evaluation],
) -> anyhow::Result<Vec<Prediction>> {
    let mut predictions = Vec::new();
    for answered in exporter.answered(evaluations)? {
        let instance = &answered.facts.instance_id;
        let Ok(model_patch) = String::from_utf8(answered.patch) else {
            ui.warn(&format!(
                "`{instance}` is left out: its patch is no UTF-8, and a prediction is a text"
            ));
            continue;
        };
        predictions.push(Prediction {
            instance_id: instance.clone(),
            model_name_or_path: exporter.model(answered.evaluation.key.variant)?,
            model_patch,
        });
    }
    Ok(predictions)
}
