//! Checks a benchmark before a cent is spent on it: doing nothing must fail, the reference
//! solution must pass, and the verifier must give a reward both times.

use super::answer::{Answer, take_answer};
use super::judge::{VerifierEnd, judge, run_script, with_executable};
use super::suite::Suite;
use super::task::{Kind, Task};
use super::trial::Trial;
use super::turn::{Played, Player, Turn};
use crate::domain::TaskId;
use crate::sandbox::{Exit, Limits, Placed, Sandbox, SandboxError, Spec};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time for a reference solution where the task names none for its agent.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// What one check of a task gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// The verifier's reward.
    Reward(f64),
    /// The verifier gave none.
    NoReward(String),
    /// It was not run, or could not be.
    NotRun(String),
}

impl Checked {
    /// Returns the reward.
    pub fn reward(&self) -> Option<f64> {
        match self {
            Self::Reward(reward) => Some(*reward),
            Self::NoReward(_) | Self::NotRun(_) => None,
        }
    }
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Tasks at once.
    pub jobs: usize,
    /// How often each task is run with nothing done, and with its reference solution.
    pub times: u32,
}

impl From<usize> for Effort {
    /// So many tasks at once, each run once.
    fn from(jobs: usize) -> Self {
        Self { jobs, times: 1 }
    }
}

/// What of a benchmark is not run, with the reason.
#[derive(Clone, Debug, Default)]
pub struct NotRun {
    /// Tasks that cannot be loaded.
    pub refused: Vec<(String, String)>,
    /// Tasks whose images cannot be had.
    pub lacking: BTreeMap<TaskId, String>,
}

impl From<&Suite> for NotRun {
    /// All tasks that cannot be loaded.
    fn from(suite: &Suite) -> Self {
        let refused = suite.refused.iter();
        let refused = refused.map(|(name, error)| (name.clone(), error.sentence()));
        Self {
            refused: refused.collect(),
            lacking: BTreeMap::new(),
        }
    }
}

/// How one task fared.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// The task.
    pub task: String,
    /// With nothing done.
    pub nothing_done: Checked,
    /// With the reference solution.
    pub reference: Checked,
    /// Whether the task can be used to measure anything.
    pub ok: bool,
    /// What is wrong, for a reader; empty where all is well.
    pub detail: String,
    /// The end of what the verifier printed where something is wrong.
    pub log: String,
    /// Wall time.
    pub seconds: f64,
}

/// Checks tasks, several at once; rows come to `progress` as they are done, and back in the
/// order of the tasks. What is not run has rows with the reason: refused tasks come last.
pub async fn check(
    sandbox: &dyn Sandbox,
    not_run: impl Into<NotRun>,
    tasks: &[Arc<Task>],
    effort: impl Into<Effort>,
    cancel: &CancellationToken,
    mut progress: impl FnMut(&CheckRow),
) -> Vec<CheckRow> {
    let effort = effort.into();
    let NotRun { refused, lacking } = not_run.into();
    let lacking = &lacking;
    let mut rows = Vec::with_capacity(tasks.len());
    let mut running = futures_util::stream::iter(tasks.iter().enumerate())
        .map(|(at, task)| async move {
            let row = match lacking.get(&task.id) {
                Some(why) => unrun(task.id.as_str(), why.clone()),
                None => check_task(sandbox, task, effort.times, cancel).await,
            };
            (at, row)
        })
        .buffer_unordered(effort.jobs.max(1));
    while let Some((at, row)) = running.next().await {
        progress(&row);
        rows.push((at, row));
    }
    drop(running);
    rows.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<CheckRow> = rows.into_iter().map(|(_, row)| row).collect();
    for (name, why) in refused {
        let row = unrun(&name, why);
        progress(&row);
        rows.push(row);
    }
    rows
}

fn unrun(task: &str, why: String) -> CheckRow {
    CheckRow {
        task: task.to_owned(),
        nothing_done: Checked::NotRun(why.clone()),
        reference: Checked::NotRun(why.clone()),
        ok: false,
        detail: why,
        log: String::new(),
        seconds: 0.0,
    }
}

async fn check_task(
    sandbox: &dyn Sandbox,
    task: &Task,
    times: u32,
    cancel: &CancellationToken,
) -> CheckRow {
    if let Some(why) = task.unfit_for(sandbox) {
        return unrun(task.id.as_str(), why);
    }
    let started = Instant::now();
    let place = Place {
        sandbox,
        task,
        limits: task.limits(Limits::default()),
        cancel,
    };
    let (mut nothing_done, mut nothing_log) = place.nothing_done().await;
    let (mut reference, mut reference_log) = place.reference().await;
    let mut found = fault(task, &nothing_done, &reference);
    for _ in 1..times {
        if found.is_some() {
            break;
        }
        let before = (nothing_done, reference);
        (nothing_done, nothing_log) = place.nothing_done().await;
        (reference, reference_log) = place.reference().await;
        let fault = fault(task, &nothing_done, &reference);
        found = fault.or_else(|| differs(&before, &nothing_done, &reference));
    }
    let (detail, log) = match found {
        None => (String::new(), String::new()),
        Some((detail, Side::Nothing)) => (detail, nothing_log),
        Some((detail, Side::Reference)) => (detail, reference_log),
    };
    CheckRow {
        task: task.id.as_str().to_owned(),
        ok: detail.is_empty(),
        nothing_done,
        reference,
        detail,
        log,
        seconds: started.elapsed().as_secs_f64(),
    }
}

