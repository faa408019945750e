//! `dgm.show/1`: `kind` says whether it is a variant, an attempt or an evaluation.

use super::trajectory_json::{self, TrajectoryShape};
use super::variant::call_subject;
use super::{FileChange, Kept, Stored, Subject, belongs};
use crate::domain::{
    Attempt, BlobId, Cause, Evaluation, JobId, Judgement, Purpose, Regrade, Rewards, Role,
};
use crate::lineage::Lineage;
use crate::view::figure;
use crate::view::json::{self, HoldoutScore, Score, Spent, StageScore};
use crate::view::means::Means;
use serde::Serialize;
use std::collections::BTreeMap;

const SCHEMA: &str = "dgm.show/1";

#[derive(Serialize)]
struct ShownVariantShape<'a> {
    schema: &'static str,
    kind: &'static str,
    number: u32,
    commit: &'a str,
    tree: &'a str,
    parent: Option<u32>,
    generation: u32,
    created: String,
    status: &'static str,
    reason: Option<String>,
    best: bool,
    summary: &'a str,
    origin: Option<OriginShape<'a>>,
    /// `paper` where its making, or that of an ancestor, was shown hidden tests.
    evidence: &'static str,
    change: Vec<ChangeShape<'a>>,
    score: Score,
    stages: Vec<StageScore>,
    extra: Score,
    means: Means,
    /// On tasks that are held out; null where it was not evaluated on any.
    holdout: Option<HoldoutScore>,
    evaluations: Vec<ShownEvaluationShape<'a>>,
    children: Vec<u32>,
    attempts_failed: Vec<FailedShape<'a>>,
    cost: ShownCostShape,
    faults: Vec<FaultShape<'a>>,
}

#[derive(Serialize)]
struct OriginShape<'a> {
    attempt: u32,
    parent: u32,
    round: u32,
    why: &'a str,
    run: u32,
    decided: String,
    ended: Option<String>,
    entry: String,
    policy: &'a str,
    weights: Vec<WeightShape>,
    proposal: Option<ProposalShape<'a>>,
    /// `paper` where hidden tests were shown to the diagnosing model, else `visible`.
    evidence: &'static str,
    failure: Option<String>,
    /// Of one of the infrastructure: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    detail: Option<&'a str>,
    blobs: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct WeightShape {
    number: u32,
    probability: f64,
}

#[derive(Serialize)]
struct ProposalShape<'a> {
    log_summarization: &'a str,
    potential_improvements: &'a [String],
    improvement_proposal: &'a str,
    implementation_suggestion: &'a str,
    problem_description: &'a str,
}

#[derive(Serialize)]
struct ChangeShape<'a> {
    path: &'a str,
    added: u64,
    removed: u64,
}

#[derive(Serialize)]
struct ShownEvaluationShape<'a> {
    task: &'a str,
    repeat: u32,
    purpose: String,
    outcome: &'static str,
    counts: bool,
    passed: bool,
    reward: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rewards: &'a Rewards,
    cause: Option<&'static str>,
    /// Of a verifier that gave none: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_reward: Option<&'static str>,
    detail: &'a str,
    task_digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    context_overflow: bool,
    agent_seconds: f64,
    verifier_seconds: f64,
    run: u32,
    execution: u32,
    settled: String,
    /// The newest judgement, where the answer was judged again.
    regrade: Option<ShownRegradeShape<'a>>,
    cost: Spent,
    blobs: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct FailedShape<'a> {
    number: u32,
    entry: String,
    failure: String,
    /// Of one of the infrastructure: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    reason: String,
    detail: &'a str,
}

#[derive(Serialize)]
struct ShownCostShape {
    total: Spent,
    by_role: BTreeMap<&'static str, Spent>,
}

#[derive(Serialize)]
struct FaultShape<'a> {
    task: Option<&'a str>,
    outcome: &'static str,
    cause: &'static str,
    detail: &'a str,
    run: u32,
    execution: u32,
    at: String,
}

pub(super) fn variant(subject: Subject<'_>, change: &[FileChange]) -> Option<String> {
    let (lineage, id) = (subject.lineage, subject.id);
    let variant = lineage.variant(id)?;
    let standing = lineage.standing(id);
    let children = lineage.variants().filter(|child| child.parent == Some(id));
    Some(json::text(&ShownVariantShape {
        schema: SCHEMA,
        kind: "variant",
        number: id.0,
        commit: variant.commit.as_str(),
        tree: variant.tree.as_str(),
        parent: variant.parent.map(|parent| parent.0),
        generation: variant.generation,
        created: figure::moment(variant.created_ms),
        status: standing.name(),
        reason: standing.reason().map(str::to_owned),
        best: lineage.best() == Some(id),
        summary: &variant.summary,
        origin: lineage.attempt(id).map(|made| origin(lineage, made)),
        evidence: json::evidence(lineage.disclosed_ancestor(id).is_some()),
        change: change
            .iter()
            .map(|file| ChangeShape {
                path: &file.path,
                added: file.added,
                removed: file.removed,
            })
            .collect(),
        score: lineage.score(id).into(),
        stages: json::stages(lineage, id),
        extra: lineage.extra_score(id).into(),
        means: Means::of(lineage.evaluations_of(id)),
        holdout: json::holdout(lineage.score(id), lineage.holdout_score(id)),
        evaluations: lineage
            .evaluations_of(id)
            .map(|evaluation| evaluation_shape(subject, evaluation))
            .collect(),
        children: children.map(|child| child.id.0).collect(),
        attempts_failed: lineage.attempts_of(id).filter_map(failed).collect(),
        cost: cost(subject),
        faults: faults(subject),
    }))
}

