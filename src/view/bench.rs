//! Benchmarks: their tasks, and how checking them went.

use super::json;
use super::line::clean;
use super::style::{Ink, Style};
use super::table::{Align, Table};
use serde::Serialize;

/// One task of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Digest of its files; empty where it could not be read.
    pub digest: String,
    /// Image it runs in.
    pub image: Option<String>,
    /// Whether it may run in the local sandbox.
    pub local: bool,
    /// Why it cannot run.
    pub trouble: Option<String>,
}

/// How one task was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub task: String,
    /// Reward with nothing done.
    pub nothing_done: Option<f64>,
    /// Reward with the reference solution.
    pub reference: Option<f64>,
    /// Whether the task can be used to measure anything.
    pub ok: bool,
    /// What is wrong.
    pub detail: String,
    /// Wall time.
    pub seconds: f64,
}

/// Returns a list of tasks as text.
pub fn list_text(tasks: &[Listed], style: Style) -> String {
    let mut table = Table::new([
        ("task", Align::Left),
        ("runs in", Align::Left),
        ("digest", Align::Left),
        ("", Align::Left),
    ]);
    for task in tasks {
        let image = task.image.clone().unwrap_or_default();
        let local = if task.local { "local" } else { "" };
        let places: Vec<&str> = [local, image.as_str()]
            .into_iter()
            .filter(|place| !place.is_empty())
            .collect();
        let digest = task.digest.get(..19).unwrap_or(&task.digest).to_owned();
        let (verdict, ink) = if task.trouble.is_none() {
            ("", Ink::Plain)
        } else {
            ("cannot run", Ink::Bad)
        };
        table.row(
            [
                task.name.clone(),
                places.join(", "),
                digest,
                verdict.to_owned(),
            ],
            ink,
        );
    }
    let reasons: Vec<(&str, &str)> = tasks
        .iter()
        .filter_map(|task| Some((task.name.as_str(), task.trouble.as_deref()?)))
        .collect();
    let count = match tasks.len() {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    };
    let summary = match reasons.len() {
        0 => count,
        wrong => format!("{count}, {wrong} cannot run"),
    };
    finish(&table, &reasons, &summary, style)
}

/// Returns a list of tasks as JSON (`dgm.bench-list/1`).
pub fn list_json(tasks: &[Listed]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        tasks: &'a [Listed],
    }
    json::text(&Document {
        schema: "dgm.bench-list/1",
        tasks,
    })
}

/// Returns the rows of a check as text.
pub fn check_text(rows: &[Row], style: Style) -> String {
    let mut table = Table::new([
        ("task", Align::Left),
        ("nothing done", Align::Right),
        ("reference", Align::Right),
        ("seconds", Align::Right),
        ("", Align::Left),
    ]);
    let reward = |reward: Option<f64>| match reward {
        Some(reward) => format!("{reward}"),
        None => "none".to_owned(),
    };
    for row in rows {
        let (verdict, ink) = if row.ok {
            ("ok", Ink::Plain)
        } else {
            ("NOT OK", Ink::Bad)
        };
        let cells = [
            row.task.clone(),
            reward(row.nothing_done),
            reward(row.reference),
            format!("{:.1}", row.seconds),
            verdict.to_owned(),
        ];
        table.row(cells, ink);
    }
    let good = rows.iter().filter(|row| row.ok).count();
    let reasons: Vec<(&str, &str)> = rows
        .iter()
        .filter(|row| !row.detail.is_empty())
        .map(|row| (row.task.as_str(), row.detail.as_str()))
        .collect();
    finish(
        &table,
        &reasons,
        &format!("{good} of {} tasks can be used", rows.len()),
        style,
    )
}

/// Returns the rows of a check as JSON (`dgm.bench-check/1`).
pub fn check_json(rows: &[Row]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        ok: bool,
        tasks: &'a [Row],
    }
    let ok = rows.iter().all(|row| row.ok);
    json::text(&Document {
        schema: "dgm.bench-check/1",
        ok,
        tasks: rows,
    })
}

/// Ends a table with what is wrong, whole: a reason that is cut says nothing.
fn finish<const N: usize>(
    table: &Table<N>,
    reasons: &[(&str, &str)],
    summary: &str,
    style: Style,
) -> String {
    let mut text = table.lines(style).join("\n");
    for (index, (task, why)) in reasons.iter().enumerate() {
        text.push_str(if index == 0 { "\n\n" } else { "\n" });
        text.push_str(&style.paint(Ink::Bad, &clean(task)));
        text.push_str(": ");
        text.push_str(&clean(why));
    }
    text.push_str("\n\n");
    text.push_str(summary);
    text.push('\n');
    text
}
