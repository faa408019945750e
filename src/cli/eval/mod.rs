//! `dgm eval`.

mod answers;
mod begin;
mod order;
mod subject;

use super::error::{Hint as _, usage};
use super::exit::Code;
use super::place::{Place as Archive, Shape, split};
use super::run::{Budget, KEEP, Models, configured, out_of_budget};
use super::runtime::block_on;
use super::traffic::TrafficArgs;
use super::ui::Ui;
use super::workplace;
use crate::archive::{Reader, Writer};
use crate::benchmark::Selection;
use crate::config::{Overrides, Split};
use crate::domain::{Purpose, TaskId, VariantId};
use crate::evolve::{EndCause, Finished, never_mixed, same_tasks};
use crate::lineage::Lineage;
use crate::policy::{EvalPolicy, RegradePolicy};
use crate::sys::shutdown::Shutdown;
use crate::view::eval::{self, Asked, Regrading};
use anyhow::Context as _;
use begin::{Begin, Ready};
use order::{Chosen, Order};
use std::sync::Arc;
use subject::{EvalSubject, config_name};

const SHAPE: Shape = Shape {
    verb: "eval",
    rest: "VARIANT",
    least: 1,
    most: 1,
};

/// Evaluate a variant, or any agent, on a benchmark
///
/// Brings each task to a number of evaluations, beside those that guided the evolution, which
/// they never change. The same command again runs what is missing: what had ended stays, and
/// what the infrastructure failed gets another try. With `--agent` the agent becomes the seed
/// of a small archive, so that everything else works on what is found.
#[derive(clap::Args)]
#[command(
    override_usage = "dgm eval [OPTIONS] [DIR] VARIANT\n       \
                      dgm eval [OPTIONS] --agent FOLDER --benchmark FOLDER --out DIR",
    after_help = "\
Examples:
  dgm eval demo best                              every task of the benchmark once
  dgm eval demo best --tasks 'word-*' -k 5        five times each
  dgm eval demo best --holdout                    what nothing of the evolution has seen
  dgm eval demo best --regrade                    judge kept answers with changed verifiers
  dgm eval --agent my-agent --benchmark tasks --out found --model openai/gpt-5 -k 3"
)]
pub(super) struct Args {
    /// Folder of the archive (left out inside of it), and the variant: a number, `best`,
    /// `seed`, or the beginning of its commit
    #[arg(value_name = "[DIR] VARIANT", required_unless_present = "out", num_args = 1..=2)]
    words: Vec<String>,
    /// Only these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    /// Not these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    exclude: Vec<String>,
    /// The tasks that are held out, instead of the others
    #[arg(long)]
    holdout: bool,
    /// Evaluations of each task in all
    #[arg(
        long,
        short = 'k',
        alias = "repeats",
        value_name = "K",
        default_value_t = 1
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    n_attempts: u32,
    /// Evaluations at once
    #[arg(long, short = 'n', alias = "workers", value_name = "N")]
    concurrency: Option<usize>,
    /// Run no agent: judge kept answers again where the verifier has changed or gave no reward
    /// (`--regrade=all`: all of them)
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "changed", value_parser = ["changed", "all"])]
    #[arg(conflicts_with_all = ["record", "replay"])]
    regrade: Option<String>,
    /// Where untrusted code runs: `docker` or `local`
    #[arg(long, value_name = "BACKEND")]
    sandbox: Option<String>,
    #[command(flatten)]
    subject: EvalSubject,
    #[command(flatten)]
    budget: Budget,
    #[command(flatten)]
    traffic: TrafficArgs,
    /// Show every task
    #[arg(long)]
    full: bool,
    /// Print what was found as JSON (`dgm.eval/1`)
    #[arg(long)]
    json: bool,
}

