//! `dgm cost`.

use super::exit::Code;
use super::place::Place;
use super::ui::Ui;
use crate::archive::Reader;
use crate::view::cost::{self, By};
use std::path::PathBuf;

/// Show what model calls cost, and for what
///
/// Calls whose end is not known (the process died between request and answer) are shown with
/// what they can have cost at most.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm cost demo
  dgm cost demo --by variant
  dgm cost demo --json | jq .total.cost_usd")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    /// Sum by this only
    #[arg(long, value_enum)]
    by: Option<Grouping>,
    /// Print JSON (`dgm.cost/1`), summed in every way
    #[arg(long, conflicts_with = "by")]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Grouping {
    /// Diagnose, modify, solve
    Role,
    /// Model as configured
    Model,
    /// Variant that was evaluated
    Variant,
    /// Attempt at self-modification
    Attempt,
    /// Task that was solved
    Task,
    /// Day (UTC)
    Day,
    /// Process that made the call
    Run,
}

impl From<Grouping> for By {
    fn from(grouping: Grouping) -> Self {
        match grouping {
            Grouping::Role => Self::Role,
            Grouping::Model => Self::Model,
            Grouping::Variant => Self::Variant,
            Grouping::Attempt => Self::Attempt,
            Grouping::Task => Self::Task,
            Grouping::Day => Self::Day,
            Grouping::Run => Self::Run,
        }
    }
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let place = Place::of(self.dir.as_deref())?;
        let lineage = Reader::open(&place.dir)?.lineage()?;
        ui.data(if self.json {
            cost::json(&lineage)
        } else {
            cost::text(&lineage, self.by.map(By::from), ui.data_style())
        })?;
        Ok(Code::Done)
    }
}
