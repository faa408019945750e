//! What `evolve`, `eval` and `bench check` have in common: a sandbox backend that works here,
//! and the folder for sockets and caches of this archive.

use super::error::{Hint as _, config_error, usage};
use super::ui::Ui;
use crate::benchmark::{Checks, Permits, Selection, Standing, Suite, Task};
use crate::config::{Backend, Settings, Split, Unchecked};
use crate::model::{ModelSettings, Price};
use crate::sandbox::Sandbox;
use crate::sandbox::docker::DockerSandbox;
use crate::sandbox::local::LocalSandbox;
use crate::trial::SandboxHost;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens a backend and checks that it works with the images that the tasks need.
/// `id` names what belongs together and is reaped together: the archive's id.
pub(super) async fn open(
    backend: Backend,
    id: &str,
    images: &[String],
) -> anyhow::Result<SandboxHost> {
    let runtime = runtime_dir(id)?;
    let sandbox: Arc<dyn Sandbox> = match backend {
        Backend::Docker => Arc::new(DockerSandbox::connect(id.to_owned(), runtime.clone()).await?),
        Backend::Local => Arc::new(LocalSandbox::new(runtime.clone())),
    };
    sandbox.check(images).await?;
    let sockets = runtime.join("s");
    Ok(SandboxHost { sandbox, sockets })
}

/// Returns the images that a run needs, each once.
pub(super) fn images<'a>(
    tasks: impl Iterator<Item = &'a Arc<Task>>,
    agent_image: Option<&str>,
) -> Vec<String> {
    let of_task = |task: &'a Arc<Task>| task.image.iter().chain(task.verifier_images());
    let images: BTreeSet<&str> = tasks
        .flat_map(of_task)
        .map(String::as_str)
        .chain(agent_image)
        .collect();
    images.into_iter().map(str::to_owned).collect()
}

/// Refuses tasks that the backend cannot run.
pub(super) fn refuse_unfit<'a>(
    backend: Backend,
    tasks: impl Iterator<Item = &'a Arc<Task>>,
) -> anyhow::Result<()> {
    let unfit: Vec<&str> = tasks
        .filter(|task| match backend {
            Backend::Docker => task.image.is_none(),
            Backend::Local => !task.local,
        })
        .map(|task| task.id.as_str())
        .collect();
    if unfit.is_empty() {
        return Ok(());
    }
    let names = unfit
        .iter()
        .take(5)
        .copied()
        .collect::<Vec<_>>()
        .join("`, `");
    let more = if unfit.len() > 5 { ", …" } else { "" };
    match backend {
        Backend::Local => usage(
            format!("these tasks need an image of their own: `{names}`{more}"),
            "the local sandbox has no images: run them with `--sandbox docker`",
        ),
        Backend::Docker => usage(
            format!("these tasks name no image: `{names}`{more}"),
            "add `image` under `[metadata.dgm]` in their `task.toml`",
        ),
    }
}

/// What a benchmark is.
const NO_BENCHMARK: &str =
    "a benchmark is a folder of Harbor task directories; `dgm bench import` makes one";

/// Says what is known of tasks that no check has found good as they are now, or leaves them
/// out, as the configuration wants it.
pub(super) fn unchecked(ui: Ui, settings: &Settings, suite: &mut Suite) {
    let checks = Checks::read(&suite.path);
    let is_good = |task: &Task| checks.of(task, None) == Standing::Good;
    let count = suite.tasks.iter().filter(|task| !is_good(task)).count();
    if count == 0 {
        return;
    }
    let check = format!("`dgm bench check {}`", suite.path.display());
    match settings.unchecked {
        Unchecked::Allow => {}
        Unchecked::Warn => {
            let free = |model: &ModelSettings| matches!(model.price, Some(Price::Free));
            if !settings.models.iter().all(free) {
                let total = suite.tasks.len();
                ui.warn(&format!(
                    "{count} of {total} tasks were not checked as they are now, so nobody knows \
                     whether they measure anything: {check} does it"
                ));
            }
        }
        Unchecked::Skip => {
            let total = suite.tasks.len();
            suite.tasks.retain(|task| is_good(task));
            ui.warn(&format!(
                "{count} of {total} tasks are left out: {check} has not found them good as they \
                 are now"
            ));
        }
    }
}

/// Loads a benchmark; tasks that are wanted and cannot run are an error.
pub(super) fn load_suite(folder: &Path, permits: &Permits) -> anyhow::Result<Suite> {
    let suite = Suite::load_with(folder, permits).wrong(NO_BENCHMARK)?;
    if suite.tasks.is_empty() {
        let (name, why) = suite.refused.first().context("the benchmark has no task")?;
        return usage(
            format!("no task of `{}` can run; `{name}`: {why}", folder.display()),
            "`dgm bench list` shows what is wrong with each",
        );
    }
    Ok(suite)
}

/// Loads the benchmark of a configuration in the file of that name, and takes out of it what
/// is held out.
pub(super) fn load_split(settings: &Settings, file: &str) -> anyhow::Result<Split> {
    let suite = load_suite(&settings.benchmark, &settings.permits)?;
    let folder = settings.holdout_folder();
    let load = |folder: PathBuf| load_suite(&folder, &settings.permits);
    let other = folder.map(load).transpose()?;
    config_error(settings.split(suite, other), file)
}

/// Reads a benchmark, whether or not its tasks can run.
pub(super) fn read_suite(folder: &Path, permits: &Permits) -> anyhow::Result<Suite> {
    Suite::load_with(folder, permits).wrong(NO_BENCHMARK)
}

/// Returns a sentence about the tasks that cannot run, if there are any: a stage that takes
/// the next so many tasks passes over them.
pub(super) fn left_out(suite: &Suite) -> Option<String> {
    let (first, _) = suite.refused.first()?;
    let names = match suite.refused.len() {
        1 => format!("task `{first}` cannot run and is left out"),
        count => format!("{count} tasks cannot run and are left out, `{first}` is the first"),
    };
    let list = format!("`dgm bench list {}` says why", suite.path.display());
    Some(format!("{names}; {list}"))
}

/// Returns what a command line names and does not exclude, and what of it cannot run.
pub(super) fn choose(
    suite: &Suite,
    names: &[String],
    excluded: &[String],
) -> anyhow::Result<Selection> {
    let list = format!("`dgm bench list {}` lists them", suite.path.display());
    suite.choose(names, excluded).wrong(list)
}

/// Returns the folder for sockets and caches: short, because a socket's path may have no more
/// than 107 bytes, and closed to other users.
fn runtime_dir(id: &str) -> anyhow::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let base = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() && dir.len() <= 40 => PathBuf::from(dir).join("dgm"),
        Some(_) | None => std::env::temp_dir().join(format!("dgm-{user}")),
    };
    let dir = base.join(id.get(..12).unwrap_or(id));
    make_private(&base)?;
    make_private(&dir)?;
    Ok(dir)
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    let made = std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(dir);
    made.with_context(|| format!("could not make the folder `{}`", dir.display()))?;
    let metadata = std::fs::symlink_metadata(dir)
        .with_context(|| format!("could not look at the folder `{}`", dir.display()))?;
    let mine = metadata.is_dir() && metadata.uid() == rustix::process::getuid().as_raw();
    if !mine {
        return Err(anyhow::anyhow!(
            "`{}` belongs to somebody else",
            dir.display()
        ))
        .hint("set `XDG_RUNTIME_DIR` or `TMPDIR` to a folder of your own");
    }
    Ok(())
}
