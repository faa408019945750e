//! Images: built from recipes, looked up, never pulled behind the user's back.
//!
//! Invariant: a built image carries the digest of its recipe, so an image that is up to date
//! is never built again, and one of an older recipe always is.

use super::engine::{Engine, failed, is_missing};
use crate::domain::FileTree;
use crate::sandbox::SandboxError;
use anyhow::anyhow;
use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptions};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

/// Label that holds the digest of the recipe.
pub const RECIPE_LABEL: &str = "dgm.recipe";
/// Name of the certificates in what a build gets; no part of the recipe's digest, because no
/// image holds them.
const CERTIFICATES: &str = "ca-certificates.crt";
/// Lines of a failed build that its error repeats.
const LAST_LINES: usize = 20;

/// How a build reaches the places it fetches from.
#[derive(Clone, Debug, Default)]
pub struct BuildNetwork {
    /// Whether it uses this machine's network, for where the engine has no other.
    pub host: bool,
    /// Certificates of authorities (PEM) that a recipe trusts while it fetches, beside the
    /// usual ones: for machines behind a proxy that ends TLS. A recipe that fetches over TLS
    /// finds them as `ca-certificates.crt` and leaves them out of the image.
    pub certificates: Vec<u8>,
}

/// What [`build`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// The image of this recipe was there.
    UpToDate,
    /// It was built.
    Built,
}

/// What a run needs to know of its image.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its id (`sha256:…`): the name may be given to another one meanwhile.
    pub id: String,
    /// Bytes, those that it shares with others included.
    pub size: u64,
    /// Folders that it declares as volumes.
    pub volumes: Vec<String>,
    /// Its user; empty: root.
    pub user: String,
    /// Its working directory.
    pub workdir: String,
    /// Its entry point.
    pub entry: Vec<String>,
}

impl Facts {
    /// Returns them, if the image is there.
    pub async fn of(engine: &Engine, tag: &str) -> Result<Option<Self>, SandboxError> {
        let Some(image) = inspect(engine, tag).await? else {
            return Ok(None);
        };
        let config = image.config.unwrap_or_default();
        let workdir = config.working_dir.filter(|dir| dir.starts_with('/'));
        let workdir = workdir.unwrap_or_default();
        Ok(Some(Self {
            id: image.id.unwrap_or_else(|| tag.to_owned()),
            size: image
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            volumes: config.volumes.into_iter().flatten().collect(),
            user: config.user.unwrap_or_default(),
            workdir: match workdir.trim_end_matches('/') {
                "" => "/".to_owned(),
                workdir => workdir.to_owned(),
            },
            entry: config.entrypoint.unwrap_or_default(),
        }))
    }
}

/// Builds an image from a recipe (a folder with a `Dockerfile`), unless it is up to date.
///
/// `progress` gets the build's output line by line.
pub async fn build(
    engine: &Engine,
    recipe: &FileTree,
    tag: &str,
    network: &BuildNetwork,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Built, SandboxError> {
    let digest = recipe_digest(recipe);
    let old = inspect(engine, tag).await?;
    if old.as_ref().and_then(recipe_of).as_deref() == Some(&digest) {
        return Ok(Built::UpToDate);
    }
    let context =
        context(recipe, &network.certificates).map_err(|source| SandboxError::Failed {
            what: format!("could not pack the recipe of image `{tag}`"),
            source: source.into(),
        })?;
    let options = BuildImageOptionsBuilder::default()
        .dockerfile("Dockerfile")
        .t(tag)
        .labels(&HashMap::from([(RECIPE_LABEL, digest.as_str())]))
        .networkmode(if network.host { "host" } else { "default" })
        .rm(true)
        .forcerm(true)
        .build();
    let body = bollard::body_full(context.into());
    let mut lines = VecDeque::new();
    let mut output = engine.docker.build_image(options, None, Some(body));
    while let Some(info) = output.next().await {
        match info {
            Ok(info) => {
                for line in lines_of(&info) {
                    progress(line);
                    if lines.len() == LAST_LINES {
                        lines.pop_front();
                    }
                    lines.push_back(line.to_owned());
                }
            }
            Err(error) => {
                return Err(SandboxError::Failed {
                    what: format!("could not build image `{tag}`"),
                    source: build_failure(&lines, &error.to_string()),
                });
            }
        }
    }
    // The tag has moved on: an image of ours that lost its name only takes room.
    if let Some(old) = old
        && recipe_of(&old).is_some()
        && let Some(id) = old.id
        && digest_of(engine, tag).await?.as_deref() != Some(&id)
    {
        let removed = engine
            .docker
            .remove_image(&id, None::<RemoveImageOptions>, None)
            .await;
        if let Err(error) = removed {
            tracing::debug!("the former image `{id}` of `{tag}` stays: {error}");
        }
    }
    Ok(Built::Built)
}

/// Returns those of the images that are not there, in the order given.
pub async fn missing(engine: &Engine, tags: &[String]) -> Result<Vec<String>, SandboxError> {
    let mut missing = Vec::new();
    for tag in tags {
        if inspect(engine, tag).await?.is_none() {
            missing.push(tag.clone());
        }
    }
    Ok(missing)
}

/// Returns the id (`sha256:…`) of the image that a tag names now.
pub async fn digest_of(engine: &Engine, tag: &str) -> Result<Option<String>, SandboxError> {
    Ok(inspect(engine, tag).await?.and_then(|image| image.id))
}

/// Returns whether the image is there and was built from just this recipe.
pub async fn is_up_to_date(
    engine: &Engine,
    recipe: &FileTree,
    tag: &str,
) -> Result<bool, SandboxError> {
    let image = inspect(engine, tag).await?;
    Ok(image.as_ref().and_then(recipe_of) == Some(recipe_digest(recipe)))
}

/// Returns the digest of a recipe: SHA-256 over its files, in hexadecimal.
pub fn recipe_digest(recipe: &FileTree) -> String {
    let mut hash = Sha256::new();
    for (path, file) in recipe.iter() {
        hash.update(path.as_str());
        hash.update([0, u8::from(file.executable)]);
        hash.update((file.bytes.len() as u64).to_le_bytes());
        hash.update(&file.bytes);
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").expect("a string takes every write");
    }
    text
}

pub(super) async fn inspect(
    engine: &Engine,
    tag: &str,
) -> Result<Option<ImageInspect>, SandboxError> {
    match engine.docker.inspect_image(tag).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(failed(format!("could not look for image `{tag}`"))(error)),
    }
}

