//! What differs below a stopped container's working directory from its image.

use super::ignored::{Ignored, parents};
use super::take::{Archive, FRAME, fetch, overhead};
use crate::domain::FileTree;
use crate::sandbox::archive::{Gather, is_noise_path};
use crate::sandbox::docker::engine::{Engine, failed};
use crate::sandbox::docker::reap;
use crate::sandbox::{
    AGENT_DIR, Collected, Difference, IN_WORKDIR, Limits, SCRATCH_DIR, SOCKET_PATH, SandboxError,
    Spec,
};
use bollard::models::{ChangeType, FilesystemChange};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

/// Things below a working directory that are looked at one by one, at most.
const MOST_CHANGES: usize = 2_000;
/// Bytes of a repository's index, and of rules for what it ignores, at most.
const MOST_INDEX: u64 = 64 << 20;
const MOST_RULES: u64 = 1 << 20;
/// Folders in which such rules are looked for, at most.
const MOST_LOOKS: usize = 1_000;

/// Returns what a stopped container changed; `pristine` is one that never ran, of the image
/// that the first one started from.
pub(in crate::sandbox::docker) async fn difference(
    engine: &Engine,
    id: &str,
    spec: &Spec,
    workdir: &str,
    pristine: impl AsyncFnOnce() -> Result<String, SandboxError>,
) -> Result<Difference, SandboxError> {
    let changes = engine.docker.container_changes(id).await;
    let changes = changes
        .map_err(failed(format!(
            "could not ask what the container of `{}` changed",
            spec.job
        )))?
        .unwrap_or_default();
    let mut difference = Difference {
        workdir: workdir.to_owned(),
        anything: anything(&changes, spec),
        ..Difference::default()
    };
    // The whole file system is no answer that could be shown.
    if workdir == "/" {
        return Ok(difference);
    }
    let inside = inside(&changes, workdir);
    let ignoring = spec.root.image().is_some_and(|root| root.ignoring) && !inside.is_empty();
    let before = match ignoring || !LayerPlan::of(&inside, None).before.is_empty() {
        true => Some(pristine().await?),
        false => None,
    };
    let look = FolderLook {
        engine,
        workdir,
        limits: &spec.limits,
    };
    let found = look.at(id, before.as_deref(), &inside, ignoring).await;
    if let Some(before) = before {
        let removed = reap::remove(engine, &before).await;
        removed.map_err(failed("could not remove a container"))?;
    }
    (difference.before, difference.after) = found?;
    Ok(difference)
}

/// A look at a working directory in two containers.
struct FolderLook<'a> {
    engine: &'a Engine,
    workdir: &'a str,
    limits: &'a Limits,
}

