//! `dgm doctor`.

mod backends;
mod machine;
mod models;

use super::exit::Code;
use super::run;
use super::runtime::block_on;
use super::ui::Ui;
use crate::archive::{self, Reader};
use crate::config::Overrides;
use crate::model::ModelSettings;
use crate::view;
use crate::view::check::{Check, CheckState};
use crate::view::checks::{self};
use crate::view::models::AskedModel;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Say what this machine can run, and what to do about the rest
///
/// Nothing is changed. Keys are never shown, only whether they are set. With `--models` the model
/// of each role is asked one tiny question, which may cost a little and takes 30 seconds at most;
/// the calls are put on the archive's books.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm doctor
  dgm doctor --models demo                  ask the models of an archive
  dgm doctor demo --json | jq '.checks[] | select(.state != \"ok\")'

Exit code 0: at least one sandbox works, and every model that was asked answered; else 4.")]
pub(super) struct Args {
    /// Folder of an archive, or where one is to be made [default: the current directory]
    dir: Option<PathBuf>,
    /// Ask the model of each role, and show latency, tokens and cost
    #[arg(long)]
    models: bool,
    /// Print JSON (`dgm.doctor/1`)
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let dir = self.dir.unwrap_or_else(|| PathBuf::from("."));
        let mut checks = machine::checks(&dir);
        let backends = block_on(async { Ok(backends::checks().await) })?;
        let working: Vec<&str> = backends
            .iter()
            .filter(|backend| backend.works)
            .map(|backend| backend.name)
            .collect();
        let usable = !working.is_empty();
        let mut conclusion = match working.as_slice() {
            [] => "no sandbox works here: agents cannot be run".to_owned(),
            [one] => format!("agents can be run with `--sandbox {one}`"),
            several => format!("agents can be run in sandboxes: {}", several.join(", ")),
        };
        checks.extend(backends.into_iter().flat_map(|backend| backend.checks));
        let named = named_keys(&dir);
        let is_set = |name: &str| std::env::var_os(name).is_some();
        checks.push(machine::keys(named.as_deref(), &is_set));
        checks.extend(archive_check(&dir));
        let found = match self.models {
            true => Some(block_on(models::ask(&dir))?),
            false => None,
        };
        let asked = found.as_ref().map(|found| found.asked.as_slice());
        let is_well = asked.is_none_or(|asked| asked.iter().all(AskedModel::is_well));
        if let Some(found) = &found {
            checks.extend(found.asked.iter().map(AskedModel::check));
            conclusion += "\n";
            conclusion += &view::models::conclusion(&found.asked, found.is_booked);
        }
        ui.data(if self.json {
            checks::doctor_json(&checks, usable, &conclusion, asked)
        } else {
            checks::text(&checks, &conclusion, ui.data_style())
        })?;
        Ok(if usable && is_well {
            Code::Done
        } else {
            Code::Unusable
        })
    }
}

/// Returns the variables that hold the keys of the models that a folder's `dgm.toml` names;
/// none where it cannot be read.
fn named_keys(dir: &Path) -> Option<Vec<String>> {
    let settings = run::configured(dir, &Overrides::default()).ok()?;
    let named = settings
        .models
        .iter()
        .filter_map(ModelSettings::key_variable);
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    Some(named.into_iter().collect())
}

/// One line about the archive, if there is one.
fn archive_check(dir: &Path) -> Option<Check> {
    if !archive::exists(dir) {
        return None;
    }
    let lineage = Reader::open(dir).and_then(|reader| {
        let lineage = reader.lineage()?;
        Ok((reader.format(), lineage))
    });
    Some(match lineage {
        Ok((format, lineage)) => Check::ok(
            "archive",
            format!(
                "`{}`, format {format}: {} variants, {} attempts, {} evaluations",
                dir.display(),
                lineage.variants().count(),
                lineage.attempts().count(),
                lineage.evaluations().count()
            ),
        ),
        Err(error) => Check {
            name: "archive".to_owned(),
            state: CheckState::Missing,
            advice: error.hint(),
            found: error.to_string(),
        },
    })
}
