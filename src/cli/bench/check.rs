//! `dgm bench check`.

use crate::benchmark::{CheckRow, Checked, check};
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::cli::{block_on, workplace};
use crate::config::Backend;
use crate::sys::shutdown::Shutdown;
use crate::view::bench;
use anyhow::Context as _;
use clap::ValueEnum;
use std::path::PathBuf;

/// Check tasks before a cent is spent on them
///
/// Runs each task with nothing done, which must not pass, and with its reference solution,
/// which must.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench check benchmarks/smoke --sandbox local
  dgm bench check polyglot-python --tasks '*list*' --jobs 4")]
pub(super) struct Args {
    /// Folder of Harbor task directories
    benchmark: PathBuf,
    /// Only these tasks: names or patterns
    #[arg(long, value_name = "TASK", num_args = 1..)]
    tasks: Vec<String>,
    /// Where they run
    #[arg(long, value_enum, default_value_t = Sandbox::Docker)]
    sandbox: Sandbox,
    /// Tasks at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Print JSON (`dgm.bench-check/1`)
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sandbox {
    Docker,
    Local,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let suite = workplace::load_suite(&self.benchmark)?;
        let tasks = workplace::select(&suite, &self.tasks)?;
        let backend = match self.sandbox {
            Sandbox::Docker => Backend::Docker,
            Sandbox::Local => Backend::Local,
        };
        workplace::refuse_unfit(backend, tasks.iter())?;
        let images = workplace::images(tasks.iter(), None);
        let rows = block_on(async {
            let shutdown = Shutdown::on_signals().context("could not listen for signals")?;
            // Its own name: what an earlier check left is reaped, what runs beside it is not.
            let id = format!("check-{}", std::process::id());
            let place = workplace::open(backend, &id, &images).await?;
            let mut done = 0;
            let total = tasks.len();
            let progress = |row: &CheckRow| {
                done += 1;
                let verdict = if row.ok { "ok" } else { "NOT OK" };
                ui.status(&format!("[{done}/{total}] {}: {verdict}", row.task));
            };
            let cancel = shutdown.drain().clone();
            let jobs = usize::from(self.jobs);
            let rows = check(
                place.sandbox.as_ref(),
                &suite,
                &tasks,
                jobs,
                &cancel,
                progress,
            )
            .await;
            Ok((rows, cancel.is_cancelled()))
        })?;
        let (rows, interrupted) = rows;
        let shown: Vec<bench::Row> = rows.iter().map(row).collect();
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
}

fn row(row: &CheckRow) -> bench::Row {
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
    }
}
