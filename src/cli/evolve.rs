//! `dgm evolve`.

use super::caps::{self, Asked};
use super::error::config_error;
use super::error::{Hint as _, usage};
use super::exit::Code;
use super::init::{self, Source};
use super::making::{self, Lacking};
use super::progress::Watch;
use super::run::{Budget, KEEP, Models, Run, configured, out_of_budget, paper, settings};
use super::runtime::block_on;
use super::traffic::{Remake, TrafficArgs};
use super::ui::Ui;
use super::{dry_run, workplace};
use crate::archive::{Layout, Writer, exists};
use crate::benchmark::Suite;
use crate::config::{Overrides, Settings};
use crate::domain::Raise;
use crate::evolve::{EndCause, Finished, ReplaySource, comparable, never_mixed};
use crate::lineage::Lineage;
use crate::sys::shutdown::Shutdown;
use crate::view::tree;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Grow an archive: make, evaluate and keep better agents
///
/// Makes the archive if it is not there yet (then say from what: `--preset` or `--config`).
/// On an existing archive it goes on: whatever a stopped or killed run had finished stays
/// finished, whatever it had begun is done again. The first Ctrl-C starts nothing new and lets
/// running jobs end, the second stops them, the third exits.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm evolve demo --preset smoke            first look: no key, no network, no Docker
  dgm evolve demo --generations 10          go on with it
  dgm evolve demo --dry-run                 what it would do, and what that may cost
  dgm evolve run --config my.toml           a new archive from your own configuration
  dgm evolve run --sandbox docker           run in containers instead
  dgm evolve again --replay run             the same again without any provider")]
pub(super) struct Args {
    /// Folder of the archive [default: the current directory]
    dir: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Rounds in all, over all runs of this archive
    #[arg(long, value_name = "N")]
    generations: Option<u32>,
    /// Jobs at once
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Where untrusted code runs: `docker` or `local`
    #[arg(long, value_name = "BACKEND")]
    sandbox: Option<String>,
    #[command(flatten)]
    traffic: TrafficArgs,
    #[command(flatten)]
    budget: Budget,
    /// Show what the run would do and may cost, and do nothing; needs no key and no engine
    #[arg(long)]
    dry_run: bool,
    /// Print the tree as JSON (`dgm.tree/1`) at the end, or with `--dry-run` the plan
    /// (`dgm.plan/1`)
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let dir = self.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let overrides = Overrides {
            generations: self.generations,
            workers: self.workers,
            sandbox: self.sandbox.clone(),
            record: self.traffic.record,
            ..Overrides::default()
        };
        let overrides = self.budget.with(overrides);
        if !exists(&dir) && self.dir.is_none() {
            return usage(
                "the current directory holds no archive",
                "name the folder of one, or make one: `dgm evolve demo --preset smoke`",
            );
        }
        let remake = Remake::of(&self.source, self.traffic.replay.as_deref())?;
        if self.dry_run {
            dry_run::show(ui, &dir, &remake.source, &overrides, self.json)?;
            return Ok(Code::Done);
        }
        // What cannot be replayed is told before an archive is made for it.
        let replay = self.traffic.source(ui)?;
        if !exists(&dir) {
            init::may_be_made(&dir)?;
            let planned = init::settings(&remake.source, &overrides)?;
            let policy = config_error(planned.policy_without_tasks(), "the configuration")?;
            let remaining = policy.remaining(&Lineage::default());
            caps::check(&planned, Asked::of(&remaining))?;
            init::create(&dir, &remake.source, replay.is_none())?;
            ui.status(&format!("made the archive `{}`", dir.display()));
        } else if self.source.says_more_than_a_preset() {
            ui.warn("the archive is there already: it goes on with its own `dgm.toml`");
        }
        let settings = match replay {
            Some(_) => configured(&dir, &overrides)?,
            None => settings(&dir, &overrides)?,
        };
        let Evolved {
            finished,
            lineage,
            raise,
        } = block_on(evolve(ui, &dir, &settings, replay))?;
        ui.data(if self.json {
            tree::json(&lineage)
        } else {
            tree::text(&lineage, ui.data_style())
        })?;
        let typed = self
            .dir
            .as_deref()
            .map(|dir| format!(" {}", dir.display()))
            .unwrap_or_default();
        let again = format!("dgm evolve{typed}");
        Ok(conclude(ui, &finished, raise, &again))
    }
}

