//! What a run would do: its work, its models, its budgets, and what it may cost.

use super::budget::{self, Limits};
use super::figure::{count, money};
use super::json;
use super::page::Page;
use super::prices::{self, Model, ModelShape};
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::{Amount, Disclosure, Usd};
use crate::lineage::Lineage;
use serde::Serialize;

/// How often something happens: at least, likely, at most.
pub type Count = [u64; 3];
/// What something uses: low, likely, high.
pub type Spread = [Amount; 3];

/// A run that has not begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What of a task a diagnosis may see.
    pub evidence: Disclosure,
    /// Name of the sandbox backend.
    pub sandbox: String,
    /// Folder of the benchmark.
    pub benchmark: String,
    /// Jobs at once.
    pub workers: u64,
    /// Rounds that have begun, and rounds in all.
    pub rounds: (u32, u32),
    /// Attempts that are left.
    pub attempts: u64,
    /// Tasks of each stage, and its evaluations that are left.
    pub stages: Vec<(Vec<String>, Count)>,
    /// A model per role: role, provider, model with its price.
    pub models: Vec<(&'static str, String, Model)>,
    /// Work by kind.
    pub work: Vec<Work>,
    /// What all of it may use.
    pub total: Spread,
    /// The limits.
    pub limits: Limits,
    /// What the estimate rests on, a sentence each.
    pub assumptions: Vec<String>,
    /// What a run would warn of before it starts, a sentence each.
    pub warnings: Vec<String>,
}

/// One kind of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// What it is.
    pub what: &'static str,
    /// Role of the model.
    pub role: &'static str,
    /// How often it is done.
    pub jobs: Count,
    /// What it uses each time.
    pub each: Spread,
    /// Jobs of the archive's history that say so; none: it is assumed.
    pub seen: u64,
}

/// Returns the plan as text.
pub fn text(plan: &Plan, lineage: &Lineage, style: Style) -> String {
    let mut page = Page::new(style, true);
    let (begun, rounds) = plan.rounds;
    page.field(
        "rounds",
        &format!(
            "{begun} of {rounds} have begun; {} attempts are left",
            count(plan.attempts)
        ),
    );
    page.field("benchmark", &plan.benchmark);
    page.field(
        "sandbox",
        &format!("{}, {} jobs at once", plan.sandbox, count(plan.workers)),
    );
    stages(&mut page, plan, style);
    page.heading("Models, in US dollars per million tokens");
    let named: Vec<Model> = plan
        .models
        .iter()
        .map(|(role, provider, model)| Model {
            name: format!("{role}: {} ({provider})", model.name),
            tiers: model.tiers.clone(),
        })
        .collect();
    let table = prices::table(&named);
    table.lines(style).iter().for_each(|line| page.line(line));
    budget::show(&mut page, &plan.limits, lineage, style);
    work(&mut page, plan, style);
    page.heading("Estimate");
    let [low, likely, high] = plan.total;
    page.line(format!(
        "  {} to {}, likely about {}; {} to {} tokens; {} to {} model calls",
        money(low.cost),
        money(high.cost),
        money(likely.cost),
        count(low.tokens),
        count(high.tokens),
        count(low.calls),
        count(high.calls),
    ));
    for assumption in &plan.assumptions {
        page.prose(assumption);
    }
    page.finish()
}

fn stages(page: &mut Page, plan: &Plan, style: Style) {
    page.heading("Evaluations that are left");
    let mut table = Table::new([
        ("stage", Align::Left),
        ("tasks", Align::Right),
        ("at least", Align::Right),
        ("likely", Align::Right),
        ("at most", Align::Right),
    ]);
    for (number, (tasks, counts)) in plan.stages.iter().enumerate() {
        let [least, likely, most] = counts.map(count);
        let tasks = count(tasks.len() as u64);
        table.row([number.to_string(), tasks, least, likely, most], Ink::Plain);
    }
    table.lines(style).iter().for_each(|line| page.line(line));
}

