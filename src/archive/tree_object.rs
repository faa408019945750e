//! Sets of files as git trees, and back.
//!
//! Invariant: what is stored is exactly the set of files, or it is refused; `git fsck
//! --strict` finds nothing to say about it. The encoding is pure, so that a tree's id is
//! known without storing anything.

use super::error::{ArchiveError, Result};
use crate::domain::{FileEntry, FileTree, TreePath};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;

/// A deeper tree is refused by git itself, or overflows the stack of lesser tools.
const MAX_DEPTH: usize = 128;

/// Longest line that git accepts in `.gitattributes`.
const MAX_ATTRIBUTE_LINE: usize = 2048;

/// What is done with each object: it is stored or only hashed.
pub(super) type Sink<'a> =
    dyn FnMut(ObjectType, &[u8]) -> std::result::Result<Oid, git2::Error> + 'a;

/// Hashes objects without storing them.
pub(super) fn hash(kind: ObjectType, bytes: &[u8]) -> std::result::Result<Oid, git2::Error> {
    Oid::hash_object(kind, bytes)
}

enum Node<'a> {
    File(&'a FileEntry),
    Folder(Folder<'a>),
}

type Folder<'a> = BTreeMap<&'a str, Node<'a>>;

/// Refuses what git, on any platform, would not hold safely.
pub(super) fn check(tree: &FileTree) -> Result<()> {
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
                GitName::Attributes => {
                    if file
                        .bytes
                        .split(|byte| *byte == b'\n')
                        .any(|line| line.len() >= MAX_ATTRIBUTE_LINE)
                    {
                        return refuse("has a line too long for git attributes");
                    }
                }
            }
        }
    }
    Ok(())
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

/// Encodes a set of files and returns the id of its root.
pub(super) fn encode(tree: &FileTree, sink: &mut Sink<'_>) -> Result<Oid> {
    let mut root = Folder::new();
    for (path, file) in tree.iter() {
        place(&mut root, path, file)?;
    }
    encode_folder(&root, sink)
        .map_err(|error| ArchiveError::git_write(std::path::Path::new("agents.git"), error))
}

fn place<'a>(root: &mut Folder<'a>, path: &'a TreePath, file: &'a FileEntry) -> Result<()> {
    let clash = || {
        Err(ArchiveError::Unusable {
            path: path.as_str().escape_debug().to_string(),
            why: "is a file and a folder at once",
        })
    };
    let mut folder = root;
    let mut components = path.as_str().split('/').peekable();
    while let Some(name) = components.next() {
        if components.peek().is_none() {
            return match folder.insert(name, Node::File(file)) {
                None => Ok(()),
                Some(_) => clash(),
            };
        }
        let node = folder
            .entry(name)
            .or_insert_with(|| Node::Folder(Folder::new()));
        match node {
            Node::Folder(inner) => folder = inner,
            Node::File(_) => return clash(),
        }
    }
    Ok(())
}

fn encode_folder(
    folder: &Folder<'_>,
    sink: &mut Sink<'_>,
) -> std::result::Result<Oid, git2::Error> {
    let mut entries: Vec<(Vec<u8>, &str, &str, Oid)> = Vec::with_capacity(folder.len());
    for (name, node) in folder {
        let mut key = name.as_bytes().to_vec();
        let (mode, id) = match node {
            Node::File(file) => {
                let mode = if file.executable { "100755" } else { "100644" };
                (mode, sink(ObjectType::Blob, &file.bytes)?)
            }
            Node::Folder(inner) => {
                // Git sorts folders as if their names ended with a slash.
                key.push(b'/');
                ("40000", encode_folder(inner, sink)?)
            }
        };
        entries.push((key, name, mode, id));
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut bytes = Vec::new();
    for (_, name, mode, id) in entries {
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
