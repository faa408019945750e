//! Takes an agent's answer from what its sandbox left.
//!
//! Invariant: what comes out touches only paths that the task counts, and holds regular files
//! of a bounded size. Everything else is as the task delivered it when the answer is judged.

use crate::benchmark::{Task, name_matches};
use crate::domain::{Change, FileTree, TreePath};
use crate::sandbox::{Collected, Difference, RootLayer, Taken};
use std::sync::Arc;

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

/// What an agent, or whoever takes its place, changed.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The files as they were: all of a workspace; of an image's folder those that changed.
    pub before: Arc<FileTree>,
    /// What counts of the change.
    pub change: Change,
    /// Folder of an image in which it lies, where the task's files are the image's.
    pub folder: Option<String>,
}

impl Answer {
    /// Returns the answer of somebody who did nothing.
    pub fn nothing(task: &Task) -> Self {
        Self {
            before: task.workspace.clone(),
            ..Self::default()
        }
    }

    /// Returns the answer that a change of a task's workspace is.
    pub fn of(task: &Task, change: Change) -> Self {
        Self {
            change,
            ..Self::nothing(task)
        }
    }

    /// Returns the files after the change.
    pub fn after(&self) -> FileTree {
        self.before.changed_by(&self.change)
    }
}

/// An answer as it is kept, to be judged again.
#[derive(Clone, Debug)]
pub enum KeptAnswer {
    /// Files of a workspace, or of a folder of the image.
    Files(Answer),
    /// What was left in an image's own file system, step by step.
    Steps(Vec<KeptStep>),
}

/// What one step left for its verifier.
#[derive(Clone, Debug, Default)]
pub struct KeptStep {
    /// What was changed since the step before, for a verifier that judges where the agent was.
    pub layers: Vec<RootLayer>,
    /// The artifacts, for a verifier with a sandbox of its own.
    pub artifacts: Vec<Taken>,
}

/// Returns what an agent changed, restricted to what the task counts as its answer.
/// `difference` is what an image's own root gives in place of a workspace.
pub fn take_answer(
    task: &Task,
    collected: &Collected,
    difference: Option<&Difference>,
) -> Result<Answer, AnswerFault> {
    match difference {
        None => Ok(Answer {
            before: task.workspace.clone(),
            change: change(task, &task.workspace, collected)?,
            folder: None,
        }),
        Some(difference) => Ok(Answer {
            before: Arc::new(difference.before.clone()),
            change: change(task, &difference.before, &difference.after)?,
            folder: Some(difference.workdir.clone()),
        }),
    }
}

fn change(task: &Task, before: &FileTree, collected: &Collected) -> Result<Change, AnswerFault> {
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
            .any(|pattern| name_matches(pattern, path.as_str()))
}

