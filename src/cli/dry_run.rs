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
use crate::domain::{Role, TaskId};
use crate::evolve::{Forecast, Kind, Spread, comparable, forecast, never_mixed};
use crate::lineage::Lineage;
use crate::model::{ModelSettings, Price};
use crate::view::plan::{self, Plan, Work};
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
    let stages = config_error(settings.stages(&suite), &name)?;
    comparable(lineage, &suite, &stages).wrong(KEEP)?;
    let tasks: Vec<Vec<String>> = stages
        .stages
        .iter()
        .map(|stage| {
            let names = stage.tasks.iter().map(TaskId::as_str);
            names.map(str::to_owned).collect()
        })
        .collect();
    let mut known = [Price::Free; 3];
    for (price, (role, model)) in known.iter_mut().zip(Role::ALL.iter().zip(&settings.models)) {
        *price = price_of(*role, model)?;
    }
    let budgets = settings.engine.budgets;
    let forecast = forecast(lineage, &settings.dgm(stages), &budgets, known);
    let models = Role::ALL.iter().zip(&settings.models).zip(known);
    let mut warnings: Vec<String> = paper(settings).map(str::to_owned).into_iter().collect();
    warnings.extend(caps::check(settings, Asked::of(forecast.attempts))?);
    Ok(Plan {
        warnings,
        evidence: settings.engine.disclosure,
        sandbox: settings.backend.name().to_owned(),
        benchmark: settings.benchmark.display().to_string(),
        workers: settings.engine.workers as u64,
        rounds: (forecast.rounds_begun, forecast.rounds),
        attempts: forecast.attempts,
        stages: tasks
            .into_iter()
            .zip(&forecast.stages)
            .map(|(tasks, count)| (tasks, [count.least, count.likely, count.most]))
            .collect(),
        models: models
            .map(|((role, model), price)| {
                let shown = prices::model(&model.model, price);
                (role.name(), model.provider.clone(), shown)
            })
            .collect(),
        work: forecast.work.iter().map(work).collect(),
        total: spread(forecast.total),
        limits: of_budgets(&budgets),
        assumptions: assumptions(&forecast),
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

fn work(work: &crate::evolve::Work) -> Work {
    Work {
        what: match work.kind {
            Kind::Diagnose => "diagnose",
            Kind::Modify => "change the source",
            Kind::Gates => "pass the gates",
            Kind::Evaluate => "evaluate on a task",
        },
        role: work.kind.role().name(),
        jobs: [work.jobs.least, work.jobs.likely, work.jobs.most],
        each: spread(work.each),
        seen: work.seen as u64,
    }
}

fn spread(spread: Spread) -> plan::Spread {
    [spread.low, spread.likely, spread.high]
}

fn assumptions(forecast: &Forecast) -> Vec<String> {
    let known = |what: &str, (part, seen): (f64, usize), of: &str| {
        let percent = part * 100.0;
        match seen {
            0 => format!("{percent:.0} % of {of} {what} (assumed)."),
            seen => format!("{percent:.0} % of {of} {what} (as {seen} of this archive did)."),
        }
    };
    let mut sentences = vec![
        known("make a child", forecast.children, "attempts"),
        known(
            "resolve enough of a stage to go on to the next one",
            forecast.go_on,
            "children",
        ),
        "Low: no attempt makes a child, and each job uses what the cheapest tenth does. High: \
         all make one that runs every stage, and each job uses what the dearest tenth does."
            .to_owned(),
    ];
    if forecast.work.iter().any(|work| work.seen > 0) {
        sentences.push(
            "What is known from this archive: the tokens of its ended jobs, failures and \
             repeated executions included, at today's prices."
                .to_owned(),
        );
    }
    if forecast.work.iter().any(|work| work.seen == 0) {
        sentences.push(
            "What is assumed: a tool loop of some 30 calls for a task and 40 for a change of \
             the source, 12,000 and 20,000 prompt tokens a call, none of them from a cache. A \
             first round makes the estimate better."
                .to_owned(),
        );
    }
    sentences.push("The budgets hold, whatever the estimate says.".to_owned());
    sentences
}
