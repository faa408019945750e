//! The folder of a job as Harbor 0.25 writes it, so that its viewer and its other tools read our
//! evaluations: one trial for each.
//!
//! Invariant: nothing is made up. A reward that no verifier gave is missing, as Harbor has it; an
//! execution that did not count is a retry; ids are hashes of what they name, so that the same
//! archive gives the same folder.

use super::{Row, timestamp};
use crate::domain::{Cause, Evaluation, NoReward, Outcome, Rewards};
use crate::stats::pass_at;
use crate::view::json;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What all trials of a job have in common.
#[derive(Clone, Debug)]
pub struct HarborJob {
    /// Random id of the archive.
    pub archive: String,
    /// Name of the job's folder.
    pub name: String,
    /// Absolute path of the folder that holds it.
    pub jobs_dir: String,
    /// Folder of the benchmark.
    pub benchmark: String,
    /// Name of the benchmark.
    pub dataset: String,
    /// Name of the sandbox's backend.
    pub backend: String,
    /// Evaluations at once.
    pub workers: usize,
}

/// A trial: an evaluation as Harbor sees it.
#[derive(Clone, Debug)]
pub struct HarborTrial<'a> {
    /// The evaluation.
    pub row: &'a Row<'a>,
    /// What its `agent.toml` calls the agent.
    pub agent: &'a str,
    /// The model that it was given, if that is known.
    pub model: Option<&'a str>,
}

impl HarborJob {
    fn id(&self) -> String {
        uuid(&["job", &self.archive, &self.name])
    }

    fn environment(&self) -> Value {
        match self.backend.as_str() {
            "docker" => json!({"type": "docker"}),
            other => json!({"import_path": format!("dgm:{other}")}),
        }
    }

    fn task(&self, trial: &HarborTrial<'_>) -> Value {
        let path = format!("{}/{}", self.benchmark, trial.row.evaluation.key.task);
        json!({"path": path, "source": self.dataset})
    }
}

