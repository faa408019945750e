//! From the file to values: the one fallible step.

use super::load::unknown;
use super::permits;
use super::provider::{check_keys, server};
use super::{ConfigError, Raw, RawBudget, RawModel, RawPrice, RawStage};
use crate::benchmark::{Permits, Suite, subset};
use crate::domain::{Disclosure, Role, TaskId, Usd};
use crate::evolve::{BudgetKey, Budgets, EngineSettings};
use crate::model::{Allowance, Model, ModelSettings, Price, Rates, Scope};
use crate::policy::{self, Policy, PolicySettings, Stage, UnknownName};
use crate::sandbox::Limits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the command line says instead of the file, for this run.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Whether requests and answers are kept.
    pub record: bool,
    /// Rounds in all.
    pub generations: Option<u32>,
    /// Jobs at once.
    pub workers: Option<usize>,
    /// Name of the sandbox backend.
    pub sandbox: Option<String>,
    /// US dollars that the archive may cost.
    pub budget_usd: Option<f64>,
    /// Input and output tokens that the archive may use.
    pub budget_tokens: Option<u64>,
    /// Model calls that the archive may make.
    pub budget_calls: Option<u64>,
    /// Hours that the archive's runs may last together.
    pub budget_hours: Option<f64>,
}

/// Which sandbox backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Containers of a Docker engine.
    Docker,
    /// Bubblewrap on this machine.
    Local,
}

impl Backend {
    /// Returns the name used in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Local => "local",
        }
    }
}

/// What is done with tasks that no check has found good as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// They are run, and it is said, unless no model costs anything.
    Warn,
    /// They are left out.
    Skip,
    /// They are run.
    Allow,
}

/// Everything a run is told, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the benchmark.
    pub benchmark: PathBuf,
    /// Where untrusted code runs.
    pub backend: Backend,
    /// What tasks may have beyond their own files.
    pub permits: Permits,
    /// What is done with tasks that no check has found good.
    pub unchecked: Unchecked,
    /// The engine's settings.
    pub engine: EngineSettings,
    /// A model per role, in the order of [`Role::ALL`].
    pub models: [ModelSettings; 3],
    pub(super) raw: Raw,
    /// What paths are relative to.
    pub(super) dir: PathBuf,
}

impl Settings {
    /// Resolves a configuration; paths are relative to `dir`, the archive's folder.
    pub fn resolve(mut raw: Raw, dir: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        raw.models.record |= overrides.record;
        if let Some(generations) = overrides.generations {
            raw.evolve.generations = generations;
        }
        if let Some(workers) = overrides.workers {
            raw.evolve.workers = workers;
        }
        if let Some(sandbox) = &overrides.sandbox {
            raw.sandbox.backend.clone_from(sandbox);
        }
        let budget = &mut raw.budget;
        budget.usd = overrides.budget_usd.or(budget.usd);
        budget.tokens = overrides.budget_tokens.or(budget.tokens);
        budget.calls = overrides.budget_calls.or(budget.calls);
        budget.hours = overrides.budget_hours.or(budget.hours);
        check_numbers(&raw)?;
        let backend = match raw.sandbox.backend.as_str() {
            "docker" => Backend::Docker,
            "local" => Backend::Local,
            other => return Err(unknown("sandbox.backend", other, &["docker", "local"])),
        };
        // Made once without tasks: whatever it does not know is told before anything is read.
        make_policy(&raw, Vec::new())?;
        check_keys(&raw.models)?;
        let model = |role: Role, model: &RawModel| resolve_model(role, model, dir);
        Ok(Self {
            benchmark: dir.join(&raw.benchmark.path),
            backend,
            permits: permits::resolve(&raw)?,
            unchecked: match raw.benchmark.unchecked.as_str() {
                "warn" => Unchecked::Warn,
                "skip" => Unchecked::Skip,
                "allow" => Unchecked::Allow,
                other => {
                    let known = ["warn", "skip", "allow"];
                    return Err(unknown("benchmark.unchecked", other, &known));
                }
            },
            engine: engine(&raw)?,
            models: [
                model(Role::Diagnose, &raw.models.diagnose)?,
                model(Role::Modify, &raw.models.modify)?,
                model(Role::Solve, &raw.models.solve)?,
            ],
            raw,
            dir: dir.to_owned(),
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

    /// Makes the policy over the benchmark's tasks.
    pub fn policy(&self, suite: &Suite) -> Result<Arc<dyn Policy>, ConfigError> {
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
                "has no stage: nothing would be evaluated; begin one with `[[stages]]`",
            ));
        }
        make_policy(&self.raw, stages)
    }

    /// Makes the policy without any task: enough to say what it would begin with.
    pub fn policy_without_tasks(&self) -> Result<Arc<dyn Policy>, ConfigError> {
        make_policy(&self.raw, Vec::new())
    }
}

