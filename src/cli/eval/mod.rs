//! `dgm eval`.

mod subject;

use super::error::{Hint as _, usage};
use super::exit::Code;
use super::place::{Place as Archive, Shape, split};
use super::progress::Watch;
use super::run::{Budget, KEEP, Models, Run, configured, out_of_budget};
use super::traffic::Traffic;
use super::ui::Ui;
use super::{block_on, making, workplace};
use crate::archive::{Reader, Writer};
use crate::benchmark::{Answer, Kind, Suite, Task};
use crate::config::{Overrides, Settings, Split};
use crate::domain::{Evaluation, EvaluationKey, Outcome, Purpose, RunId, TaskId, VariantId};
use crate::evolve::{EndCause, Finished, ReplaySource, never_mixed, same_tasks};
use crate::lineage::{Judgement, Lineage};
use crate::policy::{EvalPolicy, Policy, RegradePolicy};
use crate::sys::shutdown::Shutdown;
use crate::view::eval::{self, Asked, Regrading};
use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;
use subject::{Subject, config_name};

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
    subject: Subject,
    #[command(flatten)]
    budget: Budget,
    #[command(flatten)]
    traffic: Traffic,
    /// Show every task
    #[arg(long)]
    full: bool,
    /// Print what was found as JSON (`dgm.eval/1`)
    #[arg(long)]
    json: bool,
}

/// What is to be evaluated, and with what.
struct Order {
    dir: PathBuf,
    /// The folder as it was typed.
    typed: String,
    variant: VariantId,
    settings: Settings,
    replay: Option<ReplaySource>,
}

/// The tasks that are asked for, among all that an evaluation may need.
struct Chosen {
    suite: Suite,
    tasks: Vec<Arc<Task>>,
}

impl Chosen {
    fn ids(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|task| task.id.clone()).collect()
    }
}

