//! From the file to values: the one fallible step.

use super::{ConfigError, Raw, RawModel, RawStage};
use crate::benchmark::Suite;
use crate::domain::{Role, TaskId, Usd};
use crate::evolve::EngineSettings;
use crate::model::{Model, ModelSettings, Price};
use crate::policy::{Admission, DgmSettings, Selection, Stage, Stages};
use crate::sandbox::Limits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the command line says instead of the file, for this run.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Rounds in all.
    pub generations: Option<u32>,
    /// Jobs at once.
    pub workers: Option<usize>,
    /// Name of the sandbox backend.
    pub sandbox: Option<String>,
}

/// Which sandbox backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Containers of a Docker engine.
    Docker,
    /// Bubblewrap on this machine.
    Local,
}

/// Everything a run is told, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the benchmark.
    pub benchmark: PathBuf,
    /// Where untrusted code runs.
    pub backend: Backend,
    /// The engine's settings.
    pub engine: EngineSettings,
    /// A model per role, in the order of [`Role::ALL`].
    pub models: [ModelSettings; 3],
    raw: Raw,
    selection: Selection,
    admission: Admission,
}

impl Settings {
    /// Resolves a configuration; paths are relative to `dir`, the archive's folder.
    pub fn resolve(mut raw: Raw, dir: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        if let Some(generations) = overrides.generations {
            raw.evolve.generations = generations;
        }
        if let Some(workers) = overrides.workers {
            raw.evolve.workers = workers;
        }
        if let Some(sandbox) = &overrides.sandbox {
            raw.sandbox.backend.clone_from(sandbox);
        }
        check_numbers(&raw)?;
        let backend = match raw.sandbox.backend.as_str() {
            "docker" => Backend::Docker,
            "local" => Backend::Local,
            other => return Err(unknown("sandbox.backend", other, &["docker", "local"])),
        };
        if raw.policy.name != "dgm" {
            return Err(unknown("policy.name", &raw.policy.name, &["dgm"]));
        }
        let names = Selection::ALL.map(Selection::name);
        let selection = Selection::from_name(&raw.policy.selection)
            .ok_or_else(|| unknown("policy.selection", &raw.policy.selection, &names))?;
        let admission = match raw.policy.admission.as_str() {
            "keep_all" => Admission::KeepAll,
            "keep_better" => Admission::KeepBetter {
                noise: raw.policy.eval_noise,
            },
            other => {
                return Err(unknown(
                    "policy.admission",
                    other,
                    &["keep_all", "keep_better"],
                ));
            }
        };
        let model = |role: Role, model: &RawModel| resolve_model(role, model, dir);
        Ok(Self {
            benchmark: dir.join(&raw.benchmark.path),
            backend,
            engine: engine(&raw)?,
            models: [
                model(Role::Diagnose, &raw.models.diagnose)?,
                model(Role::Modify, &raw.models.modify)?,
                model(Role::Solve, &raw.models.solve)?,
            ],
            raw,
            selection,
            admission,
        })
    }

    /// Checks that the models of all roles can be made.
    pub fn check_models(&self) -> Result<(), ConfigError> {
        for (role, settings) in Role::ALL.into_iter().zip(&self.models) {
            Model::new(settings.clone()).map_err(|error| {
                ConfigError::value(
                    &format!("models.{role}"),
                    format!("makes no model: {error}"),
                )
            })?;
        }
        Ok(())
    }

    /// Returns the configuration as it is in force, as TOML, to be recorded with the run.
    pub fn in_force(&self) -> String {
        toml::to_string(&self.raw).expect("a configuration that was read can be written")
    }

