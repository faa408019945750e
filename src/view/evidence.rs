//! That hidden tests were shown to the diagnosing model: said wherever figures are read.

use super::figure;
use super::page::Page;
use super::style::{Ink, Style};
use crate::domain::VariantId;
use crate::lineage::Lineage;

/// Returns what a reader of the archive's figures must know first; none where nothing hidden
/// was shown.
pub(super) fn of_archive(lineage: &Lineage) -> Option<String> {
    let attempts = lineage.disclosed().count() as u64;
    let shown = figure::plural(attempts, "attempt", "attempts");
    (attempts > 0).then(|| {
        format!(
            "evidence = \"paper\": hidden tests and reference solutions were shown to the \
             diagnosing model for {shown}; scores may come from what it saw"
        )
    })
}

/// Returns the same of one variant: of its own making, or that of an ancestor.
pub fn of_variant(lineage: &Lineage, id: VariantId) -> Option<String> {
    let from = lineage.disclosed_ancestor(id)?;
    Some(format!(
        "evidence = \"paper\": hidden tests and reference solutions were shown to the diagnosing \
         model that {from} was made from; the score of {id} may come from what it saw"
    ))
}

/// Adds it to a page.
pub(super) fn show(page: &mut Page, told: Option<String>, style: Style) {
    let Some(told) = told else { return };
    let text = super::line::wrap(&told, style.width, "");
    for line in text.lines() {
        page.line(style.paint(Ink::Warn, line));
    }
}
