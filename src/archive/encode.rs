//! Facts as rows.
//!
//! Invariant: an insert is all that ever happens to a table of facts, and unique keys, not
//! code, forbid a second result of the same job.

use super::traffic;
use crate::domain::{
    AttemptEnd, BlobId, CallIntent, CallSettlement, CallSubject, Decision, Evaluation,
    EvaluationKey, Fact, Fault, Proposal, Purpose, Regrade, Rewards, RunEnd, RunStart, TaskId,
    Variant, VariantId, Verdict,
};
use rusqlite::types::ToSql;
use rusqlite::{Connection, params};

/// Adds one fact at a position.
pub(super) fn insert(db: &Connection, seq: i64, fact: &Fact) -> rusqlite::Result<()> {
    match fact {
        Fact::RunStarted(start) => run(db, seq, start),
        Fact::RunEnded(RunEnd { run, reason, at_ms }) => {
            add(db, "run_end", params![seq, run.0, reason, at_ms])
        }
        Fact::Decided(decision) => attempt(db, seq, decision),
        Fact::Disclosed {
            attempt,
            run,
            at_ms,
        } => add(db, "disclosure", params![seq, attempt.0, run.0, at_ms]),
        Fact::Proposed {
            attempt,
            proposal: answer,
            exchange,
        } => proposal(db, seq, *attempt, answer, exchange),
        Fact::AttemptEnded(end) => attempt_end(db, seq, end),
        Fact::VariantMade(made) => variant(db, seq, made),
        Fact::Evaluated(settled) => evaluation(db, seq, settled),
        Fact::AnswerKept { key, answer } => add(
            db,
            "answer",
            params![
                seq,
                key.variant.0,
                key.task.as_str(),
                key.repeat,
                answer.as_str()
            ],
        ),
        Fact::Regraded(judged) => regrade(db, seq, judged),
        Fact::Faulted(not_counted) => fault(db, seq, not_counted),
        Fact::Judged {
            variant,
            verdict,
            at_ms,
        } => {
            let (name, reason) = match verdict {
                Verdict::Admitted => ("admitted", None),
                Verdict::Rejected(reason) => ("rejected", Some(reason)),
            };
            add(db, "verdict", params![seq, variant.0, name, reason, at_ms])
        }
        Fact::CallIntended(intent) => call(db, seq, intent),
        Fact::CallSettled(settlement) => call_settlement(db, seq, settlement),
        Fact::Recorded(recording) => traffic::insert_recording(db, seq, recording),
        Fact::Replays(replay) => traffic::insert_replay(db, seq, replay),
    }
}

/// Says which fact it is, in a reader's words.
pub(super) fn describe(fact: &Fact) -> String {
    match fact {
        Fact::RunStarted(start) => format!("the start of run {}", start.run.0),
        Fact::RunEnded(end) => format!("the end of run {}", end.run.0),
        Fact::Decided(decision) => format!("the decision on attempt {}", decision.attempt),
        Fact::Disclosed { attempt, .. } => format!("the disclosure for attempt {attempt}"),
        Fact::Proposed { attempt, .. } => format!("the proposal of attempt {attempt}"),
        Fact::AttemptEnded(end) => format!("the end of attempt {}", end.attempt),
        Fact::VariantMade(variant) => format!("variant {}", variant.id),
        Fact::Evaluated(evaluation) => {
            format!("the evaluation of {}", describe_key(&evaluation.key))
        }
        Fact::AnswerKept { key, .. } => format!("the answer of {}", describe_key(key)),
        Fact::Regraded(regrade) => format!("the regrade of {}", describe_key(&regrade.key)),
        Fact::Faulted(fault) => match &fault.subject {
            CallSubject::Attempt(attempt) => format!("a fault of attempt {attempt}"),
            CallSubject::Evaluation(variant, task, repeat) => {
                format!("a fault of the evaluation of {variant} on `{task}`, repeat {repeat}")
            }
            CallSubject::Manual => "a fault of nothing".to_owned(),
        },
        Fact::Judged { variant, .. } => format!("the verdict on {variant}"),
        Fact::CallIntended(intent) => format!("the intent of model call {}", intent.id.0),
        Fact::CallSettled(settlement) => {
            format!("the settlement of model call {}", settlement.id.0)
        }
        Fact::Recorded(recording) => format!("the recording of model call {}", recording.call.0),
        Fact::Replays(replay) => format!("the source of run {}", replay.run.0),
    }
}

fn describe_key(key: &EvaluationKey) -> String {
    format!("{} on `{}`, repeat {}", key.variant, key.task, key.repeat)
}