fn origin<'a>(lineage: &Lineage, attempt: &'a Attempt) -> OriginShape<'a> {
    let decision = &attempt.decision;
    let end = attempt.end.as_ref();
    let failure = end.and_then(|end| end.failure.as_ref());
    OriginShape {
        attempt: decision.attempt.0,
        parent: decision.parent.0,
        round: decision.group,
        why: &decision.why,
        run: decision.run.0,
        decided: figure::moment(decision.at_ms),
        ended: end.map(|end| figure::moment(end.at_ms)),
        entry: decision.entry.encode(),
        policy: &decision.policy,
        weights: decision
            .candidates
            .iter()
            .map(|(id, probability)| WeightShape {
                number: id.0,
                probability: json::round(*probability),
            })
            .collect(),
        proposal: attempt
            .proposal
            .as_ref()
            .map(|(proposal, _)| ProposalShape {
                log_summarization: &proposal.log_summarization,
                potential_improvements: &proposal.potential_improvements,
                improvement_proposal: &proposal.improvement_proposal,
                implementation_suggestion: &proposal.implementation_suggestion,
                problem_description: &proposal.problem_description,
            }),
        evidence: json::evidence(lineage.is_disclosed(decision.attempt)),
        failure: failure.map(|(failure, _)| failure.encode()),
        cause: failure.and_then(|(failure, _)| Some(failure.cause()?.name())),
        detail: failure.map(|(_, detail)| detail.as_str()),
        blobs: blobs([
            ("exchange", attempt.proposal.as_ref().map(|(_, blob)| blob)),
            ("log", end.and_then(|end| end.log.as_ref())),
            ("transcript", end.and_then(|end| end.transcript.as_ref())),
            ("patch", end.and_then(|end| end.patch.as_ref())),
            ("gate_log", end.and_then(|end| end.gate_log.as_ref())),
        ]),
    }
}

fn blobs<'a, const N: usize>(
    blobs: [(&'static str, Option<&'a BlobId>); N],
) -> BTreeMap<&'static str, &'a str> {
    blobs
        .into_iter()
        .filter_map(|(name, blob)| Some((name, blob?.as_str())))
        .collect()
}

fn failed(attempt: &Attempt) -> Option<FailedShape<'_>> {
    let (failure, detail) = attempt.end.as_ref()?.failure.as_ref()?;
    Some(FailedShape {
        number: attempt.decision.attempt.0,
        entry: attempt.decision.entry.encode(),
        failure: failure.encode(),
        cause: failure.cause().map(Cause::name),
        reason: failure.to_string(),
        detail,
    })
}

fn evaluation_shape<'a>(
    subject: Subject<'a>,
    evaluation: &'a Evaluation,
) -> ShownEvaluationShape<'a> {
    let spend = subject.lineage.spend().of_execution(
        &call_subject(evaluation),
        evaluation.run,
        evaluation.execution,
    );
    ShownEvaluationShape {
        task: evaluation.key.task.as_str(),
        repeat: evaluation.key.repeat,
        purpose: match evaluation.purpose {
            Purpose::Stage(stage) => format!("stage:{stage}"),
            Purpose::Extra => "extra".to_owned(),
            Purpose::Holdout => "holdout".to_owned(),
        },
        outcome: evaluation.judgement.outcome.name(),
        counts: evaluation.judgement.outcome.counts(),
        passed: evaluation.judgement.passed,
        reward: evaluation.judgement.reward,
        rewards: &evaluation.judgement.rewards,
        cause: evaluation.judgement.cause.map(Cause::name),
        no_reward: no_reward(&evaluation.judgement),
        detail: &evaluation.judgement.detail,
        task_digest: &evaluation.judgement.task_digest,
        image: evaluation.image.as_deref(),
        context_overflow: evaluation.context_overflow,
        agent_seconds: figure::seconds(evaluation.timing.agent_ms),
        verifier_seconds: figure::seconds(evaluation.timing.verifier_ms),
        run: evaluation.run.0,
        execution: evaluation.execution,
        settled: figure::moment(evaluation.at_ms),
        regrade: subject.lineage.regrade(&evaluation.key).map(regrade),
        cost: spend.into(),
        blobs: blobs([
            ("agent_log", evaluation.agent_log.as_ref()),
            ("verifier_log", evaluation.verifier_log.as_ref()),
            ("patch", evaluation.patch.as_ref()),
            ("transcript", evaluation.transcript.as_ref()),
            ("answer", subject.lineage.answer(&evaluation.key)),
        ]),
    }
}

