//! `dgm bench check`.

use super::grants::Grants;
use crate::benchmark::images::{Needed, needed};
use crate::benchmark::{CheckRow, Checked, Checks, Finding, Permits, Selection, Suite, Task};
use crate::cli::exit::Code;
use crate::cli::making::{self, Lacking, MakingArgs, prepare_all};
use crate::cli::runtime::block_on;
use crate::cli::ui::Ui;
use crate::cli::workplace;
use crate::config::Backend;
use crate::sandbox::docker::Engine;
use crate::sandbox::docker::image::digest_of;
use crate::sys::clock;
use crate::sys::shutdown::Shutdown;
use crate::trial::{Effort, NotRun, check};
use crate::view::bench;
use anyhow::Context as _;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Check tasks before a cent is spent on them
///
/// Runs each task with nothing done, which must not pass, and with its reference solution,
/// which must. Images that are not there are built or pulled first. What was found is kept in
/// the benchmark's folder, in `.dgm-checks.json`, for as long as task and image stay the same.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench check benchmarks/smoke --sandbox local
  dgm bench check polyglot-python --tasks '*list*' --jobs 4
  dgm bench check tasks --lint")]
pub(super) struct Args {
    /// Folder of Harbor task directories
    benchmark: PathBuf,
    /// Only these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    /// Where they run
    #[arg(long, value_enum, default_value_t = CheckBackend::Docker)]
    sandbox: CheckBackend,
    /// Tasks at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Run each twice; a task that gives another reward the second time is not ok
    #[arg(long)]
    thorough: bool,
    /// Run nothing: only say what reading the tasks finds
    #[arg(long)]
    lint: bool,
    #[command(flatten)]
    grants: Grants,
    /// What root in a task's image may do: `none`, or `files`
    #[arg(long, default_value = "none", value_parser = ["none", "files"])]
    capabilities: String,
    /// MiB of artifacts, and of an answer, that are taken out of a sandbox
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    collect_mb: u64,
    #[command(flatten)]
    making: MakingArgs,
    /// Print JSON (`dgm.bench-check/1`)
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckBackend {
    Docker,
    Local,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let permits = Permits {
            file_rights: self.capabilities == "files",
            collect: Some(self.collect_mb << 20),
            ..self.grants.permits()?
        };
        let suite = workplace::load_suite(&self.benchmark, &permits)?;
        let Selection { tasks, refused } = workplace::choose(&suite, &self.tasks, &[])?;
        if self.lint {
            return lint(ui, &tasks, &refused);
        }
        let backend = match self.sandbox {
            CheckBackend::Docker => Backend::Docker,
            CheckBackend::Local => Backend::Local,
        };
        workplace::refuse_unfit(backend, tasks.iter())?;
        let (rows, interrupted) = block_on(self.check(ui, &suite, &tasks, refused, backend))?;
        let times = self.times();
        let shown: Vec<bench::Row> = rows.iter().map(|found| row(found, &tasks, times)).collect();
        ui.data(if self.json {
            bench::check_json(&shown)
        } else {
            bench::check_text(&shown, ui.data_style())
        })?;
        Ok(if interrupted {
            Code::Interrupted
        } else if rows.iter().all(|row| row.ok) {
            Code::Done
        } else {
            Code::Failed
        })
    }

    fn times(&self) -> u32 {
        if self.thorough { 2 } else { 1 }
    }

