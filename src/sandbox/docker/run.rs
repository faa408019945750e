//! One run: create, attach, start, drain, wait, (inspect,) remove. Nothing else is asked of the
//! engine, because each of its answers costs milliseconds and a bare container is the measure.
//!
//! Invariant: whoever gets a container's id also removes it, however the run ends. So a run
//! lives in a task of its own: its caller may vanish, the task goes on to the removal.

use super::engine::{Engine, failed, is_missing};
use super::reap;
use crate::sandbox::flow::{self, Intake, SeenEnd, Want};
use crate::sandbox::{Ended, SandboxError, Spec};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Time that the engine has for noticing that a container has ended.
pub(super) const ENDING: Duration = Duration::from_secs(30);

/// Runs a container to its end and removes it.
pub(super) async fn run(
    engine: &Engine,
    spec: &Spec,
    body: ContainerCreateBody,
    warn: impl Fn(&str),
    cancel: &CancellationToken,
) -> Result<Ended, SandboxError> {
    let begun = Instant::now();
    let id = create(engine, spec, body, warn).await?;
    let lived = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(SandboxError::Cancelled),
        lived = live(engine, spec, &id) => lived,
    };
    let removed = reap::remove(engine, &id).await;
    if let Err(error) = removed {
        // The label on it makes the next start try again.
        tracing::warn!("could not remove the container of `{}`: {error}", spec.job);
    }
    let (intake, seen) = lived?;
    intake.finish(spec, seen, begun.elapsed())
}

pub(super) async fn create(
    engine: &Engine,
    spec: &Spec,
    body: ContainerCreateBody,
    warn: impl Fn(&str),
) -> Result<String, SandboxError> {
    let image = body.image.clone().unwrap_or_default();
    let created = engine
        .docker
        .create_container(None::<CreateContainerOptions>, body)
        .await;
    match created {
        Ok(created) => {
            created.warnings.iter().for_each(|warning| warn(warning));
            Ok(created.id)
        }
        Err(error) if is_missing(&error) => Err(SandboxError::NoImage { image }),
        Err(error) => Err(failed(format!(
            "could not create a container for `{}`",
            spec.job
        ))(error)),
    }
}

/// Starts a container and returns its streams.
pub(super) async fn start(
    engine: &Engine,
    spec: &Spec,
    id: &str,
) -> Result<AttachContainerResults, SandboxError> {
    let options = AttachContainerOptionsBuilder::default()
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .stream(true)
        .build();
    // Before the start, or what is said first would be lost.
    let streams = engine
        .docker
        .attach_container(id, Some(options))
        .await
        .map_err(failed("could not attach to a container"))?;
    engine
        .docker
        .start_container(id, None::<StartContainerOptions>)
        .await
        .map_err(failed(format!(
            "could not start the container of `{}`",
            spec.job
        )))?;
    Ok(streams)
}

/// Lets the container live until both of its streams have ended or its time is over.
async fn live(engine: &Engine, spec: &Spec, id: &str) -> Result<(Intake, SeenEnd), SandboxError> {
    let streams = start(engine, spec, id).await?;
    let mut intake = Intake::new(spec, flow::GRACE);
    let drained = drain(streams, flow::input(spec), &mut intake, spec).await?;
    let mut seen = SeenEnd::default();
    match drained {
        Drained::Ended => match timeout(ENDING, wait(engine, id)).await {
            Ok(code) => seen.code = Some(code?),
            Err(_) => seen.late = true,
        },
        Drained::Full => {}
        Drained::Late => seen.late = true,
    }
    // Whoever ended well was not ended by the limit.
    if seen.code != Some(0) {
        seen.oom = out_of_memory(engine, id).await?;
    }
    Ok((intake, seen))
}

/// Why draining stopped.
pub(super) enum Drained {
    /// Both streams ended.
    Ended,
    /// More came than is kept.
    Full,
    /// The time was over.
    Late,
}

/// Feeds the input and takes the output, both at once: neither side may block the other.
pub(super) async fn drain(
    streams: AttachContainerResults,
    bytes: Vec<u8>,
    intake: &mut Intake,
    spec: &Spec,
) -> Result<Drained, SandboxError> {
    let AttachContainerResults {
        mut output,
        mut input,
    } = streams;
    let feed = async move {
        // A container that takes no input says itself, in its log, what is wrong.
        if let Err(error) = input.write_all(&bytes).await {
            tracing::debug!("a container took no input: {error}");
        }
        if let Err(error) = input.shutdown().await {
            tracing::debug!("the input of a container did not end: {error}");
        }
        // Never closed before the output has ended: an engine may take that for a client
        // that has gone.
        std::future::pending::<Infallible>().await
    };
    tokio::pin!(feed);
    let mut phase = Instant::now();
    let mut started = false;
    loop {
        let next = async {
            tokio::select! {
                never = &mut feed => match never {},
                item = output.next() => item,
            }
        };
        match timeout_at(phase + intake.limit(spec.deadline), next).await {
            Err(_) => return Ok(Drained::Late),
            Ok(None) => return Ok(Drained::Ended),
            Ok(Some(item)) => {
                let item = item.map_err(failed(format!("lost the container of `{}`", spec.job)))?;
                if take(intake, &item) == Want::Nothing {
                    return Ok(Drained::Full);
                }
                if !started && intake.started() {
                    started = true;
                    phase = Instant::now();
                }
            }
        }
    }
}

fn take(intake: &mut Intake, item: &LogOutput) -> Want {
    match item {
        LogOutput::StdOut { message } => intake.stdout(message),
        LogOutput::StdErr { message } => {
            intake.stderr(message);
            Want::More
        }
        LogOutput::StdIn { .. } | LogOutput::Console { .. } => Want::More,
    }
}

/// Waits for the end; returns the exit code. The client library calls any but 0 an error.
pub(super) async fn wait(engine: &Engine, id: &str) -> Result<i32, SandboxError> {
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut waiting = Box::pin(engine.docker.wait_container(id, Some(options)));
    let code = match waiting.next().await {
        Some(Ok(ended)) => ended.status_code,
        Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(failed("could not wait for a container")(error)),
        None => -1,
    };
    Ok(i32::try_from(code).unwrap_or(-1))
}

pub(super) async fn out_of_memory(engine: &Engine, id: &str) -> Result<bool, SandboxError> {
    let container = engine
        .docker
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .map_err(failed("could not inspect a container"))?;
    let state = container.state.unwrap_or_default();
    Ok(state.oom_killed.unwrap_or(false))
}
