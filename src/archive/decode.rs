//! Rows as facts.
//!
//! Invariant: reading gives back exactly what was recorded, or an error that names the
//! column; nothing unknown is passed over.

use super::columns::{Columns, Read};
use super::db::FACT_TABLES;
use super::traffic;
use crate::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, CallSettlement, CallStatus, CommitId, Decision, Entry,
    Evaluation, EvaluationKey, Fact, Failure, Fault, Outcome, Proposal, Purpose, Regrade, Rewards,
    Role, RunEnd, RunStart, TaskId, Timing, Tokens, TreeId, Usd, Variant, VariantId, Verdict,
};
use rusqlite::Connection;

/// A table: its columns in the order in which its decoder takes them.
type Table = (&'static [&'static str], fn(&mut Columns<'_>) -> Read<Fact>);

/// Columns that a later format than the first added: table, column, that format, and what
/// stands in their place where they are not there.
const ADDED: [(&str, &str, u32, &str); 5] = [
    ("evaluation", "rewards", 2, "NULL"),
    ("evaluation", "image", 2, "NULL"),
    ("evaluation", "holdout", 2, "0"),
    ("call_settlement", "cache_written_long_tokens", 2, "0"),
    ("call_settlement", "estimated", 2, "0"),
];

/// The tables of [`FACT_TABLES`]. Named columns, so that a newer format may add some.
const TABLES: [Table; 16] = [
    (
        &[
            "run", "command", "config", "version", "sandbox", "stages", "at_ms",
        ],
        run,
    ),
    (&["run", "reason", "at_ms"], run_end),
    (
        &[
            "variant",
            "commit_id",
            "tree_id",
            "parent",
            "generation",
            "summary",
            "created_ms",
        ],
        variant,
    ),
    (
        &[
            "attempt", "round", "parent", "entry", "policy", "weights", "run", "at_ms",
        ],
        attempt,
    ),
    (&["attempt", "run", "at_ms"], disclosure),
    (
        &[
            "attempt",
            "log_summarization",
            "potential_improvements",
            "improvement_proposal",
            "implementation_suggestion",
            "problem_description",
            "exchange_blob",
        ],
        proposal,
    ),
    (
        &[
            "attempt",
            "failure",
            "detail",
            "log_blob",
            "transcript_blob",
            "patch_blob",
            "gate_log_blob",
            "run",
            "execution",
            "at_ms",
        ],
        attempt_end,
    ),
    (
        &[
            "variant",
            "task",
            "repeat",
            "stage",
            "outcome",
            "passed",
            "reward",
            "rewards",
            "detail",
            "task_digest",
            "image",
            "agent_log_blob",
            "verifier_log_blob",
            "patch_blob",
            "transcript_blob",
            "context_overflow",
            "agent_ms",
            "verifier_ms",
            "run",
            "execution",
            "at_ms",
            "holdout",
        ],
        evaluation,
    ),
    (&["variant", "task", "repeat", "answer_blob"], answer),
    (
        &[
            "variant",
            "task",
            "repeat",
            "outcome",
            "passed",
            "reward",
            "rewards",
            "detail",
            "task_digest",
            "verifier_log_blob",
            "verifier_ms",
            "run",
            "execution",
            "at_ms",
        ],
        regrade,
    ),
    (
        &[
            "attempt",
            "variant",
            "task",
            "repeat",
            "outcome",
            "detail",
            "run",
            "execution",
            "at_ms",
        ],
        fault,
    ),
    (&["variant", "verdict", "reason", "at_ms"], verdict),
    (
        &[
            "call",
            "run",
            "execution",
            "attempt",
            "variant",
            "task",
            "repeat",
            "role",
            "model",
            "at_most_usd_micros",
            "at_most_tokens",
            "at_ms",
        ],
        call,
    ),
    (
        &[
            "call",
            "status",
            "input_tokens",
            "cached_tokens",
            "cache_written_tokens",
            "cache_written_long_tokens",
            "output_tokens",
            "reasoning_tokens",
            "estimated",
            "cost_usd_micros",
            "latency_ms",
        ],
        call_settlement,
    ),
    (&traffic::RECORDING, traffic::recording),
    (&traffic::REPLAY, traffic::replay),
];

/// Hands every fact of a database of that format, with its position, to a function: table by
/// table in an order in which folding works, and within a table in the order of recording.
pub(super) fn each(db: &Connection, format: u32, take: &mut dyn FnMut(i64, Fact)) -> Read<()> {
    each_of(db, format, &|_| true, take)
}

/// Hands the facts of some tables, with their positions, to a function, as [`each`] does.
pub(super) fn each_of(
    db: &Connection,
    format: u32,
    is_wanted: &dyn Fn(&str) -> bool,
    take: &mut dyn FnMut(i64, Fact),
) -> Read<()> {
    for ((table, since), (columns, decode)) in FACT_TABLES.into_iter().zip(TABLES) {
        if since > format || !is_wanted(table) {
            continue;
        }
        let list: Vec<&str> = columns
            .iter()
            .map(|column| or_default(table, column, format))
            .collect();
        let list = list.join(", ");
        let mut statement = db.prepare(&format!("SELECT seq, {list} FROM {table} ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns {
                row,
                table,
                columns,
                taken: 0,
            };
            let fact = decode(&mut columns)?;
            take(row.get(0)?, fact);
        }
    }
    Ok(())
}

/// Returns what to select for a column in a database of that format.
fn or_default(table: &str, column: &'static str, format: u32) -> &'static str {
    ADDED
        .into_iter()
        .find(|(of, name, since, _)| *of == table && *name == column && *since > format)
        .map_or(column, |(_, _, _, default)| default)
}

fn run(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::RunStarted(RunStart {
        run: row.run()?,
        command: row.take()?,
        config: row.take()?,
        version: row.take()?,
        sandbox: row.take()?,
        stages: row
            .json::<Vec<Vec<String>>>()?
            .into_iter()
            .map(|tasks| tasks.into_iter().map(TaskId::new).collect())
            .collect(),
        at_ms: row.take()?,
    }))
}

fn run_end(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::RunEnded(RunEnd {
        run: row.run()?,
        reason: row.take()?,
        at_ms: row.take()?,
    }))
}

