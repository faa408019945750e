//! What may be used, what is used of it, and what is left.

use super::figure::{count, money, money_up};
use super::page::Page;
use super::style::{Ink, Style};
use super::table::{Align, Table};
use crate::domain::{Amount, Usd};
use crate::lineage::Lineage;
use serde::Serialize;
use std::time::Duration;

/// Limits of one kind; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Money.
    pub usd: Option<Usd>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// Model calls.
    pub calls: Option<u64>,
}

/// The limits of an archive, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of the archive, over all its runs.
    pub archive: Limit,
    /// Time of all its runs together.
    pub hours: Option<Duration>,
    /// Of one attempt.
    pub attempt: Limit,
    /// Of one job.
    pub job: Limit,
}

/// One limit of the archive in figures.
struct BudgetRow {
    name: &'static str,
    limit: String,
    used: String,
    unsettled: String,
    left: String,
}

/// Adds the limits of the archive with what is left of each, and those of attempts and jobs.
pub(super) fn show(page: &mut Page, limits: &Limits, lineage: &Lineage, style: Style) {
    page.heading("Budget of the archive");
    let rows = rows(limits, lineage);
    if rows.is_empty() {
        page.line("  none: set `usd`, `tokens`, `calls` or `hours` under `[budget]` in `dgm.toml`");
    } else {
        let mut table = Table::new([
            ("of", Align::Left),
            ("limit", Align::Right),
            ("used", Align::Right),
            ("unsettled at most", Align::Right),
            ("left", Align::Right),
        ]);
        for row in rows {
            let cells = [
                row.name.to_owned(),
                row.limit,
                row.used,
                row.unsettled,
                row.left,
            ];
            table.row(cells, Ink::Plain);
        }
        table.lines(style).iter().for_each(|line| page.line(line));
    }
    for (of, limit) in [("attempt", limits.attempt), ("job", limits.job)] {
        let parts = words(limit);
        if !parts.is_empty() {
            page.line(format!("  each {of}: at most {}", parts.join(", ")));
        }
    }
}

/// Returns limits in words.
pub(super) fn words(limit: Limit) -> Vec<String> {
    [
        limit.usd.map(money),
        limit
            .tokens
            .map(|tokens| format!("{} tokens", count(tokens))),
        limit
            .calls
            .map(|calls| format!("{} model calls", count(calls))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn rows(limits: &Limits, lineage: &Lineage) -> Vec<BudgetRow> {
    let (used, unsettled) = lineage.spend().used();
    let left = left(limits.archive, used + unsettled);
    let number = |name, limit: Option<u64>, used: u64, unsettled: u64, left: Option<u64>| {
        limit.zip(left).map(|(limit, left)| BudgetRow {
            name,
            limit: count(limit),
            used: count(used),
            unsettled: if unsettled == 0 {
                String::new()
            } else {
                count(unsettled)
            },
            left: count(left),
        })
    };
    let usd = limits
        .archive
        .usd
        .zip(left.usd)
        .map(|(limit, left)| BudgetRow {
            name: "US dollars",
            limit: money(limit),
            used: money_up(used.cost),
            unsettled: if unsettled.cost == Usd(0) {
                String::new()
            } else {
                money_up(unsettled.cost)
            },
            left: money(left),
        });
    let archive = limits.archive;
    let tokens = number(
        "tokens",
        archive.tokens,
        used.tokens,
        unsettled.tokens,
        left.tokens,
    );
    let calls = number(
        "model calls",
        archive.calls,
        used.calls,
        unsettled.calls,
        left.calls,
    );
    let hours = limits.hours.map(|limit| {
        let used = lineage.run_time();
        BudgetRow {
            name: "hours",
            limit: hours(limit),
            used: hours(used),
            unsettled: String::new(),
            left: hours(limit.saturating_sub(used)),
        }
    });
    [usd, tokens, calls, hours].into_iter().flatten().collect()
}

/// Returns what is left of limits when this much is used.
fn left(limit: Limit, used: Amount) -> Limit {
    Limit {
        usd: limit
            .usd
            .map(|usd| Usd(usd.0.saturating_sub(used.cost.0).max(0))),
        tokens: limit
            .tokens
            .map(|tokens| tokens.saturating_sub(used.tokens)),
        calls: limit.calls.map(|calls| calls.saturating_sub(used.calls)),
    }
}

fn hours(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() / 3600.0)
}

/// Limits as JSON.
#[derive(Serialize)]
pub(super) struct BudgetShape {
    archive: ArchiveBudgetShape,
    per_attempt: LimitShape,
    per_job: LimitShape,
}

#[derive(Serialize)]
struct ArchiveBudgetShape {
    limit: LimitShape,
    used: LimitShape,
    unsettled_at_most: LimitShape,
    left: LimitShape,
}

#[derive(Serialize)]
struct LimitShape {
    usd: Option<f64>,
    tokens: Option<u64>,
    calls: Option<u64>,
    /// Of the archive alone.
    hours: Option<f64>,
}

impl From<Limit> for LimitShape {
    fn from(limit: Limit) -> Self {
        Self {
            usd: limit.usd.map(Usd::dollars),
            tokens: limit.tokens,
            calls: limit.calls,
            hours: None,
        }
    }
}

impl From<Amount> for LimitShape {
    fn from(amount: Amount) -> Self {
        Limit {
            usd: Some(amount.cost),
            tokens: Some(amount.tokens),
            calls: Some(amount.calls),
        }
        .into()
    }
}

/// Returns the limits with what is used and left of those of the archive.
pub(super) fn shape(limits: &Limits, lineage: &Lineage) -> BudgetShape {
    let (used, unsettled) = lineage.spend().used();
    let in_hours = |time: Duration| super::json::round(time.as_secs_f64() / 3600.0);
    let time = lineage.run_time();
    BudgetShape {
        archive: ArchiveBudgetShape {
            limit: LimitShape {
                hours: limits.hours.map(in_hours),
                ..limits.archive.into()
            },
            used: LimitShape {
                hours: Some(in_hours(time)),
                ..used.into()
            },
            unsettled_at_most: unsettled.into(),
            left: LimitShape {
                hours: limits
                    .hours
                    .map(|limit| in_hours(limit.saturating_sub(time))),
                ..left(limits.archive, used + unsettled).into()
            },
        },
        per_attempt: limits.attempt.into(),
        per_job: limits.job.into(),
    }
}