/// How it went.
struct Done {
    /// None: there was nothing to do.
    finished: Option<Finished>,
    tasks: Vec<TaskId>,
    regrade: Option<Regrading>,
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
        let Split { training, held_out } = &mut split;
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
        }
        workplace::unchecked(ui, settings, training);
        let mut tasks = workplace::select(training, &self.tasks)?;
        if !self.exclude.is_empty() {
            let out = workplace::select(training, &self.exclude)?;
            tasks.retain(|task| out.iter().all(|other| other.id != task.id));
        }
        if tasks.is_empty() {
            return usage("no task is left", "`--exclude` leaves out all of them");
        }
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        let suite = split.together();
        Ok(Chosen { suite, tasks })
    }

    async fn evaluate(&self, ui: Ui, order: &Order) -> anyhow::Result<Done> {
        let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
        let writer = Writer::open(&order.dir)?;
        let lineage = writer.lineage()?;
        let chosen = self.choose(ui, order, &lineage)?;
        let tasks = chosen.ids();
        if let Some(which) = &self.regrade {
            let (keys, left_out) = self.answers(order, &writer, &chosen, which == "all")?;
            let policy = RegradePolicy::new(&lineage, keys, order.settings.engine.infra_retries);
            let planned = policy.keys().len();
            let mut regrade = Regrading {
                run: None,
                left_out,
            };
            if planned == 0 {
                ui.status("nothing is to be judged again: no verifier has changed");
                let regrade = Some(regrade);
                return Ok(Done {
                    finished: None,
                    tasks,
                    regrade,
                });
            }
            let last = lineage.runs().last();
            regrade.run = Some(RunId(last.map_or(1, |(start, _)| start.run.0 + 1)));
            let models = Models::None;
            let run = Begin {
                order,
                chosen,
                writer,
                shutdown,
                models,
                planned,
            };
            let finished = run.go(ui, Arc::new(policy)).await?;
            let (finished, regrade) = (Some(finished), Some(regrade));
            return Ok(Done {
                finished,
                tasks,
                regrade,
            });
        }
        same_tasks(&lineage, &chosen.suite).wrong(format!(
            "{KEEP}; `--regrade` judges kept answers with the task as it is now"
        ))?;
        let purpose = self.purpose();
        let policy = EvalPolicy::missing(&lineage, order.variant, purpose, &tasks, self.n_attempts);
        let planned = policy.keys().len();
        let regrade = None;
        if planned == 0 {
            ui.status("nothing is missing: all that was asked for is done");
            return Ok(Done {
                finished: None,
                tasks,
                regrade,
            });
        }
        let models = Models::Solve;
        let run = Begin {
            order,
            chosen,
            writer,
            shutdown,
            models,
            planned,
        };
        let finished = Some(run.go(ui, Arc::new(policy)).await?);
        Ok(Done {
            finished,
            tasks,
            regrade,
        })
    }

    fn purpose(&self) -> Purpose {
        match self.holdout {
            true => Purpose::Holdout,
            false => Purpose::Extra,
        }
    }

    /// Returns the evaluations whose answers are to be judged again, and how many others have
    /// none that could be.
    fn answers(
        &self,
        order: &Order,
        reader: &Reader,
        chosen: &Chosen,
        all: bool,
    ) -> anyhow::Result<(Vec<EvaluationKey>, usize)> {
        let lineage = &reader.lineage()?;
        let (mut keys, mut left_out) = (Vec::new(), 0);
        for evaluation in lineage.evaluations_of(order.variant) {
            let is_held_out = evaluation.purpose == Purpose::Holdout;
            let task = chosen
                .tasks
                .iter()
                .find(|task| task.id == evaluation.key.task);
            let Some(task) = task.filter(|_| is_held_out == self.holdout) else {
                continue;
            };
            let newest = Judgement::newest(evaluation, lineage.regrade(&evaluation.key));
            let no_reward = newest.outcome == Outcome::VerifierError;
            if !(all || no_reward || newest.task_digest != task.digest) {
                continue;
            }
            if can_be_judged_again(reader, lineage, task, &evaluation.key)? {
                keys.push(evaluation.key.clone());
            } else if !nothing_was_judged(evaluation) {
                left_out += 1;
            } else if newest.task_digest != task.digest {
                // It ends so whatever the verifier says; only that is put on record.
                keys.push(evaluation.key.clone());
            }
        }
        Ok((keys, left_out))
    }

    /// Prints what was found; returns how many evaluations have no measurement.
    fn print(&self, ui: Ui, order: &Order, done: &Done) -> anyhow::Result<u64> {
        let lineage = Reader::open(&order.dir)?.lineage()?;
        let benchmark = match self.holdout {
            true => order.settings.holdout_folder(),
            false => None,
        };
        let benchmark = benchmark.unwrap_or_else(|| order.settings.benchmark.clone());
        let name = benchmark
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let asked = Asked {
            lineage: &lineage,
            dir: &order.typed,
            variant: order.variant,
            benchmark: &name.unwrap_or_else(|| benchmark.display().to_string()),
            is_holdout: self.holdout,
            tasks: &done.tasks,
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

/// Returns whether an evaluation's answer was kept, and all of it that its judge needs. One that
/// cannot be read is for the judge to say so.
fn can_be_judged_again(
    reader: &Reader,
    lineage: &Lineage,
    task: &Task,
    key: &EvaluationKey,
) -> anyhow::Result<bool> {
    match lineage.answer(key) {
        Some(answer) if task.kind != Kind::Steps => {
            let kept = reader.blob(answer)?;
            Ok(Answer::can_be_judged_again(task, &kept).unwrap_or(true))
        }
        Some(_) | None => Ok(false),
    }
}

/// Returns whether an evaluation ended as it did without a verifier: nothing was changed, or
/// nothing that could be an answer.
fn nothing_was_judged(evaluation: &Evaluation) -> bool {
    evaluation.outcome.counts() && evaluation.reward.is_none() && evaluation.patch.is_none()
}

/// Everything that a run needs.
struct Begin<'a> {
    order: &'a Order,
    chosen: Chosen,
    writer: Writer,
    shutdown: Shutdown,
    models: Models,
    planned: usize,
}

impl Begin<'_> {
    async fn go(self, ui: Ui, policy: Arc<dyn Policy>) -> anyhow::Result<Finished> {
        let Chosen { suite, tasks } = self.chosen;
        let settings = &self.order.settings;
        workplace::refuse_unfit(settings.backend, tasks.iter())?;
        making::prepare_for_run(ui, settings.backend, &suite.path, tasks.iter()).await?;
        let images = workplace::images(tasks.iter(), None);
        let place = workplace::open(settings.backend, self.writer.id(), &images).await?;
        let run = Run {
            writer: self.writer,
            suite,
            place,
            watch: Watch::Evaluations(self.planned as u64),
            models: self.models,
            policy,
            replay: self.order.replay.clone(),
        };
        run.go(ui, settings, self.shutdown).await
    }
}