    /// Returns the stages over the benchmark's tasks.
    pub fn stages(&self, suite: &Suite) -> Result<Stages, ConfigError> {
        let mut taken = BTreeSet::new();
        let mut stages = Vec::new();
        for (index, raw) in self.raw.stages.iter().enumerate() {
            let key = format!("stages[{index}]");
            let tasks = stage_tasks(raw, &key, suite, &taken)?;
            for task in &tasks {
                if !taken.insert(task.clone()) {
                    return Err(ConfigError::value(
                        &key,
                        format!("names `{task}` twice, or again"),
                    ));
                }
            }
            if tasks.is_empty() {
                return Err(ConfigError::value(&key, "has no task"));
            }
            stages.push(Stage {
                tasks,
                go_on: raw.go_on,
            });
        }
        if stages.is_empty() {
            return Err(ConfigError::value(
                "stages",
                "is empty: nothing would be evaluated",
            ));
        }
        Ok(Stages {
            stages,
            repeats: self.raw.evolve.repeats,
        })
    }

    /// Returns the settings of the policy `dgm` over these stages.
    pub fn dgm(&self, stages: Stages) -> DgmSettings {
        let evolve = &self.raw.evolve;
        DgmSettings {
            seed: evolve.random_seed,
            rounds: evolve.generations,
            attempts: evolve.attempts_per_generation,
            barrier: evolve.barrier,
            width: u32::try_from(evolve.workers).unwrap_or(u32::MAX),
            selection: self.selection,
            admission: self.admission,
            stages,
        }
    }

    /// Returns the number of rounds in all.
    pub fn generations(&self) -> u32 {
        self.raw.evolve.generations
    }
}

fn check_numbers(raw: &Raw) -> Result<(), ConfigError> {
    let positive = |key: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(ConfigError::value(
                key,
                format!("is {value}, but must be more than 0"),
            ))
        }
    };
    positive("evolve.modify_timeout_sec", raw.evolve.modify_timeout_sec)?;
    positive("evolve.agent_timeout_sec", raw.evolve.agent_timeout_sec)?;
    positive("sandbox.cpus", raw.sandbox.cpus)?;
    if !(raw.evolve.grace_sec.is_finite() && raw.evolve.grace_sec >= 0.0) {
        return Err(ConfigError::value("evolve.grace_sec", "must be at least 0"));
    }
    for (key, value) in [
        (
            "evolve.attempts_per_generation",
            u64::from(raw.evolve.attempts_per_generation),
        ),
        ("evolve.repeats", u64::from(raw.evolve.repeats)),
        ("evolve.workers", raw.evolve.workers as u64),
        ("sandbox.memory_mb", raw.sandbox.memory_mb),
        ("sandbox.disk_mb", raw.sandbox.disk_mb),
        ("sandbox.processes", u64::from(raw.sandbox.processes)),
        ("budget.calls_per_job", raw.budget.calls_per_job),
    ] {
        if value == 0 {
            return Err(ConfigError::value(key, "is 0, but must be at least 1"));
        }
    }
    for (index, stage) in raw.stages.iter().enumerate() {
        if !(0.0..=1.0).contains(&stage.go_on) {
            let key = format!("stages[{index}].go_on");
            return Err(ConfigError::value(&key, "must lie between 0 and 1"));
        }
    }
    Ok(())
}

fn engine(raw: &Raw) -> Result<EngineSettings, ConfigError> {
    let seconds = |key: &str, value: f64| {
        Duration::try_from_secs_f64(value)
            .map_err(|error| ConfigError::value(key, format!("is {value}: {error}")))
    };
    Ok(EngineSettings {
        workers: raw.evolve.workers,
        modify_timeout: seconds("evolve.modify_timeout_sec", raw.evolve.modify_timeout_sec)?,
        agent_timeout: seconds("evolve.agent_timeout_sec", raw.evolve.agent_timeout_sec)?,
        grace: seconds("evolve.grace_sec", raw.evolve.grace_sec)?,
        infra_retries: raw.evolve.infra_retries,
        calls_per_job: raw.budget.calls_per_job,
        time_limit: raw
            .budget
            .hours
            .map(|hours| seconds("budget.hours", hours * 3600.0))
            .transpose()?,
        agent_image: raw.sandbox.agent_image.clone(),
        limits: Limits {
            memory: raw.sandbox.memory_mb.saturating_mul(1 << 20),
            cpus: raw.sandbox.cpus,
            processes: raw.sandbox.processes,
            disk: raw.sandbox.disk_mb.saturating_mul(1 << 20),
            log: raw.sandbox.log_kb.saturating_mul(1 << 10),
            ..Limits::default()
        },
    })
}

