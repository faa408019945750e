//! Files and folders taken out of a stopped container.

use crate::sandbox::archive::{self, Gather};
use crate::sandbox::docker::engine::{Engine, failed, is_missing};
use crate::sandbox::{Collected, Found, Limits, SandboxError, Spec, Taken};
use bollard::errors::Error;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;

/// Bytes of a vital file that are read.
const VITAL: u64 = 1 << 20;
/// Bytes of a tar that are not content: a header, and the end of it.
pub(super) const FRAME: u64 = 64 << 10;

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

pub(super) fn overhead(limits: &Limits) -> u64 {
    (limits.collect_files as u64)
        .saturating_mul(1536)
        .saturating_add(1 << 20)
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

pub(super) async fn fetch(
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
            Err(error) if is_missing(&error) || is_no_folder(&error) => return Ok(None),
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

/// Returns whether something that is no folder stands where a path leads through.
fn is_no_folder(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError { message, .. } if message.contains("not a directory")
    )
}

/// Returns whether a tar begins with a folder; false as long as that is not known.
fn is_folder(bytes: &[u8]) -> bool {
    let mut archive = tar::Archive::new(bytes);
    let entry = archive.entries().ok().and_then(|mut all| all.next());
    matches!(entry, Some(Ok(entry)) if entry.header().entry_type().is_dir())
}