impl HarborTrial<'_> {
    fn id(&self) -> String {
        let key = &self.row.evaluation.key;
        let (variant, repeat) = (key.variant.0.to_string(), key.repeat.to_string());
        let parts = [
            "trial",
            self.row.archive,
            &variant,
            key.task.as_str(),
            &repeat,
        ];
        uuid(&parts)
    }

    /// Returns the name of the trial's folder.
    pub fn name(&self) -> String {
        let task = self.row.evaluation.key.task.as_str().chars().take(32);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let task: String = task.map(|c| if is_plain(c) { c } else { '-' }).collect();
        format!("{}__{}", task.trim_end_matches(['_', '-']), &self.id()[..7])
    }

    /// Variants of one archive mostly have one name: Harbor tells agents apart by theirs.
    fn agent_name(&self) -> String {
        format!("{}-{}", self.agent, self.row.variant.id.0)
    }

    fn agent_config(&self) -> Value {
        json!({"name": self.agent_name(), "model_name": self.model})
    }

    fn started_ms(&self) -> i64 {
        let timing = self.row.evaluation.timing;
        let took = timing.agent_ms.saturating_add(timing.verifier_ms);
        let took = i64::try_from(took).unwrap_or(0);
        self.row.evaluation.at_ms.saturating_sub(took)
    }

    fn agent_ended_ms(&self) -> i64 {
        let verifier = i64::try_from(self.row.evaluation.timing.verifier_ms).unwrap_or(0);
        self.row.evaluation.at_ms.saturating_sub(verifier)
    }

    /// Returns what the lock of the trial says; none where the task's digest is not known.
    fn lock(&self, job: &HarborJob) -> Option<Value> {
        let evaluation = self.row.evaluation;
        let hex = evaluation.judgement.task_digest.strip_prefix("sha256:")?;
        let is_digest = hex.len() == 64 && hex.bytes().all(|b| b"0123456789abcdef".contains(&b));
        is_digest.then(|| {
            json!({
                "schema_version": 2,
                "task": {
                    "name": evaluation.key.task.as_str(),
                    "type": "local",
                    "digest": evaluation.judgement.task_digest,
                    "source": job.dataset,
                    "path": job.task(self)["path"],
                },
                "agent": self.agent_config(),
                "environment": job.environment(),
                "verifier": {},
            })
        })
    }

    fn exception(&self) -> Option<Value> {
        let evaluation = self.row.evaluation;
        let kind = exception(evaluation)?;
        Some(json!({
            "exception_type": kind,
            "exception_message": evaluation.judgement.detail,
            "exception_traceback": "",
            "occurred_at": timestamp(evaluation.at_ms),
        }))
    }

    fn result(&self, job: &HarborJob) -> Value {
        let row = self.row;
        let evaluation = row.evaluation;
        let name = self.name();
        let digest = evaluation.judgement.task_digest.as_str();
        let span = |from: i64, to: i64| json!({"started_at": timestamp(from), "finished_at": timestamp(to)});
        let (start, middle, end) = (self.started_ms(), self.agent_ended_ms(), evaluation.at_ms);
        json!({
            "id": self.id(),
            "task_name": evaluation.key.task.as_str(),
            "trial_name": name,
            "trial_uri": format!("file://{}/{}/{name}", job.jobs_dir, job.name),
            "task_id": {"path": job.task(self)["path"]},
            "source": job.dataset,
            "task_checksum": digest.strip_prefix("sha256:").unwrap_or(digest),
            "config": self.config(job),
            "agent_info": {
                "name": self.agent_name(),
                "version": row.variant.commit.as_str(),
                "model_info": self.model.map(|model| json!({"name": model, "provider": null})),
            },
            "agent_result": {
                "n_input_tokens": row.spend.tokens.input,
                "n_cache_tokens": row.spend.tokens.cached,
                "n_output_tokens": row.spend.tokens.output,
                "cost_usd": row.spend.cost.dollars(),
                "metadata": {"dgm": self.metadata()},
            },
            "verifier_result": rewards(evaluation).map(|rewards| json!({"rewards": rewards})),
            "exception_info": self.exception(),
            "started_at": timestamp(start),
            "finished_at": timestamp(end),
            "agent_execution": span(start, middle),
            "verifier": (evaluation.timing.verifier_ms > 0).then(|| span(middle, end)),
        })
    }

    fn config(&self, job: &HarborJob) -> Value {
        json!({
            "task": job.task(self),
            "trial_name": self.name(),
            "trials_dir": format!("{}/{}", job.jobs_dir, job.name),
            "agent": self.agent_config(),
            "environment": job.environment(),
            "verifier": {},
            "job_id": job.id(),
        })
    }

    fn metadata(&self) -> Value {
        let row = self.row;
        let evaluation = row.evaluation;
        json!({
            "archive": row.archive,
            "variant": row.variant.id.0,
            "parent": row.variant.parent.map(|parent| parent.0),
            "generation": row.variant.generation,
            "repeat": evaluation.key.repeat,
            "outcome": evaluation.judgement.outcome.name(),
            "counts": evaluation.judgement.outcome.counts(),
            "passed": evaluation.judgement.passed,
            "cause": evaluation.judgement.cause.map(Cause::name),
            "detail": evaluation.judgement.detail,
            "cost_usd_micros": row.spend.cost.0,
            "faults": row.faults,
            "evidence": row.evidence,
        })
    }
}

/// Returns what the verifier gave, by name.
fn rewards(evaluation: &Evaluation) -> Option<Rewards> {
    let reward = evaluation.judgement.reward?;
    Some(match evaluation.judgement.rewards.is_empty() {
        true => Rewards::from([("reward".to_owned(), reward)]),
        false => evaluation.judgement.rewards.clone(),
    })
}

/// Returns the type of exception that Harbor has for an outcome; two are only ours.
fn exception(evaluation: &Evaluation) -> Option<&'static str> {
    match evaluation.judgement.outcome {
        Outcome::Resolved | Outcome::Unresolved | Outcome::Empty => None,
        Outcome::AgentError => Some("NonZeroAgentExitCodeError"),
        Outcome::Timeout => Some("AgentTimeoutError"),
        Outcome::Budget => Some("AgentBudgetExceededError"),
        Outcome::VerifierError => Some(
            match evaluation.judgement.cause.and_then(Cause::no_reward) {
                Some(NoReward::TimedOut) => "VerifierTimeoutError",
                Some(NoReward::Empty) => "RewardFileEmptyError",
                Some(NoReward::Unreadable) => "VerifierOutputParseError",
                Some(
                    NoReward::Missing
                    | NoReward::Unsealed
                    | NoReward::TooMuchOutput
                    | NoReward::NoResult
                    | NoReward::NoAnswer,
                )
                | None => "RewardFileNotFoundError",
            },
        ),
        Outcome::InfraError => Some("InfrastructureError"),
        Outcome::Cancelled => Some("CancelledError"),
    }
}

