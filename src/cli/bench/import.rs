//! `dgm bench import`.

use crate::benchmark::polyglot::{self, Language, Mode};
use crate::benchmark::swebench;
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use std::path::PathBuf;

/// Turn a public benchmark into Harbor task directories
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand)]
enum From {
    Polyglot(Polyglot),
    Swebench(Swebench),
}

/// Import exercises of Aider's Polyglot benchmark
///
/// Each exercise becomes a task that runs without network: stubs and instructions visible,
/// tests hidden, nothing of the repository's history.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  dgm bench import polyglot polyglot-benchmark polyglot            all six languages
  dgm bench import polyglot polyglot-benchmark python --language python
  dgm bench import polyglot polyglot-benchmark java --language java --mode aider")]
struct Polyglot {
    /// A checkout of the repository, or a `.tar.gz` of one
    checkout: PathBuf,
    /// Folder for the tasks; made anew
    out: PathBuf,
    /// Language to import; repeat for several [default: all six]
    #[arg(long, value_name = "LANGUAGE")]
    language: Vec<String>,
    /// Which tests run: `full` every one, `aider` and `dgm` as the published results were made
    ///
    /// The mode is part of the dataset's name, because results of different modes cannot be
    /// compared. `aider` misses some of the skipped tests; `dgm` leaves Java's disabled ones
    /// disabled and shows the hints.
    #[arg(long, default_value = "full", value_parser = ["full", "aider", "dgm"])]
    mode: String,
}

/// Import instances of SWE-bench
///
/// Each row becomes a task that runs in its own image and is graded as the official harness
/// grades, outside of the container. Rows of version 5 and older ones are both read; rows of
/// repositories and versions that are not known need `eval_script`, `log_parser` and `eval_type`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench import swebench verified.jsonl verified
  dgm bench import swebench test.parquet two --ids django__django-10973 django__django-11066")]
struct Swebench {
    /// Rows as JSON, JSON lines or Parquet, or a task repository
    rows: PathBuf,
    /// Folder for the tasks; made anew
    out: PathBuf,
    /// Only these instances
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    ids: Vec<String>,
    /// At most so many, the first ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match self.from {
            From::Polyglot(args) => args.run(ui),
            From::Swebench(args) => args.run(ui),
        }
    }
}

impl Polyglot {
    fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let mut languages = Vec::new();
        for name in &self.language {
            match Language::from_name(name) {
                Some(language) => languages.push(language),
                None => {
                    let known = Language::ALL.map(Language::name).join(", ");
                    return usage(
                        format!("unknown language `{name}`"),
                        format!("known are {known}"),
                    );
                }
            }
        }
        if languages.is_empty() {
            languages = Language::ALL.to_vec();
        }
        let mode = Mode::from_name(&self.mode).expect("invariant: clap has checked the name");
        let imported = polyglot::import(&self.checkout, &self.out, &languages, mode)?;
        ui.data(format!(
            "{} tasks in {}\n",
            imported.tasks.len(),
            self.out.display()
        ))?;
        Ok(Code::Done)
    }
}

impl Swebench {
    fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let selection = swebench::Selection {
            ids: self.ids,
            limit: self
                .limit
                .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        };
        let imported = swebench::import(&self.rows, &self.out, &selection)?;
        if imported.unpublished > 0 {
            ui.status(&format!(
                "left out: {} of splits that the task repository does not publish; `--ids` takes \
                 them",
                imported.unpublished
            ));
        }
        ui.data(format!(
            "{} tasks in {}\n",
            imported.tasks.len(),
            self.out.display()
        ))?;
        Ok(Code::Done)
    }
}
