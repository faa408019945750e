//! The bare repository: variants as commits, kept alive by refs, with notes.
//!
//! Invariant: an object, and the ref that keeps it, is durable when a function returns. Of
//! itself libgit2 syncs nothing; the setting `core.fsyncObjectFiles` makes it, and is read
//! when a handle is first used. It lives in a settings file of our own, because the git
//! command line complains about it at every call.

use super::error::{ArchiveError, Result};
use super::layout::Layout;
use super::tree_object;
use crate::domain::{CommitId, FileTree, TreeId, VariantId};
use crate::sys::{clock, durable};
use git2::{
    Config, ConfigLevel, ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature,
    Time,
};
use std::path::{Path, PathBuf};

/// Where variants' refs are.
pub(super) const VARIANTS: &str = "refs/dgm/variants/";
/// Where the refs of drafts are: children that waited to become variants.
pub(super) const DRAFTS: &str = "refs/dgm/drafts/";
/// The ref of the notes.
pub(super) const NOTES: &str = "refs/notes/dgm";
/// The branch that points at the seed, so that `git log` in the repository shows something.
pub(super) const MAIN: &str = "refs/heads/main";

const SETTINGS: &str = "# Settings of dgm's own writes to this repository; git does not read this \
                        file.\n[core]\n\tfsyncObjectFiles = true\n";

/// An open repository.
pub(super) struct Git {
    repo: Repository,
    path: PathBuf,
}

impl Git {
    /// Makes the repository.
    pub(super) fn init(layout: &Layout) -> Result<()> {
        let path = layout.agents();
        let fault = |error| ArchiveError::git_write(&path, error);
        durable::crash_point();
        // The user's template could bring hooks; the default branch could have another name.
        let mut options = RepositoryInitOptions::new();
        options
            .bare(true)
            .external_template(false)
            .initial_head("main")
            .mkpath(true);
        let repo = Repository::init_opts(&path, &options).map_err(fault)?;
        let mut config = repo.config().map_err(fault)?;
        config.set_i32("gc.auto", 0).map_err(fault)?;
        config.set_str("notes.displayRef", NOTES).map_err(fault)?;
        for folder in [
            "refs/dgm/variants",
            "refs/dgm/drafts",
            "refs/notes",
            "refs/heads",
        ] {
            let folder = path.join(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| ArchiveError::write(&folder, error))?;
        }
        sync_all(&path)?;
        Self::write_settings(layout)?;
        durable::crash_point();
        Ok(())
    }

    /// Writes the settings that make libgit2 sync what it writes.
    pub(super) fn write_settings(layout: &Layout) -> Result<()> {
        let settings = layout.git_settings();
        durable::write(&settings, SETTINGS.as_bytes())
            .map_err(|error| ArchiveError::write(&settings, error))
    }

    /// Returns whether git is kept from collecting garbage on its own.
    pub(super) fn keeps_garbage(layout: &Layout) -> Result<bool> {
        let path = layout.agents().join("config");
        let config = Config::open(&path).map_err(|error| ArchiveError::git_read(&path, error))?;
        Ok(config.get_i32("gc.auto").is_ok_and(|value| value == 0))
    }

    /// Keeps git from collecting garbage on its own.
    pub(super) fn keep_garbage(layout: &Layout) -> Result<()> {
        let path = layout.agents().join("config");
        Config::open(&path)
            .and_then(|mut config| config.set_i32("gc.auto", 0))
            .map_err(|error| ArchiveError::git_write(&path, error))
    }

    /// Opens the repository for the one writer.
    pub(super) fn open_writer(layout: &Layout) -> Result<Self> {
        if !Self::syncs(layout) {
            Self::write_settings(layout)?;
        }
        let git = Self::open_reader(layout)?;
        let fault = |error| ArchiveError::git_write(&git.path, error);
        let mut config = Config::new().map_err(fault)?;
        for (file, level) in [
            (git.path.join("config"), ConfigLevel::Local),
            (layout.git_settings(), ConfigLevel::App),
        ] {
            config.add_file(&file, level, false).map_err(fault)?;
        }
        git.repo.set_config(&config).map_err(fault)?;
        Ok(git)
    }

    /// Opens the repository for reading.
    pub(super) fn open_reader(layout: &Layout) -> Result<Self> {
        let path = layout.agents();
        let fault = |error| ArchiveError::git_read(&path, error);
        let repo = Repository::open_bare(&path).map_err(fault)?;
        let config = Config::open(&path.join("config")).map_err(fault)?;
        // Only the repository's own settings: those of the user's must not show through.
        repo.set_config(&config).map_err(fault)?;
        Ok(Self { repo, path })
    }

