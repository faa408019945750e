//! The file as written: every key with its default, unknown keys refused.

use crate::domain::Disclosure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `dgm.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Folder of the seed agent, copied into the archive when it is made.
    #[serde(default)]
    pub seed_agent: Option<PathBuf>,
    /// Where the tasks are.
    pub benchmark: RawBenchmark,
    /// Another way to write `[benchmark.holdout]`; [`parse`](super::parse) moves it there.
    #[serde(default, skip_serializing)]
    pub bench: RawBench,
    /// Stages of evaluation, in order; an evolution needs one.
    #[serde(default)]
    pub stages: Vec<RawStage>,
    /// The loop.
    #[serde(default)]
    pub evolve: RawEvolve,
    /// Selection and admission.
    #[serde(default)]
    pub policy: RawPolicy,
    /// Where untrusted code runs.
    #[serde(default)]
    pub sandbox: RawSandbox,
    /// Limits on what a run may spend.
    #[serde(default)]
    pub budget: RawBudget,
    /// A model per role.
    pub models: RawModels,
}

/// `[benchmark]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawBenchmark {
    /// Folder of Harbor task directories; relative to the archive.
    pub path: PathBuf,
    /// What is done with tasks that `dgm bench check` has not found good as they are now:
    /// `warn`, `skip` or `allow`.
    #[serde(default = "unchecked")]
    pub unchecked: String,
    /// Tasks that nothing of an evolution sees.
    #[serde(default)]
    pub holdout: Option<RawHoldout>,
}

/// `[bench]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBench {
    /// As in `[benchmark.holdout]`.
    #[serde(default)]
    pub holdout: Option<RawHoldout>,
}

/// `[benchmark.holdout]`: `tasks`, `subset`, `count`, or all of another benchmark.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHoldout {
    /// Folder of another benchmark; relative to the archive.
    pub path: Option<PathBuf>,
    /// Names of tasks, or patterns.
    pub tasks: Option<Vec<String>>,
    /// Name of a published list of tasks.
    pub subset: Option<String>,
    /// Number of tasks, drawn by their names.
    pub count: Option<usize>,
}

fn unchecked() -> String {
    "warn".to_owned()
}

/// `[[stages]]`: `tasks`, `subset`, or `count` for the next tasks in order of name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawStage {
    /// Names of tasks.
    #[serde(default)]
    pub tasks: Option<Vec<String>>,
    /// Name of a published list of tasks, such as `polyglot-small`.
    #[serde(default)]
    pub subset: Option<String>,
    /// Number of tasks to take that no stage has taken before.
    #[serde(default)]
    pub count: Option<usize>,
    /// Part of the stage's tasks that must be resolved to go on to the next stage.
    #[serde(default = "go_on")]
    pub go_on: f64,
}

fn go_on() -> f64 {
    0.4
}

/// `[evolve]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEvolve {
    /// Seed of all draws.
    pub random_seed: u64,
    /// Rounds of the loop in all, over all runs of the archive.
    pub generations: u32,
    /// Attempts per round.
    pub attempts_per_generation: u32,
    /// Whether a round waits for the end of the one before it.
    pub barrier: bool,
    /// Jobs at once.
    pub workers: usize,
    /// Evaluations per task, pooled.
    pub repeats: u32,
    /// Seconds for the parent to change its own source.
    pub modify_timeout_sec: f64,
    /// Seconds for an agent on a task that names no time of its own.
    pub agent_timeout_sec: f64,
    /// Seconds that running jobs get to end after the first Ctrl-C.
    pub grace_sec: f64,
    /// Further tries of a job whose sandbox, engine or model provider failed.
    pub infra_retries: u32,
    /// What of a task a diagnosis may see: `visible` or `paper`.
    pub evidence: String,
}

impl Default for RawEvolve {
    fn default() -> Self {
        Self {
            random_seed: 1,
            generations: 80,
            attempts_per_generation: 2,
            barrier: false,
            workers: 2,
            repeats: 1,
            modify_timeout_sec: 1800.0,
            agent_timeout_sec: 600.0,
            grace_sec: 30.0,
            infra_retries: 3,
            evidence: Disclosure::default().name().to_owned(),
        }
    }
}

/// `[policy]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPolicy {
    /// Name of the policy.
    pub name: String,
    /// How parents are drawn.
    pub selection: String,
    /// Who becomes a parent.
    pub admission: String,
    /// Tolerated loss of `keep_better`.
    pub eval_noise: f64,
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            name: "dgm".to_owned(),
            selection: "score_child_prop".to_owned(),
            admission: "keep_all".to_owned(),
            eval_noise: 0.1,
        }
    }
}

/// `[sandbox]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSandbox {
    /// `docker` or `local`.
    pub backend: String,
    /// Image in which agents change themselves and pass the gates.
    pub agent_image: String,
    /// Memory in MiB for a sandbox whose task asks for nothing else.
    pub memory_mb: u64,
    /// Cores for a sandbox whose task asks for nothing else.
    pub cpus: f64,
    /// Processes and threads.
    pub processes: u32,
    /// MiB that the workspace, and again `/tmp`, can hold.
    pub disk_mb: u64,
    /// MiB of artifacts, and of an answer, that are taken out.
    pub collect_mb: u64,
    /// KiB of log that are kept per run.
    pub log_kb: u64,
    /// What tasks that want a network get: `none`, or `public` (the engine's default network).
    pub network: String,
    /// What tasks that want some hosts only get: `refuse` (they do not run), or `public` (the
    /// whole network).
    pub allowlist: String,
    /// Variables of this machine that a task may name as `${NAME}`; never keys.
    pub env: Vec<String>,
    /// What root in a task's image may do: `none`, or `files` (with files and users of the
    /// image what root may).
    pub capabilities: String,
}

