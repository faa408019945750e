//! Images made ready for commands that need them, with their progress.

use super::error::Hint as _;
use super::ui::Ui;
use crate::benchmark::Task;
use crate::benchmark::images::{Made, Making, Needed, needed, prepare};
use crate::config::Backend;
use crate::sandbox::docker::Engine;
use crate::sandbox::docker::image::BuildNetwork;
use anyhow::anyhow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How images are made ready.
#[derive(clap::Args)]
pub(super) struct MakingArgs {
    /// Images at once
    #[arg(long = "image-jobs", value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    image_jobs: u16,
    /// Network of builds: `default` or `host`
    #[arg(long = "build-network", value_name = "NETWORK", default_value = "default", value_parser = ["default", "host"])]
    build_network: String,
    /// Do not pull what is not there
    #[arg(long)]
    no_pull: bool,
}

impl MakingArgs {
    /// Returns how images are made ready.
    pub(super) fn making(&self) -> Making {
        Making {
            jobs: usize::from(self.image_jobs),
            network: BuildNetwork {
                host: self.build_network == "host",
                ..BuildNetwork::default()
            },
            pull: !self.no_pull,
        }
    }
}

/// Makes images ready and says how it goes.
pub(super) async fn prepare_all(
    ui: Ui,
    engine: &Engine,
    needed: &[Needed],
    making: &Making,
) -> Vec<Made> {
    let total = needed.len();
    let count = AtomicUsize::new(0);
    let line = |name: &str, line: &str| tracing::info!(image = name, "{line}");
    let done = |name: &str, made: &Made| {
        let count = 1 + count.fetch_add(1, Ordering::Relaxed);
        let word = match made {
            Made::There => return,
            Made::Built => "built",
            Made::Pulled => "pulled",
            Made::Failed(_) => "failed",
        };
        ui.status(&format!("[{count}/{total}] image {name}: {word}"));
    };
    prepare(engine, needed, making, &line, &done).await
}

/// Makes ready what a run needs, before anything else starts. Nothing is begun where an image
/// cannot be had.
pub(super) async fn prepare_for_run<'a>(
    ui: Ui,
    backend: Backend,
    benchmark: &Path,
    tasks: impl Iterator<Item = &'a Arc<Task>>,
) -> anyhow::Result<()> {
    if backend == Backend::Local {
        return Ok(());
    }
    let mut needed = needed(tasks);
    // Those of our own recipes are looked for with the agents' image.
    needed.retain(|needed| !needed.is_own());
    if needed.is_empty() {
        return Ok(());
    }
    let engine = Engine::connect().await?;
    let making = Making {
        jobs: 2,
        network: BuildNetwork::default(),
        pull: true,
    };
    let made = prepare_all(ui, &engine, &needed, &making).await;
    let failed = needed
        .iter()
        .zip(made)
        .find_map(|(needed, made)| match made {
            Made::Failed(why) => Some((needed, why)),
            Made::There | Made::Built | Made::Pulled => None,
        });
    let Some((needed, why)) = failed else {
        return Ok(());
    };
    let task = needed.tasks.first().map_or("", String::as_str);
    Err(anyhow!("{why}")).hint(format!(
        "the task `{task}` needs it; `dgm bench images build {}` makes images, with \
             `--build-network host` where containers have no network of their own",
        benchmark.display()
    ))
}
