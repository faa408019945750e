//! `dgm eval --agent`: an agent that is in no archive becomes the seed of a small one.
//!
//! Invariant: from there on nothing is special about it: the same books, the same store, the
//! same commands. The same command line finds it again and goes on.

use crate::archive::{Layout, Reader, exists};
use crate::benchmark::read_folder;
use crate::cli::error::{Hint as _, usage};
use crate::cli::init::{self, InitText, Source};
use crate::cli::run::configured;
use crate::cli::ui::Ui;
use crate::config::{Overrides, Raw, parse};
use crate::domain::VariantId;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// An agent, what it is tried on, and what answers it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "An agent that is in no archive")]
pub(super) struct EvalSubject {
    /// Folder of the agent
    #[arg(
        long,
        value_name = "FOLDER",
        requires = "out",
        conflicts_with = "words"
    )]
    agent: Option<PathBuf>,
    /// Folder of the benchmark
    #[arg(long, value_name = "FOLDER", requires = "agent")]
    benchmark: Option<PathBuf>,
    /// Folder of a small archive for what is found; the same command goes on with it
    #[arg(long, value_name = "DIR", requires = "agent")]
    pub(super) out: Option<PathBuf>,
    /// Model that drives the agent, such as `anthropic/claude-sonnet-4-5`
    #[arg(long, value_name = "PROVIDER/MODEL", requires = "agent")]
    #[arg(conflicts_with_all = ["config", "preset"])]
    model: Option<String>,
    /// Where the model's server is, if it is not the provider's own
    #[arg(long, value_name = "URL", requires = "model")]
    base_url: Option<String>,
    /// Environment variable that holds the model's key, if it is not the provider's own
    #[arg(long, value_name = "VARIABLE", requires = "model")]
    api_key_env: Option<String>,
    /// Configuration with models, sandbox and limits, instead of `--model`
    #[arg(
        long,
        value_name = "FILE",
        requires = "agent",
        conflicts_with = "preset"
    )]
    config: Option<PathBuf>,
    /// Configuration that the program brings along, instead of `--model`
    #[arg(long, value_enum, requires = "agent")]
    preset: Option<crate::cli::preset::Preset>,
}

impl EvalSubject {
    /// Returns the archive whose seed is the agent; makes it if it is not there.
    pub(super) fn archive(&self, ui: Ui) -> anyhow::Result<Option<PathBuf>> {
        let (Some(agent), Some(out)) = (&self.agent, &self.out) else {
            return Ok(None);
        };
        if exists(out) {
            self.check(agent, out)?;
        } else {
            self.make(agent, out)?;
            ui.status(&format!("made the archive `{}`", out.display()));
        }
        Ok(Some(out.clone()))
    }

    /// Refuses to mix what is found of two agents, or on two benchmarks.
    fn check(&self, agent: &Path, out: &Path) -> anyhow::Result<()> {
        let reader = Reader::open(out)?;
        let lineage = reader.lineage()?;
        let seed = lineage.variant(VariantId::SEED);
        let seed = seed.context("the archive has no seed")?;
        let files = read_folder(agent)
            .with_context(|| format!("could not read the agent `{}`", agent.display()))?;
        if reader.files(&seed.commit)? != files {
            return usage(
                format!("`{}` evaluates another agent", out.display()),
                "name another folder with `--out`: what is found of two agents is never mixed",
            );
        }
        let Some(benchmark) = &self.benchmark else {
            return Ok(());
        };
        let known = configured(out, &Overrides::default())?.benchmark;
        let real = |path: &Path| path.canonicalize().ok();
        if real(&known) != real(benchmark) && !known.starts_with(real(out).unwrap_or_default()) {
            return usage(
                format!("`{}` is about `{}`", out.display(), known.display()),
                "name another folder with `--out`",
            );
        }
        Ok(())
    }

