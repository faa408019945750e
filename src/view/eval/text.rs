//! The findings as text.

use super::{Again, Asked, Found, OfTask, Row};
use crate::domain::{Cause, Outcome, Tally};
use crate::stats::Interval;
use crate::view::digest::Gap;
use crate::view::evidence;
use crate::view::figure::{self, count, duration, money, percent, plural, tally};
use crate::view::line::clean;
use crate::view::page::Page;
use crate::view::style::{Ink, Style};
use crate::view::table::{Align, Table};

/// Most tasks of which each has a line.
const MOST_TASKS: usize = 40;

pub(super) fn text(asked: &Asked<'_>, found: &Found<'_>, style: Style, full: bool) -> String {
    let mut page = Page::new(style, full);
    head(&mut page, asked, style);
    page.heading("Tasks");
    tasks(&mut page, found, style);
    refused(&mut page, asked, style);
    page.heading("Score");
    scores(&mut page, asked, found, style);
    page.heading("Outcomes");
    outcomes(&mut page, found, style);
    regraded(&mut page, asked, found, style);
    page.line("");
    page.line(spent(found));
    let more = format!(
        "log, patch and model calls of each: dgm show {} {} TASK",
        asked.dir, asked.variant.0
    );
    page.line(style.paint(Ink::Dim, &more.replace("  ", " ")));
    page.finish()
}

fn head(page: &mut Page, asked: &Asked<'_>, style: Style) {
    let variant = asked.lineage.variant(asked.variant);
    let summary = variant.map_or_else(String::new, |variant| clean(&variant.summary));
    let dot = style.glyphs().dot;
    let what = match asked.is_holdout {
        true => "held-out task",
        false => "task",
    };
    let number = asked.tasks.len() + asked.refused.len();
    page.line(format!(
        "{} {summary} {dot} {} of {} {dot} {} each",
        style.paint(Ink::Bold, &asked.variant.to_string()),
        plural(number as u64, what, &format!("{what}s")),
        clean(asked.benchmark),
        plural(u64::from(asked.attempts), "attempt", "attempts"),
    ));
    let told = evidence::of_variant(asked.lineage, asked.variant);
    evidence::show(page, told, style);
}

fn tasks(page: &mut Page, found: &Found<'_>, style: Style) {
    let mut table = Table::new([
        ("task", Align::Left),
        ("score", Align::Right),
        ("outcomes", Align::Left),
        ("time", Align::Right),
        ("tokens", Align::Right),
        ("cost", Align::Right),
        ("detail", Align::Left),
    ]);
    for task in &found.tasks {
        table.row(cells(task, style), ink(task.score));
    }
    page.block_of(table.lines(style), MOST_TASKS);
}

fn refused(page: &mut Page, asked: &Asked<'_>, style: Style) {
    if asked.refused.is_empty() {
        return;
    }
    page.heading("Cannot run");
    let mut table = Table::new([("task", Align::Left), ("why", Align::Left)]);
    for (task, why) in asked.refused {
        table.row([clean(task), clean(why)], Ink::Warn);
    }
    page.block_of(table.lines(style), MOST_TASKS);
}

fn cells(task: &OfTask<'_>, style: Style) -> [String; 7] {
    let spend = task.rows.iter().fold(
        Default::default(),
        |sum: crate::lineage::SubjectSpend, row| sum.plus(&row.spend),
    );
    let took: u64 = task
        .rows
        .iter()
        .map(|row| row.evaluation.timing.agent_ms + row.evaluation.timing.verifier_ms)
        .sum();
    let odd = |row: &&Row<'_>| !row.judged.detail.trim().is_empty();
    let detail = task
        .rows
        .iter()
        .find(odd)
        .map_or("", |row| row.judged.detail.as_str());
    [
        clean(task.task.as_str()),
        tally(task.score),
        outcomes_of(task),
        match took {
            0 => String::new(),
            took => duration(took),
        },
        match spend.calls {
            0 => String::new(),
            _ => count(spend.tokens.total()),
        },
        figure::spent(&spend, style),
        clean(detail),
    ]
}