fn no_reward(judgement: &Judgement) -> Option<&'static str> {
    Some(judgement.cause?.no_reward()?.name())
}

#[derive(Serialize)]
struct ShownRegradeShape<'a> {
    outcome: &'static str,
    passed: bool,
    reward: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rewards: &'a Rewards,
    cause: Option<&'static str>,
    /// Of a verifier that gave none: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_reward: Option<&'static str>,
    detail: &'a str,
    task_digest: &'a str,
    verifier_seconds: f64,
    run: u32,
    settled: String,
    blobs: BTreeMap<&'static str, &'a str>,
}

fn regrade(regrade: &Regrade) -> ShownRegradeShape<'_> {
    ShownRegradeShape {
        outcome: regrade.judgement.outcome.name(),
        passed: regrade.judgement.passed,
        reward: regrade.judgement.reward,
        rewards: &regrade.judgement.rewards,
        cause: regrade.judgement.cause.map(Cause::name),
        no_reward: no_reward(&regrade.judgement),
        detail: &regrade.judgement.detail,
        task_digest: &regrade.judgement.task_digest,
        verifier_seconds: figure::seconds(regrade.verifier_ms),
        run: regrade.run.0,
        settled: figure::moment(regrade.at_ms),
        blobs: blobs([("verifier_log", regrade.verifier_log.as_ref())]),
    }
}

fn cost(subject: Subject<'_>) -> ShownCostShape {
    let books = subject.lineage.spend();
    let own = |of: &JobId| belongs(of, subject.id);
    ShownCostShape {
        total: books.total(|intent| own(&intent.subject)).into(),
        by_role: Role::ALL
            .into_iter()
            .map(|role| {
                let spend = books.total(|intent| intent.role == role && own(&intent.subject));
                (role.name(), spend.into())
            })
            .collect(),
    }
}

fn faults(subject: Subject<'_>) -> Vec<FaultShape<'_>> {
    let faults = subject.lineage.faults().iter();
    faults
        .filter(|fault| belongs(&fault.subject, subject.id))
        .map(|fault| FaultShape {
            task: match &fault.subject {
                JobId::Attempt(_) | JobId::Manual => None,
                JobId::Evaluation(key) | JobId::Regrade(key) => Some(key.task.as_str()),
            },
            outcome: fault.outcome.name(),
            cause: fault.cause.name(),
            detail: &fault.detail,
            run: fault.run.0,
            execution: fault.execution,
            at: figure::moment(fault.at_ms),
        })
        .collect()
}

#[derive(Serialize)]
struct ShownAttemptShape<'a> {
    schema: &'static str,
    kind: &'static str,
    number: u32,
    origin: OriginShape<'a>,
    cost: ShownCostShape,
    faults: Vec<FaultShape<'a>>,
    texts: BTreeMap<&'static str, &'a str>,
    trajectory: Option<TrajectoryShape<'a>>,
}

pub(super) fn attempt(subject: Subject<'_>, kept: &Kept) -> Option<String> {
    let attempt = subject.lineage.attempt(subject.id)?;
    Some(json::text(&ShownAttemptShape {
        schema: SCHEMA,
        kind: "attempt",
        number: subject.id.0,
        origin: origin(subject.lineage, attempt),
        cost: cost(subject),
        faults: faults(subject),
        texts: texts(&kept.stored),
        trajectory: kept.trajectory.as_ref().map(trajectory_json::shape),
    }))
}

#[derive(Serialize)]
struct OneEvaluationShape<'a> {
    schema: &'static str,
    kind: &'static str,
    number: u32,
    evaluation: ShownEvaluationShape<'a>,
    texts: BTreeMap<&'static str, &'a str>,
    trajectory: Option<TrajectoryShape<'a>>,
}

pub(super) fn evaluation(subject: Subject<'_>, evaluation: &Evaluation, kept: &Kept) -> String {
    json::text(&OneEvaluationShape {
        schema: SCHEMA,
        kind: "evaluation",
        number: subject.id.0,
        evaluation: evaluation_shape(subject, evaluation),
        texts: texts(&kept.stored),
        trajectory: kept.trajectory.as_ref().map(trajectory_json::shape),
    })
}

fn texts(stored: &[Stored]) -> BTreeMap<&'static str, &str> {
    stored
        .iter()
        .filter_map(|stored| Some((stored.name, stored.text.as_deref()?)))
        .collect()
}
