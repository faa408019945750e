//! The books as tables: what calls cost, by what they were for.
//!
//! Invariant: the rows of a table sum to the total; calls that belong to no group of a kind
//! have a row of their own.

use super::budget::{self, Limits};
use super::evidence;
use super::figure::{self, count, day, money};
use super::json::{self, Spent};
use super::page::Page;
use super::replays;
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::{CallIntent, JobId};
use crate::lineage::{Lineage, SubjectSpend};
use serde::Serialize;
use std::collections::BTreeMap;

/// What calls are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Role of the model.
    Role,
    /// Model as configured.
    Model,
    /// Variant that was evaluated.
    Variant,
    /// Attempt at self-modification.
    Attempt,
    /// Task that was solved.
    Task,
    /// Day in UTC.
    Day,
    /// Process that made the call.
    Run,
}

impl By {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Role,
        Self::Model,
        Self::Variant,
        Self::Attempt,
        Self::Task,
        Self::Day,
        Self::Run,
    ];

    /// Returns the name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Model => "model",
            Self::Variant => "variant",
            Self::Attempt => "attempt",
            Self::Task => "task",
            Self::Day => "day",
            Self::Run => "run",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Model => "model",
            Self::Variant => "evaluated variant",
            Self::Attempt => "attempt at self-modification",
            Self::Task => "task",
            Self::Day => "day (UTC)",
            Self::Run => "run",
        }
    }

    /// Returns the group of a call.
    fn key(self, intent: &CallIntent) -> GroupKey {
        let text = |text: &str| GroupKey::Text(text.to_owned());
        match (self, &intent.subject) {
            (Self::Role, _) => text(intent.role.name()),
            (Self::Model, _) => text(&intent.model),
            (Self::Day, _) => text(&day(intent.at_ms)),
            (Self::Run, _) => GroupKey::Number(intent.run.0),
            (Self::Attempt, JobId::Attempt(id)) => GroupKey::Number(id.0),
            (Self::Variant, JobId::Evaluation(key) | JobId::Regrade(key)) => {
                GroupKey::Number(key.variant.0)
            }
            (Self::Task, JobId::Evaluation(key) | JobId::Regrade(key)) => text(key.task.as_str()),
            (Self::Variant | Self::Task, JobId::Attempt(_) | JobId::Manual)
            | (Self::Attempt, JobId::Evaluation(_) | JobId::Regrade(_) | JobId::Manual) => {
                GroupKey::Other
            }
        }
    }
}

/// Key of a group; numbers sort as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey {
    Number(u32),
    Text(String),
    /// Calls that belong to no group of this kind.
    Other,
}

impl GroupKey {
    fn show(&self, by: By) -> String {
        match self {
            Self::Number(number) if by == By::Run => number.to_string(),
            Self::Number(number) => format!("#{number}"),
            Self::Text(text) => super::clean(text),
            Self::Other => "others".to_owned(),
        }
    }

    fn into_json(self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text),
            Self::Other => None,
        }
    }
}

type CostGroups = BTreeMap<Vec<GroupKey>, SubjectSpend>;

/// Sums calls by one or several kinds at once.
fn groups(lineage: &Lineage, kinds: &[By]) -> CostGroups {
    let mut groups = CostGroups::new();
    for (intent, settlement) in lineage.spend().calls() {
        let key = kinds.iter().map(|by| by.key(intent)).collect();
        let group: &mut SubjectSpend = groups.entry(key).or_default();
        group.add(intent, settlement.as_ref());
    }
    groups
}

