//! What git leaves alone in a working directory: files that it is told to ignore and does not
//! track. Builds, caches and environments are such, and no part of an answer.
//!
//! Invariant: the rules and the list of what is tracked are those of the pristine image. Nothing
//! that ran inside can widen what is ignored, and what is tracked never is.

use super::index;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::{BTreeMap, BTreeSet};

/// What is ignored in one repository.
pub(super) struct Ignored {
    /// Paths of its index.
    tracked: BTreeSet<String>,
    /// Rules by the folder that they lie in; the repository's own is empty.
    rules: BTreeMap<String, Gitignore>,
    /// Rules that count where no others say anything.
    exclude: Gitignore,
}

impl Ignored {
    /// Returns what an index and `info/exclude` say; none where the index cannot be read.
    pub(super) fn new(index: &[u8], exclude: &[u8]) -> Option<Self> {
        Some(Self {
            tracked: index::paths(index)?,
            rules: BTreeMap::new(),
            exclude: rules(exclude),
        })
    }

    /// Adds the rules of a folder: the text of its `.gitignore`, empty if it has none.
    pub(super) fn add(&mut self, folder: &str, text: &[u8]) {
        self.rules.insert(folder.to_owned(), rules(text));
    }

    /// Returns whether the rules of a folder are known.
    pub(super) fn knows(&self, folder: &str) -> bool {
        self.rules.contains_key(folder)
    }

    /// Returns whether git leaves a path alone: it is ignored, and neither it nor, where it is a
    /// folder, anything in it is tracked.
    pub(super) fn leaves(&self, path: &str, is_folder: bool) -> bool {
        !self.tracks(path) && self.is_ignored(path, is_folder)
    }

    /// Returns whether rules name a path or a folder that it lies in. What lies in an ignored
    /// folder cannot be taken back by any rule.
    pub(super) fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        parents(path).any(|folder| self.names(folder, true)) || self.names(path, is_folder)
    }

    fn tracks(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let next = || self.tracked.range(below.clone()..).next();
        self.tracked.contains(path) || next().is_some_and(|next| next.starts_with(&below))
    }

    /// Returns what the nearest rule says that matches the path itself.
    fn names(&self, path: &str, is_folder: bool) -> bool {
        let mut folders: Vec<&str> = parents(path).collect();
        folders.reverse();
        for folder in folders.into_iter().chain([""]) {
            let inner = path.strip_prefix(folder).unwrap_or(path);
            let found = self.rules.get(folder).map(|rules| {
                let inner = inner.trim_start_matches('/');
                rules.matched(inner, is_folder)
            });
            match found {
                Some(Match::Ignore(_)) => return true,
                Some(Match::Whitelist(_)) => return false,
                Some(Match::None) | None => {}
            }
        }
        self.exclude.matched(path, is_folder).is_ignore()
    }
}

/// Returns the folders that a path lies in, the outermost first.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at])
}