/// Says how a run ended, and how to go on.
fn conclude(ui: Ui, finished: &Finished, raise: Option<Raise>, again: &str) -> Code {
    match finished.cause {
        EndCause::Interrupted => {
            ui.talk(&format!(
                "interrupted; nothing is lost: go on with `{again}`"
            ));
            Code::Interrupted
        }
        EndCause::Budget => {
            ui.talk(&out_of_budget(finished, &format!("`{again}`")));
            Code::Budget
        }
        EndCause::Provider => {
            ui.talk(&format!(
                "stopped: {}\nnothing is lost: see to the provider (`dgm doctor --models` asks \
                 each model), then go on with `{again}`",
                finished.reason
            ));
            Code::Unusable
        }
        EndCause::Goal => {
            let how = raise.map(|Raise { option, value }| {
                format!("; go on with `{again} --{option} {value}`")
            });
            ui.status(&format!(
                "goal reached: {}{}",
                finished.reason,
                how.unwrap_or_default()
            ));
            Code::Done
        }
    }
}

/// A run that has ended.
struct Evolved {
    finished: Finished,
    /// The archive's facts as they are then.
    lineage: Lineage,
    /// What would let it go on after its goal.
    raise: Option<Raise>,
}

async fn evolve(
    ui: Ui,
    dir: &Path,
    settings: &Settings,
    replay: Option<ReplaySource>,
) -> anyhow::Result<Evolved> {
    if let Some(told) = paper(settings) {
        ui.warn(told);
    }
    let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
    let writer = Writer::open(dir)?;
    let lineage = writer.lineage()?;
    let name = Layout::new(dir).config().display().to_string();
    let split = workplace::load_split(settings, &name)?;
    never_mixed(&lineage, &split.held_out_ids()).wrong(KEEP)?;
    // From here on nothing knows what is held out.
    let mut suite: Suite = split.training;
    workplace::unchecked(ui, settings, &mut suite);
    if let Some(left_out) = workplace::left_out(&suite) {
        ui.warn(&left_out);
    }
    let policy = config_error(settings.policy(&suite), &name)?;
    let guiding = policy.guiding_tasks();
    comparable(&lineage, &suite, &guiding).wrong(KEEP)?;
    let said = caps::check(settings, Asked::of(&policy.remaining(&lineage)))?;
    said.iter().for_each(|said| ui.warn(said));
    let needed = || {
        let tasks = suite.tasks.iter();
        tasks.filter(|task| guiding.iter().any(|group| group.contains(&task.id)))
    };
    workplace::refuse_unfit(settings.backend, needed())?;
    // A stage with a task that nothing can ever measure would be no stage.
    let lacking = making::prepare_for_run(ui, settings.backend, needed()).await?;
    Lacking::refuse(&lacking, &suite.path)?;
    let images = workplace::images(needed(), Some(&settings.engine.agent_image));
    let place = workplace::open(settings.backend, writer.id(), &images).await?;
    let run = Run {
        writer,
        lineage,
        suite,
        place,
        policy: policy.clone(),
        watch: Watch::Evolution,
        models: Models::All,
        replay,
        lacking: BTreeMap::new(),
    };
    let (finished, lineage) = run.go(ui, settings, shutdown).await?;
    let raise = policy.remaining(&lineage).goal.raise;
    Ok(Evolved {
        finished,
        lineage,
        raise,
    })
}