    /// Returns whether the settings make libgit2 sync what it writes.
    pub(super) fn syncs(layout: &Layout) -> bool {
        let settings = layout.git_settings();
        settings.is_file()
            && Config::open(&settings)
                .and_then(|config| config.get_bool("core.fsyncObjectFiles"))
                .unwrap_or(false)
    }

    /// Returns the repository's handle.
    pub(super) fn repo(&self) -> &Repository {
        &self.repo
    }

    /// Returns the id that a set of files has as a tree, without storing anything.
    pub(super) fn tree_id(tree: &FileTree) -> Result<TreeId> {
        tree_object::check_files(tree)?;
        let id = tree_object::encode(tree, &mut tree_object::hash)?;
        Ok(TreeId::new(id.to_string()))
    }

    /// Stores a set of files as a commit, and the ref below `place` that keeps it.
    pub(super) fn commit_files(
        &self,
        place: &str,
        id: VariantId,
        tree: &FileTree,
        parent: Option<&CommitId>,
        message: &str,
        at_ms: i64,
    ) -> Result<(CommitId, TreeId)> {
        tree_object::check_files(tree)?;
        let fault = |error| ArchiveError::git_write(&self.path, error);
        let parent = parent.map(|parent| self.commit(parent)).transpose()?;
        durable::crash_point();
        let odb = self.repo.odb().map_err(fault)?;
        let root = tree_object::encode(tree, &mut |kind, bytes| {
            odb.write(kind, bytes).map_err(fault)
        })?;
        let commit = self
            .repo
            .find_tree(root)
            .and_then(|root| {
                let who = signature(at_ms)?;
                let parents: Vec<_> = parent.iter().collect();
                let message = clean(message);
                self.repo
                    .commit(None, &who, &who, &message, &root, &parents)
            })
            .map_err(fault)?;
        self.sync_folders(&["objects"])?;
        self.keep(place, id, commit)?;
        Ok((
            CommitId::new(commit.to_string()),
            TreeId::new(root.to_string()),
        ))
    }

    /// Points the ref of that number below `place` at a commit.
    pub(super) fn keep(&self, place: &str, id: VariantId, commit: Oid) -> Result<()> {
        self.set_ref(&numbered(place, id), commit)?;
        if place == VARIANTS && id == VariantId::SEED {
            self.set_ref(MAIN, commit)?;
        }
        self.sync_folders(&["refs/dgm", place.trim_end_matches('/'), "refs/heads"])?;
        durable::crash_point();
        Ok(())
    }

    /// Puts a note to a commit, replacing one that is there.
    ///
    /// The notes' tree has one level of folders: writing a note rewrites a few hundred
    /// entries, where the flat tree that libgit2 makes would be rewritten as a whole.
    pub(super) fn note(&self, commit: &CommitId, text: &str) -> Result<()> {
        let fault = |error| ArchiveError::git_write(&self.path, error);
        let target = self.commit(commit)?.id().to_string();
        durable::crash_point();
        self.write_note(&target, text).map_err(fault)?;
        self.sync_folders(&["objects", "refs/notes"])?;
        durable::crash_point();
        Ok(())
    }