fn attempt(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Decided(Decision {
        attempt: row.variant()?,
        round: row.take()?,
        parent: row.variant()?,
        entry: row.named(Entry::decode)?,
        policy: row.take()?,
        weights: row.named(weights)?,
        run: row.run()?,
        at_ms: row.take()?,
    }))
}

/// Reads `[[variant,probability],…]`. Not with a JSON library, because the exact number is
/// wanted back and the usual parsers may be off by one unit in the last place.
fn weights(text: &str) -> Option<Vec<(VariantId, f64)>> {
    let compact: String = text.split_ascii_whitespace().collect();
    let inner = compact.strip_prefix('[')?.strip_suffix(']')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    inner
        .strip_prefix('[')?
        .strip_suffix(']')?
        .split("],[")
        .map(|pair| {
            let (variant, weight) = pair.split_once(',')?;
            Some((VariantId(variant.parse().ok()?), weight.parse().ok()?))
        })
        .collect()
}

fn proposal(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Proposed {
        attempt: row.variant()?,
        proposal: Proposal {
            log_summarization: row.take()?,
            potential_improvements: row.json()?,
            improvement_proposal: row.take()?,
            implementation_suggestion: row.take()?,
            problem_description: row.take()?,
        },
        exchange: BlobId::from_hex(row.take::<String>()?),
    })
}

fn attempt_end(row: &mut Columns<'_>) -> Read<Fact> {
    let attempt = row.variant()?;
    let failure = row.optionally_named(Failure::decode)?;
    let detail: Option<String> = row.take()?;
    Ok(Fact::AttemptEnded(AttemptEnd {
        attempt,
        failure: failure.zip(detail),
        log: row.blob()?,
        transcript: row.blob()?,
        patch: row.blob()?,
        gate_log: row.blob()?,
        run: row.run()?,
        execution: row.take()?,
        at_ms: row.take()?,
    }))
}

