//! `dgm bench import`.

use crate::benchmark::polyglot::{self, Language, Mode};
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

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match self.from {
            From::Polyglot(args) => args.run(ui),
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
