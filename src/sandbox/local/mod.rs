//! The local sandbox: bubblewrap, started as a program, no daemon and no image.
//!
//! Invariants: the arguments in `view` and the filters in `seccomp` are the policy, and
//! bubblewrap refuses to start where it cannot keep it; there is no silent way round. Every
//! process inside dies with bubblewrap, and bubblewrap with this process (`--die-with-parent`),
//! with a cancelled token and with a dropped future.
//!
//! `docs/sandbox.md` says what is isolated and what is not.

mod cgroup;
mod kill;
mod life;
mod program;
mod runtime;
mod seccomp;
mod spawner;
mod view;

use super::flow::{self, GRACE};
use super::{Ended, Limits, Root, Sandbox, SandboxError, Spec, State};
use anyhow::Context as _;
use cgroup::{Control, Group, Groups};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use runtime::{AgentFolder, Runtime};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use view::{Sources, System};

/// Starts bubblewrap under limits that hold for every process on its own. `$1` address space
/// in KiB or 0, `$2` `$3` system call filters, `$4` how many files follow through which groups
/// are joined; then the command line. The kernel kills what runs inside before anything else
/// if this machine runs out of memory.
const LAUNCH: &str = r#"
echo 1000 >/proc/self/oom_score_adj
ulimit -c 0
ulimit -n 1024 2>/dev/null
[ "$1" = 0 ] || ulimit -v "$1"
unknown=$2 denied=$3 groups=$4
shift 4
while [ "$groups" -gt 0 ]; do
  echo $$ >"$1" || exit 125
  shift
  groups=$((groups - 1))
done
exec "$@" 8<"$unknown" 9<"$denied"
"#;

/// Limits the number of processes where no control group does; shells differ in the letter.
const LIMIT_PROCESSES: &str = r#"ulimit -u "$1" 2>/dev/null || ulimit -p "$1"; shift; exec "$@""#;

/// Runs commands in bubblewrap on this machine.
#[derive(Debug)]
pub struct LocalSandbox {
    archive: PathBuf,
    grace: Duration,
    ready: OnceCell<ReadyRun>,
}

/// What is found out and made once.
#[derive(Debug)]
struct ReadyRun {
    bubblewrap: PathBuf,
    system: System,
    groups: Groups,
    runtime: Runtime,
}

impl LocalSandbox {
    /// Returns one that keeps what it needs in an archive's runtime folder, which is made if
    /// it is not there. Nothing is done before the first run.
    pub fn new(runtime: PathBuf) -> Self {
        Self {
            archive: runtime,
            grace: GRACE,
            ready: OnceCell::new(),
        }
    }

    /// Sets the time after a command's deadline within which its files must be collected.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Returns the limits that cannot be kept on this machine, in words.
    pub fn lacks(&self) -> Vec<&'static str> {
        let groups = Groups::find(&self.archive);
        let mut lacks = Vec::new();
        if !groups.has(Control::Memory) {
            lacks.push("memory is limited for each process, not for all together");
        }
        if !groups.has(Control::Processes) && rustix::process::geteuid().is_root() {
            lacks.push("the number of processes is not limited");
        }
        if !groups.has(Control::Cpu) {
            lacks.push("processor time is not limited");
        }
        lacks
    }

    async fn ready(&self) -> Result<&ReadyRun, SandboxError> {
        let make = || async {
            let bubblewrap = program::find().await?;
            let runtime = Runtime::make(&self.archive).map_err(|source| SandboxError::Failed {
                what: "could not prepare the local sandbox".to_owned(),
                source,
            })?;
            Ok(ReadyRun {
                bubblewrap,
                system: System::look(),
                groups: Groups::find(&self.archive),
                runtime,
            })
        };
        self.ready.get_or_try_init(make).await
    }

    async fn live(&self, spec: Spec, cancel: CancellationToken) -> Result<Ended, SandboxError> {
        let begun = Instant::now();
        flow::check(&spec)?;
        let ready = self.ready().await?;
        let failed = |source| SandboxError::Failed {
            what: format!("could not start the sandbox of `{}`", spec.job),
            source,
        };
        let agent = match &spec.agent {
            Some(source) => Some(ready.runtime.agent(source).await.map_err(failed)?),
            None => None,
        };
        let group = ready.groups.make(&spec.limits);
        let group = group
            .context("could not make a control group")
            .map_err(failed)?;
        let command = ready.command(&spec, agent.as_deref(), &group);
        let command = command.map_err(failed)?;
        let child = spawner::spawn(command).await;
        let life = life::ProcessLife::new(child.map_err(failed)?, group);
        life.run(&spec, self.grace, cancel, begun).await
    }
}

