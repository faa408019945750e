//! `dgm.eval/1`.

use super::{Again, Asked, Found, OfTask, Row};
use crate::domain::{Cause, Judgement, NoReward, Regrade};
use crate::view::figure;
use crate::view::json::{self, GapShape, Score, Spent};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct EvalShape<'a> {
    schema: &'static str,
    variant: u32,
    commit: &'a str,
    summary: &'a str,
    /// `paper` where its making, or that of an ancestor, was shown hidden tests.
    evidence: &'static str,
    benchmark: &'a str,
    holdout: bool,
    attempts: u32,
    planned: u64,
    graded: u64,
    missing: u64,
    score: Score,
    over_tasks: Option<MeanShape>,
    mean_over_graded: f64,
    mean_missing_as_zero: f64,
    reward_over_graded: f64,
    reward_missing_as_zero: f64,
    pass_at: Vec<PassShape>,
    outcomes: BTreeMap<&'static str, u64>,
    causes: BTreeMap<&'static str, u64>,
    tasks: Vec<TaskShape<'a>>,
    refused: Vec<RefusedShape<'a>>,
    training_score: Score,
    holdout_score: Score,
    gap: Option<GapShape>,
    regrade: Option<EvalRegradeShape<'a>>,
    cost: Spent,
}

#[derive(Serialize)]
struct MeanShape {
    mean: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
struct PassShape {
    k: u32,
    share: f64,
}

#[derive(Serialize)]
struct TaskShape<'a> {
    task: &'a str,
    planned: u64,
    score: Score,
    evaluations: Vec<EvalRowShape<'a>>,
}

#[derive(Serialize)]
struct RefusedShape<'a> {
    task: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct EvalRowShape<'a> {
    repeat: u32,
    #[serde(flatten)]
    judged: JudgedShape<'a>,
    cause: Option<&'static str>,
    /// Of a verifier that gave none: why.
    no_reward: Option<&'static str>,
    agent_seconds: f64,
    verifier_seconds: f64,
    settled: String,
    /// Where the answer was judged again: how it ended at first.
    first: Option<JudgedShape<'a>>,
    cost: Spent,
}

#[derive(Serialize)]
pub(in crate::view) struct JudgedShape<'a> {
    outcome: &'static str,
    counts: bool,
    passed: bool,
    reward: Option<f64>,
    detail: &'a str,
    task_digest: &'a str,
}

impl<'a> From<&'a Judgement> for JudgedShape<'a> {
    fn from(judged: &'a Judgement) -> Self {
        Self {
            outcome: judged.outcome.name(),
            counts: judged.outcome.counts(),
            passed: judged.passed,
            reward: judged.reward,
            detail: &judged.detail,
            task_digest: &judged.task_digest,
        }
    }
}

#[derive(Serialize)]
struct EvalRegradeShape<'a> {
    judged: u64,
    left_out: u64,
    before: Score,
    now: Score,
    changed: Vec<ChangedShape<'a>>,
}

#[derive(Serialize)]
struct ChangedShape<'a> {
    task: &'a str,
    repeat: u32,
    before: JudgedShape<'a>,
    now: JudgedShape<'a>,
}

pub(super) fn json(asked: &Asked<'_>, found: &Found<'_>) -> String {
    let variant = asked.lineage.variant(asked.variant);
    let score = found.score;
    let resolved = f64::from(score.resolved);
    let graded = u64::from(score.counted);
    json::text(&EvalShape {
        schema: "dgm.eval/1",
        variant: asked.variant.0,
        commit: variant.map_or("", |variant| variant.commit.as_str()),
        summary: variant.map_or("", |variant| &variant.summary),
        evidence: json::evidence(asked.lineage.disclosed_ancestor(asked.variant).is_some()),
        benchmark: asked.benchmark,
        holdout: asked.is_holdout,
        attempts: asked.attempts,
        planned: found.planned,
        graded,
        missing: found.planned.saturating_sub(graded),
        score: score.into(),
        over_tasks: found.over_tasks.map(|found| MeanShape {
            mean: json::round(found.mean),
            low: json::round(found.interval.low),
            high: json::round(found.interval.high),
        }),
        mean_over_graded: json::round(score.mean()),
        mean_missing_as_zero: json::round(found.missing_as_zero(resolved)),
        reward_over_graded: json::round(found.over_graded(found.rewards)),
        reward_missing_as_zero: json::round(found.missing_as_zero(found.rewards)),
        pass_at: found
            .pass_at
            .iter()
            .map(|(k, share)| PassShape {
                k: *k,
                share: json::round(*share),
            })
            .collect(),
        outcomes: found
            .outcomes
            .iter()
            .map(|(outcome, count)| (outcome.name(), *count))
            .collect(),
        causes: found
            .causes
            .iter()
            .map(|(name, (_, times, _))| (*name, *times))
            .collect(),
        tasks: found
            .tasks
            .iter()
            .map(|task| of_task(asked, task))
            .collect(),
        refused: asked
            .refused
            .iter()
            .map(|(task, why)| RefusedShape { task, why })
            .collect(),
        training_score: found.training.into(),
        holdout_score: found.holdout.into(),
        gap: found.gap.map(GapShape::from),
        regrade: asked.regrade.map(|regrading| EvalRegradeShape {
            judged: found.again.len() as u64,
            left_out: regrading.left_out as u64,
            before: sum(&found.again, |again| again.first),
            now: sum(&found.again, |again| again.now),
            changed: changed(&found.again),
        }),
        cost: found.spend.into(),
    })
}

fn of_task<'a>(asked: &Asked<'a>, task: &OfTask<'a>) -> TaskShape<'a> {
    TaskShape {
        task: task.task.as_str(),
        planned: task.planned,
        score: task.score.into(),
        evaluations: task.rows.iter().map(|row| of_row(asked, row)).collect(),
    }
}

fn of_row<'a>(asked: &Asked<'a>, row: &Row<'a>) -> EvalRowShape<'a> {
    let evaluation = row.evaluation;
    let regrade: Option<&Regrade> = asked.lineage.regrade(&evaluation.key);
    EvalRowShape {
        repeat: evaluation.key.repeat,
        judged: row.judged.into(),
        cause: row.judged.cause.map(Cause::name),
        no_reward: row
            .judged
            .cause
            .and_then(Cause::no_reward)
            .map(NoReward::name),
        agent_seconds: figure::seconds(evaluation.timing.agent_ms),
        verifier_seconds: figure::seconds(evaluation.timing.verifier_ms),
        settled: figure::moment(evaluation.at_ms),
        first: regrade.map(|_| (&evaluation.judgement).into()),
        cost: row.spend.into(),
    }
}

fn sum<'a>(again: &[Again<'a>], pick: impl Fn(&Again<'a>) -> &'a Judgement) -> Score {
    let total: crate::domain::Tally = again.iter().map(|again| pick(again).tally()).sum();
    total.into()
}

fn changed<'a>(again: &[Again<'a>]) -> Vec<ChangedShape<'a>> {
    let changed = again.iter().filter(|again| again.is_changed());
    let shapes = changed.map(|again| ChangedShape {
        task: again.evaluation.key.task.as_str(),
        repeat: again.evaluation.key.repeat,
        before: again.first.into(),
        now: again.now.into(),
    });
    shapes.collect()
}
