//! One run of an agent in a sandbox, with its gateway.

use super::turn::{AgentTurn, TurnEnd};
use crate::agent::Manifest;
use crate::domain::{FileTree, Role, TreePath};
use crate::gateway::Gateway;
use crate::model::Metered;
use crate::sandbox::{
    AGENT_DIR, AgentSource, Limits, Placed, SCRATCH_DIR, SOCKET_PATH, Sandbox, SandboxError, Spec,
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

/// Where agents are run: a backend, and a folder for the sockets of this process.
#[derive(Clone)]
pub struct SandboxHost {
    /// The backend.
    pub sandbox: Arc<dyn Sandbox>,
    /// Short path of a folder that only this user can enter.
    pub sockets: PathBuf,
}

impl std::fmt::Debug for SandboxHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SandboxHost({}, {})",
            self.sandbox.name(),
            self.sockets.display()
        )
    }
}

impl SandboxHost {
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
    /// What it finds.
    pub turn: AgentTurn,
    /// The agent.
    pub agent: AgentSource,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its role.
    pub role: Role,
    /// Its time.
    pub deadline: Duration,
    /// Its limits.
    pub limits: Limits,
}

/// Runs an agent to its end; its model calls go through `metered`.
pub async fn run_agent(
    host: &SandboxHost,
    job: AgentJob,
    metered: Arc<Metered>,
    cancel: CancellationToken,
) -> Result<TurnEnd, SandboxError> {
    let socket_dir = SocketDir::create(&host.sockets)?;
    let gateway = Gateway::serve(socket_dir.path.clone(), metered).map_err(|source| {
        SandboxError::Failed {
            what: format!("could not open the gateway's socket for `{}`", job.turn.job),
            source: anyhow::Error::from(source),
        }
    })?;
    let ended = host.sandbox.run(spec(job, &socket_dir.path), cancel).await;
    // The gateway ends before anything else is done: whatever call was open is on the books.
    gateway.shutdown().await;
    Ok(ended?.into())
}

fn spec(job: AgentJob, socket_dir: &Path) -> Spec {
    let AgentJob {
        mut turn,
        agent,
        manifest,
        role,
        deadline,
        limits,
    } = job;
    let mut task = FileTree::new();
    let name = TreePath::new("instruction.md").expect("a plain name is a valid path");
    task.insert(name, turn.instruction.as_bytes(), false);
    let instruction = format!("{TASK_DIR}/instruction.md");
    let seconds = deadline.as_secs().to_string();
    let contract = [
        ("DGM_INSTRUCTION", instruction.as_str()),
        ("DGM_MODEL_SOCKET", SOCKET_PATH),
        ("DGM_DEADLINE", &seconds),
        ("DGM_ROLE", role.name()),
        ("DGM_SCRATCH", SCRATCH_DIR),
        // The source is read-only, and started with itself as the place to import from.
        ("PYTHONPATH", AGENT_DIR),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONUNBUFFERED", "1"),
    ];
    let contract = contract.map(|(name, value)| (name.to_owned(), value.to_owned()));
    turn.env = contract.into_iter().chain(turn.env).collect();
    turn.writable.push(SCRATCH_DIR.to_owned());
    let task = Placed {
        at: TASK_DIR.to_owned(),
        files: Arc::new(task),
    };
    Spec {
        agent: Some(agent),
        socket_dir: Some(socket_dir.to_owned()),
        ..turn.spec(manifest.command, vec![task], deadline, limits)
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