impl Default for RawSandbox {
    fn default() -> Self {
        Self {
            backend: "docker".to_owned(),
            agent_image: "dgm-smoke".to_owned(),
            memory_mb: 2048,
            cpus: 1.0,
            processes: 256,
            disk_mb: 512,
            collect_mb: 64,
            log_kb: 1024,
            network: "none".to_owned(),
            allowlist: "refuse".to_owned(),
            env: Vec::new(),
            capabilities: "none".to_owned(),
        }
    }
}

/// `[budget]`: without a key there is no such limit, but for `calls_per_job`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawBudget {
    /// US dollars that the archive may cost, over all its runs.
    pub usd: Option<f64>,
    /// Input and output tokens that the archive may use.
    pub tokens: Option<u64>,
    /// Model calls that the archive may make.
    pub calls: Option<u64>,
    /// Hours that the archive's runs may last together; then the run ends as after one
    /// Ctrl-C, with exit code 3.
    pub hours: Option<f64>,
    /// US dollars that one attempt may cost, over all its executions.
    pub usd_per_attempt: Option<f64>,
    /// Tokens that one attempt may use.
    pub tokens_per_attempt: Option<u64>,
    /// Model calls that one attempt may make.
    pub calls_per_attempt: Option<u64>,
    /// US dollars that one job (an evaluation, or each role of an attempt) may cost.
    pub usd_per_job: Option<f64>,
    /// Tokens that one job may use.
    pub tokens_per_job: Option<u64>,
    /// Model calls that one job may make.
    pub calls_per_job: u64,
}

impl Default for RawBudget {
    fn default() -> Self {
        Self {
            usd: None,
            tokens: None,
            calls: None,
            hours: None,
            usd_per_attempt: None,
            tokens_per_attempt: None,
            calls_per_attempt: None,
            usd_per_job: None,
            tokens_per_job: None,
            calls_per_job: 200,
        }
    }
}

/// `[models]`: one table per role.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawModels {
    /// Whether requests and answers are kept in the archive, to replay the run from.
    #[serde(default)]
    pub record: bool,
    /// Hours that a run waits for a provider that answers nobody, before it ends.
    #[serde(default = "outage_hours")]
    pub outage_hours: f64,
    /// Reads evidence and proposes.
    pub diagnose: RawModel,
    /// Drives a parent while it edits itself.
    pub modify: RawModel,
    /// Drives a variant on a task.
    pub solve: RawModel,
}

/// `[models.ROLE]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// `openai`, `anthropic` or `command`.
    pub provider: String,
    /// Name of the model.
    pub model: String,
    /// Where the server is, if it is not the provider's own.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// File that holds the key; relative to the archive's folder.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Known only to be refused: a key has no place in this file, which is copied and shown.
    #[serde(default, skip_serializing)]
    pub api_key: Option<toml::Value>,
    /// Further headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Further fields of each request.
    #[serde(default)]
    pub extra_body: toml::Table,
    /// What the server calls the limit of output tokens.
    #[serde(default = "limit_field")]
    pub limit_field: String,
    /// Whether the model takes images.
    #[serde(default = "yes")]
    pub images: bool,
    /// Program and arguments of provider `command`; started in the archive's folder.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables that the program inherits.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Whether calls cost nothing.
    #[serde(default)]
    pub free: bool,
    /// US dollars per million tokens: `{ input = …, output = …, cached_input = … }`.
    #[serde(default)]
    pub price: Option<RawPrice>,
    /// Most tokens of one answer.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// Seconds for one call.
    #[serde(default = "call_timeout")]
    pub timeout_sec: f64,
    /// Seconds for a connection to the server.
    #[serde(default = "connect_timeout")]
    pub connect_timeout_sec: f64,
    /// Seconds in which a server that is answering may say nothing.
    #[serde(default = "idle_timeout")]
    pub idle_timeout_sec: f64,
    /// Further tries of a call that the provider failed.
    #[serde(default = "retries")]
    pub retries: u32,
}

/// Price of a model in US dollars per million tokens.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawPrice {
    /// Prompt tokens.
    pub input: f64,
    /// Completion tokens, reasoning included.
    pub output: f64,
    /// Prompt tokens read from the provider's cache.
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Prompt tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// Prompt tokens written to the provider's cache for its longer time.
    #[serde(default)]
    pub cache_write_long: Option<f64>,
}

fn outage_hours() -> f64 {
    6.0
}

fn call_timeout() -> f64 {
    600.0
}

fn connect_timeout() -> f64 {
    10.0
}

fn idle_timeout() -> f64 {
    180.0
}

fn retries() -> u32 {
    3
}

fn limit_field() -> String {
    "max_completion_tokens".to_owned()
}

fn yes() -> bool {
    true
}
