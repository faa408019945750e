//! `dgm init`, and the making of an archive for `dgm evolve`.
//!
//! Invariant: an archive is made beside its place and moved there when it is whole: whatever
//! interrupts it, there is no half an archive.

use super::assets;
use super::error::{Hint as _, config_error, usage};
use super::exit::Code;
use super::preset::Preset;
use super::ui::Ui;
use super::workplace;
use crate::agent::Manifest;
use crate::archive::{Writer, check_files, exists, write_files};
use crate::benchmark::read_folder;
use crate::config::{Overrides, Raw, Settings, parse};
use crate::domain::{Fact, FileTree, Variant, VariantId};
use crate::sys::clock::commit_ms;
use crate::sys::durable;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Make an archive without running anything
///
/// The archive gets a copy of its configuration (`dgm.toml`), of the seed agent as its first
/// variant, and of what a preset brings along.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm init demo --preset smoke
  dgm init run --config my.toml --agent my-agent
  dgm init trial --preset rehearsal --benchmark polyglot-python")]
pub(super) struct Args {
    /// Folder of the new archive
    dir: PathBuf,
    #[command(flatten)]
    source: Source,
}

/// From what an archive is made.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Source {
    /// Configuration that the program brings along
    #[arg(long, value_enum, conflicts_with = "config")]
    pub(super) preset: Option<Preset>,
    /// Configuration to copy into the archive
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the seed agent [default: the configuration's, or the base agent]
    #[arg(long, value_name = "FOLDER")]
    pub(super) agent: Option<PathBuf>,
    /// Folder of the benchmark, to be copied into the archive (preset `rehearsal`)
    #[arg(long, value_name = "FOLDER")]
    pub(super) benchmark: Option<PathBuf>,
}

impl Source {
    /// Returns what the configuration is called in messages.
    fn name(&self) -> String {
        match &self.config {
            Some(file) => file.display().to_string(),
            None => "the preset".to_owned(),
        }
    }

    /// Returns whether it says anything but the name of a preset: repeating that one is how
    /// the first command is run again.
    pub(super) fn says_more_than_a_preset(&self) -> bool {
        self.config.is_some() || self.agent.is_some() || self.benchmark.is_some()
    }
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        create(&self.dir, &self.source, true)?;
        let dir = self.dir.display();
        ui.status(&format!(
            "made the archive `{dir}`; run it with `dgm evolve {dir}`"
        ));
        Ok(Code::Done)
    }
}

/// Makes an archive. Models need not be usable where they are not asked.
pub(super) fn create(dir: &Path, source: &Source, checks_models: bool) -> anyhow::Result<()> {
    may_be_made(dir)?;
    let (text, config_dir) = config_text(source)?;
    let text = InitText {
        text: &text,
        dir: &config_dir,
        name: &source.name(),
    };
    create_with(dir, source, text, checks_models)
}

/// Returns what an archive that is made from this would be set to.
pub(super) fn settings(source: &Source, overrides: &Overrides) -> anyhow::Result<Settings> {
    let (text, config_dir) = config_text(source)?;
    let name = source.name();
    let raw = config_error(parse(&text), &name)?;
    config_error(Settings::resolve(raw, &config_dir, overrides), &name)
}

/// A configuration to make an archive of.
#[derive(Clone, Copy, Debug)]
pub(super) struct InitText<'a> {
    /// What it says.
    pub(super) text: &'a str,
    /// The folder that its paths start at.
    pub(super) dir: &'a Path,
    /// What it is called in messages.
    pub(super) name: &'a str,
}

/// Makes an archive with a configuration that is no file's or preset's as it is.
pub(super) fn create_with(
    dir: &Path,
    source: &Source,
    text: InitText<'_>,
    checks_models: bool,
) -> anyhow::Result<()> {
    let folder = may_be_made(dir)?;
    let InitText {
        text,
        dir: config_dir,
        name,
    } = text;
    let raw = config_error(parse(text), name)?;
    // What can be wrong is said before anything is made.
    let settings = Settings::resolve(raw.clone(), config_dir, &Overrides::default());
    let settings = config_error(settings, name)?;
    if checks_models {
        config_error(settings.check_models(), name)?;
    }
    if source.config.is_some() {
        let split = workplace::load_split(&settings, name)?;
        config_error(settings.policy(&split.training), name)?;
    }
    let agent = seed_agent(source, &raw, config_dir)?;
    let text = rebase(text, &raw, source, config_dir)?;
    let folders = folders(source)?;

    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    durable::create_dir_all(parent)
        .with_context(|| format!("could not make the folder `{}`", parent.display()))
        .hint("choose a place where you may make one")?;
    let prefix = format!(".{}.init-", folder.to_string_lossy());
    remove_leftovers(parent, &prefix);
    let draft = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(parent)
        .with_context(|| format!("could not make a folder in `{}`", parent.display()))
        .hint("choose a place where you may make one")?;
    fill(draft.path(), &text, &agent, &folders)?;
    durable::publish(draft.path(), dir)
        .with_context(|| format!("could not move the new archive to `{}`", dir.display()))?;
    // Nothing is left there to remove.
    drop(draft.keep());
    Ok(())
}

