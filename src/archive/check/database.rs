//! The database against itself.

use super::findings::Findings;
use crate::archive::about;
use crate::archive::db;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::fact_row;
use crate::archive::layout::FORMAT;
use crate::archive::reader::Reader;
use crate::archive::tables::TABLES;
use crate::domain::{BlobId, ChildDraft, Fact, Variant, VariantId, Verdict};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// What the rest of the check needs of the facts.
#[derive(Default)]
pub(super) struct CheckedFacts {
    /// All variants.
    pub(super) variants: BTreeMap<VariantId, Variant>,
    /// Variants in the pool of parents.
    pub(super) admitted: BTreeSet<VariantId>,
    /// Every blob that a fact names, with the first fact that does.
    pub(super) blobs: BTreeMap<BlobId, String>,
    /// Children that had to wait, by attempt.
    pub(super) drafts: BTreeMap<VariantId, ChildDraft>,
    /// Parents of attempts.
    pub(super) parents: BTreeMap<VariantId, VariantId>,
    /// Ended attempts, and whether they say that they made a variant.
    ends: BTreeMap<VariantId, bool>,
}

/// Checks the database; returns no facts where they cannot be read.
pub(super) fn check(reader: &Reader, findings: &mut Findings) -> Result<Option<CheckedFacts>> {
    let fault = |error| ArchiveError::read(&reader.layout.database(), error);
    let db = reader.connection.unchecked_transaction().map_err(fault)?;
    integrity(&db, findings).map_err(fault)?;
    foreign_keys(&db, findings).map_err(fault)?;
    if reader.format() == FORMAT {
        schema(&db, findings).map_err(fault)?;
    }
    positions(&db, findings).map_err(fault)?;
    let mut facts = CheckedFacts::default();
    let read = fact_row::each(&db, &mut |_, fact| facts.take(&fact));
    if let Err(error) = read {
        findings.damage(format!("the facts cannot be read: {error}"));
        return Ok(None);
    }
    facts.check(findings);
    Ok(Some(facts))
}

impl CheckedFacts {
    fn take(&mut self, fact: &Fact) {
        for blob in about::blobs(fact) {
            if !self.blobs.contains_key(blob) {
                self.blobs.insert(blob.clone(), about::describe(fact));
            }
        }
        match fact {
            Fact::VariantMade(variant) => {
                self.variants.insert(variant.id, variant.clone());
            }
            Fact::Judged {
                variant,
                verdict: Verdict::Admitted,
                ..
            } => {
                self.admitted.insert(*variant);
            }
            Fact::Decided(decision) => {
                self.parents.insert(decision.attempt, decision.parent);
            }
            Fact::Drafted(draft) => {
                self.drafts.insert(draft.attempt, draft.clone());
            }
            Fact::AttemptEnded(end) => {
                self.ends.insert(end.attempt, end.failure.is_none());
            }
            Fact::Judged { .. }
            | Fact::RunStarted(_)
            | Fact::RunEnded(_)
            | Fact::EvaluationDecided(_)
            | Fact::Disclosed { .. }
            | Fact::Proposed { .. }
            | Fact::Evaluated(_)
            | Fact::AnswerKept { .. }
            | Fact::Regraded(_)
            | Fact::Faulted(_)
            | Fact::CallIntended(_)
            | Fact::CallSettled(_)
            | Fact::Recorded(_)
            | Fact::Replays(_) => {}
        }
    }

    fn check(&self, findings: &mut Findings) {
        for (id, variant) in &self.variants {
            let Some(parent) = variant.parent else {
                continue;
            };
            match self.parents.get(id) {
                None => findings.damage(format!("variant {id} belongs to no attempt")),
                Some(decided) if *decided != parent => findings.damage(format!(
                    "variant {id} has parent {parent}, but its attempt was decided for {decided}"
                )),
                Some(_) => {}
            }
            if self.ends.get(id) != Some(&true) {
                findings.damage(format!(
                    "variant {id} exists, but its attempt does not say so"
                ));
            }
            if let Some(draft) = self.drafts.get(id)
                && draft.commit != variant.commit
            {
                findings.damage(format!(
                    "variant {id} is not the child that its attempt came to"
                ));
            }
            match self.variants.get(&parent) {
                None => findings.damage(format!("parent {parent} of variant {id} is missing")),
                Some(of) if variant.generation != of.generation + 1 => {
                    findings.damage(format!(
                        "variant {id} says generation {}, but its parent is of generation {}",
                        variant.generation, of.generation
                    ));
                }
                Some(_) => {}
            }
        }
        for (id, made) in &self.ends {
            if *made && !self.variants.contains_key(id) {
                findings.damage(format!("attempt {id} made a variant that is missing"));
            }
        }
    }
}

fn integrity(db: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let mut statement = db.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            findings.damage(format!("the database is damaged: {text}"));
        }
    }
    Ok(())
}

fn foreign_keys(db: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let mut statement = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, seq, target): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        findings.damage(format!(
            "row {seq} of table `{table}` belongs to a row of `{target}` that is missing"
        ));
    }
    Ok(())
}

/// The unique keys and triggers are what keeps the invariants, so they have to be there.
fn schema(db: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let expected = Connection::open_in_memory()?;
    expected.execute_batch(&db::schema())?;
    let found = definitions(db)?;
    for (name, sql) in definitions(&expected)? {
        if found.get(&name) != Some(&sql) {
            findings.damage(format!("`{name}` in the database is not as `dgm` made it"));
        }
    }
    Ok(())
}

fn definitions(db: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Every fact has a position of its own, or their order would not be known.
fn positions(db: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let all: Vec<String> = TABLES
        .iter()
        .map(|table| format!("SELECT seq FROM {}", table.name))
        .collect();
    let all = all.join(" UNION ALL ");
    let sql = format!("SELECT seq FROM ({all}) GROUP BY seq HAVING count(*) > 1 LIMIT 20");
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        findings.damage(format!("several facts have position {seq}"));
    }
    Ok(())
}
