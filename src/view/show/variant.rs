//! A variant as text.

use super::{FileChange, Subject, attempt, spend};
use crate::domain::{Evaluation, JobId, Purpose, Standing, Tally, Verdict};
use crate::view::digest::{gap, stage_tallies};
use crate::view::eval::gap_text;
use crate::view::figure::{self, count, duration, interval_text, moment, percent, tally};
use crate::view::line::{self, clean};
use crate::view::means::Means;
use crate::view::page::Page;
use crate::view::style::{Ink, Style};
use crate::view::table::{Align, Table};

pub(super) fn text(subject: Subject<'_>, change: &[FileChange], style: Style) -> Option<String> {
    let variant = subject.lineage.variant(subject.id)?;
    let mut page = Page::new(style, subject.full);
    head(&mut page, subject, style);
    page.field("commit", variant.commit.as_str());
    page.field("tree", variant.tree.as_str());
    page.field("made", &moment(variant.created_ms));
    if let Some(made_by) = subject.lineage.attempt(subject.id) {
        attempt::origin(&mut page, subject, made_by);
        attempt::proposal(&mut page, made_by);
        let command = subject.command("show", &format!("{} --attempt", subject.id.0));
        let hint = format!("  evidence and whole answer: {command}");
        page.line(style.paint(Ink::Dim, &hint));
        changes(&mut page, subject, change, style);
    } else {
        page.field("origin", "the seed: everything descends from it");
    }
    scores(&mut page, subject, style);
    evaluations(&mut page, subject, style);
    descent(&mut page, subject, style);
    spend::spend(&mut page, subject, style);
    spend::faults(&mut page, subject, style);
    Some(page.finish())
}

fn head(page: &mut Page, subject: Subject<'_>, style: Style) {
    let lineage = subject.lineage;
    let standing = match lineage.standing(subject.id) {
        Standing::Evaluating => "being evaluated".to_owned(),
        Standing::Judged(Verdict::Admitted) => "in the pool of parents".to_owned(),
        Standing::Judged(Verdict::Rejected(reason)) => {
            format!("kept, but no parent: {}", clean(&reason))
        }
    };
    let mut words = vec![style.paint(Ink::Bold, &subject.id.to_string())];
    if lineage.best() == Some(subject.id) {
        words.push(style.paint(Ink::Path, &format!("{} best", style.glyphs().best)));
    }
    words.push(standing);
    if let Some(variant) = lineage.variant(subject.id) {
        words.push(format!("generation {}", variant.generation));
        page.line(words.join(&format!(" {} ", style.glyphs().dot)));
        page.line(line::cut(
            &clean(&variant.summary),
            style.width,
            style.glyphs().more,
        ));
    }
}

fn changes(page: &mut Page, subject: Subject<'_>, change: &[FileChange], style: Style) {
    page.heading("Change against its parent");
    let mut table = Table::new([
        ("file", Align::Left),
        ("added", Align::Right),
        ("removed", Align::Right),
    ]);
    for file in change {
        table.row(
            [clean(&file.path), count(file.added), count(file.removed)],
            Ink::Plain,
        );
    }
    page.block_of(table.lines(style), 16);
    let command = subject.command("diff", &subject.id.0.to_string());
    page.line(style.paint(Ink::Dim, &format!("  whole: {command}")));
}

fn scores(page: &mut Page, subject: Subject<'_>, style: Style) {
    let (lineage, id) = (subject.lineage, subject.id);
    page.heading("Score");
    let mut table = Table::new([
        ("on", Align::Left),
        ("score", Align::Right),
        ("mean", Align::Right),
        ("95 %", Align::Right),
    ]);
    let mut row = |name: String, score: Tally| {
        let cells = match score.counted {
            0 => [name, tally(score), String::new(), String::new()],
            _ => [
                name,
                tally(score),
                percent(score.mean()),
                interval_text(score, style),
            ],
        };
        table.row(cells, Ink::Plain);
    };
    row("all stages".to_owned(), lineage.score(id));
    for (stage, score) in stage_tallies(lineage, id) {
        row(format!("stage {stage}"), score);
    }
    let extra = lineage.extra_score(id);
    if extra.counted > 0 {
        row("asked for with `dgm eval`".to_owned(), extra);
    }
    let holdout = lineage.holdout_score(id);
    if holdout.counted > 0 {
        row("hold-out".to_owned(), holdout);
    }
    table.lines(style).iter().for_each(|line| page.line(line));
    if let Some(sentence) = Means::of(lineage.evaluations_of(id)).sentence() {
        page.line(style.paint(Ink::Dim, &format!("  {sentence}")));
    }
    if let Some(gap) = gap(lineage.score(id), holdout) {
        page.line(format!("  {}", gap_text(gap, style)));
    }
}

