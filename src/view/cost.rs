//! The books as tables: what calls cost, by what they were for.

use super::digest::add_call;
use super::figure::{count, day, money};
use super::json::{self, Spent};
use super::page::Page;
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::{CallIntent, CallSubject};
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
            Self::Role => "By role",
            Self::Model => "By model",
            Self::Variant => "By evaluated variant",
            Self::Attempt => "By attempt at self-modification",
            Self::Task => "By task",
            Self::Day => "By day (UTC)",
            Self::Run => "By run",
        }
    }

    /// Returns the group of a call; none: it belongs to no group of this kind.
    fn key(self, intent: &CallIntent) -> Option<Key> {
        let text = |text: &str| Some(Key::Text(text.to_owned()));
        match (self, &intent.subject) {
            (Self::Role, _) => text(intent.role.name()),
            (Self::Model, _) => text(&intent.model),
            (Self::Day, _) => text(&day(intent.at_ms)),
            (Self::Run, _) => Some(Key::Number(intent.run.0)),
            (Self::Variant, CallSubject::Evaluation(id, _, _))
            | (Self::Attempt, CallSubject::Attempt(id)) => Some(Key::Number(id.0)),
            (Self::Task, CallSubject::Evaluation(_, task, _)) => text(task.as_str()),
            (Self::Variant | Self::Task, CallSubject::Attempt(_) | CallSubject::Manual)
            | (Self::Attempt, CallSubject::Evaluation(..) | CallSubject::Manual) => None,
        }
    }
}

/// Key of a group; numbers sort as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u32),
    Text(String),
}

impl Key {
    fn show(&self, by: By) -> String {
        match self {
            Self::Number(number) if by == By::Run => number.to_string(),
            Self::Number(number) => format!("#{number}"),
            Self::Text(text) => super::clean(text),
        }
    }
}

fn groups(lineage: &Lineage, by: By) -> BTreeMap<Key, SubjectSpend> {
    let mut groups = BTreeMap::new();
    for (intent, settlement) in lineage.spend().calls() {
        if let Some(key) = by.key(intent) {
            add_call(groups.entry(key).or_default(), intent, settlement.as_ref());
        }
    }
    groups
}

/// Returns the books as text: the total, and a table by `by`, or without it by role, model
/// and day.
pub fn text(lineage: &Lineage, by: Option<By>, style: Style) -> String {
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
    if total.unsettled > 0 {
        page.line(format!(
            "{} of them unsettled: the answer is still awaited, or the process died before it \
             came and the provider may have charged for it",
            count(total.unsettled)
        ));
    }
    let tables = by.map_or(vec![By::Role, By::Model, By::Day], |by| vec![by]);
    for by in tables {
        let table = table(&groups(lineage, by), by);
        if !table.is_empty() {
            page.heading(by.heading());
            table.lines(style).iter().for_each(|line| page.line(line));
        }
    }
    page.finish()
}

fn at_most(spend: &SubjectSpend) -> String {
    match spend.unsettled {
        0 => String::new(),
        _ => format!(" (at most {} more)", money(spend.unsettled_at_most)),
    }
}

fn table(groups: &BTreeMap<Key, SubjectSpend>, by: By) -> Table<7> {
    let mut table = headed(by.name());
    for (key, spend) in groups {
        table.row(cells(key.show(by), spend), Ink::Plain);
    }
    table
}

fn headed(name: &'static str) -> Table<7> {
    Table::new([
        (name, Align::Left),
        ("calls", Align::Right),
        ("tokens in", Align::Right),
        ("cached", Align::Right),
        ("out", Align::Right),
        ("cost", Align::Right),
        ("unsettled at most", Align::Right),
    ])
}

fn cells(name: String, spend: &SubjectSpend) -> [String; 7] {
    let tokens = spend.tokens;
    [
        name,
        count(spend.calls),
        count(tokens.input),
        match tokens.cached {
            0 => String::new(),
            cached => count(cached),
        },
        count(tokens.output),
        money(spend.cost),
        match spend.unsettled {
            0 => String::new(),
            _ => money(spend.unsettled_at_most),
        },
    ]
}

/// Returns a table of named totals.
pub(super) fn named(name: &'static str, rows: Vec<(String, SubjectSpend)>) -> Table<7> {
    let mut table = headed(name);
    for (name, spend) in rows {
        table.row(cells(name, &spend), Ink::Plain);
    }
    table
}

#[derive(Serialize)]
struct Shape {
    schema: &'static str,
    total: Spent,
    by: BTreeMap<&'static str, Vec<GroupShape>>,
}

#[derive(Serialize)]
struct GroupShape {
    key: String,
    #[serde(flatten)]
    spent: Spent,
}

/// Returns the books as `dgm.cost/1`, summed in every way.
pub fn json(lineage: &Lineage) -> String {
    let by = By::ALL.map(|by| {
        let groups = groups(lineage, by)
            .into_iter()
            .map(|(key, spend)| GroupShape {
                key: match key {
                    Key::Number(number) => number.to_string(),
                    Key::Text(text) => text,
                },
                spent: spend.into(),
            });
        (by.name(), groups.collect())
    });
    json::text(&Shape {
        schema: "dgm.cost/1",
        total: lineage.spend().total(|_| true).into(),
        by: BTreeMap::from(by),
    })
}