    fn make(&self, agent: &Path, out: &Path) -> anyhow::Result<()> {
        let mut source = Source {
            preset: self.preset,
            config: None,
            agent: Some(agent.to_owned()),
            benchmark: None,
        };
        let (mut raw, dir, name) = self.base()?;
        let brought = self
            .preset
            .is_some_and(|preset| preset.wants_benchmark().is_some());
        match &self.benchmark {
            Some(benchmark) if brought => source.benchmark = Some(benchmark.clone()),
            Some(benchmark) => {
                raw.benchmark.path = absolute(benchmark)?;
                raw.benchmark.holdout = None;
            }
            None if self.config.is_some() => {
                raw.benchmark.path = absolute(&dir.join(&raw.benchmark.path))?;
                if let Some(holdout) = &mut raw.benchmark.holdout
                    && let Some(path) = &holdout.path
                {
                    holdout.path = Some(absolute(&dir.join(path))?);
                }
            }
            None if self.preset.is_some() => {}
            None => {
                return usage(
                    "an agent is tried on a benchmark",
                    "name its folder with `--benchmark FOLDER`; `dgm bench import` makes one",
                );
            }
        }
        // Nothing evolves here, so there are no stages that could guide it.
        raw.stages.clear();
        raw.seed_agent = None;
        for model in [
            &mut raw.models.diagnose,
            &mut raw.models.modify,
            &mut raw.models.solve,
        ] {
            if let Some(file) = &model.api_key_file {
                model.api_key_file = Some(dir.join(file));
            }
        }
        let text = toml::to_string(&raw).context("could not write the configuration")?;
        let text = InitText {
            text: &text,
            dir: Path::new("."),
            name: &name,
        };
        init::create_with(out, &source, text, true)
    }

    /// Returns the configuration to begin with, the folder its paths start at, and its name.
    fn base(&self) -> anyhow::Result<(Raw, PathBuf, String)> {
        let (text, dir, name) = match (&self.config, self.preset, &self.model) {
            (Some(file), _, _) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("could not read `{}`", file.display()))
                    .wrong("name a `dgm.toml`; docs/configuration.md lists every key")?;
                let dir = file.parent().unwrap_or(Path::new("."));
                let dir = if dir.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    dir
                };
                let dir = dir
                    .canonicalize()
                    .with_context(|| format!("could not find `{}`", dir.display()))?;
                (text, dir, file.display().to_string())
            }
            (None, Some(preset), _) => {
                (preset.config(), PathBuf::from("."), "the preset".to_owned())
            }
            (None, None, Some(model)) => (
                self.of_model(model)?,
                PathBuf::from("."),
                "`--model`".to_owned(),
            ),
            (None, None, None) => {
                return usage(
                    "an agent needs a model",
                    "say `--model PROVIDER/MODEL`, or name a configuration with `--config FILE`",
                );
            }
        };
        Ok((
            crate::cli::error::config_error(parse(&text), &name)?,
            dir,
            name,
        ))
    }

    /// Returns a configuration in which that model has every role: only one is asked.
    fn of_model(&self, model: &str) -> anyhow::Result<String> {
        let Some((provider, name)) = model.split_once('/') else {
            return usage(
                format!("`{model}` names no provider"),
                "write it as `PROVIDER/MODEL`, such as `openai/gpt-5` or `anthropic/claude-sonnet-4-5`",
            );
        };
        let mut table = toml::Table::new();
        let mut set = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), toml::Value::from(value));
            }
        };
        set("provider", Some(provider));
        set("model", Some(name));
        set("base_url", self.base_url.as_deref());
        set("api_key_env", self.api_key_env.as_deref());
        let models = ["diagnose", "modify", "solve"]
            .map(|role| (role.to_owned(), toml::Value::Table(table.clone())));
        let mut whole = toml::Table::new();
        let path = toml::Table::from_iter([("path".to_owned(), toml::Value::from("."))]);
        whole.insert("benchmark".to_owned(), toml::Value::Table(path));
        whole.insert("stages".to_owned(), toml::Value::Array(Vec::new()));
        whole.insert(
            "models".to_owned(),
            toml::Value::Table(toml::Table::from_iter(models)),
        );
        toml::to_string(&whole).context("could not write the configuration")
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("there is no benchmark `{}`", path.display()))
        .wrong("a benchmark is a folder of Harbor task directories")
}

/// Returns the file of an archive's configuration, for messages.
pub(super) fn config_name(dir: &Path) -> String {
    Layout::new(dir).config().display().to_string()
}