/// A task that gives different rewards for the same is noise.
fn differs(
    before: &(Checked, Checked),
    nothing_done: &Checked,
    reference: &Checked,
) -> Option<(String, Side)> {
    let sides = [
        ("doing nothing", &before.0, nothing_done, Side::Nothing),
        (
            "the reference solution",
            &before.1,
            reference,
            Side::Reference,
        ),
    ];
    let side = sides.into_iter().find(|(_, before, now, _)| before != now);
    let (what, before, now, side) = side?;
    let said = |checked: &Checked| checked.reward().unwrap_or(f64::NAN);
    let (before, now) = (said(before), said(now));
    Some((
        format!("{what} gets {before} once and {now} another time"),
        side,
    ))
}

enum Side {
    Nothing,
    Reference,
}

fn fault(task: &Task, nothing: &Checked, reference: &Checked) -> Option<(String, Side)> {
    match nothing {
        Checked::NoReward(why) => {
            return Some((format!("with nothing done: {why}"), Side::Nothing));
        }
        Checked::NotRun(why) => return Some((why.clone(), Side::Nothing)),
        Checked::Reward(reward) if !task.is_scored() && *reward < task.nothing_done => {
            let detail = format!(
                "doing nothing gets {reward}, but the task says that it gets {}",
                task.nothing_done
            );
            return Some((detail, Side::Nothing));
        }
        Checked::Reward(reward) if *reward >= task.pass_mark && task.is_scored() => {
            let detail = format!(
                "doing nothing gets {reward} and passes: solving this task would show nothing"
            );
            return Some((detail, Side::Nothing));
        }
        Checked::Reward(_) => {}
    }
    match reference {
        Checked::NoReward(why) => Some((
            format!("with the reference solution: {why}"),
            Side::Reference,
        )),
        Checked::NotRun(why) => Some((why.clone(), Side::Reference)),
        Checked::Reward(reward) if *reward < task.pass_mark => {
            let detail = format!(
                "the reference solution gets {reward}, below the pass mark {}",
                task.pass_mark
            );
            Some((detail, Side::Reference))
        }
        Checked::Reward(_) => None,
    }
}

struct Place<'a> {
    sandbox: &'a dyn Sandbox,
    task: &'a Task,
    limits: Limits,
    cancel: &'a CancellationToken,
}