fn variant(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::VariantMade(Variant {
        id: row.variant()?,
        commit: CommitId::new(row.take::<String>()?),
        tree: TreeId::new(row.take::<String>()?),
        parent: row.take::<Option<u32>>()?.map(VariantId),
        generation: row.take()?,
        summary: row.take()?,
        created_ms: row.take()?,
    }))
}

fn key(row: &mut Columns<'_>) -> Read<EvaluationKey> {
    Ok(EvaluationKey {
        variant: row.variant()?,
        task: row.task()?,
        repeat: row.take()?,
    })
}

fn evaluation(row: &mut Columns<'_>) -> Read<Fact> {
    let mut evaluation = Evaluation {
        key: key(row)?,
        purpose: match row.take()? {
            Some(stage) => Purpose::Stage(stage),
            None => Purpose::Extra,
        },
        outcome: row.named(Outcome::from_name)?,
        passed: row.take()?,
        reward: row.take()?,
        rewards: row.optionally_named(rewards)?.unwrap_or_default(),
        detail: row.take()?,
        task_digest: row.take()?,
        image: row.take()?,
        agent_log: row.blob()?,
        verifier_log: row.blob()?,
        patch: row.blob()?,
        transcript: row.blob()?,
        context_overflow: row.take()?,
        timing: Timing {
            agent_ms: row.count()?,
            verifier_ms: row.count()?,
        },
        run: row.run()?,
        execution: row.take()?,
        at_ms: row.take()?,
    };
    if row.take()? {
        evaluation.purpose = Purpose::Holdout;
    }
    Ok(Fact::Evaluated(evaluation))
}

fn rewards(text: &str) -> Option<Rewards> {
    serde_json::from_str(text).ok()
}

fn answer(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::AnswerKept {
        key: key(row)?,
        answer: BlobId::from_hex(row.take::<String>()?),
    })
}

fn regrade(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Regraded(Regrade {
        key: key(row)?,
        outcome: row.named(Outcome::from_name)?,
        passed: row.take()?,
        reward: row.take()?,
        rewards: row.optionally_named(rewards)?.unwrap_or_default(),
        detail: row.take()?,
        task_digest: row.take()?,
        verifier_log: row.blob()?,
        verifier_ms: row.count()?,
        run: row.run()?,
        execution: row.take()?,
        at_ms: row.take()?,
    }))
}

fn fault(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Faulted(Fault {
        subject: row.subject()?,
        outcome: row.named(Outcome::from_name)?,
        detail: row.take()?,
        run: row.run()?,
        execution: row.take()?,
        at_ms: row.take()?,
    }))
}

fn disclosure(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::Disclosed {
        attempt: row.variant()?,
        run: row.run()?,
        at_ms: row.take()?,
    })
}

fn verdict(row: &mut Columns<'_>) -> Read<Fact> {
    let variant = row.variant()?;
    let name: String = row.take()?;
    let reason: Option<String> = row.take()?;
    let verdict = match (name.as_str(), reason) {
        ("admitted", None) => Verdict::Admitted,
        ("rejected", Some(reason)) => Verdict::Rejected(reason),
        _ => return Err(row.unreadable(&name)),
    };
    Ok(Fact::Judged {
        variant,
        verdict,
        at_ms: row.take()?,
    })
}

fn call(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::CallIntended(CallIntent {
        id: row.count().map(CallId)?,
        run: row.run()?,
        execution: row.take()?,
        subject: row.subject()?,
        role: row.named(Role::from_name)?,
        model: row.take()?,
        at_most: Usd(row.take()?),
        at_most_tokens: row.count()?,
        at_ms: row.take()?,
    }))
}

fn call_settlement(row: &mut Columns<'_>) -> Read<Fact> {
    Ok(Fact::CallSettled(CallSettlement {
        id: row.count().map(CallId)?,
        status: row.named(CallStatus::from_name)?,
        tokens: Tokens {
            input: row.count()?,
            cached: row.count()?,
            cache_written: row.count()?,
            cache_written_long: row.count()?,
            output: row.count()?,
            reasoning: row.count()?,
        },
        estimated: row.take()?,
        cost: Usd(row.take()?),
        latency_ms: row.count()?,
    }))
}
