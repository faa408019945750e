//! One run of an agent in a sandbox, with its gateway.

use super::Manifest;
use crate::domain::{FileTree, Role, TreePath};
use crate::gateway::Gateway;
use crate::model::Metered;
use crate::sandbox::{
    AGENT_DIR, AgentSource, Collected, Difference, Exit, IN_WORKDIR, Limits, Placed, Root,
    SCRATCH_DIR, SOCKET_PATH, Sandbox, SandboxError, Spec, State, Taken,
};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Folder inside the sandbox that holds the instruction.
const TASK_DIR: &str = "/tmp/dgm-task";
/// An agent that ran out of time had too little if it waited for more than one in so many
/// seconds of it.
const WAITED_SHARE: u32 = 10;

/// Where agents are run: a backend, and a folder for the sockets of this process.
#[derive(Clone)]
pub struct Place {
    /// The backend.
    pub sandbox: Arc<dyn Sandbox>,
    /// Short path of a folder that only this user can enter.
    pub sockets: PathBuf,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Place({}, {})",
            self.sandbox.name(),
            self.sockets.display()
        )
    }
}

impl Place {
    /// Removes what dead processes of this archive left behind, in the backend and of
    /// sockets; returns how many things. The caller holds the archive's lock.
    pub async fn reap(&self) -> Result<usize, SandboxError> {
        let sockets = reap_sockets(&self.sockets).map_err(|error| SandboxError::Failed {
            what: format!("could not clean the folder `{}`", self.sockets.display()),
            source: error.into(),
        })?;
        Ok(sockets + self.sandbox.reap().await?)
    }
}

/// What an agent is to do.
#[derive(Clone, Debug)]
pub struct AgentJob {
    /// Name of the job, for labels.
    pub job: String,
    /// Image, for backends that have images.
    pub image: Option<String>,
    /// The agent.
    pub agent: AgentSource,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its role.
    pub role: Role,
    /// What it is asked.
    pub instruction: String,
    /// The files it starts with.
    pub workspace: Arc<FileTree>,
    /// What the file system is made of.
    pub root: Root,
    /// Where they lie; none: where the image works.
    pub workdir: Option<String>,
    /// Further folders that must be there and writable.
    pub writable: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
    /// Its time.
    pub deadline: Duration,
    /// Its limits.
    pub limits: Limits,
}

/// What an agent left.
#[derive(Clone, Debug)]
pub struct AgentEnd {
    /// How it ended.
    pub exit: Exit,
    /// What it printed.
    pub log: Vec<u8>,
    /// Its workspace afterwards; nothing, where the root is the image's own.
    pub workspace: Collected,
    /// What it changed, where the root is the image's own.
    pub difference: Option<Difference>,
    /// What was taken out of what it left.
    pub taken: Vec<Taken>,
    /// What it left, where that is kept.
    pub state: Option<State>,
    /// Wall time of the sandbox.
    pub took: Duration,
}

impl AgentEnd {
    /// Returns what happened where the agent's time was over and its calls had waited for the
    /// provider during too large a part of it: then its end says nothing about the agent.
    pub fn starved(&self, metered: &Metered, deadline: Duration) -> Option<String> {
        let waited = metered.waited();
        let is_starved = self.exit == Exit::TimedOut && waited * WAITED_SHARE >= deadline;
        is_starved.then(|| {
            format!(
                "the agent's calls waited for the model's provider for {} s of its {} s",
                waited.as_secs(),
                deadline.as_secs()
            )
        })
    }
}

/// Runs an agent to its end; its model calls go through `metered`.
pub async fn run_agent(
    place: &Place,
    job: AgentJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> Result<AgentEnd, SandboxError> {
    let socket_dir = SocketDir::create(&place.sockets)?;
    let gateway = Gateway::serve(socket_dir.path.clone(), metered).map_err(|source| {
        SandboxError::Failed {
            what: format!("could not open the gateway's socket for `{}`", job.job),
            source: anyhow::Error::from(source),
        }
    })?;
    let ended = place
        .sandbox
        .run(spec(&job, &socket_dir.path), cancel)
        .await;
    // The gateway ends before anything else is done: whatever call was open is on the books.
    gateway.shutdown().await;
    let ended = ended?;
    let workspace = ended.collected.into_iter().next().unwrap_or_default();
    Ok(AgentEnd {
        exit: ended.exit,
        log: ended.log,
        workspace,
        difference: ended.difference,
        taken: ended.taken,
        state: ended.state,
        took: ended.took,
    })
}

fn spec(job: &AgentJob, socket_dir: &Path) -> Spec {
    let mut task = FileTree::new();
    let name = TreePath::new("instruction.md").expect("a plain name is a valid path");
    task.insert(name, job.instruction.as_bytes(), false);
    let mut env = vec![
        (
            "DGM_INSTRUCTION".to_owned(),
            format!("{TASK_DIR}/instruction.md"),
        ),
        ("DGM_MODEL_SOCKET".to_owned(), SOCKET_PATH.to_owned()),
        (
            "DGM_DEADLINE".to_owned(),
            job.deadline.as_secs().to_string(),
        ),
        ("DGM_ROLE".to_owned(), job.role.name().to_owned()),
        ("DGM_SCRATCH".to_owned(), SCRATCH_DIR.to_owned()),
        // The source is read-only, and started with itself as the place to import from.
        ("PYTHONPATH".to_owned(), AGENT_DIR.to_owned()),
        ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
    ];
    env.extend(job.env.iter().cloned());
    let sealed = job.root == Root::Sealed;
    let at = match sealed {
        true => job.workdir.clone(),
        false => Some(IN_WORKDIR.to_owned()),
    };
    let workspace = at.map(|at| Placed {
        at,
        files: job.workspace.clone(),
    });
    let task = Placed {
        at: TASK_DIR.to_owned(),
        files: Arc::new(task),
    };
    let mut writable = job.writable.clone();
    writable.push(SCRATCH_DIR.to_owned());
    Spec {
        job: job.job.clone(),
        image: job.image.clone(),
        agent: Some(job.agent.clone()),
        placed: workspace.into_iter().chain([task]).collect(),
        root: job.root.clone(),
        workdir: job.workdir.clone(),
        writable,
        command: job.manifest.command.clone(),
        env,
        vital: Vec::new(),
        socket_dir: Some(socket_dir.to_owned()),
        deadline: job.deadline,
        // Of an image's own root the difference is kept, or all of it.
        collect: job.workdir.iter().filter(|_| sealed).cloned().collect(),
        limits: job.limits,
    }
}

/// A fresh folder for one socket, removed with the value.
struct SocketDir {
    path: PathBuf,
}

impl SocketDir {
    /// Makes a folder that the sandbox's user can enter; one above it is closed to others.
    fn create(parent: &Path) -> Result<Self, SandboxError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}{number:x}", own_prefix()));
        std::fs::create_dir_all(&path)
            .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .map_err(|error| SandboxError::Failed {
                what: format!("could not make the folder `{}`", path.display()),
                source: error.into(),
            })?;
        Ok(Self { path })
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        // What cannot be removed now is reaped at the next start.
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket folder left behind");
        }
    }
}

/// Returns how the names of this process's folders begin.
fn own_prefix() -> String {
    format!("{:x}-", std::process::id())
}

fn reap_sockets(parent: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with(&own_prefix())
        {
            std::fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
