//! The repository against the facts.

use super::Severity;
use super::database::CheckedFacts;
use super::findings::Findings;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::git::{self, DRAFTS, Git, MAIN, VARIANTS};
use crate::archive::reader::Reader;
use crate::archive::reap;
use crate::domain::{CommitId, TreeId, VariantId};
use git2::{ObjectType, Oid};
use std::collections::{BTreeMap, HashSet};

/// A commit that a fact names.
struct Named<'a> {
    /// What it is of, such as `variant v3`.
    of: String,
    commit: &'a CommitId,
    tree: &'a TreeId,
    parent: Option<VariantId>,
}

/// Checks that the commit, tree, ref and note of every variant, and of every draft, are there
/// and right.
pub(super) fn check(reader: &Reader, facts: &CheckedFacts, findings: &mut Findings) -> Result<()> {
    let git = &reader.git;
    let refs: BTreeMap<VariantId, Oid> = git.kept(VARIANTS)?.into_iter().collect();
    let mut seen = HashSet::new();
    for variant in facts.variants.values() {
        let named = Named {
            of: format!("variant {}", variant.id),
            commit: &variant.commit,
            tree: &variant.tree,
            parent: variant.parent,
        };
        let whole = commit(git, &named, facts, &mut seen, findings)?;
        let Some(target) = whole else { continue };
        let known = refs.get(&variant.id);
        point(git, VARIANTS, variant.id, &named, known, target, findings)?;
        if variant.id == VariantId::SEED && git.ref_target(MAIN)? != Some(target) {
            let what = format!("`{MAIN}` does not point at the seed");
            findings.repairable(Severity::Derived, what, || git.set_ref(MAIN, target))?;
        }
        if facts.admitted.contains(&variant.id) && git.note_of(&variant.commit)?.is_none() {
            findings.damage(format!("admitted variant {} has no note", variant.id));
        }
    }
    let refs: BTreeMap<VariantId, Oid> = git.kept(DRAFTS)?.into_iter().collect();
    for draft in facts.drafts.values() {
        let named = Named {
            of: format!("the draft of attempt {}", draft.attempt),
            commit: &draft.commit,
            tree: &draft.tree,
            parent: facts.parents.get(&draft.attempt).copied(),
        };
        let whole = commit(git, &named, facts, &mut seen, findings)?;
        let Some(target) = whole else { continue };
        let known = refs.get(&draft.attempt);
        point(git, DRAFTS, draft.attempt, &named, known, target, findings)?;
    }
    Ok(())
}

/// Checks that a ref points at the commit that it keeps.
fn point(
    git: &Git,
    place: &str,
    id: VariantId,
    named: &Named<'_>,
    known: Option<&Oid>,
    target: Oid,
    findings: &mut Findings,
) -> Result<()> {
    if known == Some(&target) {
        return Ok(());
    }
    let name = git::numbered(place, id);
    let what = format!("`{name}` does not point at {}", named.of);
    findings.repairable(Severity::Derived, what, || git.set_ref(&name, target))
}

/// Checks one commit and everything below it; returns its id where it is there.
fn commit(
    git: &Git,
    named: &Named<'_>,
    facts: &CheckedFacts,
    seen: &mut HashSet<Oid>,
    findings: &mut Findings,
) -> Result<Option<Oid>> {
    let of = &named.of;
    let commit = match git.commit(named.commit) {
        Ok(commit) => commit,
        Err(error @ (ArchiveError::Damaged(_) | ArchiveError::Read { .. })) => {
            findings.damage(format!("the commit of {of} cannot be read: {error}"));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if commit.tree_id().to_string() != named.tree.as_str() {
        findings.damage(format!("the commit of {of} has another tree"));
    }
    let parents: Vec<String> = commit.parent_ids().map(|id| id.to_string()).collect();
    let expected: Vec<&str> = named
        .parent
        .and_then(|parent| facts.variants.get(&parent))
        .map(|parent| parent.commit.as_str())
        .into_iter()
        .collect();
    if parents != expected {
        findings.damage(format!("the commit of {of} has other parents"));
    }
    tree(git, commit.tree_id(), of, seen, findings);
    Ok(Some(commit.id()))
}

fn tree(git: &Git, root: Oid, of: &str, seen: &mut HashSet<Oid>, findings: &mut Findings) {
    // Folders wait on a list: a damaged tree may be nested in any way.
    let mut waiting = vec![root];
    while let Some(folder) = waiting.pop() {
        if !seen.insert(folder) {
            continue;
        }
        let Ok(tree) = git.repo().find_tree(folder) else {
            findings.damage(format!("tree {folder} of {of} cannot be read"));
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
                        findings.damage(format!("`{name}` of {of} cannot be read"));
                    }
                }
                mode => {
                    let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                    findings.damage(format!("`{name}` of {of} has mode {mode:o}"));
                }
            }
        }
    }
}

/// Looks for refs of variants and drafts that were never recorded. The lock is held.
pub(super) fn leftovers(
    reader: &Reader,
    facts: &CheckedFacts,
    findings: &mut Findings,
) -> Result<()> {
    for (place, id) in reap::find_unrecorded(reader)? {
        let what = match place {
            DRAFTS => "draft",
            _ => "variant",
        };
        let what = format!(
            "`{}` belongs to no recorded {what}",
            git::numbered(place, id)
        );
        findings.repairable(Severity::Leftover, what, || reader.git.forget(place, id))?;
    }
    if !facts.variants.contains_key(&VariantId::SEED) && reader.git.ref_target(MAIN)?.is_some() {
        let what = format!("`{MAIN}` belongs to no recorded seed");
        findings.repairable(Severity::Leftover, what, || {
            reader.git.forget(VARIANTS, VariantId::SEED)
        })?;
    }
    Ok(())
}
