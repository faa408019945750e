//! Evaluations as a table: one row for each, one list of columns for every tabular format.
//!
//! Invariant: columns are only added, at the end. Counts and money are integers, so that sums
//! over a table are the sums of the books.

use crate::domain::{Evaluation, JobId, Purpose, RunId, Usd, Variant};
use crate::lineage::{Lineage, SubjectSpend};
use crate::view::json;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// Version of the columns.
pub(super) const SCHEMA: &str = "dgm.evaluations/1";

/// An evaluation with what the books and the faults say about it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Random id of the archive.
    pub archive: &'a str,
    /// The agent.
    pub variant: &'a Variant,
    /// The evaluation.
    pub evaluation: &'a Evaluation,
    /// Names of the models that it asked, in order of name.
    pub models: BTreeSet<&'a str>,
    /// What the execution that counts has used.
    pub spend: SubjectSpend,
    /// Executions before it that did not count.
    pub faults: u64,
    /// What those have cost.
    pub fault_cost: Usd,
    /// What the diagnoses were shown that the agent and its ancestors were made from.
    pub evidence: &'static str,
}

/// Returns the rows of evaluations, in their order, in one pass over the books.
pub fn rows<'a>(
    archive: &'a str,
    lineage: &'a Lineage,
    evaluations: &[&'a Evaluation],
) -> Vec<Row<'a>> {
    let mut faults: HashMap<&JobId, u64> = HashMap::new();
    for fault in lineage.faults() {
        *faults.entry(&fault.subject).or_default() += 1;
    }
    let mut totals: HashMap<&JobId, Usd> = HashMap::new();
    let mut executions: HashMap<(&JobId, RunId, u32), (SubjectSpend, BTreeSet<&str>)> =
        HashMap::new();
    for (intent, settlement) in lineage.spend().calls() {
        let key = (&intent.subject, intent.run, intent.execution);
        let (spend, models) = executions.entry(key).or_default();
        spend.add(intent, settlement.as_ref());
        models.insert(&intent.model);
        let cost = settlement.as_ref().map_or(Usd(0), |ended| ended.cost);
        *totals.entry(&intent.subject).or_default() += cost;
    }
    let row = |evaluation: &&'a Evaluation| {
        let key = &evaluation.key;
        let subject = JobId::Evaluation(key.clone());
        let own = executions.get(&(&subject, evaluation.run, evaluation.execution));
        let (spend, models) = own.cloned().unwrap_or_default();
        let total = totals.get(&subject).copied().unwrap_or_default();
        Some(Row {
            archive,
            variant: lineage.variant(key.variant)?,
            evaluation,
            models,
            spend,
            faults: faults.get(&subject).copied().unwrap_or(0),
            fault_cost: Usd(total.0.saturating_sub(spend.cost.0)),
            evidence: json::evidence(lineage.disclosed_ancestor(key.variant).is_some()),
        })
    };
    evaluations.iter().filter_map(row).collect()
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Real,
    Flag,
    /// Milliseconds since 1970, UTC.
    Moment,
}

/// One value; a text, an integer or a number may be missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    Integer(Option<i64>),
    Real(Option<f64>),
    Flag(bool),
    Moment(i64),
}

/// One column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) cell: for<'r> fn(&'r Row<'r>) -> Cell<'r>,
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(Some(Cow::Borrowed(text)))
}

fn blob(blob: Option<&crate::domain::BlobId>) -> Cell<'_> {
    Cell::Text(blob.map(|blob| Cow::Borrowed(blob.as_str())))
}

fn count<'a>(count: impl TryInto<i64>) -> Cell<'a> {
    // More than 2^63 of anything is a clock or a provider gone mad; it must not look small.
    Cell::Integer(Some(count.try_into().unwrap_or(i64::MAX)))
}

macro_rules! columns {
    ($($name:literal $kind:ident $cell:expr;)*) => {
        &[$(Column { name: $name, kind: Kind::$kind, cell: $cell }),*]
    };
}

/// All columns, in order.
pub(super) const COLUMNS: &[Column] = columns! {
    "archive" Text |row| text(row.archive);
    "variant" Integer |row| count(row.variant.id.0);
    "commit" Text |row| text(row.variant.commit.as_str());
    "parent" Integer |row| Cell::Integer(row.variant.parent.map(|parent| parent.0.into()));
    "generation" Integer |row| count(row.variant.generation);
    "task" Text |row| text(row.evaluation.key.task.as_str());
    "task_digest" Text |row| text(&row.evaluation.judgement.task_digest);
    "repeat" Integer |row| count(row.evaluation.key.repeat);
    "stage" Integer |row| Cell::Integer(match row.evaluation.purpose {
        Purpose::Stage(stage) => Some(stage.into()),
        Purpose::Extra | Purpose::Holdout => None,
    });
    "held_out" Flag |row| Cell::Flag(row.evaluation.purpose == Purpose::Holdout);
    "outcome" Text |row| text(row.evaluation.judgement.outcome.name());
    "counts" Flag |row| Cell::Flag(row.evaluation.judgement.outcome.counts());
    "passed" Flag |row| Cell::Flag(row.evaluation.judgement.passed);
    "reward" Real |row| Cell::Real(row.evaluation.judgement.reward);
    "detail" Text |row| text(&row.evaluation.judgement.detail);
    "context_overflow" Flag |row| Cell::Flag(row.evaluation.context_overflow);
    "models" Text |row| {
        let models: Vec<&str> = row.models.iter().copied().collect();
        Cell::Text((!models.is_empty()).then(|| models.join(" ").into()))
    };
    "calls" Integer |row| count(row.spend.calls);
    "input_tokens" Integer |row| count(row.spend.tokens.input);
    "cached_tokens" Integer |row| count(row.spend.tokens.cached);
    "cache_written_tokens" Integer |row| count(row.spend.tokens.cache_written);
    "output_tokens" Integer |row| count(row.spend.tokens.output);
    "reasoning_tokens" Integer |row| count(row.spend.tokens.reasoning);
    "cost_usd_micros" Integer |row| count(row.spend.cost.0);
    "estimated_calls" Integer |row| count(row.spend.estimated);
    "unsettled_calls" Integer |row| count(row.spend.unsettled);
    "unsettled_at_most_usd_micros" Integer |row| count(row.spend.unsettled_at_most.0);
    "agent_ms" Integer |row| count(row.evaluation.timing.agent_ms);
    "verifier_ms" Integer |row| count(row.evaluation.timing.verifier_ms);
    "settled" Moment |row| Cell::Moment(row.evaluation.at_ms);
    "run" Integer |row| count(row.evaluation.run.0);
    "execution" Integer |row| count(row.evaluation.execution);
    "faults" Integer |row| count(row.faults);
    "faults_cost_usd_micros" Integer |row| count(row.fault_cost.0);
    "agent_log_blob" Text |row| blob(row.evaluation.agent_log.as_ref());
    "verifier_log_blob" Text |row| blob(row.evaluation.verifier_log.as_ref());
    "patch_blob" Text |row| blob(row.evaluation.patch.as_ref());
    "transcript_blob" Text |row| blob(row.evaluation.transcript.as_ref());
    "rewards" Text |row| {
        let rewards = &row.evaluation.judgement.rewards;
        let text = || serde_json::json!(rewards).to_string().into();
        Cell::Text((!rewards.is_empty()).then(text))
    };
    "evidence" Text |row| text(row.evidence);
};