fn work(page: &mut Page, plan: &Plan, style: Style) {
    page.heading("Work that is left, and what a job of its kind uses");
    let mut table = Table::new([
        ("work", Align::Left),
        ("model", Align::Left),
        ("jobs", Align::Right),
        ("calls", Align::Right),
        ("tokens", Align::Right),
        ("cost", Align::Right),
        ("from", Align::Right),
        ("to", Align::Right),
        ("seen", Align::Right),
    ]);
    let to = style.glyphs().to;
    let range = |low: String, high: String| {
        if low == high {
            low
        } else {
            format!("{low}{to}{high}")
        }
    };
    for work in &plan.work {
        let [low, likely, high] = work.each;
        let cells = [
            work.what.to_owned(),
            work.role.to_owned(),
            range(count(work.jobs[0]), count(work.jobs[2])),
            count(likely.calls),
            count(likely.tokens),
            money(likely.cost),
            money(low.cost),
            money(high.cost),
            match work.seen {
                0 => "assumed".to_owned(),
                seen => format!("{} jobs", count(seen)),
            },
        ];
        table.row(cells, Ink::Plain);
    }
    table.lines(style).iter().for_each(|line| page.line(line));
}

#[derive(Serialize)]
struct Shape<'a> {
    schema: &'static str,
    evidence: &'static str,
    sandbox: &'a str,
    benchmark: &'a str,
    workers: u64,
    rounds_begun: u32,
    rounds: u32,
    attempts: u64,
    stages: Vec<StageShape<'a>>,
    models: Vec<RoleShape<'a>>,
    budgets: budget::Shape,
    work: Vec<WorkShape>,
    estimate: SpreadShape,
    assumptions: &'a [String],
    warnings: &'a [String],
}

#[derive(Serialize)]
struct StageShape<'a> {
    stage: usize,
    tasks: &'a [String],
    evaluations: CountShape,
}

#[derive(Serialize)]
struct RoleShape<'a> {
    role: &'a str,
    provider: &'a str,
    #[serde(flatten)]
    model: ModelShape<'a>,
}

#[derive(Serialize)]
struct WorkShape {
    work: &'static str,
    role: &'static str,
    jobs: CountShape,
    each: SpreadShape,
    jobs_seen: u64,
}

#[derive(Serialize)]
struct CountShape {
    least: u64,
    likely: u64,
    most: u64,
}

impl From<Count> for CountShape {
    fn from([least, likely, most]: Count) -> Self {
        Self {
            least,
            likely,
            most,
        }
    }
}

#[derive(Serialize)]
struct SpreadShape {
    low: AmountShape,
    likely: AmountShape,
    high: AmountShape,
}

impl From<Spread> for SpreadShape {
    fn from([low, likely, high]: Spread) -> Self {
        Self {
            low: low.into(),
            likely: likely.into(),
            high: high.into(),
        }
    }
}

#[derive(Serialize)]
struct AmountShape {
    usd: f64,
    tokens: u64,
    calls: u64,
}

impl From<Amount> for AmountShape {
    fn from(amount: Amount) -> Self {
        Self {
            usd: Usd::dollars(amount.cost),
            tokens: amount.tokens,
            calls: amount.calls,
        }
    }
}

/// Returns the plan as `dgm.plan/1`.
pub fn json(plan: &Plan, lineage: &Lineage) -> String {
    json::text(&Shape {
        schema: "dgm.plan/1",
        evidence: plan.evidence.name(),
        sandbox: &plan.sandbox,
        benchmark: &plan.benchmark,
        workers: plan.workers,
        rounds_begun: plan.rounds.0,
        rounds: plan.rounds.1,
        attempts: plan.attempts,
        stages: plan
            .stages
            .iter()
            .enumerate()
            .map(|(stage, (tasks, counts))| StageShape {
                stage,
                tasks,
                evaluations: (*counts).into(),
            })
            .collect(),
        models: plan
            .models
            .iter()
            .map(|(role, provider, model)| RoleShape {
                role,
                provider,
                model: model.into(),
            })
            .collect(),
        budgets: budget::shape(&plan.limits, lineage),
        work: plan
            .work
            .iter()
            .map(|work| WorkShape {
                work: work.what,
                role: work.role,
                jobs: work.jobs.into(),
                each: work.each.into(),
                jobs_seen: work.seen,
            })
            .collect(),
        estimate: plan.total.into(),
        assumptions: &plan.assumptions,
        warnings: &plan.warnings,
    })
}