impl Place<'_> {
    async fn nothing_done(&self) -> (Checked, String) {
        if self.task.kind == Kind::Steps {
            return self.trial("nothing", &Nobody(self)).await;
        }
        self.judged(&Answer::nothing(self.task), "nothing").await
    }

    /// Runs the reference solution as an agent would run, and judges what it left.
    async fn reference(&self) -> (Checked, String) {
        let Some(solution) = &self.task.solution else {
            let why = "the task has no `solution/solve.sh`: nothing shows that it can be solved";
            return (Checked::NotRun(why.to_owned()), String::new());
        };
        if self.task.kind == Kind::Steps {
            return self.trial("reference", &Solver(self)).await;
        }
        let spec = self.solve(&with_executable(&solution.0, "solve.sh"));
        let ended = match self.sandbox.run(spec, self.cancel.clone()).await {
            Ok(ended) => ended,
            Err(error) => return (Checked::NotRun(sentence(&error)), String::new()),
        };
        let log = tail(&ended.log);
        if let Some(how) = badly(ended.exit) {
            return (
                Checked::NotRun(format!("the reference solution {how}")),
                log,
            );
        }
        let collected = ended.collected.first().cloned().unwrap_or_default();
        match take_answer(self.task, &collected, ended.difference.as_ref()) {
            Ok(answer) if answer.change.is_empty() => {
                let why = "the reference solution changed nothing that counts as an answer";
                (Checked::NotRun(why.to_owned()), log)
            }
            Ok(answer) => self.judged(&answer, "reference").await,
            Err(fault) => (Checked::NotRun(fault.to_string()), log),
        }
    }

    /// Runs a trial of a task as Harbor means it.
    async fn trial(&self, what: &str, player: &dyn Player) -> (Checked, String) {
        let job = format!("check-{}-{what}", self.task.id);
        let trial = Trial {
            sandbox: self.sandbox,
            task: self.task,
            job: &job,
            limits: self.limits,
            cancel: self.cancel,
            judge_nothing: true,
        };
        let end = match trial.run(player).await {
            Ok(end) => end,
            Err(error) => return (Checked::NotRun(sentence(&error)), String::new()),
        };
        if let Some(how) = badly(end.exit) {
            let why = Checked::NotRun(format!("the {} {how}", whose(what)));
            return (why, tail(&end.log));
        }
        let log = tail(&end.verifier_log);
        match (end.fault, end.reward) {
            (Some(why), _) => (Checked::NotRun(why), tail(&end.log)),
            (None, Some(Ok(reward))) => (Checked::Reward(reward), log),
            (None, Some(Err(fault))) => (Checked::NoReward(fault.why), log),
            (None, None) => (Checked::NoReward("nothing was judged".to_owned()), log),
        }
    }

    fn solve(&self, solution: &crate::domain::FileTree) -> Spec {
        let mut env = self.task.env.clone();
        env.push(("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()));
        env.extend(self.task.solution_env.iter().cloned());
        let workspace = self.task.workdir.iter().map(|at| Placed {
            at: at.clone(),
            files: self.task.workspace.clone(),
        });
        let solution = Placed {
            at: "/solution".to_owned(),
            files: Arc::new(solution.clone()),
        };
        Spec {
            job: format!("check-{}-solve", self.task.id),
            image: self.task.image.clone(),
            agent: None,
            placed: workspace.chain([solution]).collect(),
            root: self.task.agent_root(),
            workdir: self.task.workdir.clone(),
            writable: Vec::new(),
            command: run_script("/solution/solve.sh"),
            env,
            vital: Vec::new(),
            socket_dir: None,
            deadline: self.task.agent_timeout.unwrap_or(DEFAULT_TIMEOUT),
            collect: match self.task.kind {
                Kind::Workspace => self.task.workdir.iter().cloned().collect(),
                Kind::Folder | Kind::Steps => Vec::new(),
            },
            limits: self.limits,
        }
    }

    async fn judged(&self, answer: &Answer, what: &str) -> (Checked, String) {
        let job = format!("check-{}-{what}", self.task.id);
        let cancel = self.cancel.clone();
        match judge(self.sandbox, self.task, answer, &job, self.limits, cancel).await {
            Ok(VerifierEnd {
                reward: Ok(reward),
                log,
                ..
            }) => (Checked::Reward(reward), tail(&log)),
            Ok(VerifierEnd {
                reward: Err(fault),
                log,
                ..
            }) => (Checked::NoReward(fault.why), tail(&log)),
            Err(error) => (Checked::NotRun(sentence(&error)), String::new()),
        }
    }
}

/// Does nothing in its turns.
struct Nobody<'a>(&'a Place<'a>);

impl Player for Nobody<'_> {
    fn play(&self, turn: Turn) -> BoxFuture<'_, Result<Played, SandboxError>> {
        let Place {
            sandbox,
            limits,
            cancel,
            ..
        } = self.0;
        let run = sandbox.run(turn.idle(*limits), (*cancel).clone());
        run.map(|ended| ended.map(Played::of)).boxed()
    }
}

/// Runs the reference solution in each turn.
struct Solver<'a>(&'a Place<'a>);

impl Player for Solver<'_> {
    fn play(&self, turn: Turn) -> BoxFuture<'_, Result<Played, SandboxError>> {
        let Place {
            sandbox,
            task,
            limits,
            cancel,
        } = self.0;
        let job = turn.job.clone();
        let Some(spec) = turn.solve(&task.solution_env, DEFAULT_TIMEOUT, *limits) else {
            let error = SandboxError::Failed {
                what: format!("could not solve `{job}`"),
                source: anyhow::anyhow!("a step has no `solution/solve.sh`"),
            };
            return std::future::ready(Err(error)).boxed();
        };
        let run = sandbox.run(spec, (*cancel).clone());
        run.map(|ended| ended.map(Played::of)).boxed()
    }
}

fn whose(what: &str) -> &str {
    match what {
        "reference" => "reference solution",
        what => what,
    }
}

/// Returns how a run ended, if not well.
fn badly(exit: Exit) -> Option<String> {
    match exit {
        Exit::Code(0) => None,
        Exit::Code(code) => Some(format!("ended with exit code {code}")),
        Exit::TimedOut => Some("did not end in time".to_owned()),
        Exit::OutOfMemory => Some("ran out of memory".to_owned()),
        Exit::OutOfDisk => Some("wrote more than it may".to_owned()),
    }
}

fn sentence(error: &SandboxError) -> String {
    match error {
        SandboxError::Unavailable { what, hint } => format!("{what}; {hint}"),
        SandboxError::NoImage { .. } => {
            format!("{error}; `dgm bench images build` makes those of a benchmark")
        }
        SandboxError::Cancelled => error.to_string(),
        SandboxError::Failed { source, .. } => format!("{error}: {source:#}"),
    }
}

/// Returns the last lines of a log, enough to see what went wrong.
fn tail(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