/// Returns the books as text: the total, a table by all of `kinds` together, or without them
/// one each by role, model and day, and what is left of the budgets.
pub fn text(lineage: &Lineage, kinds: &[By], limits: Option<&Limits>, style: Style) -> String {
    let total = lineage.spend().total(|_| true);
    let mut page = Page::new(style, true);
    page.line(format!(
        "{}{} in {} model calls, {} tokens in ({} cached), {} out",
        money(total.cost),
        at_most(&total),
        count(total.calls),
        count(total.tokens.input),
        count(total.tokens.cached),
        count(total.tokens.output),
    ));
    evidence::show(&mut page, evidence::of_archive(lineage), style);
    notes(&mut page, &total);
    if let Some(replayed) = replays::text(lineage) {
        page.line(replayed);
    }
    let tables = match kinds {
        [] => vec![vec![By::Role], vec![By::Model], vec![By::Day]],
        kinds => vec![kinds.to_vec()],
    };
    for kinds in tables {
        let table = table(&groups(lineage, &kinds), &kinds);
        if !table.is_empty() {
            let headings: Vec<&str> = kinds.iter().map(|by| by.heading()).collect();
            page.heading(&format!("By {}", headings.join(", ")));
            table.lines(style).iter().for_each(|line| page.line(line));
        }
    }
    if let Some(limits) = limits {
        budget::show(&mut page, limits, lineage, style);
    }
    page.finish()
}

/// Says which part of the total is not exact, and why.
fn notes(page: &mut Page, total: &SubjectSpend) {
    if total.unsettled > 0 {
        page.line(format!(
            "{} of them unsettled: the answer is still awaited, or the process died before it \
             came and the provider may have charged for it",
            count(total.unsettled)
        ));
    }
    if total.estimated > 0 {
        page.line(format!(
            "{} of them estimated, {} of the cost: the provider did not say what they used, so \
             it is the most that they can have used, or counted on the high side",
            count(total.estimated),
            money(total.estimated_cost)
        ));
    }
    if total.unanswered() > 0 {
        let parts: Vec<String> = [
            (total.refused, "refused"),
            (total.failed, "failed"),
            (total.abandoned, "abandoned"),
        ]
        .into_iter()
        .filter(|(calls, _)| *calls > 0)
        .map(|(calls, how)| format!("{} {how}", count(calls)))
        .collect();
        page.line(format!("without an answer: {}", parts.join(", ")));
    }
}

fn at_most(spend: &SubjectSpend) -> String {
    match spend.unsettled {
        0 => String::new(),
        _ => format!(
            " (at most {} more)",
            figure::money_up(spend.unsettled_at_most)
        ),
    }
}

fn table(groups: &CostGroups, kinds: &[By]) -> Table<9> {
    let mut table = headed(match kinds {
        [by] => by.name(),
        _ => "group",
    });
    let shown = |keys: &[GroupKey]| -> Vec<String> {
        let pairs = keys.iter().zip(kinds);
        pairs.map(|(key, by)| key.show(*by)).collect()
    };
    let mut widths = vec![0; kinds.len()];
    for keys in groups.keys() {
        for (width, text) in widths.iter_mut().zip(shown(keys)) {
            *width = super::line::columns(&text).max(*width);
        }
    }
    for (keys, spend) in groups {
        let parts: Vec<String> = shown(keys)
            .iter()
            .zip(&widths)
            .map(|(text, width)| super::line::pad(text, *width))
            .collect();
        table.row(
            cells(parts.join("  ").trim_end().to_owned(), spend),
            Ink::Plain,
        );
    }
    table
}

fn headed(name: &'static str) -> Table<9> {
    Table::new([
        (name, Align::Left),
        ("calls", Align::Right),
        ("no answer", Align::Right),
        ("tokens in", Align::Right),
        ("cached", Align::Right),
        ("out", Align::Right),
        ("cost", Align::Right),
        ("estimated", Align::Right),
        ("unsettled at most", Align::Right),
    ])
}

fn cells(name: String, spend: &SubjectSpend) -> [String; 9] {
    let tokens = spend.tokens;
    let unless_none = |number: u64, text: String| match number {
        0 => String::new(),
        _ => text,
    };
    [
        name,
        count(spend.calls),
        unless_none(spend.unanswered(), count(spend.unanswered())),
        count(tokens.input),
        unless_none(tokens.cached, count(tokens.cached)),
        count(tokens.output),
        money(spend.cost),
        unless_none(spend.estimated, money(spend.estimated_cost)),
        unless_none(spend.unsettled, figure::money_up(spend.unsettled_at_most)),
    ]
}