fn recipe_of(image: &ImageInspect) -> Option<String> {
    let labels = image.config.as_ref()?.labels.as_ref()?;
    labels.get(RECIPE_LABEL).cloned()
}

fn lines_of(info: &BuildInfo) -> impl Iterator<Item = &str> {
    let text = info.stream.as_deref().or(info.status.as_deref());
    text.unwrap_or_default()
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
}

fn build_failure(lines: &VecDeque<String>, error: &str) -> anyhow::Error {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let step = lines.iter().rev().find(|line| line.starts_with("Step "));
    let base = step.is_some_and(|line| line.contains(" : FROM "));
    let hint = match base {
        true => "\nwhere no registry can be reached, `sandbox/make-base` makes the base image",
        false => "",
    };
    anyhow!("{text}{error}{hint}")
}

/// Packs a recipe, the same bytes for the same files, so the engine's own cache works.
fn context(recipe: &FileTree, certificates: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    // Only to those that ask: in a task's image it would be a file too many.
    let dockerfile = recipe.get("Dockerfile").map(|file| &*file.bytes);
    let dockerfile = String::from_utf8_lossy(dockerfile.unwrap_or_default());
    let asks = dockerfile.contains(CERTIFICATES) && recipe.get(CERTIFICATES).is_none();
    let files = recipe
        .iter()
        .map(|(path, file)| (path.as_str(), &file.bytes[..], file.executable))
        .chain(asks.then_some((CERTIFICATES, certificates, false)));
    for (path, bytes, executable) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        tar.append_data(&mut header, path, bytes)?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::{FileTree, build_failure, recipe_digest};
    use crate::domain::TreePath;
    use std::collections::VecDeque;

    fn recipe(text: &str, executable: bool) -> FileTree {
        let mut files = FileTree::new();
        let path = TreePath::new("Dockerfile").expect("a good path");
        files.insert(path, text.as_bytes(), executable);
        files
    }

    #[test]
    fn the_digest_sees_content_and_mode() {
        let one = recipe_digest(&recipe("FROM a", false));
        assert_eq!(one.len(), 64);
        assert_eq!(one, recipe_digest(&recipe("FROM a", false)));
        assert_ne!(one, recipe_digest(&recipe("FROM b", false)));
        assert_ne!(one, recipe_digest(&recipe("FROM a", true)));
    }

    #[test]
    fn a_base_that_cannot_be_pulled_is_told_apart_from_a_step_that_failed() {
        let lines = |line: &str| VecDeque::from([line.to_owned()]);
        let base = build_failure(
            &lines("Step 1/3 : FROM debian:bookworm-slim"),
            "no such host",
        );
        assert!(base.to_string().contains("sandbox/make-base"), "{base}");
        let step = build_failure(&lines("Step 2/3 : RUN false"), "returned 1");
        assert!(!step.to_string().contains("make-base"), "{step}");
    }
}
