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
    /// How often each of both was run.
    pub times: u32,
    /// What makes its number mean less than it seems.
    pub findings: Vec<Finding>,
}

/// A finding of the linter.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// File, and line where there is one.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// An image that tasks need.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    /// Its name; empty: a newer one has taken it.
    pub name: String,
    /// Its id; none: it is not there.
    pub id: Option<String>,
    /// Bytes, those that it shares with others included.
    pub size: Option<u64>,
    /// Where it comes from: `task` (built from a task's files), `recipe` (of this program) or
    /// `registry`.
    pub source: String,
    /// How many of the named benchmark's tasks need it; none: no benchmark was named.
    pub tasks: Option<usize>,
}

/// Returns images as text.
pub fn images_text(images: &[Image], style: Style) -> String {
    let mut table = Table::new([
        ("image", Align::Left),
        ("from", Align::Left),
        ("size", Align::Right),
        ("tasks", Align::Right),
        ("id", Align::Left),
    ]);
    for image in images {
        let (id, ink) = match &image.id {
            Some(id) => (id.get(..19).unwrap_or(id).to_owned(), Ink::Plain),
            None => ("not there".to_owned(), Ink::Bad),
        };
        let name = match image.name.as_str() {
            "" => "(replaced)",
            name => name,
        };
        let cells = [
            name.to_owned(),
            image.source.clone(),
            image.size.map(size).unwrap_or_default(),
            image
                .tasks
                .map(|tasks| tasks.to_string())
                .unwrap_or_default(),
            id,
        ];
        table.row(cells, ink);
    }
    let total: u64 = images.iter().filter_map(|image| image.size).sum();
    let count = match images.len() {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    };
    let summary = format!(
        "{count}, at most {} on disk: what they share is counted in each",
        size(total)
    );
    finish(&table, &[], &summary, style)
}

/// Returns images as JSON (`dgm.bench-images/1`).
pub fn images_json(images: &[Image]) -> String {
    #[derive(Serialize)]
    struct BenchDocument<'a> {
        schema: &'static str,
        images: &'a [Image],
    }
    json::text(&BenchDocument {
        schema: "dgm.bench-images/1",
        images,
    })
}

/// Returns bytes as people write them.
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mb = bytes as f64 / 1e6;
    if mb >= 1000.0 {
        format!("{:.2} GB", mb / 1000.0)
    } else {
        format!("{mb:.0} MB")
    }
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
    struct BenchDocument<'a> {
        schema: &'static str,
        tasks: &'a [Listed],
    }
    json::text(&BenchDocument {
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
    let findings: usize = rows.iter().map(|row| row.findings.len()).sum();
    let mut summary = format!("{good} of {} tasks can be used", rows.len());
    match findings {
        0 => {}
        1 => summary.push_str("; 1 finding, listed with `--lint`"),
        count => summary = format!("{summary}; {count} findings, listed with `--lint`"),
    }
    finish(&table, &reasons, &summary, style)
}

/// Returns what the linter found as text.
pub fn lint_text(rows: &[(String, Vec<Finding>)]) -> String {
    let mut text = String::new();
    for (task, findings) in rows {
        for Finding { rule, place, what } in findings {
            let line = format!("{task}/{place}: {what} [{rule}]");
            text.push_str(&clean(&line));
            text.push('\n');
        }
    }
    text
}

/// Returns the rows of a check as JSON (`dgm.bench-check/1`).
pub fn check_json(rows: &[Row]) -> String {
    #[derive(Serialize)]
    struct BenchDocument<'a> {
        schema: &'static str,
        ok: bool,
        tasks: &'a [Row],
    }
    let ok = rows.iter().all(|row| row.ok);
    json::text(&BenchDocument {
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
