//! `dgm bench images`.

use super::grants::Grants;
use crate::benchmark::images::{Made, needed};
use crate::benchmark::{Permits, Selection};
use crate::cli::exit::Code;
use crate::cli::making::{MakingArgs, prepare_all};
use crate::cli::runtime::block_on;
use crate::cli::ui::Ui;
use crate::cli::{assets, workplace};
use crate::sandbox::docker::image::Facts;
use crate::sandbox::docker::{Engine, store};
use crate::view::bench;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// List, prepare and throw away the images that tasks run in
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: ImagesCommand,
}

#[derive(clap::Subcommand)]
enum ImagesCommand {
    List(ListArgs),
    Build(Build),
    Prune(Prune),
}

/// List images of ours, or those that a benchmark's tasks need
#[derive(clap::Args)]
struct ListArgs {
    /// Folder of Harbor task directories
    benchmark: Option<PathBuf>,
    #[command(flatten)]
    grants: Grants,
    /// Print JSON (`dgm.bench-images/1`)
    #[arg(long)]
    json: bool,
}

/// Build and pull the images that a benchmark's tasks need
///
/// Images of tasks with an `environment/Dockerfile` are built, others pulled if they are not
/// there. One that cannot be had keeps no other from being made.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench images build tasks
  dgm bench images build tasks --tasks 'web-*' --image-jobs 4
  dgm bench images build tasks --build-network host     where containers have no network of their own")]
struct Build {
    /// Folder of Harbor task directories
    benchmark: PathBuf,
    /// Only the images of these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    #[command(flatten)]
    grants: Grants,
    #[command(flatten)]
    making: MakingArgs,
}

/// Remove images that were built from tasks; never one that others made, nor one in use
#[derive(clap::Args)]
struct Prune {
    /// Keep what the tasks of this benchmark need now
    #[arg(long, value_name = "FOLDER")]
    keep: Vec<PathBuf>,
    #[command(flatten)]
    grants: Grants,
    /// Remove the images of this program's own recipes, too
    #[arg(long)]
    all: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match self.command {
            ImagesCommand::List(args) => block_on(args.run(ui)),
            ImagesCommand::Build(args) => block_on(args.run(ui)),
            ImagesCommand::Prune(args) => block_on(args.run(ui)),
        }
    }
}

impl ListArgs {
    async fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let engine = Engine::connect().await?;
        let stored = store::list(&engine).await?;
        let images = match &self.benchmark {
            None => stored.iter().map(own).collect(),
            Some(folder) => of_benchmark(&engine, folder, &self.grants.permits()?).await?,
        };
        ui.data(if self.json {
            bench::images_json(&images)
        } else {
            bench::images_text(&images, ui.data_style())
        })?;
        Ok(Code::Done)
    }
}

fn own(stored: &store::StoredImage) -> bench::Image {
    bench::Image {
        name: stored.names.first().cloned().unwrap_or_default(),
        id: Some(stored.id.clone()),
        size: Some(stored.size),
        source: match is_of_task(stored) {
            true => "task",
            false => "recipe",
        }
        .to_owned(),
        tasks: None,
    }
}

fn is_of_task(stored: &store::StoredImage) -> bool {
    let of_task = |name: &String| name.starts_with("dgm-task/");
    stored.names.is_empty() || stored.names.iter().any(of_task)
}

async fn of_benchmark(
    engine: &Engine,
    folder: &Path,
    permits: &Permits,
) -> anyhow::Result<Vec<bench::Image>> {
    let suite = workplace::read_suite(folder, permits)?;
    let mut images = Vec::new();
    for needed in needed(&suite.tasks) {
        let there = Facts::of(engine, &needed.name).await?;
        let source = if needed.is_built() {
            "task"
        } else if assets::recipe(&needed.name).is_some() {
            "recipe"
        } else {
            "registry"
        };
        images.push(bench::Image {
            id: there.as_ref().map(|facts| facts.id.clone()),
            size: there.as_ref().map(|facts| facts.size),
            source: source.to_owned(),
            tasks: Some(needed.tasks.len()),
            name: needed.name,
        });
    }
    Ok(images)
}

impl Build {
    async fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let suite = workplace::read_suite(&self.benchmark, &self.grants.permits()?)?;
        let Selection { tasks, refused } = workplace::choose(&suite, &self.tasks, &[])?;
        for (task, why) in &refused {
            ui.warn(&format!("{task}: {why}"));
        }
        let engine = Engine::connect().await?;
        let needed = needed(&tasks);
        let made = prepare_all(ui, &engine, &needed, &self.making.making()).await;
        let mut failed = 0;
        for (needed, made) in needed.iter().zip(&made) {
            let word = match made {
                Made::There => "up to date",
                Made::Built => "built",
                Made::Pulled => "pulled",
                Made::Failed(why) => {
                    failed += 1;
                    ui.warn(&format!("{}: {why}", needed.name));
                    "failed"
                }
            };
            ui.data(format!("{}: {word}\n", needed.name))?;
        }
        Ok(if failed == 0 {
            Code::Done
        } else {
            Code::Failed
        })
    }
}

impl Prune {
    async fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let engine = Engine::connect().await?;
        let permits = self.grants.permits()?;
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for folder in &self.keep {
            let suite = workplace::read_suite(folder, &permits)
                .with_context(|| format!("could not read what `{}` needs", folder.display()))?;
            if let Some(left_out) = workplace::left_out(&suite) {
                ui.warn(&left_out);
            }
            kept.extend(needed(&suite.tasks).into_iter().map(|needed| needed.name));
        }
        let (mut removed, mut bytes) = (0_usize, 0);
        for stored in store::list(&engine).await? {
            let is_kept = stored.names.iter().any(|name| kept.contains(name));
            if is_kept || !(self.all || is_of_task(&stored)) {
                continue;
            }
            let name = stored.names.first().unwrap_or(&stored.id).clone();
            if self.dry_run {
                ui.data(format!("{name}: would be removed\n"))?;
            } else if store::remove(&engine, &stored).await? {
                ui.data(format!("{name}: removed\n"))?;
            } else {
                ui.warn(&format!("{name} is in use and stays"));
                continue;
            }
            removed += 1;
            bytes += stored.size;
        }
        if removed == 0 {
            ui.status("there is nothing to remove");
        } else {
            let size = bench::size(bytes);
            ui.status(&format!("{removed} images, at most {size}"));
        }
        Ok(Code::Done)
    }
}
