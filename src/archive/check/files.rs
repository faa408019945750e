//! Blobs, settings and leftover files.

use super::Severity;
use super::database::CheckedFacts;
use super::findings::Findings;
use crate::archive::error::Result;
use crate::archive::git::Git;
use crate::archive::layout::Layout;
use crate::archive::reader::Reader;
use crate::archive::reap;

/// Checks the settings that durability depends on.
pub(super) fn settings(layout: &Layout, findings: &mut Findings) -> Result<()> {
    if !Git::syncs(layout) {
        let what = format!(
            "`{}` does not set `core.fsyncObjectFiles`",
            layout.git_settings().display()
        );
        findings.repairable(Severity::Derived, what, || Git::write_settings(layout))?;
    }
    if !Git::keeps_garbage(layout)? {
        let what = format!("`gc.auto` is not 0 in `{}`", layout.agents().display());
        findings.repairable(Severity::Derived, what, || Git::keep_garbage(layout))?;
    }
    Ok(())
}

/// Looks for temporary and lock files of dead processes.
pub(super) fn stale(layout: &Layout, findings: &mut Findings) -> Result<()> {
    for path in reap::find_stale_files(layout)? {
        let what = format!("`{}` is of a process that died", path.display());
        findings.repairable(Severity::Leftover, what, || reap::remove(&path))?;
    }
    Ok(())
}

/// Checks that every blob that a fact names is there and whole; with the lock held also
/// looks for those that no fact names.
pub(super) fn blobs(
    reader: &Reader,
    facts: &CheckedFacts,
    locked: bool,
    findings: &mut Findings,
) -> Result<()> {
    for (blob, fact) in &facts.blobs {
        if !reader.blobs.has(blob) {
            findings.damage(format!("blob {blob} of {fact} is missing"));
        } else if let Err(error) = reader.blobs.get(blob) {
            findings.damage(format!("blob {blob} of {fact} cannot be read: {error}"));
        }
    }
    if !locked {
        return Ok(());
    }
    let unnamed: Vec<_> = reader
        .blobs
        .all()?
        .into_iter()
        .filter(|(blob, _)| !facts.blobs.contains_key(blob))
        .map(|(_, path)| path)
        .collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    let what = format!("no fact names {} of the files in `blobs/`", unnamed.len());
    findings.repairable(Severity::Leftover, what, || {
        unnamed.iter().try_for_each(|path| reap::remove(path))
    })
}
