//! Checks a benchmark before a cent is spent on it: doing nothing must fail, the reference
//! solution must pass, and the verifier must give a reward both times.

use super::road::Trial;
use super::turn::{AgentTurn, Player, TurnEnd};
use crate::benchmark::{CheckRow, Checked, Delivery, Suite, Task};
use crate::domain::TaskId;
use crate::sandbox::{Exit, Limits, Sandbox, SandboxError};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time for a reference solution where the task names none for its agent.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

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
    let checker = Checker {
        sandbox,
        task,
        limits: task.limits(Limits::default()),
        cancel,
    };
    let (mut nothing_done, mut nothing_log) = checker.nothing_done().await;
    let (mut reference, mut reference_log) = checker.reference().await;
    let mut found = fault(task, &nothing_done, &reference);
    for _ in 1..times {
        if found.is_some() {
            break;
        }
        let before = (nothing_done, reference);
        (nothing_done, nothing_log) = checker.nothing_done().await;
        (reference, reference_log) = checker.reference().await;
        let fault = fault(task, &nothing_done, &reference);
        found = fault.or_else(|| differs(&before, &nothing_done, &reference));
    }
    let (detail, log) = match found {
        None => (String::new(), String::new()),
        Some((detail, CheckSide::Nothing)) => (detail, nothing_log),
        Some((detail, CheckSide::Reference)) => (detail, reference_log),
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
) -> Option<(String, CheckSide)> {
    let sides = [
        ("doing nothing", &before.0, nothing_done, CheckSide::Nothing),
        (
            "the reference solution",
            &before.1,
            reference,
            CheckSide::Reference,
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

#[derive(Clone, Copy)]
enum CheckSide {
    Nothing,
    Reference,
}

fn fault(task: &Task, nothing: &Checked, reference: &Checked) -> Option<(String, CheckSide)> {
    match nothing {
        Checked::NoReward(why) => {
            return Some((format!("with nothing done: {why}"), CheckSide::Nothing));
        }
        Checked::NotRun(why) => return Some((why.clone(), CheckSide::Nothing)),
        Checked::Reward(reward) if !task.is_scored() && *reward < task.nothing_done => {
            let detail = format!(
                "doing nothing gets {reward}, but the task says that it gets {}",
                task.nothing_done
            );
            return Some((detail, CheckSide::Nothing));
        }
        Checked::Reward(reward) if *reward >= task.pass_mark && task.is_scored() => {
            let detail = format!(
                "doing nothing gets {reward} and passes: solving this task would show nothing"
            );
            return Some((detail, CheckSide::Nothing));
        }
        Checked::Reward(_) => {}
    }
    match reference {
        Checked::NoReward(why) => Some((
            format!("with the reference solution: {why}"),
            CheckSide::Reference,
        )),
        Checked::NotRun(why) => Some((why.clone(), CheckSide::Reference)),
        Checked::Reward(reward) if *reward < task.pass_mark => {
            let detail = format!(
                "the reference solution gets {reward}, below the pass mark {}",
                task.pass_mark
            );
            Some((detail, CheckSide::Reference))
        }
        Checked::Reward(_) => None,
    }
}

struct Checker<'a> {
    sandbox: &'a dyn Sandbox,
    task: &'a Task,
    limits: Limits,
    cancel: &'a CancellationToken,
}

impl Checker<'_> {
    async fn nothing_done(&self) -> (Checked, String) {
        self.trial(CheckSide::Nothing, None).await
    }

    /// Has the reference solution take an agent's turns.
    async fn reference(&self) -> (Checked, String) {
        if self.task.solution.is_none() {
            let why = "the task has no `solution/solve.sh`: nothing shows that it can be solved";
            return (Checked::NotRun(why.to_owned()), String::new());
        }
        self.trial(CheckSide::Reference, Some(&Solver(self))).await
    }

    async fn trial(&self, side: CheckSide, player: Option<&dyn Player>) -> (Checked, String) {
        let (what, who) = match side {
            CheckSide::Nothing => ("nothing", "nothing"),
            CheckSide::Reference => ("reference", "reference solution"),
        };
        let trial = Trial {
            sandbox: self.sandbox,
            task: self.task,
            job: &format!("check-{}-{what}", self.task.id),
            limits: self.limits,
            default_timeout: DEFAULT_TIMEOUT,
            cancel: self.cancel,
            judge_nothing: true,
        };
        let end = trial.run(player).await;
        if let Some(error) = &end.failure {
            return (Checked::NotRun(sentence(error)), String::new());
        }
        if let Some(how) = badly(end.exit) {
            let why = format!("the {who} {how}");
            return (Checked::NotRun(why), tail(&end.log));
        }
        let is_of_files = self.task.delivery != Delivery::InImage;
        if player.is_some() && end.did_nothing && is_of_files {
            let why = "the reference solution changed nothing that counts as an answer";
            return (Checked::NotRun(why.to_owned()), tail(&end.log));
        }
        let log = tail(&end.verifier_log);
        match (end.fault, end.reward) {
            (Some(why), _) => (Checked::NotRun(why), tail(&end.log)),
            (None, Some(Ok(reward))) => (Checked::Reward(reward), log),
            (None, Some(Err(error))) => (Checked::NoReward(error.why), log),
            (None, None) => (Checked::NoReward("nothing was judged".to_owned()), log),
        }
    }
}

/// Runs the reference solution in each turn.
struct Solver<'a>(&'a Checker<'a>);

impl Player for Solver<'_> {
    fn play(&self, turn: AgentTurn) -> BoxFuture<'_, Result<TurnEnd, SandboxError>> {
        let Checker {
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
            return Box::pin(std::future::ready(Err(error)));
        };
        let run = sandbox.run(spec, (*cancel).clone());
        Box::pin(async move { run.await.map(TurnEnd::from) })
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
