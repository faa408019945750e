//! Rows as facts.
//!
//! Columns are read by name, so that a newer format may add some.

use super::db::FACT_TABLES;
use crate::domain::{
    AttemptEnd, BlobId, CallId, CallIntent, CallSettlement, CallStatus, CallSubject, CommitId,
    Decision, Entry, Evaluation, EvaluationKey, Fact, Failure, Fault, Outcome, Proposal, Purpose,
    Role, RunEnd, RunId, RunStart, TaskId, Timing, Tokens, TreeId, Usd, Variant, VariantId,
    Verdict,
};
use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row};

/// Hands every fact with its position to a function: table by table in an order in which
/// folding works, and within a table in the order of recording.
pub(super) fn each(
    db: &Connection,
    take: &mut dyn FnMut(i64, Fact),
) -> Result<(), rusqlite::Error> {
    let decoders: [fn(&Row<'_>) -> rusqlite::Result<Fact>; 11] = [
        run,
        run_end,
        variant,
        attempt,
        proposal,
        attempt_end,
        evaluation,
        fault,
        verdict,
        call,
        call_settlement,
    ];
    for (table, decode) in FACT_TABLES.into_iter().zip(decoders) {
        let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(row.get("seq")?, decode(row)?);
        }
    }
    Ok(())
}

/// Reads a name of ours; one that is not known is an error that quotes it.
fn named<T>(
    row: &Row<'_>,
    column: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unreadable(row, column, &text))
}

fn unreadable(row: &Row<'_>, column: &str, text: &str) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    let problem = format!("column `{column}` holds `{text}`, which this program does not know");
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, problem.into())
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    named(row, column, |text| serde_json::from_str(text).ok())
}

fn blob(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<BlobId>> {
    Ok(row.get::<_, Option<String>>(column)?.map(BlobId::from_hex))
}

fn id<T: FromSql>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get(column)
}

fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| unreadable(row, column, &number.to_string()))
}

fn run_id(row: &Row<'_>) -> rusqlite::Result<RunId> {
    id(row, "run").map(RunId)
}

fn run(row: &Row<'_>) -> rusqlite::Result<Fact> {
    let stages: Vec<Vec<String>> = json(row, "stages")?;
    Ok(Fact::RunStarted(RunStart {
        run: run_id(row)?,
        command: row.get("command")?,
        config: row.get("config")?,
        version: row.get("version")?,
        sandbox: row.get("sandbox")?,
        stages: stages
            .into_iter()
            .map(|tasks| tasks.into_iter().map(TaskId::new).collect())
            .collect(),
        at_ms: row.get("at_ms")?,
    }))
}

fn run_end(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::RunEnded(RunEnd {
        run: run_id(row)?,
        reason: row.get("reason")?,
        at_ms: row.get("at_ms")?,
    }))
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::Decided(Decision {
        attempt: id(row, "attempt").map(VariantId)?,
        round: row.get("round")?,
        parent: id(row, "parent").map(VariantId)?,
        entry: named(row, "entry", Entry::decode)?,
        policy: row.get("policy")?,
        weights: named(row, "weights", weights)?,
        run: run_id(row)?,
        at_ms: row.get("at_ms")?,
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

fn proposal(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::Proposed {
        attempt: id(row, "attempt").map(VariantId)?,
        proposal: Proposal {
            log_summarization: row.get("log_summarization")?,
            potential_improvements: json(row, "potential_improvements")?,
            improvement_proposal: row.get("improvement_proposal")?,
            implementation_suggestion: row.get("implementation_suggestion")?,
            problem_description: row.get("problem_description")?,
        },
        exchange: BlobId::from_hex(row.get::<_, String>("exchange_blob")?),
    })
}

fn attempt_end(row: &Row<'_>) -> rusqlite::Result<Fact> {
    let failure: Option<String> = row.get("failure")?;
    let failure = match failure {
        None => None,
        Some(_) => Some((
            named(row, "failure", Failure::decode)?,
            row.get::<_, String>("detail")?,
        )),
    };
    Ok(Fact::AttemptEnded(AttemptEnd {
        attempt: id(row, "attempt").map(VariantId)?,
        failure,
        log: blob(row, "log_blob")?,
        transcript: blob(row, "transcript_blob")?,
        patch: blob(row, "patch_blob")?,
        gate_log: blob(row, "gate_log_blob")?,
        run: run_id(row)?,
        execution: row.get("execution")?,
        at_ms: row.get("at_ms")?,
    }))
}

fn variant(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::VariantMade(Variant {
        id: id(row, "variant").map(VariantId)?,
        commit: CommitId::new(row.get::<_, String>("commit_id")?),
        tree: TreeId::new(row.get::<_, String>("tree_id")?),
        parent: row.get::<_, Option<u32>>("parent")?.map(VariantId),
        generation: row.get("generation")?,
        summary: row.get("summary")?,
        created_ms: row.get("created_ms")?,
    }))
}

