//! Evaluations as the folder of one of Harbor's jobs.

use super::args::Args;
use super::trajectory::Exporter;
use crate::agent::Manifest;
use crate::archive::write_files;
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::run;
use crate::cli::ui::Ui;
use crate::config::Overrides;
use crate::domain::{Evaluation, FileTree, TreePath, VariantId};
use crate::view::export::{self, HarborJob, HarborTrial, Row, Work};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;

/// Writes the folder, trial by trial; the job's own files come last.
pub(super) fn write(
    args: &Args,
    ui: Ui,
    dir: &Path,
    exporter: &Exporter<'_>,
    evaluations: &[&Evaluation],
) -> anyhow::Result<Code> {
    let Some(out) = &args.out else {
        return usage(
            "a job of Harbor is a folder",
            "name a new one with `--out`, such as `jobs/demo`; `harbor view jobs` shows it",
        );
    };
    let job = job(dir, out, exporter)?;
    let archive = exporter.reader.id();
    let rows = export::rows(archive, exporter.lineage, evaluations);
    let names = agent_names(exporter, &rows)?;
    // One that asked nothing was given the model that all others were given.
    let models: BTreeSet<&str> = rows.iter().flat_map(|row| &row.models).copied().collect();
    let only = models.first().copied().filter(|_| models.len() == 1);
    let trials = rows.iter().map(|row| HarborTrial {
        row,
        agent: names.get(&row.variant.id).map_or("unnamed", String::as_str),
        model: row.models.first().copied().or(only),
    });
    let trials: Vec<HarborTrial<'_>> = trials.collect();
    write_files(&FileTree::new(), out, args.force)?;
    for trial in &trials {
        let files = trial_files(exporter, &job, trial)?;
        write_files(&files, &out.join(trial.name()), args.force)?;
    }
    let mut files = FileTree::new();
    for (name, text) in export::harbor_job(&job, &trials) {
        put(&mut files, name, text.as_bytes())?;
    }
    // The folder is no longer empty, and all that is in it is ours or may be written over.
    write_files(&files, out, true)?;
    let what = format!("wrote {} trials to `{}`", trials.len(), out.display());
    ui.status(&what);
    Ok(Code::Done)
}

fn job(dir: &Path, out: &Path, exporter: &Exporter<'_>) -> anyhow::Result<HarborJob> {
    let settings = run::configured(dir, &Overrides::default())?;
    let place = std::path::absolute(out);
    let place = place.with_context(|| format!("could not find `{}`", out.display()))?;
    let text = |path: Option<&Path>| path.map_or(String::new(), |path| path.display().to_string());
    let name = |path: &Path| text(path.file_name().map(Path::new));
    let runs = exporter.lineage.runs().iter();
    let backend = runs.map(|(start, _)| start.sandbox.as_str()).next_back();
    Ok(HarborJob {
        archive: exporter.reader.id().to_owned(),
        name: name(&place),
        jobs_dir: text(place.parent()),
        benchmark: text(Some(&settings.benchmark)),
        dataset: name(&settings.benchmark),
        backend: backend.unwrap_or("local").to_owned(),
        workers: settings.engine.workers,
    })
}

fn agent_names(
    exporter: &Exporter<'_>,
    rows: &[Row<'_>],
) -> anyhow::Result<BTreeMap<VariantId, String>> {
    let mut names = BTreeMap::new();
    for row in rows {
        if let Entry::Vacant(name) = names.entry(row.variant.id) {
            let manifest = Manifest::read(&exporter.reader.files(&row.variant.commit)?);
            name.insert(manifest.map_or("unnamed".to_owned(), |found| found.name));
        }
    }
    Ok(names)
}

fn trial_files(
    exporter: &Exporter<'_>,
    job: &HarborJob,
    trial: &HarborTrial<'_>,
) -> anyhow::Result<FileTree> {
    let mut files = FileTree::new();
    for (name, text) in export::harbor_trial(job, trial) {
        put(&mut files, name, text.as_bytes())?;
    }
    let evaluation = trial.row.evaluation;
    if let Some(text) = exporter.found(Work::Evaluation(evaluation))? {
        put(&mut files, "agent/trajectory.json", text.as_bytes())?;
    }
    for (name, blob) in [
        ("agent/agent.log", &evaluation.agent_log),
        ("agent/patch.diff", &evaluation.patch),
        ("verifier/test-stdout.txt", &evaluation.verifier_log),
    ] {
        if let Some(blob) = blob {
            put(&mut files, name, &exporter.reader.blob(blob)?)?;
        }
    }
    Ok(files)
}

fn put(files: &mut FileTree, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = TreePath::new(name).context("a name of a file")?;
    files.insert(path, bytes, false);
    Ok(())
}
