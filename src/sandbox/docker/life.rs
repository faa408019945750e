//! The life of a container whose root is the image's own: create, put files in, start, watch,
//! wait until it is dead, take from it what is kept, remove.
//!
//! Invariant: nothing is taken before the container has stopped, so before every process that
//! was in it is dead.

use super::container::{self, Setting};
use super::engine::{Engine, failed, is_missing};
use super::run::{self, Drained};
use super::{layer, reap};
use crate::sandbox::flow::{self, Intake, SeenEnd};
use crate::sandbox::{Ended, ImageRoot, SandboxError, Spec};
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::KillContainerOptions;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// One such run, made ready.
pub(super) struct Life<'a> {
    pub(super) engine: &'a Engine,
    pub(super) spec: &'a Spec,
    pub(super) root: &'a ImageRoot,
    /// What the container starts from: the image, or a state.
    pub(super) image: &'a str,
    pub(super) setting: Setting<'a>,
    /// The working directory, the image's own where the spec names none.
    pub(super) workdir: &'a str,
}

impl Life<'_> {
    /// Runs it to its end.
    pub(super) async fn run(
        self,
        warn: impl Fn(&str),
        cancel: &CancellationToken,
    ) -> Result<Ended, SandboxError> {
        let begun = Instant::now();
        let body = self.body()?;
        let id = run::create(self.engine, self.spec, body, warn).await?;
        let lived = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SandboxError::Cancelled),
            lived = self.live(&id) => lived,
        };
        let removed = reap::remove(self.engine, &id).await;
        if let Err(error) = removed {
            // The label on it makes the next start try again.
            tracing::warn!(
                "could not remove the container of `{}`: {error}",
                self.spec.job
            );
        }
        lived.map(|ended| Ended {
            took: begun.elapsed(),
            ..ended
        })
    }

    fn body(&self) -> Result<ContainerCreateBody, SandboxError> {
        let body = container::body(self.spec, self.image, self.setting.clone());
        body.map_err(|sentence| SandboxError::Failed {
            what: format!("could not prepare the container of `{}`", self.spec.job),
            source: anyhow::anyhow!(sentence),
        })
    }

    async fn live(&self, id: &str) -> Result<Ended, SandboxError> {
        let Self { engine, spec, .. } = self;
        let user = container::user(self.root, self.setting.user);
        layer::lay(engine, id, &spec.job, &self.root.layers).await?;
        layer::put(engine, id, spec, self.workdir, user).await?;
        let streams = run::start(engine, spec, id).await?;
        let mut intake = Intake::new(spec, flow::GRACE);
        let mut seen = SeenEnd::default();
        tokio::select! {
            drained = run::drain(streams, Vec::new(), &mut intake, spec) => match drained? {
                Drained::Ended | Drained::Full => {}
                Drained::Late => seen.late = true,
            },
            () = layer::overflows(engine, id, spec.limits.disk) => seen.full = true,
        }
        self.stop(id, &mut seen).await?;
        if seen.code != Some(0) {
            seen.oom = run::out_of_memory(engine, id).await?;
        }
        let ended = intake.finish(spec, seen, Duration::ZERO)?;
        self.take(id, ended).await
    }

    /// Returns once the container is dead.
    async fn stop(&self, id: &str, seen: &mut SeenEnd) -> Result<(), SandboxError> {
        let ends = run::wait(self.engine, id);
        if !seen.late
            && !seen.full
            && let Ok(code) = timeout(run::ENDING, ends).await
        {
            seen.code = Some(code?);
            return Ok(());
        }
        let killed = self
            .engine
            .docker
            .kill_container(id, None::<KillContainerOptions>)
            .await;
        match killed {
            // It may have ended by itself meanwhile.
            Ok(())
            | Err(Error::DockerResponseServerError {
                status_code: 409, ..
            }) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(failed("could not kill a container")(error)),
        }
        match timeout(run::ENDING, run::wait(self.engine, id)).await {
            Ok(code) => code.map(|_| ()),
            Err(_) => Err(SandboxError::Failed {
                what: format!("the container of `{}` does not end", self.spec.job),
                source: anyhow::anyhow!("it was killed {} seconds ago", run::ENDING.as_secs()),
            }),
        }
    }

    async fn take(&self, id: &str, ended: Ended) -> Result<Ended, SandboxError> {
        let Self { engine, spec, .. } = self;
        let keep = self.root.keep;
        let collected = layer::collect(engine, id, spec).await?;
        let difference = match keep.difference {
            false => None,
            true => {
                let pristine = async || {
                    let body = self.body()?;
                    run::create(engine, spec, body, |_| {}).await
                };
                let found = layer::difference(engine, id, spec, self.workdir, pristine).await?;
                Some(found)
            }
        };
        let taken = layer::take(engine, id, &self.root.take, &spec.limits).await?;
        let state = match keep.state {
            false => None,
            true => Some(layer::commit(engine, id, spec, self.setting.archive).await?),
        };
        let kept = match keep.layer {
            false => None,
            true => Some(layer::changed(engine, id, spec).await?),
        };
        Ok(Ended {
            collected,
            difference,
            taken,
            state,
            layer: kept,
            ..ended
        })
    }
}
