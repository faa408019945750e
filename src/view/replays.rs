//! Runs that took their answers from recordings: said wherever their costs are counted.

use super::figure::{money, plural};
use super::json::Spent;
use super::line::clean;
use crate::lineage::Lineage;
use serde::Serialize;

/// Returns a sentence about replayed runs; none where there are none.
pub(super) fn text(lineage: &Lineage) -> Option<String> {
    let mut places: Vec<String> = lineage
        .replays()
        .map(|replay| format!("`{}`", clean(&replay.place)))
        .collect();
    places.dedup();
    if places.is_empty() {
        return None;
    }
    let spent = lineage.replayed();
    Some(format!(
        "replayed from {}: {}, {} when recorded; nothing of it was charged",
        places.join(", "),
        plural(spent.calls, "call", "calls"),
        money(spent.cost)
    ))
}

/// What runs that replay amount to.
#[derive(Serialize)]
pub(super) struct ReplaysShape<'a> {
    runs: Vec<RunShape<'a>>,
    #[serde(flatten)]
    spent: Spent,
}

#[derive(Serialize)]
struct RunShape<'a> {
    run: u32,
    archive: &'a str,
    place: &'a str,
}

/// Returns it; none where there are none.
pub(super) fn shape(lineage: &Lineage) -> Option<ReplaysShape<'_>> {
    let runs: Vec<RunShape<'_>> = lineage
        .replays()
        .map(|replay| RunShape {
            run: replay.run.0,
            archive: &replay.archive,
            place: &replay.place,
        })
        .collect();
    (!runs.is_empty()).then(|| ReplaysShape {
        runs,
        spent: lineage.replayed().into(),
    })
}
