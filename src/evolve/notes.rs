//! The git note of an admitted variant and the message of its commit: so that plain
//! `git log --notes=dgm` tells the story.

use crate::domain::{Proposal, VariantId};
use crate::lineage::Lineage;
use crate::stats::wilson;

/// What a note and a message say of a variant whose source may hold what was hidden.
fn disclosed(lineage: &Lineage, id: VariantId) -> String {
    match lineage.disclosed_ancestor(id) {
        None => String::new(),
        Some(from) if from == id => "evidence: paper (hidden tests were shown)\n".to_owned(),
        Some(from) => format!("evidence: paper, through {from} (hidden tests were shown)\n"),
    }
}

/// Returns the message of a child's commit.
pub(super) fn commit_message(
    lineage: &Lineage,
    attempt: VariantId,
    parent: VariantId,
    entry: &str,
    proposal: &Proposal,
) -> String {
    let title = proposal.title();
    // The description mostly opens with the title: a reader needs it once.
    let body = proposal.problem_description.trim();
    let body = body.strip_prefix(title.as_str()).unwrap_or(body).trim();
    format!(
        "{title}\n\n{body}\n\nAttempt: {}\nParent: {}\nEntry: {}\n{}",
        attempt.0,
        parent.0,
        entry,
        trailer(&disclosed(lineage, attempt)),
    )
}

/// Returns a line as git's trailers are written.
fn trailer(line: &str) -> String {
    line.replacen("evidence", "Evidence", 1)
}

/// Returns the note of an admitted variant.
pub(super) fn note(lineage: &Lineage, variant: VariantId) -> String {
    let score = lineage.score(variant);
    let interval = wilson(score.resolved, score.counted);
    format!(
        "variant: {}\nscore: {}/{} = {:.3} [{:.3}, {:.3}]\n{}",
        variant.0,
        score.resolved,
        score.counted,
        score.mean(),
        interval.low,
        interval.high,
        disclosed(lineage, variant),
    )
}
