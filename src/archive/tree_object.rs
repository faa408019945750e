//! Sets of files as git trees, and back.
//!
//! Invariant: what is stored is exactly the set of files, or it is refused; `git fsck
//! --strict` finds nothing to say about it. The encoding is pure, so that a tree's id is
//! known without storing anything.

use super::error::{ArchiveError, Result};
use crate::domain::{FileTree, TreePath};
use git2::{ObjectType, Oid};
use std::collections::HashSet;
use std::path::Path;

/// A deeper tree is refused by git itself, or overflows the stack of lesser tools.
const MAX_DEPTH: usize = 128;

/// Longest line that git accepts in `.gitattributes`.
const MAX_ATTRIBUTE_LINE: usize = 2048;

/// Mode of a folder.
const FOLDER: &str = "40000";

/// What is done with each object: it is stored or only hashed.
pub(super) type Sink<'a> = dyn FnMut(ObjectType, &[u8]) -> Result<Oid> + 'a;

/// Hashes objects without storing them.
pub(super) fn hash(kind: ObjectType, bytes: &[u8]) -> Result<Oid> {
    Oid::hash_object(kind, bytes)
        .map_err(|error| ArchiveError::git_read(Path::new("files to hash"), error))
}

/// Refuses files that git, on any platform, would not hold safely: names that could pass for
/// git's own, submodules, attributes that git complains about, very deep folders.
pub fn check_files(tree: &FileTree) -> Result<()> {
    for (path, file) in tree.iter() {
        let refuse = |why| {
            Err(ArchiveError::Unusable {
                path: path.as_str().escape_debug().to_string(),
                why,
            })
        };
        if path.as_str().split('/').count() > MAX_DEPTH {
            return refuse("lies more than 128 folders deep");
        }
        for component in path.as_str().split('/') {
            match git_name(component) {
                GitName::Other => {}
                GitName::Repository => return refuse("could pass for git's own folder"),
                GitName::Modules => return refuse("would declare git submodules"),
                GitName::Attributes if has_long_line(&file.bytes) => {
                    return refuse("has a line too long for git attributes");
                }
                GitName::Attributes => {}
            }
        }
    }
    Ok(())
}

fn has_long_line(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.len() >= MAX_ATTRIBUTE_LINE)
}

enum GitName {
    Repository,
    Modules,
    Attributes,
    Other,
}

/// Classifies a name as git does on file systems that ignore case, some code points (HFS+),
/// or know short names (NTFS).
fn git_name(component: &str) -> GitName {
    for part in component.split('\\') {
        let visible: String = part
            .chars()
            .filter(|c| {
                !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                    | '\u{206a}'..='\u{206f}' | '\u{feff}')
            })
            .collect();
        let stem = visible.split(':').next().unwrap_or_default();
        let name = stem.trim_end_matches([' ', '.']).to_lowercase();
        if name == ".git" || name.starts_with("git~") {
            return GitName::Repository;
        }
        if name == ".gitmodules" || name.starts_with("gitmod~") || name.starts_with("gi7eba") {
            return GitName::Modules;
        }
        if name == ".gitattributes" || name.starts_with("gitatt~") || name.starts_with("gi7d29") {
            return GitName::Attributes;
        }
    }
    GitName::Other
}

/// A folder whose entries are being gathered.
struct OpenFolder<'a> {
    name: &'a str,
    entries: Vec<TreeEntry<'a>>,
}

struct TreeEntry<'a> {
    name: &'a str,
    mode: &'static str,
    id: Oid,
}

/// Encodes a set of files and returns the id of its root.
///
/// Paths come in order, so all files of a folder follow each other: a folder is complete as
/// soon as a path leaves it. No recursion, because an agent chooses how deep folders nest.
pub(super) fn encode(tree: &FileTree, sink: &mut Sink<'_>) -> Result<Oid> {
    let mut root = Vec::new();
    let mut open: Vec<OpenFolder<'_>> = Vec::new();
    for (path, file) in tree.iter() {
        let mut folders: Vec<&str> = path.as_str().split('/').collect();
        let name = folders.pop().unwrap_or_default();
        let shared = open
            .iter()
            .zip(&folders)
            .take_while(|(open, folder)| open.name == **folder)
            .count();
        close(&mut root, &mut open, shared, sink)?;
        open.extend(folders.drain(shared..).map(|name| OpenFolder {
            name,
            entries: Vec::new(),
        }));
        let mode = if file.executable { "100755" } else { "100644" };
        let id = sink(ObjectType::Blob, &file.bytes)?;
        let entries = open.last_mut().map_or(&mut root, |open| &mut open.entries);
        entries.push(TreeEntry { name, mode, id });
    }
    close(&mut root, &mut open, 0, sink)?;
    encode_folder(root, sink)
}