/// Returns a table of named totals.
pub(super) fn named(name: &'static str, rows: Vec<(String, SubjectSpend)>) -> Table<9> {
    let mut table = headed(name);
    for (name, spend) in rows {
        table.row(cells(name, &spend), Ink::Plain);
    }
    table
}

#[derive(Serialize)]
struct CostShape<'a> {
    schema: &'static str,
    /// `paper` where hidden tests were shown to the diagnosing model, else `visible`.
    evidence: &'static str,
    total: Spent,
    by: BTreeMap<&'static str, Vec<CostGroupShape>>,
    /// The rows without a key once more, by kind.
    others: BTreeMap<&'static str, Spent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<CrossShape>>,
    budgets: Option<budget::BudgetShape>,
    replayed: Option<replays::ReplaysShape<'a>>,
}

#[derive(Serialize)]
struct CostGroupShape {
    /// None: the calls that belong to no group of this kind.
    key: Option<String>,
    #[serde(flatten)]
    spent: Spent,
}

#[derive(Serialize)]
struct CrossShape {
    keys: BTreeMap<&'static str, Option<String>>,
    #[serde(flatten)]
    spent: Spent,
}

/// Returns the books as `dgm.cost/1`, summed in every way, and by all of `kinds` together
/// where there are any.
pub fn json(lineage: &Lineage, kinds: &[By], limits: Option<&Limits>) -> String {
    let of = |kind: By| -> Vec<CostGroupShape> {
        let groups = groups(lineage, &[kind]).into_iter();
        groups
            .map(|(keys, spend)| CostGroupShape {
                key: keys.into_iter().next().and_then(GroupKey::into_json),
                spent: spend.into(),
            })
            .collect()
    };
    let by = By::ALL.map(|kind| (kind.name(), of(kind)));
    let others = By::ALL.into_iter().filter_map(|kind| {
        let spend = *groups(lineage, &[kind]).get([GroupKey::Other].as_slice())?;
        Some((kind.name(), spend.into()))
    });
    let cross = |kinds: &[By]| {
        let groups = groups(lineage, kinds).into_iter();
        groups
            .map(|(keys, spend)| CrossShape {
                keys: kinds
                    .iter()
                    .map(|kind| kind.name())
                    .zip(keys.into_iter().map(GroupKey::into_json))
                    .collect(),
                spent: spend.into(),
            })
            .collect()
    };
    json::text(&CostShape {
        schema: "dgm.cost/1",
        evidence: json::evidence(lineage.disclosed().next().is_some()),
        total: lineage.spend().total(|_| true).into(),
        by: by.into(),
        others: others.collect(),
        groups: (!kinds.is_empty()).then(|| cross(kinds)),
        budgets: limits.map(|limits| budget::shape(limits, lineage)),
        replayed: replays::shape(lineage),
    })
}