    async fn check(
        &self,
        ui: Ui,
        suite: &Suite,
        tasks: &[Arc<Task>],
        refused: Vec<(String, String)>,
        backend: Backend,
    ) -> anyhow::Result<(Vec<CheckRow>, bool)> {
        let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
        let (mut ids, mut lacking) = (BTreeMap::new(), BTreeMap::new());
        if backend == Backend::Docker {
            let engine = Engine::connect().await?;
            let needed = needed(tasks);
            // One that cannot be had is told by the tasks that need it.
            let made = prepare_all(ui, &engine, &needed, &self.making.making()).await;
            let again = format!("dgm bench images build {}", suite.path.display());
            for (task, why) in Lacking::tasks(&making::lacking(&needed, &made)) {
                lacking.insert(task, format!("{why}; `{again}` tries it again"));
            }
            for needed in &needed {
                if let Some(id) = digest_of(&engine, &needed.name).await? {
                    ids.insert(needed.name.clone(), id);
                }
            }
        }
        // Its own name: what an earlier check left is reaped, what runs beside it is not.
        let id = format!("check-{}", std::process::id());
        let own = needed(tasks).into_iter().filter(Needed::is_own);
        let own: Vec<String> = own.map(|needed| needed.name).collect();
        let place = workplace::open(backend, &id, &own).await?;
        let mut checks = Checks::read(&suite.path);
        let times = self.times();
        let mut done = 0;
        let total = tasks.len() + refused.len();
        let progress = |row: &CheckRow| {
            done += 1;
            let verdict = if row.ok { "ok" } else { "NOT OK" };
            ui.status(&format!("[{done}/{total}] {}: {verdict}", row.task));
            if let Some(task) = tasks.iter().find(|task| task.id.as_str() == row.task) {
                let image = task.image.as_ref().and_then(|name| ids.get(name)).cloned();
                checks.take(row, task, image, times, clock::now_ms());
            }
        };
        let cancel = shutdown.drain().clone();
        let effort = Effort {
            jobs: usize::from(self.jobs),
            times,
        };
        let sandbox = place.sandbox.as_ref();
        let not_run = NotRun { refused, lacking };
        let rows = check(sandbox, not_run, tasks, effort, &cancel, progress).await;
        if let Err(error) = checks.write() {
            let folder = suite.path.display();
            ui.warn(&format!(
                "what was found could not be kept in `{folder}`: {error}"
            ));
        }
        // Nothing of it is needed any more, also what a broken run left.
        place.reap().await?;
        Ok((rows, cancel.is_cancelled()))
    }
}

/// Prints what reading finds, without running anything.
fn lint(ui: Ui, tasks: &[Arc<Task>], refused: &[(String, String)]) -> anyhow::Result<Code> {
    let rows: Vec<(String, Vec<bench::Finding>)> = tasks
        .iter()
        .map(|task| {
            let warnings = task.warnings.iter().map(|what| bench::Finding {
                rule: "task-toml".to_owned(),
                place: "task.toml".to_owned(),
                what: what.clone(),
            });
            let findings = warnings.chain(task.findings.iter().map(finding)).collect();
            (task.id.to_string(), findings)
        })
        .collect();
    ui.data(bench::lint_text(&rows))?;
    for (name, why) in refused {
        ui.warn(&format!("{name}: {why}"));
    }
    Ok(if refused.is_empty() {
        Code::Done
    } else {
        Code::Failed
    })
}

fn finding(finding: &Finding) -> bench::Finding {
    bench::Finding {
        rule: finding.rule.to_owned(),
        place: finding.place.clone(),
        what: finding.what.clone(),
    }
}

fn row(row: &CheckRow, tasks: &[Arc<Task>], times: u32) -> bench::Row {
    let said = |checked: &Checked| match checked {
        Checked::Reward(reward) => (Some(*reward), String::new()),
        Checked::NoReward(why) | Checked::NotRun(why) => (None, why.clone()),
    };
    let (nothing_done, nothing_why) = said(&row.nothing_done);
    let (reference, reference_why) = said(&row.reference);
    let detail = [row.detail.clone(), nothing_why, reference_why];
    let detail = detail
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    bench::Row {
        task: row.task.clone(),
        nothing_done,
        reference,
        ok: row.ok,
        detail,
        seconds: row.seconds,
        times,
        findings: tasks
            .iter()
            .find(|task| task.id.as_str() == row.task)
            .map(|task| task.findings.iter().map(finding).collect())
            .unwrap_or_default(),
    }
}