/// Completes the innermost folders until so many are open.
fn close<'a>(
    root: &mut Vec<TreeEntry<'a>>,
    open: &mut Vec<OpenFolder<'a>>,
    remaining: usize,
    sink: &mut Sink<'_>,
) -> Result<()> {
    while open.len() > remaining {
        let Some(OpenFolder { name, entries }) = open.pop() else {
            break;
        };
        let id = encode_folder(entries, sink)?;
        let outer = open.last_mut().map_or(&mut *root, |open| &mut open.entries);
        outer.push(TreeEntry {
            name,
            mode: FOLDER,
            id,
        });
    }
    Ok(())
}

fn encode_folder(mut entries: Vec<TreeEntry<'_>>, sink: &mut Sink<'_>) -> Result<Oid> {
    let mut names = HashSet::new();
    if let Some(twice) = entries.iter().find(|entry| !names.insert(entry.name)) {
        return Err(ArchiveError::Unusable {
            path: twice.name.escape_debug().to_string(),
            why: "is a file and a folder at once",
        });
    }
    // Git sorts folders as if their names ended with a slash.
    entries.sort_by_cached_key(|entry| {
        let end = if entry.mode == FOLDER { "/" } else { "" };
        [entry.name.as_bytes(), end.as_bytes()].concat()
    });
    let mut bytes = Vec::new();
    for TreeEntry { name, mode, id } in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    sink(ObjectType::Tree, &bytes)
}

/// Reads a stored tree back.
pub(super) fn decode(repo: &git2::Repository, root: Oid) -> Result<FileTree> {
    let mut files = FileTree::new();
    decode_folder(repo, root, "", 0, &mut files)?;
    Ok(files)
}

fn decode_folder(
    repo: &git2::Repository,
    folder: Oid,
    prefix: &str,
    depth: usize,
    files: &mut FileTree,
) -> Result<()> {
    let fault = |error| ArchiveError::git_read(repo.path(), error);
    let foreign = |what: &str| {
        ArchiveError::Damaged(format!(
            "tree {folder} holds {what}, which `dgm` never writes"
        ))
    };
    if depth > MAX_DEPTH {
        return Err(foreign("too many nested folders"));
    }
    for entry in repo.find_tree(folder).map_err(fault)?.iter() {
        let name = std::str::from_utf8(entry.name_bytes())
            .map_err(|_| foreign("a name that is not UTF-8"))?;
        let path = format!("{prefix}{name}");
        match entry.filemode() {
            0o040_000 => {
                decode_folder(repo, entry.id(), &format!("{path}/"), depth + 1, files)?;
            }
            mode @ (0o100_644 | 0o100_755) => {
                let blob = repo.find_blob(entry.id()).map_err(fault)?;
                files.insert(TreePath::new(&path)?, blob.content(), mode == 0o100_755);
            }
            mode => return Err(foreign(&format!("`{path}` with mode {mode:o}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_files, encode, hash};
    use crate::domain::{FileTree, TreePath};

    fn tree(files: &[(&str, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(TreePath::new(path).unwrap(), text.as_bytes(), false);
        }
        tree
    }

    #[test]
    fn refuses_what_git_would_complain_about() {
        let long = "x".repeat(2048);
        let deep = format!("{}x", "d/".repeat(128));
        let table = [
            ("git~1/config", "", "could pass for git's own folder"),
            (".g\u{200c}it/config", "", "could pass for git's own folder"),
            ("a/.GIT ./config", "", "could pass for git's own folder"),
            ("x\\.git\\config", "", "could pass for git's own folder"),
            (
                ".git::$INDEX_ALLOCATION/x",
                "",
                "could pass for git's own folder",
            ),
            (".gitmodules", "", "would declare git submodules"),
            ("a/.GitModules", "", "would declare git submodules"),
            ("gitmod~1", "", "would declare git submodules"),
            (
                ".gitattributes",
                &long,
                "has a line too long for git attributes",
            ),
            (&deep, "", "lies more than 128 folders deep"),
        ];
        for (path, text, why) in table {
            let error = check_files(&tree(&[(path, text)])).expect_err(path);
            let text = error.to_string();
            assert!(
                text.starts_with("path `") && text.ends_with(why),
                "{path}: {text}"
            );
        }
        let fine = [
            ".gitignore",
            ".gitattributes",
            ".github/x",
            "git",
            "agent/git.py",
        ];
        for path in fine {
            check_files(&tree(&[(path, "*.py text\n")])).expect(path);
        }
    }

    #[test]
    fn refuses_a_name_that_is_a_file_and_a_folder() {
        let both = tree(&[("a", ""), ("a-b", ""), ("a/b", "")]);
        let error = encode(&both, &mut hash).expect_err("git has no such trees");
        assert_eq!(error.to_string(), "path `a` is a file and a folder at once");
    }

    #[test]
    fn needs_little_stack_for_deep_folders() {
        let deep = tree(&[(&format!("{}x", "d/".repeat(2000)), "")]);
        std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || encode(&deep, &mut hash).map(drop))
            .unwrap()
            .join()
            .unwrap()
            .unwrap();
    }
}
