//! Pieces that several JSON shapes share. Domain types are not serialized themselves, so that
//! they can be renamed without changing a format that scripts read.

use super::digest::{Gap, gap, stage_tallies};
use super::figure;
use crate::domain::{Disclosure, Tally, Tokens, VariantId};
use crate::lineage::{Lineage, SubjectSpend};
use serde::Serialize;

/// Returns what a diagnosis was shown, by the name that the configuration gives it.
pub(super) fn evidence(is_disclosed: bool) -> &'static str {
    let disclosure = if is_disclosed {
        Disclosure::Paper
    } else {
        Disclosure::Visible
    };
    disclosure.name()
}

/// A score with its 95 % Wilson interval.
#[derive(Serialize)]
pub(super) struct Score {
    resolved: u32,
    counted: u32,
    mean: f64,
    low: f64,
    high: f64,
}

impl From<Tally> for Score {
    fn from(tally: Tally) -> Self {
        let interval = figure::interval(tally);
        Self {
            resolved: tally.resolved,
            counted: tally.counted,
            mean: round(tally.mean()),
            low: round(interval.low),
            high: round(interval.high),
        }
    }
}

/// A score on held-out tasks, and the gap to the one that guided the evolution.
#[derive(Serialize)]
pub(super) struct HoldoutScore {
    #[serde(flatten)]
    score: Score,
    gap: Option<GapShape>,
}

/// Returns it, where there is one.
pub(super) fn holdout(training: Tally, holdout: Tally) -> Option<HoldoutScore> {
    (holdout.counted > 0).then(|| HoldoutScore {
        score: holdout.into(),
        gap: gap(training, holdout).map(GapShape::from),
    })
}

/// Mean of training minus mean of hold-out, with its 95 % interval after Newcombe.
#[derive(Serialize)]
pub(super) struct GapShape {
    mean: f64,
    low: f64,
    high: f64,
}

impl From<Gap> for GapShape {
    fn from(gap: Gap) -> Self {
        Self {
            mean: round(gap.mean),
            low: round(gap.interval.low),
            high: round(gap.interval.high),
        }
    }
}

/// A score on one stage.
#[derive(Serialize)]
pub(super) struct StageScore {
    pub(super) stage: u32,
    #[serde(flatten)]
    pub(super) score: Score,
}

/// Tokens by direction.
#[derive(Serialize)]
pub(super) struct TokenCount {
    input: u64,
    cached: u64,
    cache_written: u64,
    cache_written_long: u64,
    output: u64,
    reasoning: u64,
}

impl From<Tokens> for TokenCount {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.input,
            cached: tokens.cached,
            cache_written: tokens.cache_written,
            cache_written_long: tokens.cache_written_long,
            output: tokens.output,
            reasoning: tokens.reasoning,
        }
    }
}

/// Totals of calls.
#[derive(Serialize)]
pub(super) struct Spent {
    calls: u64,
    refused_calls: u64,
    failed_calls: u64,
    abandoned_calls: u64,
    cost_usd: f64,
    tokens: TokenCount,
    estimated_calls: u64,
    estimated_usd: f64,
    unsettled_calls: u64,
    unsettled_at_most_usd: f64,
    unsettled_at_most_tokens: u64,
}

/// The part of a cost that is not exact.
#[derive(Serialize)]
pub(super) struct Inexact {
    estimated_usd: f64,
    unsettled_calls: u64,
    unsettled_at_most_usd: f64,
}

impl From<&SubjectSpend> for Inexact {
    fn from(spend: &SubjectSpend) -> Self {
        Self {
            estimated_usd: spend.estimated_cost.dollars(),
            unsettled_calls: spend.unsettled,
            unsettled_at_most_usd: spend.unsettled_at_most.dollars(),
        }
    }
}

impl From<SubjectSpend> for Spent {
    fn from(spend: SubjectSpend) -> Self {
        Self {
            calls: spend.calls,
            refused_calls: spend.refused,
            failed_calls: spend.failed,
            abandoned_calls: spend.abandoned,
            cost_usd: spend.cost.dollars(),
            tokens: spend.tokens.into(),
            estimated_calls: spend.estimated,
            estimated_usd: spend.estimated_cost.dollars(),
            unsettled_calls: spend.unsettled,
            unsettled_at_most_usd: spend.unsettled_at_most.dollars(),
            unsettled_at_most_tokens: spend.unsettled_at_most_tokens,
        }
    }
}

/// Rounds to six digits: more than any score has, and the same on every machine.
pub(super) fn round(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// Returns the shape as indented JSON with a line end.
pub(super) fn text(shape: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(shape)
        .expect("invariant: shapes have string keys and finite numbers");
    format!("{json}\n")
}

/// Returns a variant's scores by stage.
pub(super) fn stages(lineage: &Lineage, id: VariantId) -> Vec<StageScore> {
    stage_tallies(lineage, id)
        .into_iter()
        .map(|(stage, tally)| StageScore {
            stage,
            score: tally.into(),
        })
        .collect()
}
