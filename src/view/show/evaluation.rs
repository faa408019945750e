//! An evaluation as text.

use super::variant::{call_subject, outcome, purpose};
use super::{Kept, Subject, attempt};
use crate::domain::{Evaluation, Outcome};
use crate::view::figure::{self, count, duration, moment, money, plural};
use crate::view::line::clean;
use crate::view::page::Page;
use crate::view::style::{Ink, Style};

pub(super) fn text(
    subject: Subject<'_>,
    evaluation: &Evaluation,
    kept: &Kept,
    style: Style,
) -> String {
    let mut page = Page::new(style, subject.full);
    let key = &evaluation.key;
    let ink = match (
        evaluation.judgement.outcome.counts(),
        evaluation.judgement.passed,
    ) {
        (false, _) => Ink::Warn,
        (true, true) => Ink::Good,
        (true, false) => Ink::Bad,
    };
    page.line(format!(
        "{} on {} {} {}",
        style.paint(Ink::Bold, &key.variant.to_string()),
        style.paint(Ink::Bold, &clean(key.task.as_str())),
        style.glyphs().dot,
        style.paint(ink, &outcome(evaluation)),
    ));
    if !evaluation.judgement.detail.trim().is_empty() {
        page.field("detail", &evaluation.judgement.detail);
    }
    let reward = evaluation.judgement.reward;
    page.field(
        "reward",
        &reward.map_or_else(|| "none was given".to_owned(), |reward| reward.to_string()),
    );
    let rewards = evaluation.judgement.rewards.iter();
    let rewards: Vec<String> = rewards
        .map(|(name, reward)| format!("{name} {reward}"))
        .collect();
    if !rewards.is_empty() {
        page.field("of rewards", &rewards.join(", "));
    }
    page.field("for", &purpose(evaluation.purpose));
    if let Some(again) = subject.lineage.regrade(key) {
        let passed = match again.judgement.passed && again.judgement.outcome != Outcome::Resolved {
            true => ", passed",
            false => "",
        };
        let value = format!(
            "{}{passed} at {}, in run {}; task {}; {}",
            again.judgement.outcome,
            moment(again.at_ms),
            again.run.0,
            again.judgement.task_digest,
            again.judgement.detail,
        );
        page.field("judged again", value.trim_end_matches([' ', ';']));
    }
    repeats(&mut page, subject, evaluation);
    page.field(
        "took",
        &format!(
            "agent {}, verifier {}",
            duration(evaluation.timing.agent_ms),
            duration(evaluation.timing.verifier_ms)
        ),
    );
    page.field("model", &model(subject, evaluation));
    if evaluation.context_overflow {
        page.field(
            "context",
            "the model's context overflowed; the agent did not handle it",
        );
    }
    page.field("settled", &moment(evaluation.at_ms));
    page.field(
        "run",
        &format!("{}, execution {}", evaluation.run.0, evaluation.execution),
    );
    page.field("task digest", &evaluation.judgement.task_digest);
    if let Some(image) = &evaluation.image {
        page.field("image", image);
    }
    attempt::texts(&mut page, subject, kept, style);
    page.finish()
}

fn repeats(page: &mut Page, subject: Subject<'_>, evaluation: &Evaluation) {
    let key = &evaluation.key;
    let all: Vec<String> = subject
        .lineage
        .evaluations_of(key.variant)
        .filter(|other| other.key.task == key.task)
        .map(|other| format!("{} {}", other.key.repeat, outcome(other)))
        .collect();
    if all.len() > 1 {
        let value = format!("{}; all: {}", key.repeat, all.join(", "));
        page.field("repeat", &value);
    }
}

fn model(subject: Subject<'_>, evaluation: &Evaluation) -> String {
    let spend = subject.lineage.spend().of_execution(
        &call_subject(evaluation),
        evaluation.run,
        evaluation.execution,
    );
    if spend.calls == 0 {
        return "no calls".to_owned();
    }
    let settled = format!(
        "{}, {} tokens in ({} cached), {} out, {}",
        plural(spend.calls, "call", "calls"),
        count(spend.tokens.input),
        count(spend.tokens.cached),
        count(spend.tokens.output),
        money(spend.cost),
    );
    format!("{settled}{}", figure::inexact(&spend))
}