impl ReadyRun {
    /// Returns the command that starts one sandbox.
    fn command(
        &self,
        spec: &Spec,
        agent: Option<&AgentFolder>,
        group: &Group,
    ) -> anyhow::Result<Command> {
        let etc = self.runtime.etc();
        let sources = Sources {
            etc: &etc,
            agent: agent.map(|agent| agent.folder.as_path()),
        };
        let address_space = match self.groups.has(Control::Memory) {
            true => 0,
            false => spec.limits.memory / 1024,
        };
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LAUNCH, "dgm-launch"])
            .arg(address_space.to_string())
            .args([self.runtime.filter(0), self.runtime.filter(1)])
            .arg(group.doors().len().to_string())
            .args(group.doors())
            .arg(&self.bubblewrap)
            .args(view::arguments(spec, &self.system, &sources)?);
        if !self.groups.has(Control::Processes) {
            command.args(["/bin/sh", "-c", LIMIT_PROCESSES, "dgm-limit"]);
            command.arg(spec.limits.processes.to_string());
        }
        // A group of its own: Ctrl-C at the terminal is for this process to handle. No
        // environment: process 1 inside is bubblewrap, whose own can be read there.
        command
            .args(flow::argv(spec, "/bin/sh").iter().map(OsString::from))
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

impl Sandbox for LocalSandbox {
    fn name(&self) -> &'static str {
        "local"
    }

    fn has_images(&self) -> bool {
        false
    }

    fn check<'a>(&'a self, _images: &'a [String]) -> BoxFuture<'a, Result<(), SandboxError>> {
        async move {
            match self.live(trial(), CancellationToken::new()).await {
                Ok(_) => Ok(()),
                Err(SandboxError::Failed { what, source }) => {
                    Err(program::unavailable(&what, &source))
                }
                Err(other) => Err(other),
            }
        }
        .boxed()
    }

    fn run<'a>(
        &'a self,
        spec: Spec,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<Ended, SandboxError>> {
        self.live(spec, cancel).boxed()
    }

    fn image_id<'a>(&'a self, _image: &'a str) -> BoxFuture<'a, Option<String>> {
        async { None }.boxed()
    }

    /// There are none: this backend has no images to start from.
    fn discard(&self, _state: State) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn reap(&self) -> BoxFuture<'_, Result<usize, SandboxError>> {
        async move {
            let groups = Groups::find(&self.archive).reap().await;
            let folders = runtime::reap(&self.archive).map_err(|error| SandboxError::Failed {
                what: format!("could not clean up `{}`", self.archive.display()),
                source: error.into(),
            })?;
            Ok(groups + folders)
        }
        .boxed()
    }
}

/// A run of nothing, to see whether runs are possible.
fn trial() -> Spec {
    Spec {
        job: "check".to_owned(),
        image: None,
        agent: None,
        placed: Vec::new(),
        root: Root::Sealed,
        workdir: Some("/work".to_owned()),
        writable: Vec::new(),
        command: vec!["true".to_owned()],
        env: Vec::new(),
        vital: Vec::new(),
        socket_dir: None,
        deadline: Duration::from_secs(10),
        collect: vec!["/work".to_owned()],
        limits: Limits::default(),
    }
}
