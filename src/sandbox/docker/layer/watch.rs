//! Looks at how much a container has written, because an engine without quotas limits nothing.

use crate::sandbox::docker::engine::Engine;
use bollard::query_parameters::InspectContainerOptions;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two looks, at least.
const PAUSE: Duration = Duration::from_millis(400);
/// A look may take this part of the time: it walks over every file that was written.
const SHARE: u32 = 10;

/// Returns once a container has written more bytes than a limit; never, as long as it has not.
pub(in crate::sandbox::docker) async fn overflows(engine: &Engine, id: &str, limit: u64) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    loop {
        let begun = Instant::now();
        let options = InspectContainerOptions { size: true };
        match engine.docker.inspect_container(id, Some(options)).await {
            Ok(container) if container.size_rw.is_some_and(|size| size > limit) => return,
            Ok(_) => {}
            Err(error) => tracing::debug!("could not look at a container's size: {error}"),
        }
        sleep(PAUSE.max(begun.elapsed() * SHARE)).await;
    }
}
