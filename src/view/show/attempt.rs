//! An attempt as text: why it was made, what was proposed, how it ended.

use super::{Kept, Subject, spend, trajectory, weights};
use crate::domain::{Attempt, Entry, VariantId};
use crate::view::figure::{moment, percent};
use crate::view::line::clean;
use crate::view::page::{Keep, Page};
use crate::view::style::{Ink, Style};

/// Weights that are shown.
const WEIGHTS: usize = 6;

pub(super) fn text(subject: Subject<'_>, kept: &Kept, style: Style) -> Option<String> {
    let attempt = subject.lineage.attempt(subject.id)?;
    let mut page = Page::new(style, subject.full);
    let glyphs = style.glyphs();
    let title = style.paint(Ink::Bold, &format!("attempt {}", subject.id));
    let end = match &attempt.end {
        None if attempt.draft.is_some() => {
            "came to a child that waits for other attempts, to be compared with theirs".to_owned()
        }
        None => "has not ended: it runs, or is done again when the run goes on".to_owned(),
        Some(end) => match &end.failure {
            None => format!("made variant {}", subject.id),
            Some((failure, _)) => style.paint(Ink::Bad, &format!("{} {failure}", glyphs.failed)),
        },
    };
    page.line(format!("{title} {} {end}", glyphs.dot));
    page.field("decided", &moment(attempt.decision.at_ms));
    origin(&mut page, subject, attempt);
    if let Some(end) = &attempt.end {
        page.field("ended", &moment(end.at_ms));
        if let Some((_, detail)) = &end.failure
            && !detail.trim().is_empty()
        {
            page.heading("Why there is no child");
            page.prose(detail);
        }
    }
    proposal(&mut page, attempt);
    spend::spend(&mut page, subject, style);
    spend::faults(&mut page, subject, style);
    texts(&mut page, subject, kept, style);
    Some(page.finish())
}

/// Adds where an attempt came from: parent, entry, and why these.
pub(super) fn origin(page: &mut Page, subject: Subject<'_>, attempt: &Attempt) {
    let decision = &attempt.decision;
    page.field(
        "origin",
        &format!(
            "attempt {} on {}, {}, run {}",
            decision.attempt, decision.parent, decision.why, decision.run.0
        ),
    );
    page.field(
        "learned from",
        &match &decision.entry {
            Entry::Task(task) => format!("task `{task}`"),
            Entry::Pattern(pattern) => format!("pattern `{}` over its runs", pattern.name()),
        },
    );
    let shown = weights(decision, WEIGHTS);
    let mut list: Vec<String> = shown
        .iter()
        .map(|(id, weight)| format!("{id} {}", percent(*weight)))
        .collect();
    let hidden = decision.candidates.len().saturating_sub(shown.len());
    if hidden > 0 {
        list.push(format!("{hidden} more"));
    }
    let by = match list.is_empty() {
        true => decision.policy.clone(),
        false => format!("{}; chances: {}", decision.policy, list.join(", ")),
    };
    page.field("chosen by", &by);
    evidence(page, subject, decision.attempt);
}

/// Adds what the diagnosis was shown, where that was more than the agent could see.
fn evidence(page: &mut Page, subject: Subject<'_>, id: VariantId) {
    let told = match subject.lineage.disclosed_ancestor(id) {
        None => return,
        Some(from) if from == id => {
            "paper: hidden tests and reference solutions were shown to the diagnosing model"
                .to_owned()
        }
        Some(from) => format!(
            "paper, through {from}: hidden tests and reference solutions were shown to the \
             diagnosing model that {from} was made from"
        ),
    };
    page.field("evidence", &told);
}

/// Adds the proposal.
pub(super) fn proposal(page: &mut Page, attempt: &Attempt) {
    page.heading("Proposal");
    let Some((proposal, _)) = &attempt.proposal else {
        page.line("  none");
        return;
    };
    let parts = [
        ("What the evidence shows", &proposal.log_summarization),
        ("Improvement", &proposal.improvement_proposal),
        ("How", &proposal.implementation_suggestion),
        ("Instruction for the agent", &proposal.problem_description),
    ];
    for (name, part) in parts {
        if !part.trim().is_empty() {
            page.label(name);
            page.prose(part);
        }
    }
    if !proposal.potential_improvements.is_empty() {
        page.label("Considered as well");
        let list: Vec<String> = proposal
            .potential_improvements
            .iter()
            .map(|improvement| format!("- {}", clean(improvement)))
            .collect();
        page.prose(&list.join("\n"));
    }
}

/// Adds what is kept: addresses first, then the contents; the longest comes last.
pub(super) fn texts(page: &mut Page, subject: Subject<'_>, kept: &Kept, style: Style) {
    let stored = &kept.stored;
    if stored.is_empty() {
        return;
    }
    page.heading("Stored");
    for stored in stored {
        page.field(stored.name, &subject.blob_path(&stored.blob));
    }
    for stored in stored {
        let Some(text) = &stored.text else { continue };
        page.heading(&capital(stored.name));
        if text.trim().is_empty() {
            page.line("  empty");
        } else {
            let keep = match stored.name.contains("log") {
                true => Keep::Tail,
                false => Keep::Head,
            };
            page.block(text, 30, keep);
        }
    }
    if let Some(kept) = &kept.trajectory {
        trajectory::text(page, kept, style);
    }
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
