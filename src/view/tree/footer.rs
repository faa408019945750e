//! What the whole tree amounts to, in a few lines below it.

use crate::domain::VariantId;
use crate::lineage::Lineage;
use crate::stats::Interval;
use crate::view::digest::{Digest, gap};
use crate::view::eval::gap_text;
use crate::view::figure::{
    self, count, interval, interval_text, money, percent, plural, points, tally,
};
use crate::view::style::{Ink, Style};
use crate::view::{line, replays};

/// Returns the summary with its legend.
pub(super) fn text(lineage: &Lineage, digest: &Digest, style: Style) -> String {
    let lines = [
        population(digest),
        attempts(digest),
        best(lineage, digest, style),
        holdout(digest, style),
        spend(digest),
        replays::text(lineage).map_or_else(String::new, |text| format!("{text}\n")),
    ];
    let text = line::wrap(&lines.concat(), style.width, "");
    [legend(style), emphasize(&text, digest, style)].concat()
}

/// Colors come after the lines are wrapped: escape sequences have no width.
fn emphasize(text: &str, digest: &Digest, style: Style) -> String {
    let Some(best) = digest.best else {
        return text.to_owned();
    };
    let words = format!("best {best}");
    text.replacen(&words, &style.paint(Ink::Path, &words), 1)
}

fn legend(style: Style) -> String {
    let glyphs = style.glyphs();
    let legend = [
        (glyphs.best, "best"),
        (glyphs.admitted, "in the pool of parents"),
        (glyphs.rejected, "kept, no parent"),
        (glyphs.evaluating, "being evaluated"),
        (glyphs.failed, "attempt without a child"),
    ]
    .map(|(mark, meaning)| format!("{mark} {meaning}"))
    .join("  ");
    let legend = line::cut(&legend, style.width, glyphs.more);
    format!("{}\n", style.paint(Ink::Dim, &legend))
}

fn population(digest: &Digest) -> String {
    let others: Vec<String> = [
        (digest.rejected, "not admitted"),
        (digest.evaluating, "being evaluated"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(" ({})", others.join(", ")),
    };
    format!(
        "{} over {}{others}, {}\n",
        plural(digest.variants, "variant", "variants"),
        plural(u64::from(digest.generations), "generation", "generations"),
        plural(digest.evaluations, "evaluation", "evaluations")
    )
}

fn attempts(digest: &Digest) -> String {
    if digest.attempts == 0 {
        return "no attempt at self-modification yet\n".to_owned();
    }
    let mut parts = vec![plural(digest.attempts, "attempt", "attempts")];
    let failed = digest.attempts_failed();
    if failed > 0 {
        let reasons: Vec<String> = digest
            .failed
            .values()
            .map(|(failure, number)| format!("{number} {failure}"))
            .collect();
        let reasons = reasons.join(", ");
        parts.push(format!("{failed} without a child ({reasons})"));
    }
    if digest.attempts_open > 0 {
        parts.push(format!("{} not ended", digest.attempts_open));
    }
    format!("{}\n", parts.join(", "))
}

fn best(lineage: &Lineage, digest: &Digest, style: Style) -> String {
    let Some(best) = digest.best else {
        return "no variant is admitted yet\n".to_owned();
    };
    let of = |id: VariantId| {
        let score = digest.figures(id).score;
        let shown = format!(
            "{} ({}, 95 % interval {})",
            tally(score),
            percent(score.mean()),
            interval_text(score, style)
        );
        (score, shown)
    };
    let (score, shown) = of(best);
    let seed = VariantId::SEED;
    if best == seed || lineage.variant(seed).is_none() {
        return format!("best {best}: {shown}\n");
    }
    let (first, first_shown) = of(seed);
    let against = match digest.best_delta {
        None => String::new(),
        Some(delta) => format!(
            "{} points against the seed on the {} both were tried on{}; ",
            points(delta.mean, style),
            plural(u64::from(delta.shared), "evaluation", "evaluations"),
            if disjoint(interval(first), interval(score)) {
                ""
            } else {
                " (the intervals overlap)"
            }
        ),
    };
    format!(
        "best {best}: {shown}; seed {seed}: {first_shown}\n{against}path {}\n",
        path(&digest.path, style)
    )
}

/// The best variant on what nothing of its evolution has seen.
fn holdout(digest: &Digest, style: Style) -> String {
    let Some(best) = digest.best else {
        return String::new();
    };
    let figures = digest.figures(best);
    let Some(gap) = gap(figures.score, figures.holdout) else {
        return String::new();
    };
    format!(
        "hold-out of {best}: {} ({}, 95 % interval {}); {}\n",
        tally(figures.holdout),
        percent(figures.holdout.mean()),
        interval_text(figures.holdout, style),
        gap_text(gap, style)
    )
}

fn disjoint(a: Interval, b: Interval) -> bool {
    a.high < b.low || b.high < a.low
}

/// Long paths lose their middle: both ends say most.
fn path(path: &[VariantId], style: Style) -> String {
    const ENDS: usize = 6;
    let glyphs = style.glyphs();
    let mut nodes: Vec<String> = path.iter().map(VariantId::to_string).collect();
    if nodes.len() > 2 * ENDS {
        let hidden = nodes.len() - 2 * ENDS;
        let middle = format!("{} {hidden} more {}", glyphs.more, glyphs.more);
        nodes.splice(ENDS..nodes.len() - ENDS, [middle]);
    }
    nodes.join(&format!(" {} ", glyphs.arrow))
}

fn spend(digest: &Digest) -> String {
    let spend = &digest.spend;
    if spend.calls == 0 {
        return "no model calls\n".to_owned();
    }
    let settled = format!(
        "{}, {} in, {} out, {}",
        plural(spend.calls, "model call", "model calls"),
        plural(spend.tokens.input, "token", "tokens"),
        count(spend.tokens.output),
        money(spend.cost),
    );
    format!("{settled}{}\n", figure::inexact(spend))
}