/// Returns the name of a folder that a new archive may take.
pub(super) fn may_be_made(dir: &Path) -> anyhow::Result<&std::ffi::OsStr> {
    if exists(dir) {
        return usage(
            format!("`{}` holds an archive already", dir.display()),
            format!("go on with it: `dgm evolve {}`", dir.display()),
        );
    }
    let is_file = |place: &&Path| place.exists() && !place.is_dir();
    if let Some(file) = dir.ancestors().find(is_file) {
        return usage(
            format!("`{}` is no folder", file.display()),
            "name a folder that does not exist yet",
        );
    }
    if dir.is_dir()
        && dir
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
    {
        return usage(
            format!("`{}` is not empty, and holds no archive", dir.display()),
            "name a folder that does not exist yet",
        );
    }
    // The new archive takes the place of its folder, which `.` cannot be.
    let Some(folder) = dir.file_name() else {
        return usage(
            format!("`{}` is no name for a new folder", dir.display()),
            "name a folder that does not exist yet",
        );
    };
    Ok(folder)
}

fn fill(
    draft: &Path,
    config: &str,
    agent: &FileTree,
    folders: &[(&'static str, FileTree)],
) -> anyhow::Result<()> {
    let now = commit_ms();
    let mut writer = Writer::create(draft, config, now)?;
    for (place, files) in folders {
        write_files(files, &draft.join(place), false)?;
    }
    let name = Manifest::read(agent)?.name;
    let summary = format!("seed agent `{name}`");
    let message = format!("{summary}\n\nVariant: 0\n");
    let (commit, tree) = writer.commit_variant(VariantId::SEED, agent, None, &message, now)?;
    writer.record(&[Fact::VariantMade(Variant {
        id: VariantId::SEED,
        commit,
        tree,
        parent: None,
        generation: 0,
        summary,
        created_ms: now,
    })])?;
    Ok(())
}

/// Returns the text of the configuration, and the folder its paths start at.
fn config_text(source: &Source) -> anyhow::Result<(String, PathBuf)> {
    match (&source.config, source.preset) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("could not read the configuration `{}`", file.display()))
                .wrong("name a `dgm.toml`; `benchmarks/presets/smoke.toml` is an example")?;
            let dir = file.parent().unwrap_or(Path::new(".")).to_owned();
            Ok((text, dir))
        }
        (None, Some(preset)) => Ok((preset.config(), PathBuf::from("."))),
        (None, None) => usage(
            "a new archive needs a configuration",
            "try `--preset smoke`, or write a `dgm.toml` and name it with `--config FILE`",
        ),
    }
}

/// What to look at where a folder is no agent.
const NEEDS: &str = "agents/README.md describes what an agent needs; `agents/base` is an example";

fn seed_agent(source: &Source, raw: &Raw, config_dir: &Path) -> anyhow::Result<FileTree> {
    let folder = match (&source.agent, &raw.seed_agent) {
        (Some(folder), _) => folder.clone(),
        (None, Some(folder)) => config_dir.join(folder),
        (None, None) => return Ok(assets::base_agent()),
    };
    let name = folder.display();
    if !folder.is_dir() {
        return usage(format!("there is no folder `{name}` with an agent"), NEEDS);
    }
    let files = read_folder(&folder)
        .with_context(|| format!("could not read the seed agent `{name}`"))
        .wrong(NEEDS)?;
    check_files(&files)
        .with_context(|| format!("`{name}` holds what no archive keeps"))
        .wrong(NEEDS)?;
    match Manifest::read(&files) {
        Ok(_) => Ok(files),
        Err(error) => usage(format!("`{name}` is no agent: {error}"), NEEDS),
    }
}

/// Returns the configuration as it is written into the archive: with the benchmark's path
/// relative to the archive, or absolute where it lies outside.
fn rebase(text: &str, raw: &Raw, source: &Source, config_dir: &Path) -> anyhow::Result<String> {
    let holdout = raw.benchmark.holdout.as_ref();
    let held_out = holdout.and_then(|holdout| holdout.path.as_deref());
    let is_absolute = |path: &Path| path.is_absolute();
    let is_settled = is_absolute(&raw.benchmark.path) && held_out.is_none_or(is_absolute);
    if source.config.is_none() || is_settled {
        return Ok(text.to_owned());
    }
    let absolute = |key: &str, path: &Path| {
        let path = config_dir.join(path);
        path.canonicalize()
            .with_context(|| format!("there is no benchmark `{}`", path.display()))
            .hint(format!("`{key}` is relative to the configuration's file"))
    };
    let mut rebased = raw.clone();
    rebased.benchmark.path = absolute("benchmark.path", &raw.benchmark.path)?;
    if let (Some(path), Some(holdout)) = (held_out, &mut rebased.benchmark.holdout) {
        holdout.path = Some(absolute("benchmark.holdout.path", path)?);
    }
    toml::to_string(&rebased).context("could not write the configuration")
}

fn folders(source: &Source) -> anyhow::Result<Vec<(&'static str, FileTree)>> {
    let Some(preset) = source.preset else {
        return Ok(Vec::new());
    };
    let mut folders = preset.folders();
    match (preset.wants_benchmark(), &source.benchmark) {
        (Some(place), Some(folder)) => {
            let files = read_folder(folder)
                .with_context(|| format!("could not read the benchmark `{}`", folder.display()))?;
            folders.push((place, files));
        }
        (Some(_), None) => {
            return usage(
                "this preset needs a benchmark",
                "name one with `--benchmark FOLDER`; `dgm bench import` makes one",
            );
        }
        (None, Some(_)) => {
            return usage(
                "this preset brings its own benchmark",
                "leave out `--benchmark`",
            );
        }
        (None, None) => {}
    }
    Ok(folders)
}

/// Removes what an interrupted making of the same archive left.
fn remove_leftovers(parent: &Path, prefix: &str) {
    let Ok(entries) = parent.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "leftover stays");
        }
    }
}
