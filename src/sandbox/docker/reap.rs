//! Containers that a killed process left behind.
//!
//! Invariant: only a container with this archive's own label is ever removed.

use super::engine::{Engine, failed, is_missing};
use crate::sandbox::SandboxError;
use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use std::collections::HashMap;

/// Label that names the archive that a container belongs to.
pub const ARCHIVE_LABEL: &str = "dgm.archive";
/// Label that names the job that a container was made for.
pub const JOB_LABEL: &str = "dgm.job";
/// Label that holds when it was made, in Unix milliseconds.
pub const CREATED_LABEL: &str = "dgm.created";

/// Removes every container of this archive; returns how many there were.
pub(super) async fn reap(engine: &Engine, archive: &str) -> Result<usize, SandboxError> {
    let filters = HashMap::from([("label", vec![format!("{ARCHIVE_LABEL}={archive}")])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = engine
        .docker
        .list_containers(Some(options))
        .await
        .map_err(failed("could not list containers"))?;
    let mut removed = 0;
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        // Asked for already; but what is not ours must stay whatever an engine makes of filters.
        let ours = labels.get(ARCHIVE_LABEL).is_some_and(|of| of == archive);
        if let Some(id) = container.id
            && ours
        {
            remove(engine, &id)
                .await
                .map_err(failed("could not remove a container of an earlier run"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Kills and removes a container with its volumes; one that is gone already is fine.
pub(super) async fn remove(engine: &Engine, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match engine.docker.remove_container(id, Some(options)).await {
        Err(error) if !is_missing(&error) && !is_in_progress(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_in_progress(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 409,
            ..
        }
    )
}
