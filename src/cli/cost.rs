//! `dgm cost`.

use super::exit::Code;
use super::place::Place;
use super::prices;
use super::ui::Ui;
use crate::archive::{Layout, Reader};
use crate::config::{self, parse};
use crate::evolve::Budgets;
use crate::model::Allowance;
use crate::view::budget::{Limit, Limits};
use crate::view::cost::{self, By};
use std::path::{Path, PathBuf};

/// Show what model calls cost, and for what
///
/// Calls whose end is not known (the process died between request and answer) are shown with
/// what they can have cost at most.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm cost demo
  dgm cost demo --by variant
  dgm cost demo --by role,day
  dgm cost --prices
  dgm cost demo --json | jq .total.cost_usd")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    /// Sum by this only; several sum by all of them together
    #[arg(long, value_enum, value_delimiter = ',')]
    by: Vec<Grouping>,
    /// Show instead what models cost, as far as the program knows; needs no archive
    #[arg(long, conflicts_with = "by")]
    prices: bool,
    /// Print JSON (`dgm.cost/1`, `dgm.prices/1`), summed in every way, and as `--by` says
    #[arg(long)]
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
        if self.prices {
            ui.data(prices::show(self.json, ui.data_style()))?;
            return Ok(Code::Done);
        }
        let place = Place::of(self.dir.as_deref())?;
        let lineage = Reader::open(&place.dir)?.lineage()?;
        let by: Vec<By> = self.by.into_iter().map(By::from).collect();
        let limits = limits(&place.dir);
        ui.data(if self.json {
            cost::json(&lineage, &by, limits.as_ref())
        } else {
            cost::text(&lineage, &by, limits.as_ref(), ui.data_style())
        })?;
        Ok(Code::Done)
    }
}

/// Returns the budgets of the archive's configuration. The books can be read without it, so
/// one that cannot be read is left out; `dgm evolve` says what is wrong with it.
fn limits(dir: &Path) -> Option<Limits> {
    let text = std::fs::read_to_string(Layout::new(dir).config()).ok()?;
    let budgets = parse(&text)
        .and_then(|raw| config::budgets(&raw.budget))
        .inspect_err(|error| tracing::debug!(%error, "the budgets cannot be read"))
        .ok()?;
    Some(of_budgets(&budgets))
}

/// Returns budgets as they are shown.
pub(super) fn of_budgets(budgets: &Budgets) -> Limits {
    let limit = |allowance: Allowance| Limit {
        usd: allowance.cost,
        tokens: allowance.tokens,
        calls: allowance.calls,
    };
    Limits {
        archive: limit(budgets.run),
        hours: budgets.time,
        attempt: limit(budgets.attempt),
        job: limit(budgets.job),
    }
}
