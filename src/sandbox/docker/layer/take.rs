//! What a stopped container has that its image has not.

use crate::sandbox::archive::{self, Gather, is_noise_path};
use crate::sandbox::docker::engine::{Engine, failed, is_missing};
use crate::sandbox::docker::reap;
use crate::sandbox::{
    AGENT_DIR, Collected, Difference, Found, IN_WORKDIR, Limits, SCRATCH_DIR, SOCKET_PATH,
    SandboxError, Spec, Taken,
};
use bollard::models::{ChangeType, FilesystemChange};
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet};

/// Things below a working directory that are looked at one by one, at most.
const MOST_CHANGES: usize = 2_000;
/// Bytes of a vital file that are read.
const VITAL: u64 = 1 << 20;
/// Bytes of a tar that are not content: a header, and the end of it.
const FRAME: u64 = 64 << 10;

/// Returns the files of the folders that a spec collects.
pub(in crate::sandbox::docker) async fn collect(
    engine: &Engine,
    id: &str,
    spec: &Spec,
) -> Result<Vec<Collected>, SandboxError> {
    let mut all = Vec::with_capacity(spec.collect.len());
    for folder in &spec.collect {
        let most = spec.limits.collect.saturating_add(overhead(&spec.limits));
        let collected = match download(engine, id, folder, most).await? {
            None => Collected::default(),
            Some(Archive { bytes, whole }) => {
                let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
                let read = archive::read(&bytes, whole, &[name], &spec.limits);
                read.into_iter().next().unwrap_or_default()
            }
        };
        all.push(match collected.truncated {
            true => with_vital(engine, id, spec, folder, collected).await?,
            false => collected,
        });
    }
    Ok(all)
}

/// Adds the files that are wanted even where not all of a folder was read.
async fn with_vital(
    engine: &Engine,
    id: &str,
    spec: &Spec,
    folder: &str,
    mut collected: Collected,
) -> Result<Collected, SandboxError> {
    let prefix = format!("{folder}/");
    for path in &spec.vital {
        let Some(inner) = path.strip_prefix(&prefix) else {
            continue;
        };
        let found = fetch(engine, id, path, FRAME + VITAL, false).await?;
        if let Some(Archive { bytes, whole }) = found {
            let below = inner.rsplit_once('/').map_or("", |(parent, _)| parent);
            let mut gather = Gather::new(&spec.limits);
            gather.add(&bytes, whole, below);
            for (path, file) in gather.finish().files.iter() {
                collected
                    .files
                    .insert(path.clone(), file.bytes.clone(), file.executable);
            }
        }
    }
    Ok(collected)
}

/// Returns what stands at some paths; together they keep to the limits.
pub(in crate::sandbox::docker) async fn take(
    engine: &Engine,
    id: &str,
    paths: &[String],
    limits: &Limits,
) -> Result<Vec<Taken>, SandboxError> {
    let mut left = *limits;
    let mut all = Vec::with_capacity(paths.len());
    for path in paths {
        let most = left.collect.saturating_add(overhead(&left));
        let taken = match download(engine, id, path, most).await? {
            None => Taken::default(),
            Some(Archive { bytes, whole }) => {
                let mut gather = Gather::new(&left);
                gather.add(&bytes, whole, "");
                let files = gather.finish();
                let found = match is_folder(&bytes) {
                    true => Found::Folder,
                    false if files.files.is_empty() => Found::Nothing,
                    false => Found::File,
                };
                Taken { found, files }
            }
        };
        left.collect = left.collect.saturating_sub(taken.files.files.size());
        left.collect_files = left.collect_files.saturating_sub(taken.files.files.len());
        all.push(taken);
    }
    Ok(all)
}

fn overhead(limits: &Limits) -> u64 {
    (limits.collect_files as u64)
        .saturating_mul(1536)
        .saturating_add(1 << 20)
}

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
    let plan = Plan::of(&changes, workdir);
    let mut difference = Difference {
        workdir: workdir.to_owned(),
        anything: anything(&changes, spec),
        ..Difference::default()
    };
    // The whole file system is no answer that could be shown.
    if workdir == "/" {
        return Ok(difference);
    }
    difference.after = gather(engine, id, workdir, &plan.after, &spec.limits).await?;
    if !plan.before.is_empty() {
        let pristine = pristine().await?;
        let before = gather(engine, &pristine, workdir, &plan.before, &spec.limits).await;
        reap::remove(engine, &pristine)
            .await
            .map_err(failed("could not remove a container"))?;
        difference.before = before?.files;
    }
    Ok(difference)
}

/// What is to be looked at, relative to the working directory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// In the container that ran: what was changed or added; true: a folder is taken whole.
    after: BTreeMap<String, bool>,
    /// In the pristine one: what was changed or deleted.
    before: BTreeMap<String, bool>,
}

