//! `dgm evolve --dry-run`: what a run would do and may cost. It takes no lock, starts nothing,
//! asks no model and no engine, and leaves the archive as it is.

use super::caps::{self, Asked};
use super::cost::of_budgets;
use super::error::Hint as _;
use super::error::config_error;
use super::init::{self, Source};
use super::run::{KEEP, configured, paper};
use super::ui::Ui;
use super::{prices, workplace};
use crate::archive::{Layout, Reader, exists};
use crate::config::{Overrides, Settings};
use crate::domain::Role;
use crate::evolve::{comparable, forecast, never_mixed};
use crate::lineage::Lineage;
use crate::model::{ModelSettings, Price};
use crate::view::plan::{self, Plan};
use anyhow::Context as _;
use std::path::Path;

/// Prints what a run would do. An archive that does not exist yet is made in a temporary
/// folder, which goes away again.
pub(super) fn show(
    ui: Ui,
    dir: &Path,
    source: &Source,
    overrides: &Overrides,
    json: bool,
) -> anyhow::Result<()> {
    if exists(dir) {
        return print(ui, dir, dir, overrides, json);
    }
    let folder = tempfile::tempdir().context("could not make a temporary folder")?;
    let made = folder.path().join("archive");
    init::create(&made, source, true)?;
    print(ui, &made, dir, overrides, json)
}

/// Prints the plan for an archive that lies in `dir` and will be in `place`.
fn print(
    ui: Ui,
    dir: &Path,
    place: &Path,
    overrides: &Overrides,
    json: bool,
) -> anyhow::Result<()> {
    let settings = configured(dir, overrides)?;
    let lineage = Reader::open(dir)?.lineage()?;
    let mut plan = plan_of(dir, &settings, &lineage)?;
    if let Ok(inside) = settings.benchmark.strip_prefix(dir) {
        plan.benchmark = place.join(inside).display().to_string();
    }
    plan.warnings.iter().for_each(|said| ui.warn(said));
    ui.data(if json {
        plan::json(&plan, &lineage)
    } else {
        plan::text(&plan, &lineage, ui.data_style())
    })
}

fn plan_of(dir: &Path, settings: &Settings, lineage: &Lineage) -> anyhow::Result<Plan> {
    let name = Layout::new(dir).config().display().to_string();
    let split = workplace::load_split(settings, &name)?;
    never_mixed(lineage, &split.held_out_ids()).wrong(KEEP)?;
    let suite = split.training;
    let policy = config_error(settings.policy(&suite), &name)?;
    comparable(lineage, &suite, &policy.guiding_tasks()).wrong(KEEP)?;
    let mut known = [Price::Free; 3];
    for (price, (role, model)) in known.iter_mut().zip(Role::ALL.iter().zip(&settings.models)) {
        *price = price_of(*role, model)?;
    }
    let budgets = settings.engine.budgets;
    let remaining = policy.remaining(lineage);
    let asked = Asked::of(&remaining);
    let forecast = forecast(lineage, remaining, &budgets, known);
    let models = Role::ALL.iter().zip(&settings.models).zip(known);
    let mut warnings: Vec<String> = paper(settings).map(str::to_owned).into_iter().collect();
    warnings.extend(caps::check(settings, asked)?);
    Ok(Plan {
        warnings,
        evidence: settings.engine.disclosure,
        sandbox: settings.backend.name().to_owned(),
        benchmark: settings.benchmark.display().to_string(),
        workers: settings.engine.workers as u64,
        models: models
            .map(|((role, model), price)| {
                let shown = prices::model(&model.model, price);
                (role.name(), model.provider.clone(), shown)
            })
            .collect(),
        forecast,
        limits: of_budgets(&budgets),
    })
}

fn price_of(role: Role, model: &ModelSettings) -> anyhow::Result<Price> {
    model
        .known_price()
        .with_context(|| format!("the model of the role `{role}` cannot be asked"))
        .wrong(format!(
            "correct `models.{role}` in the archive's `dgm.toml`"
        ))
}
