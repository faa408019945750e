//! `dgm export`: what an archive knows, in formats of other tools. One file for each family of
//! formats; what they look like is in [`crate::view::export`].

mod harbor;
mod swebench;
mod table;
mod trajectory;

use super::error::usage;
use super::exit::Code;
use super::place::{self, Shape};
use super::ui::Ui;
use crate::archive::Reader;
use crate::benchmark::name_matches;
use crate::domain::{Evaluation, VariantId};
use crate::lineage::Lineage;
use crate::sys::durable;
use crate::view::{evidence_of, export};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::PathBuf;
use trajectory::Exporter;

/// Write what an archive knows for other tools
///
/// Trajectories (`atif`) are what agents did, rebuilt from their model calls. Tables (`csv`,
/// `parquet`) have one row for each evaluation. Predictions (`predictions`, `preds`) are what a
/// variant answered to the instances of SWE-bench, for its own harness to grade;
/// `swebench-report` is what was graded here, in that harness's shape. A job (`harbor`) is a
/// folder that Harbor's viewer opens, with trajectories, logs and rewards.
#[derive(clap::Args)]
#[command(
    override_usage = "\
dgm export [OPTIONS] --format atif [DIR] VARIANT [TASK]
       dgm export [OPTIONS] --format csv|parquet|harbor [DIR] [VARIANT]...
       dgm export [OPTIONS] --format predictions|preds|swebench-report [DIR] VARIANT",
    after_help = "\
Where:
  DIR      folder of the archive; by default the current directory
  VARIANT  a number (`7` or `#7`), `best`, `seed`, or the beginning of a commit id; left out
           where it may be: all
  TASK     name of a task, or a part of it that no other task has; left out: every evaluation
           of the variant and the attempt that made it

Examples:
  dgm export demo --format csv > evaluations.csv        every evaluation, for a spreadsheet
  dgm export demo best seed --format parquet --out a.parquet   two variants, for data frames
  dgm export demo best --format predictions --out best.jsonl   for `swebench eval`
  dgm export demo best --format swebench-report --out reports
  dgm export demo best --format harbor --out jobs/best  then `harbor view jobs`
  dgm export demo best long-file --format atif          one trajectory, to standard output
  dgm export demo 7 --attempt --format atif --out a.json  how variant 7 was made
  dgm export demo 7 --format atif --out trajectories    everything of variant 7, into a folder

What is in each format: docs/exports.md"
)]
pub(super) struct Args {
    /// `[DIR] [VARIANT]... [TASK]`; see [`place`]
    #[arg(num_args = 0.., value_name = "[DIR] VARIANT [TASK]", hide = true)]
    words: Vec<String>,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// File to write, or folder where there are several [default: standard output]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Only evaluations of these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    /// The attempt that made the variant, instead of an evaluation (`atif`)
    #[arg(long)]
    attempt: bool,
    /// Only this repeat of each task [default: all in tables, the first one elsewhere]
    #[arg(long, value_name = "K")]
    repeat: Option<u32>,
    /// Write over what is there
    #[arg(long)]
    force: bool,
}

/// A format of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Agent Trajectory Interchange Format of Harbor, version 1.8
    Atif,
    /// Evaluations, comma-separated
    Csv,
    /// Evaluations, as Apache Parquet
    Parquet,
    /// Answers as SWE-bench's harness reads them (JSON lines)
    Predictions,
    /// Answers as mini-swe-agent keeps them (`preds.json`), which that harness reads as well
    Preds,
    /// Report of a run and of each instance, as that harness writes them (a folder)
    SwebenchReport,
    /// Job of Harbor with one trial for each evaluation (a folder)
    Harbor,
}

impl Format {
    /// Returns what follows the archive's folder.
    fn shape(self) -> Shape {
        let (rest, least, most) = match self {
            Self::Atif => ("VARIANT [TASK]", 1, 2),
            Self::Csv | Self::Parquet | Self::Harbor => ("[VARIANT]...", 0, usize::MAX - 1),
            Self::Predictions | Self::Preds | Self::SwebenchReport => ("VARIANT", 1, 1),
        };
        Shape {
            verb: "export",
            rest,
            least,
            most,
        }
    }
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        if self.attempt && self.format != Format::Atif {
            return usage(
                "`--attempt` is for trajectories",
                "say `--format atif`, or leave it out",
            );
        }
        let (place, words) = place::split(&self.words, &self.format.shape())?;
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let chosen = || {
            let variants = words.iter().map(|word| {
                let variant = place::find_variant(&lineage, word)?;
                anyhow::Ok(variant.id)
            });
            choose(
                &self,
                &lineage,
                &variants.collect::<anyhow::Result<Vec<VariantId>>>()?,
            )
        };
        let instances = || swebench::Exporter::open(&place.dir, &reader, &lineage);
        match self.format {
            Format::Atif => {
                let exporter = Exporter {
                    reader: &reader,
                    lineage: &lineage,
                };
                trajectory::run(&self, ui, &place, words, &exporter)
            }
            Format::Harbor => {
                let exporter = Exporter {
                    reader: &reader,
                    lineage: &lineage,
                };
                harbor::write(&self, ui, &place.dir, &exporter, &chosen()?)
            }
            Format::SwebenchReport => swebench::report(
                &self,
                ui,
                &instances()?,
                &announced(ui, &lineage, chosen()?),
            ),
            Format::Csv => table::csv(&self, ui, &reader, &lineage, &chosen()?),
            Format::Parquet => table::parquet(&self, ui, &reader, &lineage, &chosen()?),
            Format::Predictions => {
                let chosen = announced(ui, &lineage, chosen()?);
                let found = swebench::predictions(ui, &instances()?, &chosen)?;
                write(&self, ui, export::predictions(&found).as_bytes())
            }
            Format::Preds => {
                let chosen = announced(ui, &lineage, chosen()?);
                let found = swebench::predictions(ui, &instances()?, &chosen)?;
                write(&self, ui, export::preds(&found).as_bytes())
            }
        }
    }
}

impl Args {
    /// Returns whether a task is among those that are meant.
    fn means(&self, task: &str) -> bool {
        self.tasks.is_empty() || self.tasks.iter().any(|pattern| matches(pattern, task))
    }
}

fn matches(pattern: &str, task: &str) -> bool {
    task == pattern || name_matches(pattern, task)
}

/// Returns the evaluations that a command line means; no variant stands for all.
fn choose<'a>(
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
fn announced<'a>(ui: Ui, lineage: &Lineage, chosen: Vec<&'a Evaluation>) -> Vec<&'a Evaluation> {
    let agents: BTreeSet<VariantId> = chosen.iter().map(|of| of.key.variant).collect();
    for told in agents.iter().filter_map(|id| evidence_of(lineage, *id)) {
        ui.warn(&told);
    }
    chosen
}

/// Writes one file, or to standard output.
fn write(args: &Args, ui: Ui, bytes: &[u8]) -> anyhow::Result<Code> {
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
