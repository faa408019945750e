//! The local sandbox: bubblewrap, started as a program, no daemon and no image.
//!
//! Invariants: the arguments in [`view`] and the filters in [`seccomp`] are the policy, and
//! bubblewrap refuses to start where it cannot keep it; there is no silent way round. Every
//! process inside dies with bubblewrap, and bubblewrap with this process (`--die-with-parent`),
//! with a cancelled token and with a dropped future.
//!
//! `docs/sandbox.md` says what is isolated and what is not.

mod cgroup;
mod life;
mod runtime;
mod seccomp;
mod spawner;
mod view;

use super::flow::{self, GRACE};
use super::{Ended, Limits, Sandbox, SandboxError, Spec};
use anyhow::Context as _;
use cgroup::{Control, Group, Groups};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use runtime::{Agent, Runtime};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use view::{Sources, System};

/// Starts bubblewrap (`$5` ends the count of groups, their files, then its command line) under
/// limits that hold for every process on its own: size of a file in blocks of 512 bytes and
/// address space in KiB. The kernel kills what runs inside before anything else if this
/// machine runs out of memory.
const LAUNCH: &str = r#"
echo 1000 >/proc/self/oom_score_adj
ulimit -c 0
ulimit -n 1024 2>/dev/null
ulimit -f "$1"
[ "$2" = 0 ] || ulimit -v "$2"
unknown=$3 denied=$4 groups=$5
shift 5
while [ "$groups" -gt 0 ]; do
  echo $$ >"$1" || exit 125
  shift
  groups=$((groups - 1))
done
exec "$@" 8<"$unknown" 9<"$denied"
"#;

/// Limits the number of processes where no control group does; shells differ in the letter.
const LIMIT_PROCESSES: &str = r#"ulimit -u "$1" 2>/dev/null || ulimit -p "$1"; shift; exec "$@""#;

const PROGRAM: &str = "bwrap";
/// The first version that can forbid further user namespaces.
const VERSION: (u32, u32) = (0, 8);
const INSTALL: &str = "install it: `apt-get install bubblewrap`";
const ALLOW: &str = "allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1`, on \
                     Ubuntu also `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; \
                     inside a container they are often forbidden: use the docker sandbox";

/// Runs commands in bubblewrap on this machine.
#[derive(Debug)]
pub struct LocalSandbox {
    archive: PathBuf,
    grace: Duration,
    ready: OnceCell<Ready>,
}

/// What is found out and made once.
#[derive(Debug)]
struct Ready {
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

    async fn ready(&self) -> Result<&Ready, SandboxError> {
        let make = || async {
            let bubblewrap = find_program().ok_or_else(|| SandboxError::Unavailable {
                what: format!("bubblewrap (`{PROGRAM}`) is not installed"),
                hint: INSTALL.to_owned(),
            })?;
            check_version(&bubblewrap).await?;
            let runtime = Runtime::make(&self.archive).map_err(|source| SandboxError::Failed {
                what: "could not prepare the local sandbox".to_owned(),
                source,
            })?;
            Ok(Ready {
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
        let life = life::Life::new(child.map_err(failed)?, group);
        life.run(&spec, self.grace, cancel, begun).await
    }
}

impl Ready {
    /// Returns the command that starts one sandbox.
    fn command(
        &self,
        spec: &Spec,
        agent: Option<&Agent>,
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
            .arg((view::largest(spec) / 512 + 2048).to_string())
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
                    let text = format!("{source:#}");
                    Err(SandboxError::Unavailable {
                        what: format!("{what}: {text}"),
                        hint: match is_about_namespaces(&text) {
                            true => ALLOW.to_owned(),
                            false => {
                                "see `docs/sandbox.md` for what the local sandbox needs".to_owned()
                            }
                        },
                    })
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
        workdir: "/work".to_owned(),
        writable: Vec::new(),
        command: vec!["true".to_owned()],
        env: Vec::new(),
        socket_dir: None,
        deadline: Duration::from_secs(10),
        collect: vec!["/work".to_owned()],
        limits: Limits::default(),
    }
}

fn is_about_namespaces(text: &str) -> bool {
    [
        "namespace",
        "uid map",
        "Operation not permitted",
        "Permission denied",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn find_program() -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    folders
        .iter()
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(PROGRAM))
        .find(is_program)
}

async fn check_version(program: &Path) -> Result<(), SandboxError> {
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .output()
        .await
        .map_err(|error| SandboxError::Unavailable {
            what: format!("could not start `{}`: {error}", program.display()),
            hint: INSTALL.to_owned(),
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(found) if found >= VERSION => Ok(()),
        _ => Err(SandboxError::Unavailable {
            what: format!(
                "bubblewrap {}.{} or newer is needed, `{}` is {}",
                VERSION.0,
                VERSION.1,
                program.display(),
                text.trim()
            ),
            hint: "install a newer one, or use the docker sandbox".to_owned(),
        }),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().rsplit(' ').next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{is_about_namespaces, version};

    #[test]
    fn reads_versions() {
        assert_eq!(version("bubblewrap 0.8.0\n"), Some((0, 8)));
        assert_eq!(version("bubblewrap 0.11\n"), Some((0, 11)));
        assert_eq!(version("what?"), None);
    }

    #[test]
    fn knows_how_bubblewrap_says_that_namespaces_are_forbidden() {
        for text in [
            "bwrap: No permissions to create new namespace, likely because the kernel does not allow it",
            "bwrap: setting up uid map: Permission denied",
            "bwrap: Creating new namespace failed: Operation not permitted",
        ] {
            assert!(is_about_namespaces(text));
        }
    }
}