fn resolve_model(role: Role, raw: &RawModel, dir: &Path) -> Result<ModelSettings, ConfigError> {
    let key = |name: &str| format!("models.{role}.{name}");
    let price = match (&raw.price, raw.free) {
        (Some(_), true) => {
            return Err(ConfigError::value(
                &key("free"),
                "is true, but there is a price as well",
            ));
        }
        (None, true) => Some(Price::Free),
        (None, false) => None,
        (Some(price), false) => Some(Price::PerMillion {
            input: dollars(price.input, &key("price.input"))?,
            output: dollars(price.output, &key("price.output"))?,
        }),
    };
    let timeout = Duration::try_from_secs_f64(raw.timeout_sec)
        .map_err(|error| ConfigError::value(&key("timeout_sec"), error.to_string()))?;
    Ok(ModelSettings {
        command: raw.command.clone(),
        dir: dir.to_owned(),
        pass_env: raw.pass_env.clone(),
        price,
        max_output_tokens: raw.max_output_tokens,
        timeout,
        ..ModelSettings::new(&raw.provider, &raw.model)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
fn dollars(value: f64, key: &str) -> Result<Usd, ConfigError> {
    if value.is_finite() && (0.0..1e9).contains(&value) {
        Ok(Usd((value * 1e6).round() as i64))
    } else {
        Err(ConfigError::value(
            key,
            format!("is {value}, which is no price"),
        ))
    }
}

fn stage_tasks(
    raw: &RawStage,
    key: &str,
    suite: &Suite,
    taken: &BTreeSet<TaskId>,
) -> Result<Vec<TaskId>, ConfigError> {
    match (&raw.tasks, raw.count) {
        (Some(_), Some(_)) => Err(ConfigError::value(key, "has both `tasks` and `count`")),
        (None, None) => Err(ConfigError::value(key, "needs `tasks` (names) or `count`")),
        (Some(names), None) => names
            .iter()
            .map(|name| {
                let task = TaskId::new(name.as_str());
                match suite.get(&task) {
                    Some(_) => Ok(task),
                    None => Err(ConfigError::value(key, unusable_task(name, suite))),
                }
            })
            .collect(),
        (None, Some(count)) => {
            let free: Vec<TaskId> = suite
                .tasks
                .iter()
                .map(|task| &task.id)
                .filter(|task| !taken.contains(task))
                .take(count)
                .cloned()
                .collect();
            if free.len() < count {
                let what = format!(
                    "wants {count} tasks, but the benchmark has {} left",
                    free.len()
                );
                return Err(ConfigError::value(key, what));
            }
            Ok(free)
        }
    }
}

fn unusable_task(name: &str, suite: &Suite) -> String {
    if let Some((_, why)) = suite.refused.iter().find(|(refused, _)| refused == name) {
        return format!("names `{name}`, which cannot run: {}", why.sentence());
    }
    let near = suite
        .tasks
        .iter()
        .map(|task| &task.id)
        .map(|task| (strsim::damerau_levenshtein(name, task.as_str()), task))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    match near {
        Some((_, task)) => {
            format!("names `{name}`, which the benchmark lacks; did you mean `{task}`?")
        }
        None => format!("names `{name}`, which the benchmark lacks"),
    }
}

fn unknown(key: &str, value: &str, known: &[&str]) -> ConfigError {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    ConfigError::value(key, format!("is `{value}`; known are {}", known.join(", ")))
}