/// Reads rules. A line that is none says nothing.
fn rules(text: &[u8]) -> Gitignore {
    let text = String::from_utf8_lossy(text);
    let mut builder = GitignoreBuilder::new("");
    for line in text.trim_start_matches('\u{feff}').lines() {
        if let Err(error) = builder.add_line(None, line) {
            tracing::debug!("a line of a `.gitignore` is no rule: {error}");
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

#[cfg(test)]
mod tests {
    use super::{Ignored, parents};
    use crate::sys::durable;
    use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert_eq, proptest};
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut git = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git is there");
        let mut stdin = git.stdin.take().expect("it is piped");
        stdin.write_all(input).expect("git reads");
        drop(stdin);
        git.wait_with_output().expect("git ends").stdout
    }

    /// A repository with these files; those that are tracked were added by force.
    fn repository(files: &[(&str, &str)], tracked: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        git(folder.path(), &["init", "-q", "--template="], b"");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("made");
            durable::write(&path, text.as_bytes()).expect("written");
        }
        let add: Vec<&str> = ["add", "-f", "--"].iter().chain(tracked).copied().collect();
        git(folder.path(), &add, b"");
        folder
    }

    fn ignored(folder: &Path) -> Ignored {
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        let found = Ignored::new(&read(".git/index"), &read(".git/info/exclude"));
        let mut found = found.expect("the index can be read");
        for name in ["", "a", "a/b", "a/b/c", "build", "x"] {
            let inside = if name.is_empty() {
                name.to_owned()
            } else {
                format!("{name}/")
            };
            found.add(name, &read(&format!("{inside}.gitignore")));
        }
        found
    }

    #[test]
    fn what_is_tracked_is_never_left_out() {
        let folder = repository(
            &[
                (".gitignore", "\u{feff}build/\r\n*.o\n!keep.o\n/top\n"),
                ("a/.gitignore", "*.html\n!index.html\n"),
                (".git/info/exclude", "*.swp\n!*.o\n"),
                ("build/kept", ""),
                ("build/new", ""),
                ("a/x.o", ""),
            ],
            &["build/kept", "a/x.o"],
        );
        let found = ignored(folder.path());
        for (path, is_folder, is_left) in [
            ("build", true, false),
            ("build", false, false),
            ("build/kept", false, false),
            ("build/new", false, true),
            ("build/in/new", false, true),
            ("a/build", true, true),
            ("a/build", false, false),
            ("a/x.o", false, false),
            ("a/y.o", false, true),
            ("a/keep.o", false, false),
            ("a/top", false, false),
            ("top", false, true),
            ("a/y.html", false, true),
            ("a/index.html", false, false),
            ("y.html", false, false),
            ("a/b/.x.swp", false, true),
        ] {
            assert_eq!(found.leaves(path, is_folder), is_left, "{path} {is_folder}");
        }
        assert!(Ignored::new(b"", b"").is_none());
    }

    fn line() -> impl Strategy<Value = String> {
        let word = proptest::sample::select(
            &[
                "a", "b", "c", "*", "**", "a*", "?", "[ab]", "[!a]", "build", "x", "*.o", "\\#b",
                "a b", "é",
            ][..],
        );
        let path = prop::collection::vec(word, 1..4).prop_map(|words| words.join("/"));
        let ends = proptest::sample::select(&["", "/", "/**", " ", "\r"][..]);
        let begins = proptest::sample::select(&["", "", "", "/", "!", "!/", "**/", "#", "\\!"][..]);
        (begins, path, ends).prop_map(|(begin, path, end)| format!("{begin}{path}{end}"))
    }

    fn name() -> impl Strategy<Value = String> {
        let word = proptest::sample::select(
            &["a", "b", "c", "ab", "build", "x", "y.o", "#b", "a b", "é"][..],
        );
        prop::collection::vec(word, 1..5).prop_map(|words| words.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
        #[test]
        fn git_leaves_the_same(
            rules in prop::collection::vec(prop::collection::vec(line(), 0..4), 3),
            names in prop::collection::btree_set(name(), 1..12),
            tracked in prop::collection::vec(proptest::bool::weighted(0.3), 12),
        ) {
            // None of them may be a folder of another one.
            let folders: BTreeSet<&str> = names.iter().flat_map(|name| parents(name)).collect();
            let files: Vec<&str> = names.iter().map(String::as_str).filter(|name| !folders.contains(name)).collect();
            let wanted: Vec<&str> = files.iter().zip(&tracked).filter(|(_, is)| **is).map(|(name, _)| *name).collect();
            let texts: Vec<String> = rules.iter().map(|lines| lines.join("\n")).collect();
            let mut all: Vec<(&str, &str)> = files.iter().map(|name| (*name, "")).collect();
            for (at, text) in [".gitignore", "a/.gitignore", "a/b/.gitignore"].into_iter().zip(&texts) {
                let parent = at.trim_end_matches(".gitignore").trim_end_matches('/');
                if !parents(parent).chain([parent]).any(|folder| files.contains(&folder)) {
                    all.push((at, text));
                }
            }
            // Without anything that is tracked there is no index.
            all.push(("z", ""));
            let wanted: Vec<&str> = wanted.into_iter().chain(["z"]).collect();
            let folder = repository(&all, &wanted);
            let found = ignored(folder.path());
            let input = files.join("\0");
            let said = git(folder.path(), &["check-ignore", "-z", "--stdin"], input.as_bytes());
            let said: BTreeSet<&str> = std::str::from_utf8(&said).expect("text").split_terminator('\0').collect();
            let ours: BTreeSet<&str> = files.iter().copied().filter(|name| found.leaves(name, false)).collect();
            prop_assert_eq!(ours, said, "{:?}", texts);
        }
    }
}
