//! The engine's store of images: what is ours, what it takes, pulled and thrown away.
//!
//! Invariant: only an image that carries the label of a recipe of ours is ever removed, and
//! none that a container uses.

use super::engine::{Engine, failed};
use super::image::{self, RECIPE_LABEL};
use super::layer::STATE_LABEL;
use crate::sandbox::SandboxError;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::StreamExt as _;
use std::collections::HashMap;

/// An image of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Its names; none: a newer one has taken its name.
    pub names: Vec<String>,
    /// Its id (`sha256:…`).
    pub id: String,
    /// Bytes, those that it shares with others included.
    pub size: u64,
    /// Unix time in seconds.
    pub created: i64,
}

/// Returns the images that were built from recipes of ours, largest first.
pub async fn list(engine: &Engine) -> Result<Vec<StoredImage>, SandboxError> {
    let filters = HashMap::from([("label", vec![RECIPE_LABEL.to_owned()])]);
    let options = ListImagesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let images = engine.docker.list_images(Some(options)).await;
    let images = images.map_err(failed("could not list images"))?;
    let mut stored: Vec<StoredImage> = images
        .into_iter()
        // What others build on an image of ours inherits its label, and so does the state that
        // a run keeps: neither is ours to throw away.
        .filter(|image| {
            image.labels.contains_key(RECIPE_LABEL)
                && !image.labels.contains_key(STATE_LABEL)
                && image.repo_tags.iter().all(|name| is_ours(name))
        })
        .map(|image| StoredImage {
            names: image
                .repo_tags
                .into_iter()
                .filter(|name| name != "<none>:<none>")
                .collect(),
            id: image.id,
            size: u64::try_from(image.size).unwrap_or(0),
            created: image.created,
        })
        .collect();
    stored.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.names.cmp(&b.names)));
    Ok(stored)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("dgm-") || name == "<none>:<none>"
}

/// Removes an image of ours with all its names; false: a container uses it.
pub async fn remove(engine: &Engine, stored: &StoredImage) -> Result<bool, SandboxError> {
    // By name, one after the other: an id with several names is not removed without force,
    // and force would also take it from a stopped container.
    let names = match stored.names.as_slice() {
        [] => std::slice::from_ref(&stored.id),
        names => names,
    };
    for name in names {
        let options = RemoveImageOptionsBuilder::default().build();
        match engine.docker.remove_image(name, Some(options), None).await {
            Ok(_) => {}
            Err(error) if super::engine::is_missing(&error) => {}
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 409, ..
            }) => return Ok(false),
            Err(error) => {
                return Err(failed(format!("could not remove the image `{name}`"))(
                    error,
                ));
            }
        }
    }
    Ok(true)
}

/// Pulls an image by name or by `name@sha256:…`. `progress` gets one line for each step of the
/// engine, not for each byte.
pub async fn pull(
    engine: &Engine,
    name: &str,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<(), SandboxError> {
    let mut options = CreateImageOptionsBuilder::default().from_image(name);
    // Without a tag the engine would pull every one there is.
    if !name.contains('@') && !image_tag(name) {
        options = options.tag("latest");
    }
    let mut output = engine
        .docker
        .create_image(Some(options.build()), None, None);
    let mut layers: HashMap<String, String> = HashMap::new();
    while let Some(info) = output.next().await {
        let info = info.map_err(failed(format!("could not pull the image `{name}`")))?;
        if let Some(line) = step(&info, &mut layers) {
            progress(&line);
        }
    }
    match image::digest_of(engine, name).await? {
        Some(_) => Ok(()),
        None => Err(SandboxError::NoImage {
            image: name.to_owned(),
        }),
    }
}

fn image_tag(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.contains(':')
}

/// Returns a line where a layer has come to another step.
fn step(info: &CreateImageInfo, layers: &mut HashMap<String, String>) -> Option<String> {
    let status = info.status.as_deref()?;
    match info.id.as_deref() {
        None => Some(status.to_owned()),
        Some(layer) => {
            let before = layers.insert(layer.to_owned(), status.to_owned());
            (before.as_deref() != Some(status)).then(|| format!("{layer}: {status}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CreateImageInfo, image_tag, step};
    use std::collections::HashMap;

    #[test]
    fn a_port_is_no_tag() {
        for (name, has) in [
            ("debian", false),
            ("debian:12", true),
            ("localhost:5000/a/b", false),
            ("localhost:5000/a/b:1", true),
        ] {
            assert_eq!(image_tag(name), has, "{name}");
        }
    }

    #[test]
    fn a_layer_s_bytes_are_no_news() {
        let mut layers = HashMap::new();
        let info = |status: &str| CreateImageInfo {
            id: Some("a1".to_owned()),
            status: Some(status.to_owned()),
            ..CreateImageInfo::default()
        };
        let mut say = |status: &str| step(&info(status), &mut layers);
        assert_eq!(say("Downloading").as_deref(), Some("a1: Downloading"));
        assert_eq!(say("Downloading"), None);
        assert_eq!(say("Extracting").as_deref(), Some("a1: Extracting"));
    }
}
