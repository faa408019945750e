//! `dgm checkout`.

use super::error::usage;
use super::exit::Code;
use super::place::{self, Shape, find_variant};
use super::ui::Ui;
use crate::archive::Reader;
use std::path::Path;

const SHAPE: Shape = Shape {
    verb: "checkout",
    rest: "VARIANT OUT",
    least: 2,
    most: 2,
};

/// Write the source of a variant into a folder
///
/// The folder must be new or empty, unless `--force` is given. What it holds was written by a model: read it before you
/// run it outside a sandbox.
#[derive(clap::Args)]
#[command(
    override_usage = "dgm checkout [OPTIONS] [DIR] VARIANT OUT",
    after_help = "\
Where:
  DIR      folder of the archive; by default the current directory
  VARIANT  a number (`7` or `#7`), `best`, `seed`, or the beginning of a commit id
  OUT      folder to write

Examples:
  dgm checkout demo best ./agent
  cd demo && dgm checkout 7 /tmp/agent-7"
)]
pub(super) struct Args {
    /// `[DIR] VARIANT OUT`; see [`place`]
    #[arg(required = true, num_args = 1..=3, value_name = "[DIR] VARIANT OUT", hide = true)]
    words: Vec<String>,
    /// Write over the files that are there
    #[arg(long)]
    force: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let (place, words) = place::split(&self.words, &SHAPE)?;
        let [name, out] = words else {
            unreachable!("invariant: the shape allows two words")
        };
        if Path::new(out).is_file() {
            return usage(
                format!("`{out}` is a file"),
                "name a new or an empty folder",
            );
        }
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let variant = find_variant(&lineage, name)?;
        reader.checkout(&variant.commit, Path::new(out), self.force)?;
        ui.status(&format!("wrote variant {} into `{out}`", variant.id));
        Ok(Code::Done)
    }
}