impl FolderLook<'_> {
    /// Returns what changed inside, as it was and as it is.
    async fn at(
        &self,
        id: &str,
        pristine: Option<&str>,
        inside: &Inside<'_>,
        ignoring: bool,
    ) -> Result<(FileTree, Collected), SandboxError> {
        let ignored = match pristine.filter(|_| ignoring) {
            Some(pristine) => self.ignored(pristine, inside).await?,
            None => None,
        };
        let plan = LayerPlan::of(inside, ignored.as_ref());
        let mut after = self.gather(id, &plan.after).await?;
        let Some(pristine) = pristine else {
            return Ok((FileTree::new(), after));
        };
        let was = self.gather(pristine, &plan.before).await?;
        // A link that was only touched is no change.
        after.refused.retain(|what| !was.refused.contains(what));
        let mut before = was.files;
        if let Some(ignored) = ignored {
            // A folder that was deleted may have held some of it.
            let names = before.iter().map(|(path, _)| path);
            let left = names.filter(|path| ignored.leaves(path.as_str(), false));
            for path in left.cloned().collect::<Vec<_>>() {
                before.remove(&path);
            }
        }
        Ok((before, after))
    }

    /// Returns what git leaves alone; none where there is no repository that could be read.
    async fn ignored(
        &self,
        pristine: &str,
        inside: &Inside<'_>,
    ) -> Result<Option<Ignored>, SandboxError> {
        let Some(index) = self.file(pristine, ".git/index", MOST_INDEX).await? else {
            return Ok(None);
        };
        let exclude = self.file(pristine, ".git/info/exclude", MOST_RULES);
        let exclude = exclude.await?.unwrap_or_default();
        let Some(mut ignored) = Ignored::new(&index, &exclude) else {
            tracing::debug!("the repository's index cannot be read: nothing is ignored");
            return Ok(None);
        };
        let mut looks = 0;
        for path in inside.keys() {
            for folder in std::iter::once("").chain(parents(path)) {
                if ignored.knows(folder) {
                    continue;
                }
                // Below an ignored folder no rule counts, and one that is new has none.
                let is_new = inside.get(folder) == Some(&ChangeType::_1);
                if is_new || looks == MOST_LOOKS || ignored.is_ignored(folder, true) {
                    break;
                }
                looks += 1;
                let name = format!("{folder}/.gitignore");
                let name = name.trim_start_matches('/');
                let rules = self.file(pristine, name, MOST_RULES).await?;
                ignored.add(folder, &rules.unwrap_or_default());
            }
        }
        Ok(Some(ignored))
    }

    /// Returns a file of a container; none: there is no such regular file, or it is larger.
    async fn file(&self, id: &str, path: &str, most: u64) -> Result<Option<Vec<u8>>, SandboxError> {
        let found = self.fetch(id, path, most + FRAME, false).await?;
        let Some(Archive { bytes, whole: true }) = found else {
            return Ok(None);
        };
        let mut archive = tar::Archive::new(&*bytes);
        let entry = archive.entries().ok().and_then(|mut all| all.next());
        let Some(Ok(mut entry)) = entry else {
            return Ok(None);
        };
        let mut content = Vec::new();
        let is_file = entry.header().entry_type().is_file();
        let is_read = is_file && entry.read_to_end(&mut content).is_ok();
        Ok(is_read.then_some(content))
    }

    async fn gather(
        &self,
        id: &str,
        paths: &BTreeMap<String, bool>,
    ) -> Result<Collected, SandboxError> {
        let mut gather = Gather::new(self.limits);
        for (number, (path, folder_too)) in paths.iter().enumerate() {
            if number == MOST_CHANGES {
                gather.too_many();
                break;
            }
            let most = gather.room().saturating_add(match folder_too {
                true => overhead(self.limits),
                false => FRAME,
            });
            let found = self.fetch(id, path, most, *folder_too).await?;
            if let Some(Archive { bytes, whole }) = found {
                let below = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                gather.add(&bytes, whole, below);
            }
        }
        Ok(gather.finish())
    }

    async fn fetch(
        &self,
        id: &str,
        path: &str,
        most: u64,
        folder_too: bool,
    ) -> Result<Option<Archive>, SandboxError> {
        let absolute = format!("{}/{path}", self.workdir.trim_end_matches('/'));
        fetch(self.engine, id, &absolute, most, folder_too).await
    }
}

/// What changed below the working directory, relative to it.
pub(super) type Inside<'a> = BTreeMap<&'a str, ChangeType>;

fn inside<'a>(changes: &'a [FilesystemChange], workdir: &str) -> Inside<'a> {
    let prefix = format!("{}/", workdir.trim_end_matches('/'));
    changes
        .iter()
        .filter_map(|change| Some((change.path.strip_prefix(&prefix)?, change.kind)))
        .filter(|(path, _)| !path.is_empty() && !is_noise_path(path))
        .collect()
}

/// What is to be looked at, relative to the working directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LayerPlan {
    /// In the container that ran: what was changed or added; true: a folder is taken whole.
    pub(super) after: BTreeMap<String, bool>,
    /// In the pristine one: what was changed or deleted.
    pub(super) before: BTreeMap<String, bool>,
}