/// How it went.
struct Done {
    /// None: there was nothing to do.
    finished: Option<Finished>,
    tasks: Vec<TaskId>,
    refused: Vec<(String, String)>,
    regrade: Option<Regrading>,
    /// The archive's facts as they are now.
    lineage: Lineage,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let (archive, variant) = match self.subject.archive(ui)? {
            Some(dir) => {
                let typed = dir.display().to_string();
                (Archive { dir, typed }, VariantId::SEED)
            }
            None => {
                let (place, rest) = split(&self.words, &SHAPE)?;
                let variant = Reader::open(&place.dir)?.resolve(&rest[0])?;
                (place, variant)
            }
        };
        let overrides = Overrides {
            workers: self.concurrency,
            sandbox: self.sandbox.clone(),
            record: self.traffic.record,
            ..Overrides::default()
        };
        let overrides = self.budget.with(overrides);
        let order = Order {
            settings: configured(&archive.dir, &overrides)?,
            replay: self.traffic.source(ui)?,
            dir: archive.dir,
            typed: archive.typed,
            variant,
        };
        let done = block_on(self.evaluate(ui, &order))?;
        let unmeasured = self.print(ui, &order, &done)?;
        Ok(self.end(ui, &done, unmeasured))
    }

    /// Chooses the tasks. What is held out is evaluated only where it is asked for.
    fn choose(&self, ui: Ui, order: &Order, lineage: &Lineage) -> anyhow::Result<Chosen> {
        let settings = &order.settings;
        let mut split = workplace::load_split(settings, &config_name(&order.dir))?;
        never_mixed(lineage, &split.held_out_ids()).wrong(KEEP)?;
        let Split {
            training,
            held_out,
            held_out_refused,
        } = &mut split;
        if self.holdout && held_out.is_empty() {
            return usage(
                "no task is held out",
                "say which in the archive's `dgm.toml`, under `[benchmark.holdout]`",
            );
        }
        if !self.holdout
            && let Some(name) = self.tasks.iter().find(|name| {
                held_out
                    .iter()
                    .any(|task| task.id.as_str() == name.as_str())
            })
        {
            return usage(
                format!("`{name}` is held out"),
                "add `--holdout` to evaluate tasks that are held out, and only those",
            );
        }
        if self.holdout {
            std::mem::swap(&mut training.tasks, held_out);
            std::mem::swap(&mut training.refused, held_out_refused);
        }
        workplace::unchecked(ui, settings, training);
        let Selection { mut tasks, refused } =
            workplace::choose(training, &self.tasks, &self.exclude)?;
        if tasks.is_empty() {
            return usage(
                "no task is left that can run",
                "`--exclude` leaves out all of them",
            );
        }
        if let Some((name, why)) = refused.first() {
            let count = match refused.len() {
                1 => format!("task `{name}` cannot run"),
                count => format!("{count} tasks cannot run, `{name}` is the first"),
            };
            ui.warn(&format!(
                "{count}: {why}; what was asked of them is missing"
            ));
        }
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        let suite = split.together();
        Ok(Chosen {
            suite,
            tasks,
            refused,
        })
    }

    async fn evaluate(&self, ui: Ui, order: &Order) -> anyhow::Result<Done> {
        let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
        let writer = Writer::open(&order.dir)?;
        let lineage = writer.lineage()?;
        let chosen = self.choose(ui, order, &lineage)?;
        let tasks = chosen.ids();
        let refused = chosen.refused.clone();
        if let Some(which) = &self.regrade {
            let (mut keys, mut left_out) = self.answers(order, &lineage, &chosen, which == "all");
            let mut regrade = Regrading {
                run: None,
                left_out,
            };
            if keys.is_empty() {
                ui.status("nothing is to be judged again: no verifier has changed");
                return Ok(Done {
                    finished: None,
                    tasks,
                    refused,
                    regrade: Some(regrade),
                    lineage,
                });
            }
            let ready = Ready::make(ui, order, chosen, &keys).await?;
            left_out += keys.len();
            keys.retain(|key| !ready.lacking.contains_key(&key.task));
            regrade.left_out = left_out - keys.len();
            let policy = RegradePolicy::new(&lineage, keys, order.settings.engine.infra_retries);
            regrade.run = Some(lineage.next_run());
            let run = Begin {
                order,
                ready,
                writer,
                lineage,
                shutdown,
                models: Models::None,
            };
            let (finished, lineage) = run.go(ui, Arc::new(policy)).await?;
            return Ok(Done {
                finished: Some(finished),
                tasks,
                refused,
                regrade: Some(regrade),
                lineage,
            });
        }
        same_tasks(&lineage, &chosen.suite).wrong(format!(
            "{KEEP}; `--regrade` judges kept answers with the task as it is now"
        ))?;
        let purpose = self.purpose();
        let policy = EvalPolicy::missing(&lineage, order.variant, purpose, &tasks, self.n_attempts);
        let (finished, lineage) = if policy.keys().is_empty() {
            ui.status(match refused.is_empty() {
                true => "nothing is missing: all that was asked for is done",
                false => "nothing more can be run",
            });
            (None, lineage)
        } else {
            let run = Begin {
                order,
                ready: Ready::make(ui, order, chosen, policy.keys()).await?,
                writer,
                lineage,
                shutdown,
                models: Models::Solve,
            };
            let (finished, lineage) = run.go(ui, Arc::new(policy)).await?;
            (Some(finished), lineage)
        };
        Ok(Done {
            finished,
            tasks,
            refused,
            regrade: None,
            lineage,
        })
    }

    fn purpose(&self) -> Purpose {
        match self.holdout {
            true => Purpose::Holdout,
            false => Purpose::Extra,
        }
    }

    /// Prints what was found; returns how many evaluations have no measurement.
    fn print(&self, ui: Ui, order: &Order, done: &Done) -> anyhow::Result<u64> {
        let benchmark = match self.holdout {
            true => order.settings.holdout_folder(),
            false => None,
        };
        let benchmark = benchmark.unwrap_or_else(|| order.settings.benchmark.clone());
        let name = benchmark
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let asked = Asked {
            lineage: &done.lineage,
            dir: &order.typed,
            variant: order.variant,
            benchmark: &name.unwrap_or_else(|| benchmark.display().to_string()),
            is_holdout: self.holdout,
            tasks: &done.tasks,
            refused: &done.refused,
            attempts: self.n_attempts,
            regrade: done.regrade,
        };
        ui.data(if self.json {
            eval::json(&asked)
        } else {
            eval::text(&asked, ui.data_style(), self.full)
        })?;
        Ok(eval::unmeasured(&asked))
    }

    /// Says why it ended where that was not its goal.
    fn end(&self, ui: Ui, done: &Done, unmeasured: u64) -> Code {
        let cause = done
            .finished
            .as_ref()
            .map(|finished| (finished, finished.cause));
        match cause {
            Some((finished, EndCause::Budget)) => {
                ui.talk(&out_of_budget(finished, "the same command"));
                Code::Budget
            }
            Some((finished, EndCause::Provider)) => {
                ui.talk(&format!(
                    "stopped: {}\nwhat had ended is recorded: see to the provider (`dgm doctor \
                     --models` asks each model), then go on with the same command",
                    finished.reason
                ));
                Code::Unusable
            }
            Some((_, EndCause::Interrupted)) => {
                ui.talk("interrupted; what had ended is recorded: go on with the same command");
                Code::Interrupted
            }
            Some((_, EndCause::Goal)) | None if unmeasured > 0 && self.regrade.is_none() => {
                ui.talk(&format!(
                    "evaluations without a measurement: {unmeasured}; the same command runs those \
                     again that the infrastructure failed, and `--regrade` judges those again \
                     that got no reward"
                ));
                Code::Failed
            }
            Some((_, EndCause::Goal)) | None => Code::Done,
        }
    }
}