/// Returns every blob that a fact names.
pub(super) fn blobs(fact: &Fact) -> Vec<&BlobId> {
    match fact {
        Fact::Proposed { exchange, .. } => vec![exchange],
        Fact::AttemptEnded(end) => [&end.log, &end.transcript, &end.patch, &end.gate_log]
            .into_iter()
            .flatten()
            .collect(),
        Fact::Evaluated(evaluation) => [
            &evaluation.agent_log,
            &evaluation.verifier_log,
            &evaluation.patch,
            &evaluation.transcript,
        ]
        .into_iter()
        .flatten()
        .collect(),
        Fact::Recorded(recording) => {
            let blobs = [Some(&recording.request), recording.answer.as_ref()];
            blobs.into_iter().flatten().collect()
        }
        Fact::AnswerKept { answer, .. } => vec![answer],
        Fact::Regraded(regrade) => regrade.verifier_log.iter().collect(),
        Fact::RunStarted(_)
        | Fact::RunEnded(_)
        | Fact::Decided(_)
        | Fact::Disclosed { .. }
        | Fact::VariantMade(_)
        | Fact::Faulted(_)
        | Fact::Judged { .. }
        | Fact::CallIntended(_)
        | Fact::CallSettled(_)
        | Fact::Replays(_) => Vec::new(),
    }
}

/// Returns the first number of a fact that the database could not give back as it is.
pub(super) fn inexact_number(fact: &Fact) -> Option<&'static str> {
    match fact {
        Fact::Decided(decision) => decision
            .weights
            .iter()
            .any(|(_, weight)| !weight.is_finite())
            .then_some("a weight is not a finite number"),
        Fact::Evaluated(evaluation) => inexact_reward(evaluation.reward, &evaluation.rewards),
        Fact::Regraded(regrade) => inexact_reward(regrade.reward, &regrade.rewards),
        Fact::RunStarted(_)
        | Fact::RunEnded(_)
        | Fact::Disclosed { .. }
        | Fact::Proposed { .. }
        | Fact::AttemptEnded(_)
        | Fact::VariantMade(_)
        | Fact::AnswerKept { .. }
        | Fact::Faulted(_)
        | Fact::Judged { .. }
        | Fact::CallIntended(_)
        | Fact::CallSettled(_)
        | Fact::Recorded(_)
        | Fact::Replays(_) => None,
    }
}