impl LayerPlan {
    pub(super) fn of(inside: &Inside<'_>, ignored: Option<&Ignored>) -> Self {
        let folders: BTreeSet<&str> = inside.keys().flat_map(|path| parents(path)).collect();
        // What was in a folder that was deleted is not listed.
        let is_folder = |path: &str, kind| kind == ChangeType::_2 || folders.contains(path);
        let is_left = |path: &str, kind| {
            ignored.is_some_and(|ignored| ignored.leaves(path, is_folder(path, kind)))
        };
        let (left, looked): (Inside<'_>, Inside<'_>) = inside
            .iter()
            .partition(|(path, kind)| is_left(path, **kind));
        // A new folder of which something is left out cannot be taken as a whole.
        let parted: BTreeSet<&str> = left.keys().flat_map(|path| parents(path)).collect();
        let mut plan = Self::default();
        for (path, kind) in &looked {
            // A folder that was added or deleted brings all that lies below it.
            let below = |wanted: ChangeType| {
                parents(path).any(|parent| {
                    let is_whole = wanted == ChangeType::_2 || !parted.contains(parent);
                    is_whole && looked.get(parent) == Some(&wanted)
                })
            };
            match kind {
                ChangeType::_2 => {
                    if !below(ChangeType::_2) {
                        plan.before.insert((*path).to_owned(), true);
                    }
                }
                ChangeType::_1 => {
                    if !below(ChangeType::_1) && !parted.contains(path) {
                        plan.after.insert((*path).to_owned(), true);
                    }
                }
                ChangeType::_0 => {
                    // A folder is listed as changed when something in it is; one of which
                    // nothing else is listed was only touched.
                    if !folders.contains(path) {
                        plan.after.insert((*path).to_owned(), false);
                        if !below(ChangeType::_2) {
                            plan.before.insert((*path).to_owned(), false);
                        }
                    }
                }
            }
        }
        plan
    }
}

/// Paths that the engine and the sandbox themselves write.
pub(super) struct EngineOwn(Vec<String>);

impl Default for EngineOwn {
    fn default() -> Self {
        let paths = [
            "/dev",
            "/proc",
            "/sys",
            "/etc/hosts",
            "/etc/hostname",
            "/etc/resolv.conf",
            "/etc/mtab",
            "/.dockerenv",
            "/sbin/docker-init",
            "/usr/sbin/docker-init",
            AGENT_DIR,
            SCRATCH_DIR,
            SOCKET_PATH,
        ];
        Self(paths.map(str::to_owned).into())
    }
}

impl EngineOwn {
    /// Returns whether a path is one of them, or lies below one.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.0.iter().any(|own| is_at_or_below(path, own))
    }

    /// Returns whether one of them is this path, or lies below it.
    fn lies_in(&self, path: &str) -> bool {
        self.0.iter().any(|own| is_at_or_below(own, path))
    }
}