/// Equal neighbors are counted: `resolved ×3, timeout`.
fn outcomes_of(task: &OfTask<'_>) -> String {
    let mut groups: Vec<(String, u64)> = Vec::new();
    for row in &task.rows {
        let name = named(row.judged.outcome, row.judged.passed);
        match groups.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            Some(_) | None => groups.push((name, 1)),
        }
    }
    let words = groups.into_iter().map(|(name, count)| match count {
        1 => name,
        count => format!("{count} {name}"),
    });
    match words.collect::<Vec<_>>().join(", ") {
        words if words.is_empty() => "not run yet".to_owned(),
        words => words,
    }
}

fn named(outcome: Outcome, passed: bool) -> String {
    match passed && outcome != Outcome::Resolved {
        true => format!("{outcome} (passed)"),
        false => outcome.to_string(),
    }
}

fn ink(score: Tally) -> Ink {
    match score {
        Tally { counted: 0, .. } => Ink::Warn,
        Tally { resolved, counted } if resolved == counted => Ink::Good,
        Tally { .. } => Ink::Plain,
    }
}

fn scores(page: &mut Page, asked: &Asked<'_>, found: &Found<'_>, style: Style) {
    let mut table = Table::new([
        ("mean", Align::Left),
        ("score", Align::Right),
        ("", Align::Right),
        ("95 %", Align::Right),
        ("", Align::Left),
    ]);
    let score = found.score;
    let resolved = f64::from(score.resolved);
    let mut row = |name: &str, of: String, share: f64, interval: String, note: &str| {
        let cells = [
            name.to_owned(),
            of,
            percent(share),
            interval,
            note.to_owned(),
        ];
        table.row(cells, Ink::Plain);
    };
    if score.counted == 0 {
        page.line("  nothing is measured yet");
    } else {
        let interval = figure::interval_text(score, style);
        row("over graded", tally(score), score.mean(), interval, "");
    }
    if let Some(clustered) = found.over_tasks {
        let interval = range(clustered.interval, style);
        row(
            "over tasks",
            String::new(),
            clustered.mean,
            interval,
            "as if other tasks were drawn",
        );
    }
    let at_worst = found.missing_as_zero(resolved);
    let of = format!("{}/{}", score.resolved, found.planned);
    row("missing as zero", of, at_worst, String::new(), "");
    if !found.is_binary {
        let graded = found.over_graded(found.rewards);
        let all = found.missing_as_zero(found.rewards);
        let note = format!("{graded:.4}; missing as zero: {all:.4}");
        row("reward", String::new(), graded, String::new(), &note);
    }
    for (k, share) in &found.pass_at {
        row(
            &format!("pass@{k}"),
            String::new(),
            *share,
            String::new(),
            "",
        );
    }
    let beside = |tally: Tally| tally.counted > 0;
    if beside(found.training) {
        let interval = figure::interval_text(found.training, style);
        row(
            "training",
            tally(found.training),
            found.training.mean(),
            interval,
            "guided the evolution",
        );
    }
    if beside(found.holdout) && !(asked.is_holdout && found.holdout == score) {
        let interval = figure::interval_text(found.holdout, style);
        row(
            "hold-out",
            tally(found.holdout),
            found.holdout.mean(),
            interval,
            "all held-out tasks",
        );
    }
    table.lines(style).iter().for_each(|line| page.line(line));
    if let Some(gap) = found.gap {
        page.line(format!("  {}", gap_text(gap, style)));
    }
}

/// Returns the gap between training and hold-out as a sentence.
pub(in crate::view) fn gap_text(gap: Gap, style: Style) -> String {
    let Interval { low, high } = gap.interval;
    format!(
        "gap between training and hold-out: {} points, 95 % interval {} to {}",
        figure::points(gap.mean, style),
        figure::points(low, style),
        figure::points(high, style)
    )
}

fn range(interval: Interval, style: Style) -> String {
    let to = style.glyphs().to;
    format!(
        "{:.0}{to}{:.0} %",
        interval.low * 100.0,
        interval.high * 100.0
    )
}

