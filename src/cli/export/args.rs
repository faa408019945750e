//! What is to be exported, and as what.

use crate::cli::place::Shape;
use std::path::PathBuf;

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
pub(in crate::cli) struct Args {
    /// `[DIR] [VARIANT]... [TASK]`; see [`place`]
    #[arg(num_args = 0.., value_name = "[DIR] VARIANT [TASK]", hide = true)]
    pub(in crate::cli) words: Vec<String>,
    /// What to write
    #[arg(long, value_enum)]
    pub(in crate::cli) format: Format,
    /// File to write, or folder where there are several [default: standard output]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Only evaluations of these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    pub(in crate::cli) tasks: Vec<String>,
    /// The attempt that made the variant, instead of an evaluation (`atif`)
    #[arg(long)]
    pub(in crate::cli) attempt: bool,
    /// Only this repeat of each task [default: all in tables, the first one elsewhere]
    #[arg(long, value_name = "K")]
    pub(in crate::cli) repeat: Option<u32>,
    /// Write over what is there
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

/// A format of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
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
    pub(super) fn shape(self) -> Shape {
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
