//! Artifacts: the files and folders that are carried from the agent's sandbox to a verifier
//! with a sandbox of its own.

use crate::benchmark::Step;
use crate::domain::{FileTree, TreePath};
use crate::sandbox::{Found, Placed, Taken};
use std::sync::Arc;

/// Where artifacts lie by convention: always carried to a verifier of its own.
pub(super) const ARTIFACT_LOGS: &str = "/logs/artifacts";

/// Returns the paths of a step's artifacts, the folder of convention last.
pub(super) fn sources(step: &Step) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let named = step.artifacts.iter().map(|artifact| &artifact.source);
    for source in named.chain([&ARTIFACT_LOGS.to_owned()]) {
        if !all.contains(source) {
            all.push(source.clone());
        }
    }
    all
}

/// Returns an artifact as it is put to its own place in a verifier's sandbox. A folder is
/// made anew there, as Harbor empties it first.
pub(super) fn carried(
    step: &Step,
    source: &str,
    taken: &Taken,
    writable: &mut Vec<String>,
) -> Option<Placed> {
    let (parent, name) = source.rsplit_once('/')?;
    match taken.found {
        Found::Nothing => return None,
        Found::File => {}
        Found::Folder => writable.push(source.to_owned()),
    }
    let rules = step
        .artifacts
        .iter()
        .find(|artifact| artifact.source == source);
    let mut files = FileTree::new();
    for (path, file) in taken.files.files.iter() {
        let inner = path.as_str().strip_prefix(name).unwrap_or_default();
        let inner = inner.trim_start_matches('/');
        let left_out = rules.is_some_and(|rules| !inner.is_empty() && rules.excludes(inner));
        // The sandbox's root is no folder that files are placed in.
        let placed = match parent {
            "" => TreePath::new(inner).ok(),
            _ => Some(path.clone()),
        };
        if let Some(path) = placed
            && !left_out
        {
            files.insert(path, file.bytes.clone(), file.executable);
        }
    }
    Some(Placed {
        at: match parent {
            "" => source.to_owned(),
            parent => parent.to_owned(),
        },
        files: Arc::new(files),
    })
}
