//! `dgm.tree/1`.

use crate::domain::{Attempt, CommitId, Variant, VariantId};
use crate::lineage::Lineage;
use crate::view::digest::Digest;
use crate::view::figure;
use crate::view::json::{self, HoldoutScore, Inexact, Score, Spent, StageScore, TokenCount};
use crate::view::replays;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct TreeShape<'a> {
    schema: &'static str,
    archive: TreeArchiveShape<'a>,
    variants: Vec<TreeVariantShape<'a>>,
    attempts: Vec<TreeAttemptShape<'a>>,
    best: Option<u32>,
    best_path: Vec<u32>,
    totals: TreeTotals,
    replayed: Option<replays::ReplaysShape<'a>>,
}

#[derive(Serialize)]
struct TreeArchiveShape<'a> {
    /// Commit of the seed variant.
    seed: Option<&'a str>,
    created: Option<String>,
    /// `paper` where hidden tests were shown to the diagnosing model, else `visible`.
    evidence: &'static str,
    /// Attempts for which they were.
    disclosed: Vec<u32>,
}

#[derive(Serialize)]
struct TreeVariantShape<'a> {
    number: u32,
    commit: &'a str,
    parent: Option<u32>,
    generation: u32,
    created: String,
    status: &'static str,
    reason: Option<String>,
    score: Score,
    stages: Vec<StageScore>,
    /// On tasks that are held out; null where it was not evaluated on any.
    holdout: Option<HoldoutScore>,
    delta: Option<DeltaShape>,
    children: u64,
    attempts_failed: u64,
    cost_usd: f64,
    tokens: TokenCount,
    #[serde(flatten)]
    inexact: Inexact,
    summary: &'a str,
    /// `paper` where its making, or that of an ancestor, was shown hidden tests.
    evidence: &'static str,
}

#[derive(Serialize)]
struct DeltaShape {
    mean: f64,
    shared: u32,
}

#[derive(Serialize)]
struct TreeAttemptShape<'a> {
    number: u32,
    parent: u32,
    entry: String,
    failure: Option<String>,
    reason: Option<String>,
    detail: &'a str,
    cost_usd: f64,
    tokens: TokenCount,
    #[serde(flatten)]
    inexact: Inexact,
}

#[derive(Serialize)]
struct TreeTotals {
    variants: u64,
    admitted: u64,
    rejected: u64,
    evaluating: u64,
    generations: u32,
    attempts: u64,
    attempts_open: u64,
    attempts_failed: u64,
    failed_by_reason: BTreeMap<String, u64>,
    evaluations: u64,
    #[serde(flatten)]
    spent: Spent,
}

/// Returns the tree as `dgm.tree/1`. Attempts are those without a child.
pub fn json(lineage: &Lineage) -> String {
    let digest = Digest::of(lineage);
    let seed = lineage.variant(VariantId::SEED);
    let attempts = lineage
        .attempts()
        .filter(|attempt| lineage.variant(attempt.decision.attempt).is_none());
    json::text(&TreeShape {
        schema: "dgm.tree/1",
        archive: TreeArchiveShape {
            seed: seed.map(|seed| CommitId::as_str(&seed.commit)),
            created: seed.map(|seed| figure::moment(seed.created_ms)),
            evidence: json::evidence(lineage.disclosed().next().is_some()),
            disclosed: lineage.disclosed().map(|id| id.0).collect(),
        },
        variants: lineage
            .variants()
            .map(|variant| of_variant(lineage, &digest, variant))
            .collect(),
        attempts: attempts
            .map(|attempt| of_attempt(&digest, attempt))
            .collect(),
        best: digest.best.map(|best| best.0),
        best_path: digest.path.iter().map(|id| id.0).collect(),
        totals: totals(&digest),
        replayed: replays::shape(lineage),
    })
}

fn of_variant<'a>(
    lineage: &'a Lineage,
    digest: &Digest,
    variant: &'a Variant,
) -> TreeVariantShape<'a> {
    let figures = digest.figures(variant.id);
    let standing = lineage.standing(variant.id);
    TreeVariantShape {
        number: variant.id.0,
        commit: variant.commit.as_str(),
        parent: variant.parent.map(|parent| parent.0),
        generation: variant.generation,
        created: figure::moment(variant.created_ms),
        status: standing.name(),
        reason: standing.reason().map(str::to_owned),
        score: figures.score.into(),
        stages: json::stages(lineage, variant.id),
        holdout: json::holdout(figures.score, figures.holdout),
        delta: figures.delta.map(|delta| DeltaShape {
            mean: json::round(delta.mean),
            shared: delta.shared,
        }),
        children: figures.children,
        attempts_failed: figures.attempts_failed,
        cost_usd: figures.spend.cost.dollars(),
        tokens: figures.spend.tokens.into(),
        inexact: (&figures.spend).into(),
        summary: &variant.summary,
        evidence: json::evidence(lineage.disclosed_ancestor(variant.id).is_some()),
    }
}

fn of_attempt<'a>(digest: &Digest, attempt: &'a Attempt) -> TreeAttemptShape<'a> {
    let decision = &attempt.decision;
    let failure = attempt.end.as_ref().and_then(|end| end.failure.as_ref());
    let spend = digest.figures(decision.attempt).spend;
    TreeAttemptShape {
        number: decision.attempt.0,
        parent: decision.parent.0,
        entry: decision.entry.encode(),
        failure: failure.map(|(failure, _)| failure.encode()),
        reason: failure.map(|(failure, _)| failure.to_string()),
        detail: failure.map_or("", |(_, detail)| detail.as_str()),
        cost_usd: spend.cost.dollars(),
        tokens: spend.tokens.into(),
        inexact: (&spend).into(),
    }
}

fn totals(digest: &Digest) -> TreeTotals {
    TreeTotals {
        variants: digest.variants,
        admitted: digest.admitted,
        rejected: digest.rejected,
        evaluating: digest.evaluating,
        generations: digest.generations,
        attempts: digest.attempts,
        attempts_open: digest.attempts_open,
        attempts_failed: digest.attempts_failed(),
        failed_by_reason: digest
            .failed
            .iter()
            .map(|(reason, (_, number))| (reason.clone(), *number))
            .collect(),
        evaluations: digest.evaluations,
        spent: digest.spend.into(),
    }
}
