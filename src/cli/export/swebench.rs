//! Answers and grades for those who work with SWE-bench's own harness.

use super::args::Args;
use crate::agent::Manifest;
use crate::archive::Reader;
use crate::archive::write_files;
use crate::benchmark::swebench::{self, Grade, GradeFacts, Infra, Log, Split, Tier};
use crate::benchmark::{Grader, Suite, Task};
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::cli::{run, workplace};
use crate::config::Overrides;
use crate::domain::{Evaluation, FileTree, Outcome, TreePath, VariantId};
use crate::lineage::Lineage;
use crate::view::export::{self, Graded, GradedInstance, InfraReport, Prediction, SwebenchRun};
use crate::view::grade;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::Path;

/// An archive with the benchmark that it evaluates on.
pub(super) struct SwebenchExporter<'a> {
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

impl<'a> SwebenchExporter<'a> {
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
            suite: workplace::read_suite(&settings.benchmark, &settings.permits)?,
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
            let is_answer = match evaluation.judgement.outcome {
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
                "this format is for benchmarks that `dgm bench import swebench` made; the \
                 other formats are for all",
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
    exporter: &SwebenchExporter<'_>,
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

/// Writes the reports into a folder, laid out as the harness does: its own program that sums
/// up a run finds them there.
pub(super) fn report(
    args: &Args,
    ui: Ui,
    exporter: &SwebenchExporter<'_>,
    evaluations: &[&Evaluation],
) -> anyhow::Result<Code> {
    let Some(out) = &args.out else {
        return usage(
            "reports are a folder",
            "name a new one with `--out`, such as `reports`",
        );
    };
    let answered = exporter.answered(evaluations)?;
    let Some(first) = answered.first() else {
        return usage(
            "no instance has an answer",
            "what the sandbox or the provider failed is not in reports",
        );
    };
    let model = exporter.model(first.evaluation.key.variant)?;
    let run_id = format!("dgm-{}", exporter.reader.id());
    let mut run = SwebenchRun {
        instances: exporter.instances(args),
        ..SwebenchRun::default()
    };
    write_files(&FileTree::new(), out, args.force)?;
    for answered in &answered {
        let id = &answered.facts.instance_id;
        let folder = out.join("logs/run_evaluation").join(&run_id).join(&model);
        let mut files = FileTree::new();
        let graded = exporter.graded(answered, &mut files, &mut run)?;
        run.graded.insert(id.clone(), graded);
        if !files.is_empty() {
            // An id is a name of a folder, and of no other one.
            TreePath::new(id).with_context(|| format!("`{id}` names no folder"))?;
            write_files(&files, &folder.join(id), args.force)?;
        }
    }
    let mut files = FileTree::new();
    let name = format!("{model}.{run_id}.json");
    put(&mut files, &name, export::swebench_run(&run).as_bytes())?;
    // The folder is no longer empty, and all that is in it is ours or may be written over.
    write_files(&files, out, true)?;
    let what = format!("wrote {} reports to `{}`", answered.len(), out.display());
    ui.status(&what);
    Ok(Code::Done)
}

impl SwebenchExporter<'_> {
    /// Returns the instances that were to be answered: all of the benchmark that are meant.
    fn instances(&self, args: &Args) -> BTreeSet<String> {
        let facts = self.suite.tasks.iter().filter_map(|task| {
            let is_meant = args.means(task.id.as_str());
            facts(task).filter(|_| is_meant)
        });
        facts.map(|facts| facts.instance_id.clone()).collect()
    }

    /// Grades the log of an evaluation again, which gives what was recorded.
    fn graded(
        &self,
        answered: &Answered<'_>,
        files: &mut FileTree,
        run: &mut SwebenchRun,
    ) -> anyhow::Result<Graded> {
        let (evaluation, facts) = (answered.evaluation, answered.facts);
        if answered.patch.is_empty() {
            return Ok(Graded::Empty);
        }
        put(files, "patch.diff", &answered.patch)?;
        let Some(log) = &evaluation.verifier_log else {
            return Ok(Graded::Error);
        };
        let bytes = self.reader.blob(log)?;
        put(files, "test_output.txt", &bytes)?;
        let log = Log::read(&bytes);
        let grade = swebench::grade(facts, &log);
        self.same(evaluation, &grade)?;
        if !grade.resolved()
            && let Some(infra) = swebench::infra(&log)
        {
            run.causes.insert(facts.instance_id.clone(), cause(infra));
        }
        if !swebench::is_complete(&log) {
            return Ok(Graded::Error);
        }
        let (tests, infra) = match &grade {
            Grade::Found { tests, .. } => (Some(tests), None),
            Grade::NotFound { infra, .. } => (None, *infra),
        };
        let report = export::swebench_instance(&GradedInstance {
            id: &facts.instance_id,
            resolved: grade.resolved(),
            tests: tests.map(|tests| grade::TestsStatus {
                fail_to_pass: split(&tests.fail_to_pass),
                pass_to_pass: split(&tests.pass_to_pass),
            }),
            cause: infra.map(cause),
        });
        put(files, "report.json", report.as_bytes())?;
        Ok(match grade.resolved() {
            true => Graded::Resolved,
            false => Graded::Unresolved,
        })
    }

    /// Refuses to report another grade than the recorded one.
    fn same(&self, evaluation: &Evaluation, grade: &Grade<'_>) -> anyhow::Result<()> {
        let id = &evaluation.key.task;
        let then = evaluation
            .judgement
            .reward
            .is_some_and(|reward| reward >= 1.0);
        if then == grade.resolved() {
            return Ok(());
        }
        let said = |resolved: bool| if resolved { "resolved" } else { "not resolved" };
        let (then, now) = (said(then), said(grade.resolved()));
        usage(
            format!("`{id}` was recorded as {then}, and its log says {now}"),
            format!(
                "`{}` or this program is not as it was: leave the task out with `--tasks`",
                self.suite.path.display()
            ),
        )
    }
}

fn cause(infra: Infra) -> InfraReport {
    InfraReport {
        reason: infra.reason,
        is_environment: infra.tier == Tier::Environment,
    }
}

fn split(split: &Split) -> grade::Split<'_> {
    grade::Split {
        success: &split.success,
        failure: &split.failure,
    }
}

fn put(files: &mut FileTree, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = TreePath::new(name).context("a name of a file")?;
    files.insert(path, bytes, false);
    Ok(())
}