fn is_at_or_below(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether a container changed anything of its own accord. What the engine and the
/// sandbox put there does not count, nor do scratch files and caches.
fn anything(changes: &[FilesystemChange], spec: &Spec) -> bool {
    let placed = spec.placed.iter().map(|placed| placed.at.as_str());
    let writable = spec.writable.iter().map(String::as_str);
    let workdir = spec.workdir.as_deref().unwrap_or("/");
    let mut own = EngineOwn::default();
    own.0.extend(["/run"].map(str::to_owned));
    let placed = placed.filter(|at| *at != workdir && *at != IN_WORKDIR);
    own.0.extend(placed.chain(writable).map(str::to_owned));
    let all = changes.iter().map(|change| change.path.as_str());
    let folders: BTreeSet<&str> = all.flat_map(parents).collect();
    changes.iter().any(|change| {
        let path = change.path.as_str();
        let touched = change.kind == ChangeType::_0 && folders.contains(path);
        let ours = own.holds(path) || own.lies_in(path);
        !touched && !ours && !is_noise_path(path.trim_start_matches('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::{Ignored, LayerPlan, inside};
    use bollard::models::{ChangeType, FilesystemChange};

    fn plan(changes: &[(&str, ChangeType)]) -> (Vec<String>, Vec<String>) {
        plan_but(changes, None)
    }

    fn plan_but(
        changes: &[(&str, ChangeType)],
        ignored: Option<&Ignored>,
    ) -> (Vec<String>, Vec<String>) {
        let changes: Vec<FilesystemChange> = changes
            .iter()
            .map(|(path, kind)| FilesystemChange {
                path: (*path).to_owned(),
                kind: *kind,
            })
            .collect();
        let plan = LayerPlan::of(&inside(&changes, "/app"), ignored);
        let words = |paths: std::collections::BTreeMap<String, bool>| {
            let word = |(path, whole)| if whole { format!("{path}/") } else { path };
            paths.into_iter().map(word).collect()
        };
        (words(plan.after), words(plan.before))
    }

    #[test]
    fn looks_only_at_what_changed_below_the_working_directory() {
        let (after, before) = plan(&[
            ("/app", ChangeType::_0),
            ("/application/x", ChangeType::_1),
            ("/app/src", ChangeType::_0),
            ("/app/src/a.py", ChangeType::_0),
            ("/app/src/b.py", ChangeType::_2),
            ("/app/new", ChangeType::_1),
            ("/app/new/x", ChangeType::_1),
            ("/app/touched", ChangeType::_0),
            ("/app/.git/index", ChangeType::_0),
            ("/app/src/__pycache__/a.pyc", ChangeType::_1),
        ]);
        assert_eq!(after, ["new/", "src/a.py", "touched"]);
        assert_eq!(before, ["src/a.py", "src/b.py/", "touched"]);
    }

    #[test]
    fn a_folder_made_anew_is_deleted_and_filled() {
        let (after, before) = plan(&[
            ("/app/lib", ChangeType::_2),
            ("/app/lib/kept", ChangeType::_0),
            ("/app/lib/more", ChangeType::_1),
        ]);
        assert_eq!(after, ["lib/kept", "lib/more/"]);
        assert_eq!(before, ["lib/"]);
    }

    #[test]
    fn looks_at_nothing_that_git_leaves_alone() {
        // An index without entries: nothing is tracked.
        let index = [b"DIRC\0\0\0\x02\0\0\0\0".as_slice(), &[0; 20]].concat();
        let mut ignored = Ignored::new(&index, b"").expect("it can be read");
        ignored.add("", b"target/\n*.o\n.venv\n");
        let changes = [
            ("/app/target", ChangeType::_1),
            ("/app/target/debug", ChangeType::_1),
            ("/app/target/debug/large", ChangeType::_1),
            ("/app/old", ChangeType::_0),
            ("/app/old/target", ChangeType::_2),
            ("/app/old/x.o", ChangeType::_0),
            ("/app/old/y.c", ChangeType::_0),
            ("/app/new", ChangeType::_1),
            ("/app/new/.venv", ChangeType::_1),
            ("/app/new/.venv/python", ChangeType::_1),
            ("/app/new/in", ChangeType::_1),
            ("/app/new/in/z.c", ChangeType::_1),
            ("/app/new/w.c", ChangeType::_1),
        ];
        let (after, before) = plan_but(&changes, Some(&ignored));
        assert_eq!(after, ["new/in/", "new/w.c/", "old/y.c"]);
        assert_eq!(before, ["old/y.c"]);
        let (after, before) = plan(&changes);
        assert_eq!(after, ["new/", "old/x.o", "old/y.c", "target/"]);
        assert_eq!(before, ["old/target/", "old/x.o", "old/y.c"]);
    }
}
