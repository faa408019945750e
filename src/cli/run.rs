//! What `evolve` and `eval` have in common: the archive's configuration, and an engine that
//! runs while its progress is printed.

use super::error::Hint as _;
use super::error::config_error;
use super::progress::{self, Printer, Watch};
use super::traffic;
use super::ui::Ui;
use crate::archive::{Layout, Writer};
use crate::benchmark::Suite;
use crate::config::{Overrides, Settings, parse};
use crate::domain::{Disclosure, Role, TaskId};
use crate::evolve::{Engine, Finished, Parts, ReplaySource, RoleModels};
use crate::lineage::Lineage;
use crate::model::{Model, ModelSettings, Pace, Replay};
use crate::policy::Policy;
use crate::sys::shutdown::Shutdown;
use crate::trial::SandboxHost;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What to do where new results could not be compared with the recorded ones.
pub(super) const KEEP: &str =
    "put it back as it was to go on, or make a new archive for what has changed";

/// Returns what is to be said where the configuration lets diagnoses see what is hidden.
pub(super) fn paper(settings: &Settings) -> Option<&'static str> {
    match settings.engine.disclosure {
        Disclosure::Visible => None,
        Disclosure::Paper => Some(
            "`evidence = \"paper\"`: the diagnosing model is shown hidden tests and reference \
             solutions; what is learned may be their answers",
        ),
    }
}

/// What the archive may use, in the place of what its configuration says.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Budget of the archive, over all its runs")]
pub(super) struct Budget {
    /// US dollars that model calls may cost
    #[arg(long, value_name = "USD")]
    budget_usd: Option<f64>,
    /// Input and output tokens
    #[arg(long, value_name = "N")]
    budget_tokens: Option<u64>,
    /// Model calls
    #[arg(long, value_name = "N")]
    budget_calls: Option<u64>,
    /// Hours of work
    #[arg(long, value_name = "HOURS")]
    budget_hours: Option<f64>,
}

impl Budget {
    /// Adds it to what the command line says.
    pub(super) fn with(self, overrides: Overrides) -> Overrides {
        Overrides {
            budget_usd: self.budget_usd,
            budget_tokens: self.budget_tokens,
            budget_calls: self.budget_calls,
            budget_hours: self.budget_hours,
            ..overrides
        }
    }
}

/// Says why a run ended early, and how to go on with that command.
pub(super) fn out_of_budget(finished: &Finished, again: &str) -> String {
    let how = finished.raise.as_ref().map_or_else(String::new, |key| {
        let option = key.option();
        let option = option.map_or_else(String::new, |option| format!(", or say `{option}`,"));
        format!("raise `{key}` in the archive's `dgm.toml`{option} and ")
    });
    format!(
        "stopped: {}; what had ended is recorded, the rest is planned again: {how}go on with {again}",
        finished.reason
    )
}

/// The models that a run asks; the others need no key and no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Models {
    /// Those of all roles.
    All,
    /// The one that drives a variant on a task.
    Solve,
    /// None at all.
    None,
}

/// A run that is ready to begin.
pub(super) struct Run {
    pub(super) writer: Writer,
    /// The fold of what is recorded.
    pub(super) lineage: Lineage,
    pub(super) suite: Suite,
    pub(super) place: SandboxHost,
    pub(super) policy: Arc<dyn Policy>,
    /// What those who watch want to see.
    pub(super) watch: Watch,
    /// Which models it asks.
    pub(super) models: Models,
    /// Where the models take their answers from, if that is recordings.
    pub(super) replay: Option<ReplaySource>,
    /// Tasks whose images cannot be had, with the reason.
    pub(super) lacking: BTreeMap<TaskId, String>,
}

