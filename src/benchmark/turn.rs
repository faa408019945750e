//! A player's turn in a trial: what it finds, who takes it, and what it leaves.

use super::judge::{run_script, with_executable};
use super::task::Hidden;
use crate::domain::FileTree;
use crate::sandbox::{
    Difference, Ended, Exit, IN_WORKDIR, ImageRoot, Limits, Placed, Root, SandboxError, Spec,
    State, Taken,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// What an agent, or whoever takes its place, finds in its turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Name of the job.
    pub job: String,
    /// What it is asked.
    pub instruction: String,
    /// Image of the task.
    pub image: Option<String>,
    /// Its file system.
    pub root: ImageRoot,
    /// Files that are put into the working directory first.
    pub files: Arc<FileTree>,
    /// Folders that must be there and writable.
    pub writable: Vec<String>,
    /// Where it works; none: where the image does.
    pub workdir: Option<String>,
    /// Environment of the task.
    pub env: Vec<(String, String)>,
    /// Its time, if the task says so.
    pub timeout: Option<Duration>,
    /// The reference solution of the step.
    pub(super) solution: Option<Hidden>,
}

impl Turn {
    /// Returns the run of somebody who does nothing.
    pub fn idle(self, limits: Limits) -> Spec {
        self.spec(vec!["true".to_owned()], Vec::new(), Vec::new(), limits)
    }

    /// Returns the run of the reference solution; none: there is none.
    pub(super) fn solve(
        self,
        env: &[(String, String)],
        default: Duration,
        limits: Limits,
    ) -> Option<Spec> {
        let solution = self.solution.clone()?;
        let placed = Placed {
            at: "/solution".to_owned(),
            files: Arc::new(with_executable(&solution.0, "solve.sh")),
        };
        let mut variables = vec![("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())];
        variables.extend(env.iter().cloned());
        let deadline = self.timeout.unwrap_or(default);
        let command = run_script("/solution/solve.sh");
        let spec = self.spec(command, vec![placed], variables, limits);
        Some(Spec { deadline, ..spec })
    }

    fn spec(
        self,
        command: Vec<String>,
        more: Vec<Placed>,
        env: Vec<(String, String)>,
        limits: Limits,
    ) -> Spec {
        let mut placed = vec![Placed {
            at: IN_WORKDIR.to_owned(),
            files: self.files,
        }];
        placed.extend(more);
        Spec {
            job: self.job,
            image: self.image,
            agent: None,
            placed,
            root: Root::Image(self.root),
            workdir: self.workdir,
            writable: self.writable,
            command,
            env: self.env.into_iter().chain(env).collect(),
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_mins(1),
            collect: Vec::new(),
            limits,
        }
    }
}

impl Played {
    /// Returns what a sandbox left.
    pub fn of(ended: Ended) -> Self {
        Self {
            exit: ended.exit,
            log: ended.log,
            difference: ended.difference,
            taken: ended.taken,
            state: ended.state,
            took: ended.took,
        }
    }
}

/// What a turn left.
#[derive(Clone, Debug)]
pub struct Played {
    /// How it ended.
    pub exit: Exit,
    /// What was printed.
    pub log: Vec<u8>,
    /// What changed below the working directory.
    pub difference: Option<Difference>,
    /// What was taken out.
    pub taken: Vec<Taken>,
    /// What it left, to go on from.
    pub state: Option<State>,
    /// Wall time.
    pub took: Duration,
}

/// Somebody who takes turns: an agent, or the reference solution in its place.
pub trait Player: Send + Sync {
    /// Takes a turn to its end. How well it goes is no error; only the sandbox can fail.
    fn play(&self, turn: Turn) -> BoxFuture<'_, Result<Played, SandboxError>>;
}
