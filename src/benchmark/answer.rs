//! Takes an agent's answer from what its sandbox left.
//!
//! Invariant: what comes out touches only paths that the task counts, and holds regular files
//! of a bounded size. Everything else is as the task delivered it when the answer is judged.

use super::glob;
use super::task::Task;
use crate::domain::{Change, FileTree, TreePath};
use crate::sandbox::Collected;

/// Most bytes of an answer.
const MOST_BYTES: u64 = 16 << 20;
/// Most files of an answer.
const MOST_FILES: usize = 5_000;

/// Folders and files that tools leave behind; no answer, unless the task came with them.
const NOISE: [&str; 12] = [
    "**/__pycache__/**",
    "**/*.pyc",
    "**/.pytest_cache/**",
    "**/.mypy_cache/**",
    "**/.ruff_cache/**",
    "**/.hypothesis/**",
    "**/.cache/**",
    "**/.DS_Store",
    "**/*.swp",
    "**/*.swo",
    "**/*~",
    "**/*.orig",
];

/// Why an agent's output cannot be used as an answer: always the agent's doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// It left more than is collected.
    #[error("the agent left more files, or larger ones, than are collected")]
    Truncated,
    /// It left something that is no regular file at a safe path.
    #[error("the agent left something that cannot be an answer: {0}")]
    Refused(String),
    /// Its answer is too large.
    #[error(
        "the answer is too large: {files} files with {bytes} bytes, at most {MOST_FILES} files and {MOST_BYTES} bytes are taken"
    )]
    TooLarge {
        /// Number of files.
        files: usize,
        /// Their size.
        bytes: u64,
    },
    /// A file of the answer stands where the task has a folder, or the other way round.
    #[error("the answer has a file `{file}` where the task has a folder with `{below}`")]
    InTheWay {
        /// The file.
        file: TreePath,
        /// A file that would lie below it.
        below: TreePath,
    },
}

/// Returns what an agent changed, restricted to what the task counts as its answer.
pub fn take_answer(
    task: &Task,
    before: &FileTree,
    collected: &Collected,
) -> Result<Change, AnswerFault> {
    if collected.truncated {
        return Err(AnswerFault::Truncated);
    }
    if let Some(refused) = collected.refused.first() {
        return Err(AnswerFault::Refused(refused.clone()));
    }
    let all = before.change_to(&collected.files);
    let mut change = Change::default();
    for (path, file) in all.written.iter() {
        if counts(task, path) && (before.get(path.as_str()).is_some() || !is_noise(path)) {
            change
                .written
                .insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    change.deleted = all
        .deleted
        .into_iter()
        .filter(|path| counts(task, path) && !is_noise(path))
        .collect();
    let (files, bytes) = (change.written.len(), change.written.size());
    if files > MOST_FILES || bytes > MOST_BYTES {
        return Err(AnswerFault::TooLarge { files, bytes });
    }
    in_the_way(&before.changed_by(&change))?;
    Ok(change)
}

fn counts(task: &Task, path: &TreePath) -> bool {
    task.answer.is_empty()
        || task
            .answer
            .iter()
            .any(|pattern| glob::matches(pattern, path.as_str()))
}

fn is_noise(path: &TreePath) -> bool {
    NOISE
        .iter()
        .any(|pattern| glob::matches(pattern, path.as_str()))
}

/// Restoring what does not count can bring back a file below one that the agent wrote.
fn in_the_way(files: &FileTree) -> Result<(), AnswerFault> {
    for (below, _) in files.iter() {
        for (at, _) in below.as_str().match_indices('/') {
            let folder = &below.as_str()[..at];
            if files.get(folder).is_some()
                && let Ok(file) = TreePath::new(folder)
            {
                let below = below.clone();
                return Err(AnswerFault::InTheWay { file, below });
            }
        }
    }
    Ok(())
}