impl Plan {
    fn of(changes: &[FilesystemChange], workdir: &str) -> Self {
        let prefix = format!("{}/", workdir.trim_end_matches('/'));
        let inside: BTreeMap<&str, ChangeType> = changes
            .iter()
            .filter_map(|change| Some((change.path.strip_prefix(&prefix)?, change.kind)))
            .filter(|(path, _)| !path.is_empty() && !is_noise_path(path))
            .collect();
        let folders: BTreeSet<&str> = inside.keys().flat_map(|path| parents(path)).collect();
        let mut plan = Self::default();
        for (path, kind) in &inside {
            // A folder that was added or deleted brings all that lies below it.
            let below = |wanted: ChangeType| {
                parents(path).any(|parent| inside.get(parent) == Some(&wanted))
            };
            match kind {
                ChangeType::_2 => {
                    if !below(ChangeType::_2) {
                        plan.before.insert((*path).to_owned(), true);
                    }
                }
                ChangeType::_1 => {
                    if !below(ChangeType::_1) {
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

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at])
}

async fn gather(
    engine: &Engine,
    id: &str,
    workdir: &str,
    paths: &BTreeMap<String, bool>,
    limits: &Limits,
) -> Result<Collected, SandboxError> {
    let mut gather = Gather::new(limits);
    for (number, (path, folder_too)) in paths.iter().enumerate() {
        if number == MOST_CHANGES {
            gather.too_many();
            break;
        }
        let most = gather.room().saturating_add(match folder_too {
            true => overhead(limits),
            false => FRAME,
        });
        let absolute = format!("{}/{path}", workdir.trim_end_matches('/'));
        let found = fetch(engine, id, &absolute, most, *folder_too).await?;
        if let Some(Archive { bytes, whole }) = found {
            let below = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            gather.add(&bytes, whole, below);
        }
    }
    Ok(gather.finish())
}

/// One thing of a container, as a tar.
pub(super) struct Archive {
    pub(super) bytes: Vec<u8>,
    /// Whether all of it is there.
    pub(super) whole: bool,
}

/// Returns a file or folder of a container, if it is there, cut to a size.
pub(super) async fn download(
    engine: &Engine,
    id: &str,
    path: &str,
    most: u64,
) -> Result<Option<Archive>, SandboxError> {
    fetch(engine, id, path, most, true).await
}

async fn fetch(
    engine: &Engine,
    id: &str,
    path: &str,
    most: u64,
    folder_too: bool,
) -> Result<Option<Archive>, SandboxError> {
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(path)
        .build();
    let mut stream = Box::pin(engine.docker.download_from_container(id, Some(options)));
    let mut archive = Archive {
        bytes: Vec::new(),
        whole: true,
    };
    while let Some(part) = stream.next().await {
        let part = match part {
            Ok(part) => part,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => {
                return Err(failed(format!("could not read `{path}` of a container"))(
                    error,
                ));
            }
        };
        archive.bytes.extend_from_slice(&part);
        if !folder_too && is_folder(&archive.bytes) {
            return Ok(None);
        }
        if archive.bytes.len() as u64 > most {
            archive.whole = false;
            break;
        }
    }
    Ok(Some(archive))
}

/// Returns whether a tar begins with a folder; false as long as that is not known.
fn is_folder(bytes: &[u8]) -> bool {
    let mut archive = tar::Archive::new(bytes);
    let entry = archive.entries().ok().and_then(|mut all| all.next());
    matches!(entry, Some(Ok(entry)) if entry.header().entry_type().is_dir())
}

/// Returns whether a container changed anything of its own accord. What the engine and the
/// sandbox put there does not count, nor do scratch files and caches.
fn anything(changes: &[FilesystemChange], spec: &Spec) -> bool {
    let engine = [
        "/dev",
        "/proc",
        "/sys",
        "/run",
        "/etc/hosts",
        "/etc/hostname",
    ];
    let more = [
        "/etc/resolv.conf",
        "/etc/mtab",
        "/.dockerenv",
        "/sbin/docker-init",
        "/usr/sbin/docker-init",
        AGENT_DIR,
        SCRATCH_DIR,
    ];
    let placed = spec.placed.iter().map(|placed| placed.at.as_str());
    let writable = spec.writable.iter().map(String::as_str);
    let workdir = spec.workdir.as_deref().unwrap_or("/");
    let own: Vec<&str> = engine
        .into_iter()
        .chain(more)
        .chain([SOCKET_PATH])
        .chain(placed.filter(|at| *at != workdir && *at != IN_WORKDIR))
        .chain(writable)
        .collect();
    let lies_in = |path: &str, other: &str| {
        path == other
            || path
                .strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let all = changes.iter().map(|change| change.path.as_str());
    let folders: BTreeSet<&str> = all.flat_map(parents).collect();
    changes.iter().any(|change| {
        let path = change.path.as_str();
        let touched = change.kind == ChangeType::_0 && folders.contains(path);
        let ours = own
            .iter()
            .any(|own| lies_in(path, own) || lies_in(own, path));
        !touched && !ours && !is_noise_path(path.trim_start_matches('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use bollard::models::{ChangeType, FilesystemChange};

    fn plan(changes: &[(&str, ChangeType)]) -> (Vec<String>, Vec<String>) {
        let changes: Vec<FilesystemChange> = changes
            .iter()
            .map(|(path, kind)| FilesystemChange {
                path: (*path).to_owned(),
                kind: *kind,
            })
            .collect();
        let plan = Plan::of(&changes, "/app");
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
}
