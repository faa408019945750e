//! What a run would do: its work, its models, its budgets, and what it may cost.

use super::budget::{self, Limits};
use super::figure::{count, money};
use super::json;
use super::page::Page;
use super::prices::{self, Model, ModelShape};
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::{
    Amount, Count, Disclosure, Forecast, Goal, Rate, Spread, TaskId, Usd, WorkKind,
};
use crate::lineage::Lineage;
use serde::Serialize;

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
    /// A model per role: role, provider, model with its price.
    pub models: Vec<(&'static str, String, Model)>,
    /// What is left, and what it may use.
    pub forecast: Forecast,
    /// The limits.
    pub limits: Limits,
    /// What a run would warn of before it starts, a sentence each.
    pub warnings: Vec<String>,
}

/// Returns the plan as text.
pub fn text(plan: &Plan, lineage: &Lineage, style: Style) -> String {
    let mut page = Page::new(style, true);
    let remaining = &plan.forecast.remaining;
    let Goal {
        unit, begun, of, ..
    } = remaining.goal;
    page.field(
        unit,
        &format!(
            "{begun} of {of} have begun; {} attempts are left",
            count(remaining.attempts.likely)
        ),
    );
    page.field("benchmark", &plan.benchmark);
    page.field(
        "sandbox",
        &format!("{}, {} jobs at once", plan.sandbox, count(plan.workers)),
    );
    evaluations(&mut page, plan, style);
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
    let Spread { low, likely, high } = plan.forecast.total;
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
    for assumption in assumptions(&plan.forecast) {
        page.prose(&assumption);
    }
    page.finish()
}

fn evaluations(page: &mut Page, plan: &Plan, style: Style) {
    page.heading("Evaluations that are left");
    let mut table = Table::new([
        ("group", Align::Left),
        ("tasks", Align::Right),
        ("at least", Align::Right),
        ("likely", Align::Right),
        ("at most", Align::Right),
    ]);
    for group in &plan.forecast.remaining.evaluations {
        let Count {
            least,
            likely,
            most,
        } = group.left;
        let figures = [group.tasks.len() as u64, least, likely, most].map(count);
        let [tasks, least, likely, most] = figures;
        let cells = [group.label.clone(), tasks, least, likely, most];
        table.row(cells, Ink::Plain);
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
    for work in &plan.forecast.work {
        let Spread { low, likely, high } = work.each;
        let cells = [
            kind(work.kind).to_owned(),
            work.kind.role().name().to_owned(),
            range(count(work.jobs.least), count(work.jobs.most)),
            count(likely.calls),
            count(likely.tokens),
            money(likely.cost),
            money(low.cost),
            money(high.cost),
            match work.seen {
                0 => "assumed".to_owned(),
                seen => format!("{} jobs", count(seen as u64)),
            },
        ];
        table.row(cells, Ink::Plain);
    }
    table.lines(style).iter().for_each(|line| page.line(line));
}

fn kind(kind: WorkKind) -> &'static str {
    match kind {
        WorkKind::Diagnose => "diagnose",
        WorkKind::Modify => "change the source",
        WorkKind::Gates => "pass the gates",
        WorkKind::Evaluate => "evaluate on a task",
    }
}

/// Returns what the estimate rests on, a sentence each.
fn assumptions(forecast: &Forecast) -> Vec<String> {
    let known = |rate: &Rate| {
        let (percent, of, what) = (rate.part * 100.0, rate.of, rate.what);
        match rate.seen {
            0 => format!("{percent:.0} % of {of} {what} (assumed)."),
            seen => format!("{percent:.0} % of {of} {what} (as {seen} of this archive did)."),
        }
    };
    let mut sentences: Vec<String> = forecast.remaining.rates.iter().map(known).collect();
    sentences.push(
        "Low: no attempt makes a child, and each job uses what the cheapest tenth does. High: \
         all make one that is evaluated as far as can be, and each job uses what the dearest \
         tenth does."
            .to_owned(),
    );
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
             the source, 12,000 and 20,000 prompt tokens a call, none of them from a cache. \
             First results make the estimate better."
                .to_owned(),
        );
    }
    sentences.push("The budgets hold, whatever the estimate says.".to_owned());
    sentences
}

#[derive(Serialize)]
struct PlanShape<'a> {
    schema: &'static str,
    evidence: &'static str,
    sandbox: &'a str,
    benchmark: &'a str,
    workers: u64,
    goal: GoalShape,
    attempts: u64,
    evaluations: Vec<PlanGroupShape<'a>>,
    models: Vec<RoleShape<'a>>,
    budgets: budget::BudgetShape,
    work: Vec<WorkShape>,
    estimate: SpreadShape,
    assumptions: Vec<String>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct GoalShape {
    unit: &'static str,
    begun: u64,
    of: u64,
}

#[derive(Serialize)]
struct PlanGroupShape<'a> {
    group: &'a str,
    tasks: Vec<&'a str>,
    left: CountShape,
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
    fn from(count: Count) -> Self {
        let Count {
            least,
            likely,
            most,
        } = count;
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
    fn from(spread: Spread) -> Self {
        let Spread { low, likely, high } = spread;
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
    let remaining = &plan.forecast.remaining;
    json::text(&PlanShape {
        schema: "dgm.plan/1",
        evidence: plan.evidence.name(),
        sandbox: &plan.sandbox,
        benchmark: &plan.benchmark,
        workers: plan.workers,
        goal: GoalShape {
            unit: remaining.goal.unit,
            begun: remaining.goal.begun,
            of: remaining.goal.of,
        },
        attempts: remaining.attempts.likely,
        evaluations: remaining
            .evaluations
            .iter()
            .map(|group| PlanGroupShape {
                group: &group.label,
                tasks: group.tasks.iter().map(TaskId::as_str).collect(),
                left: group.left.into(),
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
            .forecast
            .work
            .iter()
            .map(|work| WorkShape {
                work: kind(work.kind),
                role: work.kind.role().name(),
                jobs: work.jobs.into(),
                each: work.each.into(),
                jobs_seen: work.seen as u64,
            })
            .collect(),
        estimate: plan.forecast.total.into(),
        assumptions: assumptions(&plan.forecast),
        warnings: &plan.warnings,
    })
}