fn evaluations(page: &mut Page, subject: Subject<'_>, style: Style) {
    let lineage = subject.lineage;
    page.heading("Evaluations");
    let mut table = Table::new([
        ("task", Align::Left),
        ("for", Align::Left),
        ("outcome", Align::Left),
        ("reward", Align::Right),
        ("agent", Align::Right),
        ("verifier", Align::Right),
        ("calls", Align::Right),
        ("tokens", Align::Right),
        ("cost", Align::Right),
        ("detail", Align::Left),
    ]);
    for evaluation in lineage.evaluations_of(subject.id) {
        table.row(
            evaluation_cells(subject, evaluation, style),
            ink(evaluation),
        );
    }
    if table.is_empty() {
        page.line("  none is settled yet");
        return;
    }
    table.lines(style).iter().for_each(|line| page.line(line));
    let command = subject.command("show", &format!("{} TASK", subject.id.0));
    page.line(style.paint(Ink::Dim, &format!("  log, patch and trajectory: {command}")));
}

fn evaluation_cells(subject: Subject<'_>, evaluation: &Evaluation, style: Style) -> [String; 10] {
    let key = &evaluation.key;
    let spend = subject.lineage.spend().of_execution(
        &call_subject(evaluation),
        evaluation.run,
        evaluation.execution,
    );
    let used = |value: String| {
        if spend.calls == 0 {
            String::new()
        } else {
            value
        }
    };
    [
        match key.repeat {
            0 => clean(key.task.as_str()),
            repeat => format!("{} ({repeat})", clean(key.task.as_str())),
        },
        purpose(evaluation.purpose),
        match subject.lineage.regrade(key) {
            None => outcome(evaluation),
            Some(again) if again.judgement.outcome == evaluation.judgement.outcome => {
                outcome(evaluation)
            }
            Some(again) => format!("{}, now {}", outcome(evaluation), again.judgement.outcome),
        },
        evaluation
            .judgement
            .reward
            .map_or_else(String::new, |reward| format!("{reward}")),
        duration(evaluation.timing.agent_ms),
        duration(evaluation.timing.verifier_ms),
        used(count(spend.calls)),
        used(count(spend.tokens.total())),
        figure::spent(&spend, style),
        clean(&evaluation.judgement.detail),
    ]
}

pub(super) fn call_subject(evaluation: &Evaluation) -> JobId {
    JobId::Evaluation(evaluation.key.clone())
}

pub(super) fn purpose(purpose: Purpose) -> String {
    match purpose {
        Purpose::Stage(stage) => format!("stage {stage}"),
        Purpose::Extra => "extra".to_owned(),
        Purpose::Holdout => "hold-out".to_owned(),
    }
}

/// A time-out can still be a pass: then both are said.
pub(super) fn outcome(evaluation: &Evaluation) -> String {
    let name = evaluation.judgement.outcome.name();
    if evaluation.judgement.passed
        && evaluation.judgement.outcome != crate::domain::Outcome::Resolved
    {
        format!("{name}, passed")
    } else {
        name.to_owned()
    }
}

fn ink(evaluation: &Evaluation) -> Ink {
    if !evaluation.judgement.outcome.counts() {
        Ink::Warn
    } else if evaluation.judgement.passed {
        Ink::Good
    } else {
        Ink::Plain
    }
}

fn descent(page: &mut Page, subject: Subject<'_>, style: Style) {
    let lineage = subject.lineage;
    let mut table = Table::new([
        ("child", Align::Left),
        ("score", Align::Right),
        ("mean", Align::Right),
        ("what is new", Align::Left),
    ]);
    for child in lineage.variants().filter(|v| v.parent == Some(subject.id)) {
        let score = lineage.score(child.id);
        let mean = match score.counted {
            0 => String::new(),
            _ => percent(score.mean()),
        };
        let cells = [
            child.id.to_string(),
            tally(score),
            mean,
            clean(&child.summary),
        ];
        table.row(cells, Ink::Plain);
    }
    if !table.is_empty() {
        page.heading("Children");
        page.block_of(table.lines(style), 20);
    }
    let mut failed = Table::new([
        ("attempt", Align::Left),
        ("learned from", Align::Left),
        ("why no child", Align::Left),
    ]);
    for attempt in lineage.attempts_of(subject.id) {
        let failure = attempt.end.as_ref().and_then(|end| end.failure.as_ref());
        let Some((failure, detail)) = failure else {
            continue;
        };
        let dash = style.glyphs().dash;
        let why = match clean(detail) {
            detail if detail.is_empty() => failure.to_string(),
            detail => format!("{failure} {dash} {detail}"),
        };
        let decision = &attempt.decision;
        let entry = clean(&decision.entry.to_string());
        failed.row([decision.attempt.to_string(), entry, why], Ink::Plain);
    }
    if !failed.is_empty() {
        page.heading("Attempts without a child");
        page.block_of(failed.lines(style), 20);
    }
}
