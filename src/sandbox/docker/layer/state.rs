//! What a container left, as an image of ours that the next one starts from.
//!
//! Invariant: only images that carry our state label are ever removed here.

use crate::sandbox::docker::engine::{Engine, failed, is_missing};
use crate::sandbox::docker::reap::{ARCHIVE_LABEL, JOB_LABEL};
use crate::sandbox::{SandboxError, Spec, State};
use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    CommitContainerOptions, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use std::collections::HashMap;

/// Label of an image that holds a state.
pub(in crate::sandbox::docker) const STATE_LABEL: &str = "dgm.state";

/// Keeps what a stopped container left.
pub(in crate::sandbox::docker) async fn commit(
    engine: &Engine,
    id: &str,
    spec: &Spec,
    archive: &str,
) -> Result<State, SandboxError> {
    let options = CommitContainerOptions {
        container: Some(id.to_owned()),
        ..CommitContainerOptions::default()
    };
    let labels = HashMap::from([
        (ARCHIVE_LABEL.to_owned(), archive.to_owned()),
        (JOB_LABEL.to_owned(), spec.job.clone()),
        (STATE_LABEL.to_owned(), "1".to_owned()),
    ]);
    let config = ContainerConfig {
        labels: Some(labels),
        ..ContainerConfig::default()
    };
    let image = engine.docker.commit_container(options, config).await;
    let image = image.map_err(failed(format!(
        "could not keep what the container of `{}` left",
        spec.job
    )))?;
    Ok(State { name: image.id })
}

/// Removes a state; one that others still start from stays for [`reap`].
pub(in crate::sandbox::docker) async fn discard(engine: &Engine, state: &State) -> bool {
    let options = RemoveImageOptionsBuilder::default()
        .force(true)
        .noprune(true)
        .build();
    let removed = engine
        .docker
        .remove_image(&state.name, Some(options), None)
        .await;
    match removed {
        Ok(_) => true,
        Err(error) if is_missing(&error) => true,
        Err(error) => {
            tracing::debug!("the state `{}` stays for now: {error}", state.name);
            false
        }
    }
}

/// Removes every state of an archive; returns how many there were.
pub(in crate::sandbox::docker) async fn reap(
    engine: &Engine,
    archive: &str,
) -> Result<usize, SandboxError> {
    let filters = HashMap::from([(
        "label",
        vec![format!("{ARCHIVE_LABEL}={archive}"), STATE_LABEL.to_owned()],
    )]);
    let mut removed = 0;
    loop {
        let options = ListImagesOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let images = engine.docker.list_images(Some(options)).await;
        let images = images.map_err(failed("could not list images"))?;
        let mut gone = 0;
        for image in images {
            // Asked for already; but what is not ours must stay, whatever an engine makes of it.
            let ours = image.labels.contains_key(STATE_LABEL)
                && image
                    .labels
                    .get(ARCHIVE_LABEL)
                    .is_some_and(|of| of == archive);
            let state = State { name: image.id };
            if ours && discard(engine, &state).await {
                gone += 1;
            }
        }
        // One that another was made from can go only after that.
        if gone == 0 {
            return Ok(removed);
        }
        removed += gone;
    }
}