/// Returns the JSON files of a trial by their names, and what else is text of ours in it.
pub fn harbor_trial(job: &HarborJob, trial: &HarborTrial<'_>) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("config.json", json::text(&trial.config(job))),
        ("result.json", json::text(&trial.result(job))),
    ];
    if let Some(lock) = trial.lock(job) {
        files.push(("lock.json", json::text(&lock)));
    }
    if let Some(rewards) = rewards(trial.row.evaluation) {
        files.push(("verifier/reward.json", json::text(&json!(rewards))));
    }
    if let Some(kind) = exception(trial.row.evaluation) {
        let text = format!("{kind}: {}\n", trial.row.evaluation.judgement.detail);
        files.push(("exception.txt", text));
    }
    files
}

/// Returns the files of the job itself by their names.
pub fn harbor_job(job: &HarborJob, trials: &[HarborTrial<'_>]) -> Vec<(&'static str, String)> {
    let times = |time: fn(&HarborTrial<'_>) -> i64| trials.iter().map(time);
    let started = times(|trial| trial.started_ms()).min().and_then(timestamp);
    let ended = times(|trial| trial.row.evaluation.at_ms).max();
    let ended = ended.and_then(timestamp);
    let mut agents: BTreeMap<(u32, Option<&str>), Value> = BTreeMap::new();
    for trial in trials {
        let key = (trial.row.variant.id.0, trial.model);
        agents.entry(key).or_insert_with(|| trial.agent_config());
    }
    let locks = trials.iter().filter_map(|trial| trial.lock(job));
    let config = json!({
        "job_name": job.name,
        "jobs_dir": job.jobs_dir,
        "n_concurrent_trials": job.workers.max(1),
        "environment": job.environment(),
        "agents": agents.into_values().collect::<Vec<_>>(),
        "datasets": [{"path": job.benchmark}],
    });
    let lock = json!({
        "schema_version": 3,
        "created_at": started,
        "harbor": {},
        "n_concurrent_trials": job.workers.max(1),
        "retry": {},
        "trials": locks.collect::<Vec<_>>(),
    });
    let result = json!({
        "id": job.id(),
        "started_at": started,
        "updated_at": ended,
        "finished_at": ended,
        "n_total_trials": trials.len(),
        "stats": stats(job, trials),
    });
    vec![
        ("config.json", json::text(&config)),
        ("lock.json", json::text(&lock)),
        ("result.json", json::text(&result)),
    ]
}

/// Trials of one agent with one model.
#[derive(Default)]
struct TrialGroup {
    trials: usize,
    /// Rewards of the trials of each task.
    tasks: BTreeMap<String, Vec<Option<Rewards>>>,
    rewards: Vec<Rewards>,
    by_reward: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    by_exception: BTreeMap<&'static str, Vec<String>>,
}

/// Returns the sums over a job. As Harbor has it, a reward that is missing is a zero in the mean.
fn stats(job: &HarborJob, trials: &[HarborTrial<'_>]) -> Value {
    let mut groups: BTreeMap<String, TrialGroup> = BTreeMap::new();
    for trial in trials {
        let agent = trial.agent_name();
        let key = match trial.model {
            Some(model) => format!("{agent}__{model}__{}", job.dataset),
            None => format!("{agent}__{}", job.dataset),
        };
        let group = groups.entry(key).or_default();
        group.trials += 1;
        let rewards = rewards(trial.row.evaluation);
        let task = trial.row.evaluation.key.task.as_str().to_owned();
        group.tasks.entry(task).or_default().push(rewards.clone());
        if let Some(rewards) = rewards {
            for (key, reward) in &rewards {
                let of_key = group.by_reward.entry(key.clone()).or_default();
                let of_reward = of_key.entry(format!("{reward:?}")).or_default();
                of_reward.push(trial.name());
            }
            group.rewards.push(rewards);
        }
        if let Some(kind) = exception(trial.row.evaluation) {
            group
                .by_exception
                .entry(kind)
                .or_default()
                .push(trial.name());
        }
    }
    let evals = groups.into_iter().map(|(key, group)| {
        let errors: usize = group.by_exception.values().map(Vec::len).sum();
        let eval = json!({
            "n_trials": group.rewards.len(),
            "n_errors": errors,
            "metrics": [means(&group)],
            "pass_at_k": pass_at_k(&group),
            "reward_stats": group.by_reward,
            "exception_stats": group.by_exception,
        });
        (key, eval)
    });
    let evals: Map<String, Value> = evals.collect();
    let count = |is_meant: fn(&Evaluation) -> bool| {
        let all = trials.iter().map(|trial| trial.row.evaluation);
        all.filter(|evaluation| is_meant(evaluation)).count()
    };
    let tokens: crate::domain::Tokens = trials.iter().map(|trial| trial.row.spend.tokens).sum();
    let cost: crate::domain::Usd = trials.iter().map(|trial| trial.row.spend.cost).sum();
    json!({
        "n_completed_trials": trials.len(),
        "n_errored_trials": count(|evaluation| exception(evaluation).is_some()),
        "n_running_trials": 0,
        "n_pending_trials": 0,
        "n_cancelled_trials": count(|evaluation| evaluation.judgement.outcome == Outcome::Cancelled),
        "n_retries": trials.iter().map(|trial| trial.row.faults).sum::<u64>(),
        "evals": evals,
        "n_input_tokens": tokens.input,
        "n_cache_tokens": tokens.cached,
        "n_output_tokens": tokens.output,
        "cost_usd": cost.dollars(),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number of trials is far below 2^53"
)]
fn means(group: &TrialGroup) -> BTreeMap<&str, f64> {
    let sum = |key: &str| -> f64 {
        let found = group.rewards.iter().filter_map(|rewards| rewards.get(key));
        found.sum::<f64>() / group.trials as f64
    };
    let keys: Vec<&str> = group.by_reward.keys().map(String::as_str).collect();
    match keys.as_slice() {
        [] => BTreeMap::from([("mean", 0.0)]),
        [key] => BTreeMap::from([("mean", sum(key))]),
        keys => keys.iter().map(|key| (*key, sum(key))).collect(),
    }
}

/// Returns the chances that one of k trials passes, over all tasks, for the numbers of trials that
/// Harbor has them for. As there, nothing where a reward is no plain yes or no.
fn pass_at_k(group: &TrialGroup) -> BTreeMap<u32, f64> {
    let passed = |rewards: &Option<Rewards>| match rewards {
        None => Some(0),
        Some(rewards) => match rewards.values().collect::<Vec<_>>().as_slice() {
            [0.0] => Some(0),
            [1.0] => Some(1),
            _ => None,
        },
    };
    let tasks = group.tasks.values().map(|trials| {
        let passed: Option<u32> = trials.iter().map(passed).sum();
        Some((u32::try_from(trials.len()).ok()?, passed?))
    });
    let Some(tasks) = tasks.collect::<Option<Vec<(u32, u32)>>>() else {
        return BTreeMap::new();
    };
    let most = tasks.iter().map(|(trials, _)| *trials).min().unwrap_or(0);
    let powers = (1..u32::BITS).map(|power| 1 << power);
    let ks = powers
        .take_while(|k| *k <= most)
        .chain((5..=most).step_by(5));
    let mean = |k| {
        let chances = tasks
            .iter()
            .filter_map(|(trials, passed)| pass_at(k, *passed, *trials));
        chances.sum::<f64>() / f64::from(u32::try_from(tasks.len()).unwrap_or(u32::MAX))
    };
    ks.map(|k| (k, mean(k))).collect()
}

/// Returns an id (UUID version 8) that is a hash of the parts.
fn uuid(parts: &[&str]) -> String {
    let mut bytes = Sha256::digest(parts.join("\0"));
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
