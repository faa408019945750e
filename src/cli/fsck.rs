//! `dgm fsck`.

use super::exit::Code;
use super::place::Place;
use super::ui::Ui;
use crate::archive::{self, Finding, Severity};
use crate::view::check::{Check, CheckState};
use crate::view::checks::{self};
use std::path::PathBuf;

/// Check an archive: every invariant, every blob, every commit
///
/// Damage cannot be repaired, but is named, so that nobody trusts a number that lost its
/// evidence. What a process that died left behind can be removed with `--repair`; nothing
/// else may write to the archive meanwhile.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm fsck demo
  dgm fsck demo --repair

Exit code 0: everything is in order, or was repaired; 1: something is not.")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    /// Remove leftovers and put settings right
    #[arg(long)]
    repair: bool,
    /// Print JSON (`dgm.fsck/1`)
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let place = Place::of(self.dir.as_deref())?;
        let findings = archive::fsck(&place.dir, self.repair)?;
        let open = findings.iter().filter(|finding| !finding.repaired).count();
        let repaired = findings.len() - open;
        let conclusion = conclusion(open, repaired);
        let checks: Vec<Check> = findings.into_iter().map(check).collect();
        ui.data(if self.json {
            checks::fsck_json(&checks, open == 0, repaired, &conclusion)
        } else if checks.is_empty() {
            format!("{conclusion}\n")
        } else {
            checks::text(&checks, &conclusion, ui.data_style())
        })?;
        Ok(if open == 0 { Code::Done } else { Code::Failed })
    }
}

fn conclusion(open: usize, repaired: usize) -> String {
    match (open, repaired) {
        (0, 0) => "the archive is in order".to_owned(),
        (0, repaired) => format!("the archive is in order; {repaired} repaired"),
        (open, 0) => format!("{open} not in order"),
        (open, repaired) => format!("{open} not in order; {repaired} repaired"),
    }
}

fn check(finding: Finding) -> Check {
    let (name, state, advice) = match finding.severity {
        Severity::Leftover => (
            "leftover",
            CheckState::Warn,
            "`dgm fsck --repair` removes it",
        ),
        Severity::Derived => (
            "derived",
            CheckState::Warn,
            "`dgm fsck --repair` puts it back",
        ),
        Severity::Damage => (
            "damage",
            CheckState::Missing,
            "restore it from a copy of the archive; what depends on it cannot be explained \
             any more",
        ),
    };
    if finding.repaired {
        return Check::ok(name, format!("{} (repaired)", finding.what));
    }
    Check {
        name: name.to_owned(),
        state,
        found: finding.what,
        advice: Some(advice.to_owned()),
    }
}
