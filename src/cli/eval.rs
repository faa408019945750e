//! `dgm eval`.

use super::error::Hint as _;
use super::exit::Code;
use super::place::{Shape, split};
use super::run::{Budget, KEEP, Run, configured, out_of_budget, settings};
use super::traffic::Traffic;
use super::ui::Ui;
use super::{block_on, making, show, workplace};
use crate::archive::{Reader, Writer};
use crate::benchmark::Suite;
use crate::config::{Overrides, Settings};
use crate::domain::{TaskId, VariantId};
use crate::evolve::{EndCause, Finished, ReplaySource, same_tasks};
use crate::policy::EvalPolicy;
use crate::sys::shutdown::Shutdown;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;

/// Evaluate a variant further
///
/// Adds evaluations of an archived variant to what the archive knows. They are shown beside
/// the score that guided the evolution and never change it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm eval demo best                              every task once more
  dgm eval demo best --tasks 'word-*' --repeats 5
  dgm eval demo seed --repeats 5                  for comparison")]
pub(super) struct Args {
    /// Folder of the archive (left out inside of it), and the variant: a number, `best`,
    /// `seed`, or the beginning of its commit
    #[arg(value_name = "[DIR] VARIANT", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// Only these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    /// Further evaluations of each task
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Jobs at once
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Where untrusted code runs: `docker` or `local`
    #[arg(long, value_name = "BACKEND")]
    sandbox: Option<String>,
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    budget: Budget,
    /// Print the variant as JSON (`dgm.show/1`) at the end
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let shape = Shape {
            verb: "eval",
            rest: "VARIANT",
            least: 1,
            most: 1,
        };
        let (place, rest) = split(&self.words, &shape)?;
        let variant = Reader::open(&place.dir)?.resolve(&rest[0])?;
        let overrides = Overrides {
            workers: self.workers,
            sandbox: self.sandbox.clone(),
            record: self.traffic.record,
            ..Overrides::default()
        };
        let overrides = self.budget.with(overrides);
        let replay = self.traffic.source(ui)?;
        let settings = match replay {
            Some(_) => configured(&place.dir, &overrides)?,
            None => settings(&place.dir, &overrides)?,
        };
        let run = self.evaluate(ui, &place.dir, &settings, variant, replay);
        let finished = block_on(run)?;
        show::Args::of(self.words.clone(), self.json).run(ui)?;
        Ok(match finished.cause {
            EndCause::Goal => Code::Done,
            EndCause::Budget => {
                ui.talk(&out_of_budget(&finished, "the same command"));
                Code::Budget
            }
            EndCause::Provider => {
                ui.talk(&format!(
                    "stopped: {}\nwhat had ended is recorded: see to the provider (`dgm doctor \
                     --models` asks each model), then try again",
                    finished.reason
                ));
                Code::Unusable
            }
            EndCause::Interrupted => {
                ui.talk("interrupted; what had ended is recorded");
                Code::Interrupted
            }
        })
    }

    async fn evaluate(
        &self,
        ui: Ui,
        dir: &Path,
        settings: &Settings,
        variant: VariantId,
        replay: Option<ReplaySource>,
    ) -> anyhow::Result<Finished> {
        let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
        let writer = Writer::open(dir)?;
        let mut suite: Suite = workplace::load_suite(&settings.benchmark, &settings.permits)?;
        workplace::unchecked(ui, settings, &mut suite);
        let tasks = workplace::select(&suite, &self.tasks)?;
        let lineage = writer.lineage()?;
        same_tasks(&lineage, &suite).wrong(KEEP)?;
        workplace::refuse_unfit(settings.backend, tasks.iter())?;
        making::prepare_for_run(ui, settings.backend, &suite.path, tasks.iter()).await?;
        let images = workplace::images(tasks.iter(), None);
        let place = workplace::open(settings.backend, writer.id(), &images).await?;
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        let policy = EvalPolicy::further(&lineage, variant, &ids, self.repeats);
        let policy = Arc::new(policy);
        let run = Run {
            writer,
            suite,
            place,
            policy,
            rounds: 0,
            replay,
        };
        run.go(ui, settings, shutdown).await
    }
}
