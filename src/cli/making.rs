//! Images made ready for commands that need them, with their progress.

use super::error::Hint as _;
use super::ui::Ui;
use crate::benchmark::Task;
use crate::benchmark::images::{Made, Making, Needed, needed, prepare};
use crate::config::Backend;
use crate::domain::TaskId;
use crate::sandbox::docker::Engine;
use crate::sandbox::docker::image::BuildNetwork;
use anyhow::anyhow;
use std::collections::BTreeMap;
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

/// An image that cannot be had.
pub(super) struct Lacking {
    tasks: Vec<String>,
    why: String,
}

impl Lacking {
    /// Returns the tasks that need any of them, with why they cannot be run.
    pub(super) fn tasks(all: &[Self]) -> BTreeMap<TaskId, String> {
        let mut tasks = BTreeMap::new();
        for lacking in all {
            for task in &lacking.tasks {
                let why = || lacking.why.clone();
                tasks.entry(TaskId::new(task)).or_insert_with(why);
            }
        }
        tasks
    }

    /// Returns a sentence about it, for whoever goes on without it.
    pub(super) fn warning(&self) -> String {
        format!("{}; needed by {}", self.why, named(&self.tasks))
    }

    /// Refuses to begin without them.
    pub(super) fn refuse(all: &[Self], benchmark: &Path) -> anyhow::Result<()> {
        match all.first() {
            None => Ok(()),
            Some(first) => Err(anyhow!("{}", first.why)).hint(first.hint(all, benchmark)),
        }
    }

    /// Returns what to do about it and the others.
    fn hint(&self, all: &[Self], benchmark: &Path) -> String {
        let others: Vec<String> = Self::tasks(all)
            .into_keys()
            .map(|task| task.to_string())
            .filter(|task| !self.tasks.contains(task))
            .collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(", and there is none for {} either", named(others)),
        };
        let need = match self.tasks.as_slice() {
            [_] => "needs",
            _ => "need",
        };
        format!(
            "{} {need} it{others}; `dgm bench images build {}` makes images, with \
             `--build-network host` where containers have no network of their own",
            named(&self.tasks),
            benchmark.display()
        )
    }
}

/// Returns a few names as part of a sentence.
fn named(tasks: &[String]) -> String {
    let some: Vec<String> = tasks
        .iter()
        .take(5)
        .map(|task| format!("`{task}`"))
        .collect();
    let more = match tasks.len() {
        0..=5 => String::new(),
        count => format!(" and {} more", count - 5),
    };
    match tasks {
        [_] => format!("the task {}", some.concat()),
        _ => format!("the tasks {}{more}", some.join(", ")),
    }
}

/// Makes ready what a run needs, before anything else starts; returns what cannot be had.
pub(super) async fn prepare_for_run<'a>(
    ui: Ui,
    backend: Backend,
    tasks: impl Iterator<Item = &'a Arc<Task>>,
) -> anyhow::Result<Vec<Lacking>> {
    if backend == Backend::Local {
        return Ok(Vec::new());
    }
    let mut needed = needed(tasks);
    // Those of our own recipes are looked for with the agents' image.
    needed.retain(|needed| !needed.is_own());
    if needed.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::connect().await?;
    let making = Making {
        jobs: 2,
        network: BuildNetwork::default(),
        pull: true,
    };
    let made = prepare_all(ui, &engine, &needed, &making).await;
    Ok(lacking(&needed, &made))
}

/// Returns the images that were needed and could not be had.
pub(super) fn lacking(needed: &[Needed], made: &[Made]) -> Vec<Lacking> {
    let with_why = needed.iter().zip(made);
    let failed = with_why.filter_map(|(needed, made)| match made {
        Made::Failed(why) => Some(Lacking {
            tasks: needed.tasks.clone(),
            why: why.clone(),
        }),
        Made::There | Made::Built | Made::Pulled => None,
    });
    failed.collect()
}

#[cfg(test)]
mod tests {
    use super::Lacking;
    use std::path::Path;

    #[test]
    fn what_cannot_be_had_is_named_with_all_who_need_it() {
        let lacking = |tasks: &[&str], why: &str| Lacking {
            tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
            why: why.to_owned(),
        };
        let all = [
            lacking(&["a", "b"], "no image x"),
            lacking(&["b", "c"], "no image y"),
        ];
        let tasks: Vec<String> = Lacking::tasks(&all)
            .into_iter()
            .map(|(task, why)| format!("{task}: {why}"))
            .collect();
        assert_eq!(tasks, ["a: no image x", "b: no image x", "c: no image y"]);
        let warning = all.first().map(Lacking::warning);
        let is = "no image x; needed by the tasks `a`, `b`";
        assert_eq!(warning.as_deref(), Some(is));
        let place = Path::new("tasks");
        let error = Lacking::refuse(&all, place).expect_err("it lacks some");
        assert_eq!(error.to_string(), "no image x");
        let hints = all.each_ref().map(|image| image.hint(&all, place));
        let begins = [
            "the tasks `a`, `b` need it, and there is none for the task `c` either; `dgm bench \
             images build tasks`",
            "the tasks `b`, `c` need it, and there is none for the task `a` either; ",
        ];
        for (hint, begin) in hints.iter().zip(begins) {
            assert!(hint.starts_with(begin), "{hint}");
        }
        assert!(Lacking::refuse(&[], place).is_ok());
    }
}
