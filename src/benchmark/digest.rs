//! The digest of a task, as Harbor computes it, so that locks can be compared.
//!
//! SHA-256 over the lines `path NUL sha256(file) NEWLINE` in order of path, of every file
//! that belongs to the task and is not ignored. A file that is ignored here is not part of
//! the task for `dgm` either: equal digests mean equal tasks.

use super::glob;
use crate::domain::FileTree;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What Harbor ignores where a task has no `.gitignore` of its own.
const DEFAULT_RULES: &str = "__pycache__/\n*.pyc\n.DS_Store\n*.swp\n*.swo\n*~\n";

/// Returns `sha256:…` over the files, which are those of the task already.
pub(super) fn of(files: &FileTree) -> String {
    let mut outer = Sha256::new();
    for (path, file) in files.iter() {
        outer.update(path.as_str().as_bytes());
        outer.update([0]);
        outer.update(hex(&Sha256::digest(&file.bytes)));
        outer.update([b'\n']);
    }
    format!("sha256:{}", hex(&outer.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// Rules of one ignore file, in git's syntax.
#[derive(Debug)]
pub(super) struct TaskIgnored {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    kept: bool,
    folders_only: bool,
}

impl TaskIgnored {
    /// Reads the text of a `.gitignore`; none: Harbor's own rules.
    pub(super) fn new(text: Option<&str>) -> Self {
        let rules = text
            .unwrap_or(DEFAULT_RULES)
            .lines()
            .filter_map(rule)
            .collect();
        Self { rules }
    }

    /// Returns whether a file is ignored, by its own path or by a folder it lies in.
    pub(super) fn ignores(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        folders
            .chain([(path, false)])
            .any(|(path, is_folder)| self.decides(path, is_folder))
    }

    fn decides(&self, path: &str, is_folder: bool) -> bool {
        self.verdict(path, is_folder) == Some(true)
    }

    /// Returns whether the last rule that speaks of a path leaves it out; none: none does.
    fn verdict(&self, path: &str, is_folder: bool) -> Option<bool> {
        self.rules
            .iter()
            .rev()
            .find(|rule| (is_folder || !rule.folders_only) && glob::matches(&rule.pattern, path))
            .map(|rule| !rule.kept)
    }
}

/// The `.harborignore` files of a task: git's syntax, each for its folder and what lies below,
/// only in tests and reference solutions. The files themselves belong to no task.
#[derive(Debug, Default)]
pub(super) struct HarborIgnored {
    /// Folder and rules, outer folders first.
    scopes: Vec<(String, TaskIgnored)>,
}

impl HarborIgnored {
    /// Reads those of a task.
    pub(super) fn of(files: &FileTree) -> Self {
        let mut scopes = Vec::new();
        for (path, file) in files.iter() {
            if let Some(folder) = path.as_str().strip_suffix("/.harborignore")
                && in_scope(folder)
            {
                let text = String::from_utf8_lossy(&file.bytes);
                scopes.push((folder.to_owned(), TaskIgnored::new(Some(&text))));
            }
        }
        scopes.sort_by_key(|(folder, _)| folder.len());
        Self { scopes }
    }

    /// Returns whether a file is left out.
    pub(super) fn ignores(&self, path: &str) -> bool {
        if path.rsplit('/').next() == Some(".harborignore") {
            return true;
        }
        let folders = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        folders.chain([(path, false)]).any(|(part, is_folder)| {
            let mut left_out = false;
            for (folder, rules) in &self.scopes {
                let inner = part.strip_prefix(folder.as_str());
                if let Some(inner) = inner.and_then(|inner| inner.strip_prefix('/'))
                    && let Some(decided) = rules.verdict(inner, is_folder)
                {
                    left_out = decided;
                }
            }
            left_out
        })
    }
}

fn in_scope(folder: &str) -> bool {
    let parts: Vec<&str> = folder.split('/').collect();
    match parts.as_slice() {
        ["tests" | "solution", ..] => true,
        ["steps", _, "tests" | "solution", ..] => true,
        [..] => false,
    }
}

fn rule(line: &str) -> Option<Rule> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (kept, line) = match line.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (folders_only, line) = match line.strip_suffix('/') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    // A rule with a slash before its end is anchored at the file's folder; others hold
    // at any depth.
    let pattern = match line.strip_prefix('/') {
        Some(rest) => rest.to_owned(),
        None if line.contains('/') => line.to_owned(),
        None => format!("**/{line}"),
    };
    Some(Rule {
        pattern,
        kept,
        folders_only,
    })
}

#[cfg(test)]
mod tests {
    use super::{TaskIgnored, of};
    use crate::domain::{FileTree, TreePath};

    #[test]
    fn equals_a_value_computed_with_other_tools() {
        let mut files = FileTree::new();
        for (path, text) in [
            ("task.toml", "version = \"1.0\"\n"),
            ("instruction.md", "Say hello.\n"),
            ("tests/test.sh", "echo 1 > /logs/verifier/reward.txt\n"),
        ] {
            let path = TreePath::new(path).expect("a good path");
            files.insert(path, text.as_bytes(), false);
        }
        // for f in instruction.md task.toml tests/test.sh; do
        //   printf '%s\0%s\n' $f $(sha256sum < $f | cut -d' ' -f1); done | sha256sum
        assert_eq!(
            of(&files),
            "sha256:9d14ee5e74f788de97f2ee193f6f5560db1ad0732418ead9fcc08639d3d9b542"
        );
    }

    #[test]
    fn ignores_as_git_does() {
        let default = TaskIgnored::new(None);
        for path in [
            "tests/__pycache__/a.txt",
            "a.pyc",
            "tests/x.pyc",
            "environment/.DS_Store",
            "a~",
        ] {
            assert!(default.ignores(path), "`{path}` is ignored");
        }
        assert!(!default.ignores("tests/__pycache__"), "a file of that name");
        assert!(!default.ignores("tests/test.sh"));
        let own = TaskIgnored::new(Some(
            "# notes\n*.log\n!keep.log\n/solution/secret\nbuild/\ndocs/*.md\n",
        ));
        for (path, ignored) in [
            ("a.log", true),
            ("tests/a.log", true),
            ("tests/keep.log", false),
            ("solution/secret", true),
            ("tests/solution/secret", false),
            ("environment/build/x", true),
            ("build", false),
            ("docs/a.md", true),
            ("docs/b/a.md", false),
            ("tests/a.pyc", false),
        ] {
            assert_eq!(own.ignores(path), ignored, "`{path}`");
        }
    }
}
