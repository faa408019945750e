//! `dgm tree`.

use super::exit::Code;
use super::place::Place;
use super::ui::Ui;
use crate::archive::Reader;
use crate::view::tree;
use std::path::PathBuf;

/// Show the archive as a tree
///
/// One line for each variant, and for each attempt that made none: its score with the 95 %
/// interval, the difference to its parent (on the tasks both were tried on), its children,
/// what making and evaluating it cost, and what is new in it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm tree demo
  dgm tree demo --json | jq '.variants[] | select(.score.mean > 0.5) | .number'
  dgm tree demo --dot | dot -Tsvg > tree.svg")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    /// Print JSON (`dgm.tree/1`)
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Print a Graphviz graph
    #[arg(long)]
    dot: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let place = Place::of(self.dir.as_deref())?;
        let lineage = Reader::open(&place.dir)?.lineage()?;
        ui.data(if self.json {
            tree::json(&lineage)
        } else if self.dot {
            tree::dot(&lineage)
        } else {
            tree::text(&lineage, ui.data_style())
        })?;
        Ok(Code::Done)
    }
}