    fn write_note(&self, target: &str, text: &str) -> std::result::Result<(), git2::Error> {
        let text = clean(text);
        let blob = self.repo.blob(text.as_bytes())?;
        let (folder, rest) = target.split_at(2);
        let last = match self.repo.find_reference(NOTES) {
            Ok(reference) => Some(reference.peel_to_commit()?),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let root = last.as_ref().map(git2::Commit::tree).transpose()?;
        let inner = match root.as_ref().and_then(|root| root.get_name(folder)) {
            Some(entry) => Some(self.repo.find_tree(entry.id())?),
            None => None,
        };
        let mut builder = self.repo.treebuilder(inner.as_ref())?;
        builder.insert(rest, blob, 0o100_644)?;
        let inner = builder.write()?;
        let mut builder = self.repo.treebuilder(root.as_ref())?;
        builder.insert(folder, inner, 0o040_000)?;
        let root_id = builder.write()?;
        if root.is_some_and(|root| root.id() == root_id) {
            return Ok(());
        }
        let who = signature(clock::commit_ms())?;
        let title = text.lines().next().unwrap_or_default();
        let message = format!("Note on {}: {title}\n", target.get(..10).unwrap_or(target));
        let parents: Vec<_> = last.iter().collect();
        let root = self.repo.find_tree(root_id)?;
        let commit = self
            .repo
            .commit(None, &who, &who, &message, &root, &parents)?;
        self.repo.reference(NOTES, commit, true, "note")?;
        Ok(())
    }

    /// Returns the note of a commit.
    pub(super) fn note_of(&self, commit: &CommitId) -> Result<Option<String>> {
        let fault = |error| ArchiveError::git_read(&self.path, error);
        match self.repo.find_note(Some(NOTES), oid(commit.as_str())?) {
            Ok(note) => Ok(Some(
                String::from_utf8_lossy(note.message_bytes()).into_owned(),
            )),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Returns a commit.
    pub(super) fn commit(&self, id: &CommitId) -> Result<git2::Commit<'_>> {
        self.repo.find_commit(oid(id.as_str())?).map_err(|error| {
            if error.code() == ErrorCode::NotFound {
                ArchiveError::Damaged(format!("`{}` lacks commit {id}", self.path.display()))
            } else {
                ArchiveError::git_read(&self.path, error)
            }
        })
    }

    /// Returns all numbered refs below `place`: the number, and the commit where it points at
    /// one.
    pub(super) fn kept(&self, place: &str) -> Result<Vec<(VariantId, Oid)>> {
        let fault = |error| ArchiveError::git_read(&self.path, error);
        let mut found = Vec::new();
        let pattern = format!("{place}*");
        for reference in self.repo.references_glob(&pattern).map_err(fault)? {
            let reference = reference.map_err(fault)?;
            let number = reference
                .name()
                .ok()
                .and_then(|name| name.strip_prefix(place)?.parse().ok());
            if let (Some(number), Some(target)) = (number, reference.target()) {
                found.push((VariantId(number), target));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Takes away a ref below `place` of what was never recorded.
    pub(super) fn forget(&self, place: &str, id: VariantId) -> Result<()> {
        self.remove_ref(&numbered(place, id))?;
        if place == VARIANTS && id == VariantId::SEED {
            self.remove_ref(MAIN)?;
        }
        Ok(())
    }

    /// Returns what a ref points at.
    pub(super) fn ref_target(&self, name: &str) -> Result<Option<Oid>> {
        match self.repo.find_reference(name) {
            Ok(reference) => Ok(reference.target()),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(ArchiveError::git_read(&self.path, error)),
        }
    }

    fn remove_ref(&self, name: &str) -> Result<()> {
        match self.repo.find_reference(name) {
            Ok(mut reference) => reference
                .delete()
                .map_err(|error| ArchiveError::git_write(&self.path, error)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            Err(error) => Err(ArchiveError::git_read(&self.path, error)),
        }
    }

    /// Points a ref at a commit.
    pub(super) fn set_ref(&self, name: &str, target: Oid) -> Result<()> {
        self.repo
            .reference(name, target, true, "dgm")
            .map(|_| ())
            .map_err(|error| ArchiveError::git_write(&self.path, error))
    }

    fn sync_folders(&self, folders: &[&str]) -> Result<()> {
        for folder in folders {
            let folder = self.path.join(folder);
            durable::sync_folder(&folder).map_err(|error| ArchiveError::write(&folder, error))?;
        }
        Ok(())
    }
}

/// Returns the name of the ref of that number below `place`.
pub(super) fn numbered(place: &str, id: VariantId) -> String {
    format!("{place}{}", id.0)
}

/// Reads an id of an object.
pub(super) fn oid(hex: &str) -> Result<Oid> {
    Oid::from_str(hex)
        .ok()
        .filter(|_| hex.len() == 40)
        .ok_or_else(|| {
            ArchiveError::Damaged(format!("`{}` is no id of a commit", hex.escape_debug()))
        })
}

fn signature(at_ms: i64) -> std::result::Result<Signature<'static>, git2::Error> {
    Signature::new(
        "dgm",
        "dgm@localhost",
        &Time::new(at_ms.div_euclid(1000), 0),
    )
}

/// Makes text what git accepts as a message: no NUL byte, one line end at the end.
fn clean(text: &str) -> String {
    let text: String = text.chars().filter(|c| *c != '\0').collect();
    format!("{}\n", text.trim_end())
}

fn sync_all(folder: &Path) -> Result<()> {
    for path in super::blob::list(folder)? {
        let fault = |error| ArchiveError::write(&path, error);
        let kind = std::fs::symlink_metadata(&path).map_err(fault)?;
        if kind.is_dir() {
            sync_all(&path)?;
        } else if kind.is_file() {
            durable::sync_folder(&path).map_err(fault)?;
        }
    }
    durable::sync_folder(folder).map_err(|error| ArchiveError::write(folder, error))
}

/// Says whether an object of this kind can be read, and matches its id.
pub(super) fn readable(repo: &Repository, id: Oid, kind: ObjectType) -> bool {
    repo.odb()
        .and_then(|odb| odb.read(id).map(|object| object.kind() == kind))
        .unwrap_or(false)
}
