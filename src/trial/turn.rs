//! An agent's turn in a trial: what it finds, and what it leaves.

use super::verifier::{run_script, with_executable};
use crate::benchmark::Hidden;
use crate::domain::FileTree;
use crate::sandbox::{
    Collected, Difference, Ended, Exit, IN_WORKDIR, Limits, Placed, Root, RootLayer, SandboxError,
    Spec, State, Taken,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// What an agent, or whoever takes its place, finds in its turn.
#[derive(Clone, Debug)]
pub struct AgentTurn {
    /// Name of the job, for labels.
    pub job: String,
    /// What it is asked.
    pub instruction: String,
    /// Image, for backends that have images.
    pub image: Option<String>,
    /// What its file system is made of.
    pub root: Root,
    /// Files that it starts with, in its working directory.
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

impl AgentTurn {
    /// Returns a turn in a sealed sandbox that starts with these files.
    pub fn sealed(job: String, instruction: String, workdir: &str, files: Arc<FileTree>) -> Self {
        Self {
            job,
            instruction,
            image: None,
            root: Root::Sealed,
            files,
            writable: Vec::new(),
            workdir: Some(workdir.to_owned()),
            env: Vec::new(),
            timeout: None,
            solution: None,
        }
    }

    /// Returns the run of somebody who does nothing.
    pub(super) fn idle(self, limits: Limits) -> Spec {
        let deadline = Duration::from_mins(1);
        self.spec(vec!["true".to_owned()], Vec::new(), deadline, limits)
    }

    /// Returns the run of the reference solution; none: there is none.
    pub(super) fn solve(
        mut self,
        env: &[(String, String)],
        default: Duration,
        limits: Limits,
    ) -> Option<Spec> {
        let placed = Placed {
            at: "/solution".to_owned(),
            files: Arc::new(with_executable(
                self.solution.as_ref()?.reveal(),
                "solve.sh",
            )),
        };
        let noninteractive = ("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned());
        self.env.push(noninteractive);
        self.env.extend(env.iter().cloned());
        let deadline = self.timeout.unwrap_or(default);
        let command = run_script("/solution/solve.sh");
        Some(self.spec(command, vec![placed], deadline, limits))
    }

    /// Returns the turn as a run of this command, with more files placed after its own.
    pub(super) fn spec(
        self,
        command: Vec<String>,
        more: Vec<Placed>,
        deadline: Duration,
        limits: Limits,
    ) -> Spec {
        let sealed = self.root == Root::Sealed;
        let at = match sealed {
            true => self.workdir.clone(),
            false => Some(IN_WORKDIR.to_owned()),
        };
        let files = at.map(|at| Placed {
            at,
            files: self.files,
        });
        Spec {
            job: self.job,
            image: self.image,
            agent: None,
            placed: files.into_iter().chain(more).collect(),
            root: self.root,
            // Of an image's own root the difference is kept, or all of it.
            collect: self.workdir.iter().filter(|_| sealed).cloned().collect(),
            workdir: self.workdir,
            writable: self.writable,
            command,
            env: self.env,
            vital: Vec::new(),
            socket_dir: None,
            deadline,
            limits,
        }
    }
}

/// What a turn left.
#[derive(Clone, Debug)]
pub struct TurnEnd {
    /// How it ended.
    pub exit: Exit,
    /// What was printed.
    pub log: Vec<u8>,
    /// The working directory afterwards; nothing, where the root is the image's own.
    pub workspace: Collected,
    /// What changed below the working directory, where the root is the image's own.
    pub difference: Option<Difference>,
    /// What was taken out.
    pub taken: Vec<Taken>,
    /// What it left, to go on from.
    pub state: Option<State>,
    /// What it left, to be judged again.
    pub layer: Option<RootLayer>,
    /// Wall time of the sandbox.
    pub took: Duration,
}

impl From<Ended> for TurnEnd {
    fn from(ended: Ended) -> Self {
        Self {
            exit: ended.exit,
            log: ended.log,
            workspace: ended.collected.into_iter().next().unwrap_or_default(),
            difference: ended.difference,
            taken: ended.taken,
            state: ended.state,
            layer: ended.layer,
            took: ended.took,
        }
    }
}

/// Somebody who takes turns: an agent, or the reference solution in its place.
pub(super) trait Player: Send + Sync {
    /// Takes a turn to its end. How well it goes is no error; only the sandbox can fail.
    fn play(&self, turn: AgentTurn) -> BoxFuture<'_, Result<TurnEnd, SandboxError>>;
}