#[cfg(test)]
mod tests {
    use super::{By, groups, json};
    use crate::domain::{
        CallId, CallIntent, CallSettlement, CallStatus, EvaluationKey, Fact, JobId, Role, RunId,
        TaskId, Tokens, Usd, VariantId,
    };
    use crate::lineage::{Lineage, SubjectSpend};
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any};
    use proptest::{prop_assert_eq, proptest};
    use serde_json::Value;

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let call = any::<([u8; 5], [u32; 6], bool)>();
        vec(call, 0..40).prop_map(|calls| {
            let mut facts = Vec::new();
            for (index, (small, counts, estimated)) in calls.into_iter().enumerate() {
                let id = CallId(index as u64 + 1);
                let number = VariantId(u32::from(small[0] % 4));
                let task = TaskId::new(format!("t{}", small[1] % 3));
                facts.push(Fact::CallIntended(CallIntent {
                    id,
                    run: RunId(u32::from(small[2] % 3)),
                    execution: 1,
                    subject: match small[3] % 3 {
                        0 => JobId::Attempt(number),
                        1 => JobId::Evaluation(EvaluationKey {
                            variant: number,
                            task,
                            repeat: 0,
                        }),
                        _ => JobId::Manual,
                    },
                    role: Role::ALL[usize::from(small[4] % 3)],
                    model: format!("m{}", small[4] % 2),
                    at_most: Usd(i64::from(counts[0])),
                    at_most_tokens: u64::from(counts[1]),
                    at_ms: i64::from(counts[2]) * 1000,
                }));
                let statuses = [
                    CallStatus::Answered,
                    CallStatus::Refused,
                    CallStatus::Failed,
                    CallStatus::Abandoned,
                ];
                if let Some(status) = statuses.get(usize::from(small[2] % 5)) {
                    facts.push(Fact::CallSettled(CallSettlement {
                        id,
                        status: *status,
                        tokens: Tokens {
                            input: u64::from(counts[3]),
                            output: u64::from(counts[4]),
                            ..Tokens::default()
                        },
                        estimated,
                        cost: Usd(i64::from(counts[5])),
                        latency_ms: 1,
                    }));
                }
            }
            facts
        })
    }

    fn sum(rows: impl Iterator<Item = SubjectSpend>) -> SubjectSpend {
        rows.fold(SubjectSpend::default(), |sum, row| SubjectSpend {
            calls: sum.calls + row.calls,
            refused: sum.refused + row.refused,
            failed: sum.failed + row.failed,
            abandoned: sum.abandoned + row.abandoned,
            cost: sum.cost + row.cost,
            tokens: sum.tokens + row.tokens,
            estimated: sum.estimated + row.estimated,
            estimated_cost: sum.estimated_cost + row.estimated_cost,
            unsettled: sum.unsettled + row.unsettled,
            unsettled_at_most: sum.unsettled_at_most + row.unsettled_at_most,
            unsettled_at_most_tokens: sum.unsettled_at_most_tokens + row.unsettled_at_most_tokens,
        })
    }

    fn micros(value: &Value) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sums of 40 numbers of 32 bits"
        )]
        let micros = (value.as_f64().unwrap() * 1e6).round() as u64;
        micros
    }

    proptest! {
        #[test]
        fn the_rows_of_every_table_sum_to_the_total(
            facts in facts(),
            kinds in vec(proptest::sample::select(&By::ALL), 1..4),
        ) {
            let lineage = Lineage::from_facts(facts);
            let total = lineage.spend().total(|_| true);
            for kind in By::ALL {
                prop_assert_eq!(sum(groups(&lineage, &[kind]).into_values()), total);
            }
            prop_assert_eq!(sum(groups(&lineage, &kinds).into_values()), total);
        }

        #[test]
        fn the_rows_of_the_json_sum_to_the_total(facts in facts()) {
            let lineage = Lineage::from_facts(facts);
            let json: Value = serde_json::from_str(&json(&lineage, &[By::Role, By::Day], None)).unwrap();
            let total = &json["total"];
            for (calls, at_most, cost) in By::ALL
                .iter()
                .map(|kind| json["by"][kind.name()].as_array().unwrap())
                .chain([json["groups"].as_array().unwrap()])
                .map(|rows| {
                    let sum = |get: &dyn Fn(&Value) -> u64| rows.iter().map(get).sum::<u64>();
                    (
                        sum(&|row| row["calls"].as_u64().unwrap()),
                        sum(&|row| micros(&row["unsettled_at_most_usd"])),
                        sum(&|row| micros(&row["cost_usd"])),
                    )
                })
            {
                prop_assert_eq!(calls, total["calls"].as_u64().unwrap());
                prop_assert_eq!(at_most, micros(&total["unsettled_at_most_usd"]));
                prop_assert_eq!(cost, micros(&total["cost_usd"]));
            }
        }
    }
}