impl Run {
    /// Runs the engine and prints its progress. Returns the archive's facts as they are then,
    /// too.
    pub(super) async fn go(
        self,
        ui: Ui,
        settings: &Settings,
        shutdown: Shutdown,
    ) -> anyhow::Result<(Finished, Lineage)> {
        let replay = self.replay;
        let models = match (&replay, self.models) {
            (Some(source), _) => replaying(settings, &source.replay),
            (None, Models::All) => models(settings)?,
            (None, Models::Solve) => {
                let model = model(settings, Role::Solve)?;
                RoleModels {
                    diagnose: model.clone(),
                    modify: model.clone(),
                    solve: model,
                }
            }
            (None, Models::None) => replaying(settings, &Arc::new(nothing())),
        };
        let (progress, printer) = Printer::start(ui, self.watch);
        let parts = Parts {
            writer: self.writer,
            lineage: self.lineage,
            policy: self.policy,
            place: self.place,
            suite: Arc::new(self.suite),
            lacking: self.lacking,
            models,
            replay: replay.clone(),
            settings: settings.engine.clone(),
            shutdown,
            progress,
            command: progress::command_line(),
            config: settings.in_force(),
        };
        // Among those who wait for it: where it runs on the main thread, each model call waits
        // for that thread to wake up.
        let finished = tokio::spawn(Engine::run(parts))
            .await
            .context("the run broke down")
            .flatten();
        printer.finish().await;
        traffic::replayed(ui, replay.as_ref(), finished)
    }
}

/// Reads the archive's own configuration, whose models can be made.
pub(super) fn settings(dir: &Path, overrides: &Overrides) -> anyhow::Result<Settings> {
    let settings = configured(dir, overrides)?;
    let checked = settings.check_models();
    config_error(checked, &Layout::new(dir).config().display().to_string())?;
    Ok(settings)
}

/// Reads it without a look at what the models need, such as keys.
pub(super) fn configured(dir: &Path, overrides: &Overrides) -> anyhow::Result<Settings> {
    let file = Layout::new(dir).config();
    let name = file.display().to_string();
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("could not read `{name}`"))?;
    let raw = config_error(parse(&text), &name)?;
    let dir = dir
        .canonicalize()
        .with_context(|| format!("could not find `{}`", dir.display()))?;
    config_error(Settings::resolve(raw, &dir, overrides), &name)
}

/// Recordings of no call: whatever is asked is an error.
fn nothing() -> Replay {
    Replay::new(Vec::new(), |_| Err("nothing is recorded".to_owned()))
}

/// Makes the models of all roles answer from recordings.
fn replaying(settings: &Settings, replay: &Arc<Replay>) -> RoleModels {
    let [diagnose, modify, solve] = settings
        .models
        .each_ref()
        .map(|settings| Arc::new(Model::replaying(settings, replay.clone())));
    RoleModels {
        diagnose,
        modify,
        solve,
    }
}

/// Makes the models of all roles. Those that the same server serves share its pace: when it
/// says slow down, it says so to all.
fn models(settings: &Settings) -> anyhow::Result<RoleModels> {
    let mut made: Vec<(&ModelSettings, Pace)> = Vec::new();
    let mut make = |role| {
        let wanted = wanted(settings, role);
        let model = new_model(wanted, role)?;
        let shared = made.iter().find(|(other, _)| wanted.is_served_like(other));
        let model = match shared {
            Some((_, pace)) => model.at_pace(pace.clone()),
            None => model,
        };
        made.push((wanted, model.pace().clone()));
        anyhow::Ok(Arc::new(model))
    };
    Ok(RoleModels {
        diagnose: make(Role::Diagnose)?,
        modify: make(Role::Modify)?,
        solve: make(Role::Solve)?,
    })
}

/// Makes the model of a role.
pub(super) fn model(settings: &Settings, role: Role) -> anyhow::Result<Arc<Model>> {
    new_model(wanted(settings, role), role).map(Arc::new)
}

pub(super) fn wanted(settings: &Settings, role: Role) -> &ModelSettings {
    let [diagnose, modify, solve] = &settings.models;
    match role {
        Role::Diagnose => diagnose,
        Role::Modify => modify,
        Role::Solve => solve,
    }
}

fn new_model(wanted: &ModelSettings, role: Role) -> anyhow::Result<Model> {
    Model::new(wanted.clone())
        .and_then(|model| model.check().map(|()| model))
        .with_context(|| format!("the model of the role `{role}` cannot be asked"))
        .wrong(format!(
            "correct `models.{role}` in the archive's `dgm.toml`"
        ))
}