fn is_noise(path: &TreePath) -> bool {
    NOISE
        .iter()
        .any(|pattern| name_matches(pattern, path.as_str()))
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

#[cfg(test)]
mod tests {
    use super::{AnswerFault, MOST_FILES, change as take_answer};
    use crate::benchmark::{Task, fixture};
    use crate::domain::{FileTree, TreePath};
    use crate::sandbox::Collected;

    fn task(answer: &str) -> Task {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("hello");
        let mut files = fixture::good();
        files[0].1 = files[0]
            .1
            .replace("answer = [\"*.txt\"]", &format!("answer = {answer}"));
        fixture::write(&path, &files);
        Task::load(&path).expect("it loads")
    }

    fn tree(files: &[(&str, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (name, text) in files {
            let path = TreePath::new(name).expect("a good path");
            tree.insert(path, text.as_bytes(), false);
        }
        tree
    }

    fn left(files: &[(&str, &str)]) -> Collected {
        Collected {
            files: tree(files),
            ..Collected::default()
        }
    }

    #[test]
    fn takes_what_counts_and_nothing_else() {
        let before = tree(&[
            ("a.txt", "1"),
            ("b.txt", "1"),
            ("tool.py", "1"),
            ("c.txt", "1"),
        ]);
        let after = left(&[
            ("a.txt", "2"),
            ("b.txt", "1"),
            ("tool.py", "2"),
            ("new.txt", "1"),
            ("sub/new.txt", "1"),
            ("conftest.py", "1"),
        ]);
        let change = take_answer(&task("[\"*.txt\"]"), &before, &after).expect("it is usable");
        assert_eq!(change.written, tree(&[("a.txt", "2"), ("new.txt", "1")]));
        assert_eq!(
            change.deleted,
            [TreePath::new("c.txt").expect("a good path")]
        );
        // No patterns: everything counts.
        let change = take_answer(&task("[]"), &before, &after).expect("it is usable");
        assert_eq!(before.changed_by(&change), after.files);
    }

    #[test]
    fn a_change_outside_the_answer_is_no_change() {
        let before = tree(&[("a.txt", "1"), ("run", "1")]);
        let after = left(&[("a.txt", "1"), ("notes.md", "1")]);
        let change = take_answer(&task("[\"a.txt\"]"), &before, &after).expect("it is usable");
        assert!(change.is_empty());
    }

    #[test]
    fn leaves_noise_but_not_what_the_task_came_with() {
        let before = tree(&[("data/.cache/x", "1"), ("old~", "1")]);
        let after = left(&[
            ("data/.cache/x", "2"),
            ("__pycache__/a.pyc", "1"),
            (".pytest_cache/v/x", "1"),
            ("a.txt", "1"),
            ("a.txt~", "1"),
        ]);
        let change = take_answer(&task("[]"), &before, &after).expect("it is usable");
        assert_eq!(
            change.written,
            tree(&[("a.txt", "1"), ("data/.cache/x", "2")])
        );
        assert!(change.deleted.is_empty(), "{:?}", change.deleted);
    }

    #[test]
    fn refuses_what_cannot_be_trusted() {
        let before = tree(&[("a.txt", "1"), ("lib/x.py", "1")]);
        let task = task("[\"*\"]");
        let truncated = Collected {
            truncated: true,
            ..left(&[("a.txt", "2")])
        };
        assert_eq!(
            take_answer(&task, &before, &truncated).expect_err("truncated"),
            AnswerFault::Truncated
        );
        let link = Collected {
            refused: vec!["symlink `a.txt` → /etc/passwd".to_owned()],
            ..left(&[])
        };
        assert_eq!(
            take_answer(&task, &before, &link)
                .expect_err("a link")
                .to_string(),
            "the agent left something that cannot be an answer: symlink `a.txt` → /etc/passwd"
        );
        // `lib/x.py` does not count, so it comes back where the agent put a file.
        let in_the_way = left(&[("a.txt", "1"), ("lib", "2")]);
        assert_eq!(
            take_answer(&task, &before, &in_the_way)
                .expect_err("in the way")
                .to_string(),
            "the answer has a file `lib` where the task has a folder with `lib/x.py`"
        );
    }

    #[test]
    fn bounds_the_answer() {
        let before = FileTree::new();
        let mut many = Collected::default();
        for number in 0..=MOST_FILES {
            let path = TreePath::new(&format!("f{number}")).expect("a good path");
            many.files.insert(path, &b"x"[..], false);
        }
        let fault = take_answer(&task("[]"), &before, &many).expect_err("too many");
        assert_eq!(
            fault.to_string(),
            "the answer is too large: 5001 files with 5001 bytes, at most 5000 files and \
             16777216 bytes are taken"
        );
        let mut large = Collected::default();
        let path = TreePath::new("f").expect("a good path");
        large.files.insert(path, vec![0; (16 << 20) + 1], false);
        assert!(matches!(
            take_answer(&task("[]"), &before, &large),
            Err(AnswerFault::TooLarge { files: 1, .. })
        ));
    }
}
