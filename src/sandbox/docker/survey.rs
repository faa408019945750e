//! What the engine is like, for people who ask why something does not work.

use super::engine::{Engine, failed};
use crate::sandbox::SandboxError;
use bollard::query_parameters::ListImagesOptionsBuilder;

/// Beginning of the names of images that are built from recipes; those of tasks have a `/`.
const OWN_IMAGES: &str = "dgm-";

/// What the engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Version of the control groups it limits containers with; empty: it does not say.
    pub cgroups: String,
    /// How it stores images.
    pub storage: String,
    /// Names of the images of tasks and agents that are there, in order.
    pub images: Vec<String>,
}

impl Engine {
    /// Asks the engine about itself.
    pub async fn survey(&self) -> Result<Survey, SandboxError> {
        let info = self.docker.info().await;
        let info = info.map_err(failed("could not ask the engine about itself"))?;
        let options = ListImagesOptionsBuilder::default().build();
        let images = self.docker.list_images(Some(options)).await;
        let images = images.map_err(failed("could not list images"))?;
        let mut images: Vec<String> = images
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .filter(|tag| tag.starts_with(OWN_IMAGES) && !tag.contains('/'))
            .collect();
        images.sort();
        Ok(Survey {
            cgroups: info
                .cgroup_version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
            images,
        })
    }
}