fn evaluation(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::Evaluated(Evaluation {
        key: EvaluationKey {
            variant: id(row, "variant").map(VariantId)?,
            task: TaskId::new(row.get::<_, String>("task")?),
            repeat: row.get("repeat")?,
        },
        purpose: match row.get("stage")? {
            Some(stage) => Purpose::Stage(stage),
            None => Purpose::Extra,
        },
        outcome: named(row, "outcome", Outcome::from_name)?,
        passed: row.get("passed")?,
        reward: row.get("reward")?,
        detail: row.get("detail")?,
        task_digest: row.get("task_digest")?,
        agent_log: blob(row, "agent_log_blob")?,
        verifier_log: blob(row, "verifier_log_blob")?,
        patch: blob(row, "patch_blob")?,
        transcript: blob(row, "transcript_blob")?,
        context_overflow: row.get("context_overflow")?,
        timing: Timing {
            agent_ms: count(row, "agent_ms")?,
            verifier_ms: count(row, "verifier_ms")?,
        },
        run: run_id(row)?,
        execution: row.get("execution")?,
        at_ms: row.get("at_ms")?,
    }))
}

fn subject(row: &Row<'_>) -> rusqlite::Result<CallSubject> {
    match row.get::<_, Option<u32>>("attempt")? {
        Some(attempt) => Ok(CallSubject::Attempt(VariantId(attempt))),
        None => Ok(CallSubject::Evaluation(
            id(row, "variant").map(VariantId)?,
            TaskId::new(row.get::<_, String>("task")?),
            row.get("repeat")?,
        )),
    }
}

fn fault(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::Faulted(Fault {
        subject: subject(row)?,
        outcome: named(row, "outcome", Outcome::from_name)?,
        detail: row.get("detail")?,
        run: run_id(row)?,
        execution: row.get("execution")?,
        at_ms: row.get("at_ms")?,
    }))
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<Fact> {
    let reason: Option<String> = row.get("reason")?;
    Ok(Fact::Judged {
        variant: id(row, "variant").map(VariantId)?,
        verdict: named(row, "verdict", |name| match (name, reason) {
            ("admitted", None) => Some(Verdict::Admitted),
            ("rejected", Some(reason)) => Some(Verdict::Rejected(reason)),
            _ => None,
        })?,
        at_ms: row.get("at_ms")?,
    })
}

fn call(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::CallIntended(CallIntent {
        id: count(row, "call").map(CallId)?,
        run: run_id(row)?,
        execution: row.get("execution")?,
        subject: subject(row)?,
        role: named(row, "role", Role::from_name)?,
        model: row.get("model")?,
        at_most: Usd(row.get("at_most_usd_micros")?),
        at_most_tokens: count(row, "at_most_tokens")?,
        at_ms: row.get("at_ms")?,
    }))
}

fn call_settlement(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact::CallSettled(CallSettlement {
        id: count(row, "call").map(CallId)?,
        status: named(row, "status", CallStatus::from_name)?,
        tokens: Tokens {
            input: count(row, "input_tokens")?,
            cached: count(row, "cached_tokens")?,
            cache_written: count(row, "cache_written_tokens")?,
            output: count(row, "output_tokens")?,
            reasoning: count(row, "reasoning_tokens")?,
        },
        cost: Usd(row.get("cost_usd_micros")?),
        latency_ms: count(row, "latency_ms")?,
    }))
}
