//! Stable depth-first traversal of the tree of variants, with failed attempts in their place.

use super::Lineage;
use crate::domain::VariantId;
use std::collections::BTreeMap;

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Variant, or attempt without a child.
    pub id: VariantId,
    /// Whether it is an attempt without a child.
    pub is_attempt: bool,
    /// For each ancestor level below the root: whether more siblings follow there.
    pub more: Vec<bool>,
}

/// Returns the rows of the tree: parents before children, siblings in order of number.
/// A variant whose parent is missing is shown as a root rather than lost.
pub fn walk(lineage: &Lineage) -> Vec<Row> {
    let mut children: BTreeMap<Option<VariantId>, Vec<(VariantId, bool)>> = BTreeMap::new();
    for variant in lineage.variants() {
        let parent = variant
            .parent
            .filter(|parent| lineage.variant(*parent).is_some());
        children
            .entry(parent)
            .or_default()
            .push((variant.id, false));
    }
    for attempt in lineage.attempts() {
        let id = attempt.decision.attempt;
        if lineage.variant(id).is_none() && attempt.end.is_some() {
            children
                .entry(Some(attempt.decision.parent))
                .or_default()
                .push((id, true));
        }
    }
    for siblings in children.values_mut() {
        siblings.sort_unstable();
    }
    let mut rows = Vec::new();
    // An explicit stack: archives can be thousands of generations deep.
    let mut stack: Vec<Row> = Vec::new();
    push_children(&children, None, &[], &mut stack);
    while let Some(row) = stack.pop() {
        if !row.is_attempt {
            push_children(&children, Some(row.id), &row.more, &mut stack);
        }
        rows.push(row);
    }
    rows
}

fn push_children(
    children: &BTreeMap<Option<VariantId>, Vec<(VariantId, bool)>>,
    parent: Option<VariantId>,
    above: &[bool],
    stack: &mut Vec<Row>,
) {
    let Some(siblings) = children.get(&parent) else {
        return;
    };
    let last = siblings.len().saturating_sub(1);
    for (index, (id, is_attempt)) in siblings.iter().enumerate().rev() {
        let mut more = above.to_vec();
        if parent.is_some() {
            more.push(index != last);
        }
        stack.push(Row {
            id: *id,
            is_attempt: *is_attempt,
            more,
        });
    }
}