/// Adds a row to a table whose columns are given in the schema's order.
pub(super) fn add(db: &Connection, table: &str, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let marks = vec!["?"; values.len()].join(", ");
    // A table's column count is checked by SQLite, their order by the round-trip test.
    let mut statement = db.prepare_cached(&format!("INSERT INTO {table} VALUES ({marks})"))?;
    statement.execute(values)?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Makes a count what SQLite holds, which knows signed numbers only.
pub(super) fn count(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn text(blob: Option<&BlobId>) -> Option<&str> {
    blob.map(BlobId::as_str)
}

fn run(db: &Connection, seq: i64, start: &RunStart) -> rusqlite::Result<()> {
    let stages: Vec<Vec<&str>> = start
        .stages
        .iter()
        .map(|tasks| tasks.iter().map(TaskId::as_str).collect())
        .collect();
    add(
        db,
        "run",
        params![
            seq,
            start.run.0,
            start.command,
            start.config,
            start.version,
            start.sandbox,
            json(&stages)?,
            start.at_ms
        ],
    )
}

fn attempt(db: &Connection, seq: i64, decision: &Decision) -> rusqlite::Result<()> {
    add(
        db,
        "attempt",
        params![
            seq,
            decision.attempt.0,
            decision.round,
            decision.parent.0,
            decision.entry.encode(),
            decision.policy,
            weights(&decision.weights),
            decision.run.0,
            decision.at_ms
        ],
    )
}

/// Writes weights as JSON with numbers that read back exactly.
fn weights(weights: &[(VariantId, f64)]) -> String {
    let pairs: Vec<String> = weights
        .iter()
        .map(|(variant, weight)| format!("[{},{weight:?}]", variant.0))
        .collect();
    format!("[{}]", pairs.join(","))
}

fn proposal(
    db: &Connection,
    seq: i64,
    attempt: VariantId,
    answer: &Proposal,
    exchange: &BlobId,
) -> rusqlite::Result<()> {
    add(
        db,
        "proposal",
        params![
            seq,
            attempt.0,
            answer.log_summarization,
            json(&answer.potential_improvements)?,
            answer.improvement_proposal,
            answer.implementation_suggestion,
            answer.problem_description,
            exchange.as_str()
        ],
    )
}

fn attempt_end(db: &Connection, seq: i64, end: &AttemptEnd) -> rusqlite::Result<()> {
    add(
        db,
        "attempt_end",
        params![
            seq,
            end.attempt.0,
            end.failure.as_ref().map(|(failure, _)| failure.encode()),
            end.failure.as_ref().map(|(_, detail)| detail),
            text(end.log.as_ref()),
            text(end.transcript.as_ref()),
            text(end.patch.as_ref()),
            text(end.gate_log.as_ref()),
            end.run.0,
            end.execution,
            end.at_ms
        ],
    )
}

fn variant(db: &Connection, seq: i64, variant: &Variant) -> rusqlite::Result<()> {
    add(
        db,
        "variant",
        params![
            seq,
            variant.id.0,
            variant.commit.as_str(),
            variant.tree.as_str(),
            variant.parent.map(|parent| parent.0),
            variant.generation,
            variant.summary,
            variant.created_ms
        ],
    )
}

fn evaluation(db: &Connection, seq: i64, evaluation: &Evaluation) -> rusqlite::Result<()> {
    let stage = match evaluation.purpose {
        Purpose::Stage(stage) => Some(stage),
        Purpose::Extra | Purpose::Holdout => None,
    };
    add(
        db,
        "evaluation",
        params![
            seq,
            evaluation.key.variant.0,
            evaluation.key.task.as_str(),
            evaluation.key.repeat,
            stage,
            evaluation.outcome.name(),
            evaluation.passed,
            evaluation.reward,
            rewards(&evaluation.rewards)?,
            evaluation.detail,
            evaluation.task_digest,
            evaluation.image,
            text(evaluation.agent_log.as_ref()),
            text(evaluation.verifier_log.as_ref()),
            text(evaluation.patch.as_ref()),
            text(evaluation.transcript.as_ref()),
            evaluation.context_overflow,
            count(evaluation.timing.agent_ms)?,
            count(evaluation.timing.verifier_ms)?,
            evaluation.run.0,
            evaluation.execution,
            evaluation.at_ms,
            evaluation.purpose == Purpose::Holdout
        ],
    )
}

fn inexact_reward(reward: Option<f64>, rewards: &Rewards) -> Option<&'static str> {
    let mut all = reward.iter().chain(rewards.values());
    let exact = all.all(|reward| reward.is_finite());
    (!exact).then_some("the reward is not a finite number")
}

fn rewards(rewards: &Rewards) -> rusqlite::Result<Option<String>> {
    (!rewards.is_empty()).then(|| json(rewards)).transpose()
}

fn regrade(db: &Connection, seq: i64, regrade: &Regrade) -> rusqlite::Result<()> {
    add(
        db,
        "regrade",
        params![
            seq,
            regrade.key.variant.0,
            regrade.key.task.as_str(),
            regrade.key.repeat,
            regrade.outcome.name(),
            regrade.passed,
            regrade.reward,
            rewards(&regrade.rewards)?,
            regrade.detail,
            regrade.task_digest,
            text(regrade.verifier_log.as_ref()),
            count(regrade.verifier_ms)?,
            regrade.run.0,
            regrade.execution,
            regrade.at_ms
        ],
    )
}

/// The columns `attempt`, `variant`, `task`, `repeat`.
type Subject<'a> = (Option<u32>, Option<u32>, Option<&'a str>, Option<u32>);

fn subject(subject: &CallSubject) -> Subject<'_> {
    match subject {
        CallSubject::Attempt(attempt) => (Some(attempt.0), None, None, None),
        CallSubject::Evaluation(variant, task, repeat) => {
            (None, Some(variant.0), Some(task.as_str()), Some(*repeat))
        }
        // The table of faults refuses it: only calls are made by hand.
        CallSubject::Manual => (None, None, None, None),
    }
}

fn fault(db: &Connection, seq: i64, fault: &Fault) -> rusqlite::Result<()> {
    let (attempt, variant, task, repeat) = subject(&fault.subject);
    add(
        db,
        "fault",
        params![
            seq,
            attempt,
            variant,
            task,
            repeat,
            fault.outcome.name(),
            fault.detail,
            fault.run.0,
            fault.execution,
            fault.at_ms
        ],
    )
}

fn call(db: &Connection, seq: i64, intent: &CallIntent) -> rusqlite::Result<()> {
    let (attempt, variant, task, repeat) = subject(&intent.subject);
    add(
        db,
        "call",
        params![
            seq,
            count(intent.id.0)?,
            intent.run.0,
            intent.execution,
            attempt,
            variant,
            task,
            repeat,
            intent.role.name(),
            intent.model,
            intent.at_most.0,
            count(intent.at_most_tokens)?,
            intent.at_ms
        ],
    )
}

fn call_settlement(db: &Connection, seq: i64, settlement: &CallSettlement) -> rusqlite::Result<()> {
    let tokens = settlement.tokens;
    add(
        db,
        "call_settlement",
        params![
            seq,
            count(settlement.id.0)?,
            settlement.status.name(),
            count(tokens.input)?,
            count(tokens.cached)?,
            count(tokens.cache_written)?,
            count(tokens.cache_written_long)?,
            count(tokens.output)?,
            count(tokens.reasoning)?,
            settlement.estimated,
            settlement.cost.0,
            count(settlement.latency_ms)?
        ],
    )
}
