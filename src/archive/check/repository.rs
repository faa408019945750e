//! The repository against the facts.

use super::Severity;
use super::database::Facts;
use super::findings::Findings;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::git::{self, Git, MAIN};
use crate::archive::reader::Reader;
use crate::archive::reap;
use crate::domain::{Variant, VariantId};
use git2::{ObjectType, Oid};
use std::collections::{BTreeMap, HashSet};

/// Checks that every variant's commit, tree, ref and note is there and right.
pub(super) fn check(reader: &Reader, facts: &Facts, findings: &mut Findings) -> Result<()> {
    let git = &reader.git;
    let refs: BTreeMap<VariantId, Oid> = git.variants()?.into_iter().collect();
    let mut seen = HashSet::new();
    for variant in facts.variants.values() {
        let whole = commit(git, variant, facts, &mut seen, findings)?;
        let Some(target) = whole else { continue };
        if refs.get(&variant.id) != Some(&target) {
            let name = git::variant_ref(variant.id);
            let what = format!("`{name}` does not point at variant {}", variant.id);
            findings.repairable(Severity::Derived, what, || git.set_ref(&name, target))?;
        }
        if variant.id == VariantId::SEED && git.ref_target(MAIN)? != Some(target) {
            let what = format!("`{MAIN}` does not point at the seed");
            findings.repairable(Severity::Derived, what, || git.set_ref(MAIN, target))?;
        }
        if facts.admitted.contains(&variant.id) && git.note_of(&variant.commit)?.is_none() {
            findings.damage(format!("admitted variant {} has no note", variant.id));
        }
    }
    Ok(())
}

/// Checks one commit and everything below it; returns its id where it is there.
fn commit(
    git: &Git,
    variant: &Variant,
    facts: &Facts,
    seen: &mut HashSet<Oid>,
    findings: &mut Findings,
) -> Result<Option<Oid>> {
    let id = variant.id;
    let commit = match git.commit(&variant.commit) {
        Ok(commit) => commit,
        Err(error @ (ArchiveError::Damaged(_) | ArchiveError::Read { .. })) => {
            findings.damage(format!(
                "the commit of variant {id} cannot be read: {error}"
            ));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if commit.tree_id().to_string() != variant.tree.as_str() {
        findings.damage(format!("the commit of variant {id} has another tree"));
    }
    let parents: Vec<String> = commit.parent_ids().map(|id| id.to_string()).collect();
    let expected: Vec<&str> = variant
        .parent
        .and_then(|parent| facts.variants.get(&parent))
        .map(|parent| parent.commit.as_str())
        .into_iter()
        .collect();
    if parents != expected {
        findings.damage(format!("the commit of variant {id} has other parents"));
    }
    tree(git, commit.tree_id(), id, seen, findings);
    Ok(Some(commit.id()))
}

fn tree(git: &Git, root: Oid, id: VariantId, seen: &mut HashSet<Oid>, findings: &mut Findings) {
    // Folders wait on a list: a damaged tree may be nested in any way.
    let mut waiting = vec![root];
    while let Some(folder) = waiting.pop() {
        if !seen.insert(folder) {
            continue;
        }
        let Ok(tree) = git.repo().find_tree(folder) else {
            findings.damage(format!("tree {folder} of variant {id} cannot be read"));
            continue;
        };
        for entry in &tree {
            match entry.filemode() {
                0o040_000 => waiting.push(entry.id()),
                0o100_644 | 0o100_755 => {
                    if seen.insert(entry.id())
                        && !git::readable(git.repo(), entry.id(), ObjectType::Blob)
                    {
                        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                        findings.damage(format!("`{name}` of variant {id} cannot be read"));
                    }
                }
                mode => {
                    let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                    findings.damage(format!("`{name}` of variant {id} has mode {mode:o}"));
                }
            }
        }
    }
}

/// Looks for refs of variants that were never recorded. The lock is held.
pub(super) fn leftovers(reader: &Reader, facts: &Facts, findings: &mut Findings) -> Result<()> {
    for id in reap::find_unrecorded(reader)? {
        let what = format!("`{}` belongs to no recorded variant", git::variant_ref(id));
        findings.repairable(Severity::Leftover, what, || reader.git.forget_variant(id))?;
    }
    if !facts.variants.contains_key(&VariantId::SEED) && reader.git.ref_target(MAIN)?.is_some() {
        let what = format!("`{MAIN}` belongs to no recorded seed");
        findings.repairable(Severity::Leftover, what, || {
            reader.git.forget_variant(VariantId::SEED)
        })?;
    }
    Ok(())
}