fn make_policy(raw: &Raw, stages: Vec<Stage>) -> Result<Arc<dyn Policy>, ConfigError> {
    let Raw { policy, evolve, .. } = raw;
    let settings = PolicySettings {
        name: policy.name.clone(),
        seed: evolve.random_seed,
        generations: evolve.generations,
        attempts: evolve.attempts_per_generation,
        barrier: evolve.barrier,
        workers: u32::try_from(evolve.workers).unwrap_or(u32::MAX),
        selection: policy.selection.clone(),
        admission: policy.admission.clone(),
        eval_noise: policy.eval_noise,
        stages,
        repeats: evolve.repeats,
    };
    policy::make(&settings)
        .map_err(|UnknownName { key, value, known }| unknown(key, &value, &known))
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
        ("sandbox.collect_mb", raw.sandbox.collect_mb),
        ("sandbox.processes", u64::from(raw.sandbox.processes)),
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

fn disclosure(name: &str) -> Result<Disclosure, ConfigError> {
    let names = Disclosure::ALL.map(Disclosure::name);
    Disclosure::from_name(name).ok_or_else(|| unknown("evolve.evidence", name, &names))
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
        disclosure: disclosure(&raw.evolve.evidence)?,
        infra_retries: raw.evolve.infra_retries,
        outage_limit: seconds("models.outage_hours", raw.models.outage_hours * 3600.0)?,
        budgets: budgets(&raw.budget)?,
        record: raw.models.record,
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

/// Returns the budgets that a configuration sets.
pub fn budgets(raw: &RawBudget) -> Result<Budgets, ConfigError> {
    let allowance = |scope: Scope, usd: Option<f64>, tokens: Option<u64>, calls: Option<u64>| {
        let key = |name| BudgetKey::Use(scope, name).to_string();
        for (name, limit) in [("tokens", tokens), ("calls", calls)] {
            if limit == Some(0) {
                let what = "is 0, but must be at least 1";
                return Err(ConfigError::value(&key(name), what));
            }
        }
        let cost = usd.map(|usd| dollars(usd, &key("usd"))).transpose()?;
        if cost == Some(Usd(0)) {
            let what = "is 0, but must be at least a millionth of a dollar";
            return Err(ConfigError::value(&key("usd"), what));
        }
        Ok(Allowance {
            calls,
            tokens,
            cost,
        })
    };
    let hours = |hours: f64| match Duration::try_from_secs_f64(hours * 3600.0) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) | Err(_) => {
            let what = format!("is {hours}, but must be more than 0");
            Err(ConfigError::value(&BudgetKey::Hours.to_string(), what))
        }
    };
    Ok(Budgets {
        run: allowance(Scope::Run, raw.usd, raw.tokens, raw.calls)?,
        attempt: allowance(
            Scope::Attempt,
            raw.usd_per_attempt,
            raw.tokens_per_attempt,
            raw.calls_per_attempt,
        )?,
        job: allowance(
            Scope::Job,
            raw.usd_per_job,
            raw.tokens_per_job,
            Some(raw.calls_per_job),
        )?,
        time: raw.hours.map(hours).transpose()?,
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
        (Some(price), false) => Some(Price::PerMillion(rates(price, &raw.provider, &key)?)),
    };
    Ok(ModelSettings {
        command: raw.command.clone(),
        dir: dir.to_owned(),
        pass_env: raw.pass_env.clone(),
        price,
        max_output_tokens: raw.max_output_tokens,
        ..server(raw, &key)?
    })
}

/// Returns the rates as written. What is left out is never guessed too low: reading a cache
/// costs what input does, and writing one costs what it does at providers that charge for it.
fn rates(
    raw: &RawPrice,
    provider: &str,
    key: &dyn Fn(&str) -> String,
) -> Result<Rates, ConfigError> {
    let rate = |name: &str, value: f64| dollars(value, &key(&format!("price.{name}")));
    let input = rate("input", raw.input)?;
    let (write, long) = match provider {
        "anthropic" => (raw.input * 1.25, raw.input * 2.0),
        _ => (raw.input, raw.input),
    };
    let cache_write = rate("cache_write", raw.cache_write.unwrap_or(write))?;
    Ok(Rates {
        input,
        cached_input: rate("cached_input", raw.cached_input.unwrap_or(raw.input))?,
        cache_write,
        cache_write_long: match raw.cache_write_long {
            Some(value) => rate("cache_write_long", value)?,
            None => rate("cache_write_long", long)?.max(cache_write),
        },
        output: rate("output", raw.output)?,
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
    let usable = |name: &str| {
        let task = TaskId::new(name);
        match suite.get(&task) {
            Some(_) => Ok(task),
            None => Err(ConfigError::value(key, unusable_task(name, suite))),
        }
    };
    match (&raw.tasks, &raw.subset, raw.count) {
        (Some(names), None, None) => names.iter().map(|name| usable(name)).collect(),
        (None, Some(name), None) => {
            let known: Vec<&str> = subset::names().collect();
            let tasks = subset::tasks(name)
                .ok_or_else(|| unknown(&format!("{key}.subset"), name, &known))?;
            tasks.iter().map(|task| usable(task.as_str())).collect()
        }
        (None, None, Some(count)) => {
            let free: Vec<TaskId> = suite
                .tasks
                .iter()
                .filter(|task| task.is_scored())
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
        (None, None, None) => {
            let what = "needs `tasks` (names), `subset` (a published list) or `count`";
            Err(ConfigError::value(key, what))
        }
        _ => {
            let what = "has more than one of `tasks`, `subset` and `count`";
            Err(ConfigError::value(key, what))
        }
    }
}

pub(super) fn unusable_task(name: &str, suite: &Suite) -> String {
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