fn outcomes(page: &mut Page, found: &Found<'_>, style: Style) {
    let words: Vec<String> = found
        .outcomes
        .iter()
        .map(|(outcome, number)| format!("{} {outcome}", count(*number)))
        .collect();
    if words.is_empty() {
        page.line("  none yet");
        return;
    }
    page.line(format!("  {}", words.join(", ")));
    let mut table = Table::new([
        ("what kept it from more", Align::Left),
        ("times", Align::Right),
        ("counts", Align::Left),
        ("for example", Align::Left),
    ]);
    let by_name = Cause::NAMES
        .iter()
        .filter_map(|name| found.causes.get(name));
    for (cause, times, example) in by_name {
        let (what, counts) = explain(*cause);
        let cells = [
            what.to_owned(),
            count(*times),
            counts.to_owned(),
            clean(example),
        ];
        let ink = if counts == "as it is" {
            Ink::Plain
        } else {
            Ink::Warn
        };
        table.row(cells, ink);
    }
    if !table.is_empty() {
        table.lines(style).iter().for_each(|line| page.line(line));
    }
}

fn explain(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::AgentFailed => ("the agent failed", "as it is"),
        Cause::AgentExhaustedBudget => ("the agent's time or allowance was over", "as it is"),
        Cause::VerifierFailed(_) => ("the verifier gave no reward", "no"),
        Cause::SandboxFailed => ("sandbox or engine failed", "no, runs again"),
        Cause::ModelProviderFailed => ("the model's provider failed", "no, runs again"),
        Cause::RunExhaustedBudget => ("the run's budget was over", "no, runs again"),
        Cause::Cancelled => ("stopped by us", "no, runs again"),
    }
}

fn regraded(page: &mut Page, asked: &Asked<'_>, found: &Found<'_>, style: Style) {
    let Some(regrading) = asked.regrade else {
        return;
    };
    page.heading("Judged again");
    if regrading.run.is_none() {
        page.line("  nothing: no verifier has changed, and each gave a reward");
    }
    let changed: Vec<&Again<'_>> = found
        .again
        .iter()
        .filter(|again| again.is_changed())
        .collect();
    let sum = |pick: &dyn Fn(&Again<'_>) -> Tally| -> Tally { found.again.iter().map(pick).sum() };
    let (first, now) = (
        sum(&|again| again.first.tally()),
        sum(&|again| again.now.tally()),
    );
    if regrading.run.is_some() {
        page.line(format!(
            "  {}: {} before, {} now; {} judged otherwise",
            plural(found.again.len() as u64, "answer", "answers"),
            tally(first),
            tally(now),
            count(changed.len() as u64),
        ));
    }
    if regrading.left_out > 0 {
        let left_out = plural(
            regrading.left_out as u64,
            "evaluation has",
            "evaluations have",
        );
        page.line(format!(
            "  {left_out} no kept answer that could be judged again, or no image for it"
        ));
    }
    let mut table = Table::new([
        ("task", Align::Left),
        ("repeat", Align::Right),
        ("before", Align::Left),
        ("now", Align::Left),
        ("detail", Align::Left),
    ]);
    for again in changed {
        let key = &again.evaluation.key;
        let cells = [
            clean(key.task.as_str()),
            key.repeat.to_string(),
            named(again.first.outcome, again.first.passed),
            named(again.now.outcome, again.now.passed),
            clean(&again.now.detail),
        ];
        let ink = if again.now.passed {
            Ink::Good
        } else {
            Ink::Bad
        };
        table.row(cells, ink);
    }
    if !table.is_empty() {
        page.block_of(table.lines(style), MOST_TASKS);
    }
}

fn spent(found: &Found<'_>) -> String {
    let spend = &found.spend;
    if spend.calls == 0 {
        return "no model calls".to_owned();
    }
    format!(
        "{}, {} in, {} out, {}{}",
        plural(spend.calls, "model call", "model calls"),
        plural(spend.tokens.input, "token", "tokens"),
        count(spend.tokens.output),
        money(spend.cost),
        figure::inexact(spend)
    )
}
