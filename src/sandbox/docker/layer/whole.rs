//! All that a stopped container changed of its file system, and such changes laid over an image
//! again: so what an agent left can be judged long after its container is gone.
//!
//! Invariant: what is laid is what was kept, with owners, modes and links; extended attributes
//! and device files are not. Nothing of it is unpacked on this machine.

use super::difference::{EngineOwn, LayerPlan};
use super::take::{Archive, FRAME, fetch, overhead};
use crate::sandbox::docker::engine::{Engine, failed};
use crate::sandbox::{RootLayer, SandboxError, Spec};
use bollard::models::{ChangeType, FilesystemChange};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::{Builder, Entry, EntryType, Header};

/// Returns what a stopped container changed of all its files.
pub(in crate::sandbox::docker) async fn changed(
    engine: &Engine,
    id: &str,
    spec: &Spec,
) -> Result<RootLayer, SandboxError> {
    let changes = engine.docker.container_changes(id).await;
    let changes = changes
        .map_err(failed(format!(
            "could not ask what the container of `{}` changed",
            spec.job
        )))?
        .unwrap_or_default();
    let own = EngineOwn::default();
    let changes: Vec<FilesystemChange> = changes
        .into_iter()
        .filter(|change| !own.holds(&change.path))
        .collect();
    let inside = changes
        .iter()
        .map(|change| (change.path.trim_start_matches('/'), change.kind))
        .collect();
    let plan = LayerPlan::of(&inside, None);
    let removed = inside
        .iter()
        .filter(|(path, kind)| **kind == ChangeType::_2 && plan.before.contains_key(**path))
        .map(|(path, _)| format!("/{path}"))
        .collect();
    let mut tar = Builder::new(Vec::new());
    for (path, folder_too) in &plan.after {
        let room = spec
            .limits
            .collect
            .saturating_sub(tar.get_ref().len() as u64);
        let most = room.saturating_add(match folder_too {
            true => overhead(&spec.limits),
            false => FRAME,
        });
        let found = fetch(engine, id, &format!("/{path}"), most, *folder_too).await?;
        let Some(Archive { bytes, whole }) = found else {
            continue;
        };
        let below = Path::new(path).parent().unwrap_or(Path::new(""));
        let added = whole && add(&mut tar, &bytes, below).is_ok();
        if !added || tar.get_ref().len() as u64 > spec.limits.collect {
            return Ok(RootLayer {
                truncated: true,
                ..RootLayer::default()
            });
        }
    }
    let tar = tar.into_inner().map_err(|source| SandboxError::Failed {
        what: format!("could not keep what `{}` left", spec.job),
        source: source.into(),
    })?;
    Ok(RootLayer {
        tar: tar.into(),
        removed,
        truncated: false,
    })
}

/// Lays layers over the image of a container that has not started. What they take away is only
/// gone when [`gone`] is removed at its start: until then an empty file stands there.
pub(in crate::sandbox::docker) async fn lay(
    engine: &Engine,
    id: &str,
    job: &str,
    layers: &[RootLayer],
) -> Result<(), SandboxError> {
    if layers.is_empty() {
        return Ok(());
    }
    let (tar, _) = stacked(layers).map_err(|source| SandboxError::Failed {
        what: format!("could not read what is to be laid over the image of `{job}`"),
        source: source.into(),
    })?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    engine
        .docker
        .upload_to_container(id, Some(options), bollard::body_full(tar.into()))
        .await
        .map_err(failed(format!(
            "could not lay what was kept over the image of `{job}`"
        )))
}

/// Returns the paths that layers take away and none of them brings back.
pub(in crate::sandbox::docker) fn gone(layers: &[RootLayer]) -> io::Result<Vec<String>> {
    Ok(stacked(layers)?.1)
}

fn stacked(layers: &[RootLayer]) -> io::Result<(Vec<u8>, Vec<String>)> {
    let mut tar = Builder::new(Vec::new());
    let mut removed: Vec<String> = Vec::new();
    for layer in layers {
        for path in &layer.removed {
            // A file takes a folder away with all that is in it.
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(0);
            header.set_mode(0o600);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            tar.append_data(&mut header, path.trim_start_matches('/'), &[][..])?;
            removed.push(path.clone());
        }
        let mut archive = tar::Archive::new(&*layer.tar);
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            removed.retain(|gone| !path.starts_with(gone.trim_start_matches('/')));
            copy(&mut tar, entry, &path, Path::new(""))?;
        }
    }
    Ok((tar.into_inner()?, removed))
}

/// Adds the entries of an archive, whose names become relative to `below`.
fn add(tar: &mut Builder<Vec<u8>>, bytes: &[u8], below: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = below.join(plain(&entry.path()?));
        copy(tar, entry, &path, below)?;
    }
    Ok(())
}

fn copy<R: Read>(
    tar: &mut Builder<Vec<u8>>,
    entry: Entry<'_, R>,
    path: &Path,
    below: &Path,
) -> io::Result<()> {
    let mut header = entry.header().clone();
    match header.entry_type() {
        EntryType::Regular | EntryType::Directory => tar.append_data(&mut header, path, entry),
        EntryType::Symlink => {
            let to = entry.link_name()?.unwrap_or_default();
            tar.append_link(&mut header, path, to)
        }
        // The target of a hard link is named as the files of the archive are.
        EntryType::Link => {
            let to = entry.link_name()?.unwrap_or_default();
            tar.append_link(&mut header, path, below.join(plain(&to)))
        }
        _ => Ok(()),
    }
}

/// Returns a path of an archive without what would lead out of it.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{add, gone, stacked};
    use crate::sandbox::RootLayer;
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::path::Path;
    use tar::{Builder, EntryType, Header};

    fn layer(below: &str, files: &[(&str, &str)], removed: &[&str]) -> RootLayer {
        let mut tar = Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_uid(1234);
            header.set_gid(1234);
            header.set_mtime(0);
            header.set_mode(0o640);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let mut all = Builder::new(Vec::new());
        add(&mut all, &tar.into_inner().unwrap(), Path::new(below)).unwrap();
        RootLayer {
            tar: all.into_inner().unwrap().into(),
            removed: removed.iter().map(|&path| path.to_owned()).collect(),
            truncated: false,
        }
    }

    #[test]
    fn layers_are_laid_in_order_and_what_came_back_stays() {
        let layers = [
            layer("home/x", &[("a", "1"), ("b", "1")], &["/srv", "/opt/old"]),
            layer("", &[("srv/new", "2"), ("home/x/a", "2")], &["/home/x/b"]),
        ];
        let (tar, removed) = stacked(&layers).unwrap();
        assert_eq!(removed, ["/opt/old", "/home/x/b"]);
        assert_eq!(gone(&layers).unwrap(), removed);
        let mut last = BTreeMap::new();
        for entry in tar::Archive::new(&*tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().entry_type(), EntryType::Regular);
            let path = entry.path().unwrap().display().to_string();
            let uid = entry.header().uid().unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            last.insert(path, (text, uid));
        }
        assert_eq!(last["home/x/a"], ("2".to_owned(), 1234));
        assert_eq!(last["srv/new"], ("2".to_owned(), 1234));
    }
}
