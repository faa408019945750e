//! The tree for Graphviz.

use crate::domain::{Attempt, Variant, VariantId};
use crate::lineage::Lineage;
use crate::view::digest::Digest;
use crate::view::{figure, line};

/// Columns of a summary inside a node.
const SUMMARY: usize = 28;

/// Returns the tree as a Graphviz digraph: nodes are filled the darker the higher their score,
/// the path to the best variant is bold, attempts without a child are dashed.
pub fn dot(lineage: &Lineage) -> String {
    let digest = Digest::of(lineage);
    let mut out = String::from(
        "digraph dgm {\n  rankdir=TB;\n  node [shape=box, style=\"rounded,filled\", \
         fontname=\"sans-serif\", fontsize=10];\n  edge [color=\"#888888\"];\n",
    );
    for variant in lineage.variants() {
        out.push_str(&node(&digest, variant));
        if let Some(parent) = variant.parent.filter(|id| lineage.variant(*id).is_some()) {
            let on_path = digest.on_path.contains(&variant.id) && digest.on_path.contains(&parent);
            let bold = if on_path {
                " [penwidth=3, color=\"#1a1a1a\"]"
            } else {
                ""
            };
            out.push_str(&edge(parent, variant.id, bold));
        }
    }
    for attempt in lineage.attempts() {
        if lineage.variant(attempt.decision.attempt).is_none() && attempt.end.is_some() {
            out.push_str(&failed(attempt));
        }
    }
    out.push_str("}\n");
    out
}

fn edge(parent: VariantId, child: VariantId, attributes: &str) -> String {
    format!("  v{} -> v{}{attributes};\n", parent.0, child.0)
}

fn node(digest: &Digest, variant: &Variant) -> String {
    let score = digest.figures(variant.id).score;
    let mean = score.mean();
    let summary = line::cut(&line::clean(&variant.summary), SUMMARY, "…");
    let label = format!(
        "{}  {}\n{}\n{summary}",
        variant.id,
        figure::tally(score),
        figure::percent(mean)
    );
    let mut attributes = format!(
        "label={}, fillcolor=\"0.58 {:.3} 1.000\"",
        quote(&label),
        mean * 0.8
    );
    if digest.on_path.contains(&variant.id) {
        attributes.push_str(", penwidth=3");
    }
    if digest.best == Some(variant.id) {
        attributes.push_str(", peripheries=2");
    }
    format!("  v{} [{attributes}];\n", variant.id.0)
}

fn failed(attempt: &Attempt) -> String {
    let decision = &attempt.decision;
    let reason = attempt
        .end
        .as_ref()
        .and_then(|end| end.failure.as_ref())
        .map_or("its variant is missing".to_owned(), |(failure, _)| {
            failure.to_string()
        });
    let label = quote(&format!("{}\n{reason}", decision.attempt));
    let (number, parent) = (decision.attempt.0, decision.parent.0);
    format!(
        "  a{number} [label={label}, style=dashed, fontcolor=\"#666666\", color=\"#888888\"];\n  \
         v{parent} -> a{number} [style=dashed];\n"
    )
}

/// Quotes a label; `\n` is Graphviz's own line end.
fn quote(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
