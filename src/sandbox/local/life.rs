//! One bubblewrap from start to end: its streams, its deadline, its death.

use super::cgroup::Group;
use super::kill;
use crate::sandbox::flow::{self, Intake, SeenEnd, Want};
use crate::sandbox::{Ended, SandboxError, Spec};
use anyhow::Context as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Time for a killed or ended bubblewrap to be gone.
const DYING: Duration = Duration::from_secs(5);

/// A running bubblewrap; dropping it kills everything inside.
pub(super) struct ProcessLife {
    /// Both are there until the end has been awaited.
    parts: Option<(Child, Group)>,
}

/// Why the streams are no longer read.
enum PausedTime {
    Ended,
    Enough,
    Late,
    Cancelled,
}

impl ProcessLife {
    /// Takes charge of a bubblewrap that was just started in a group.
    pub(super) fn new(child: Child, group: Group) -> Self {
        Self {
            parts: Some((child, group)),
        }
    }

    /// Sees it to its end.
    pub(super) async fn run(
        mut self,
        spec: &Spec,
        grace: Duration,
        cancel: CancellationToken,
        begun: Instant,
    ) -> Result<Ended, SandboxError> {
        let failed = |source| SandboxError::Failed {
            what: format!("could not follow the sandbox of `{}`", spec.job),
            source,
        };
        let gone = || failed(anyhow::anyhow!("it has no streams"));
        let (child, _) = self.parts.as_mut().ok_or_else(gone)?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(gone());
        };
        let mut intake = Intake::new(spec, grace);
        let pause = attend(spec, stdin, stdout, stderr, &mut intake, &cancel).await;
        let pause = pause.map_err(failed)?;
        let (status, oom) = self.end(!matches!(pause, PausedTime::Ended)).await;
        if matches!(pause, PausedTime::Cancelled) {
            return Err(SandboxError::Cancelled);
        }
        let code = status.and_then(|status| {
            status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
        });
        let seen = SeenEnd {
            code,
            oom,
            late: matches!(pause, PausedTime::Late),
            full: false,
        };
        intake.finish(spec, seen, begun.elapsed())
    }

    /// Waits until every process inside is dead, after killing them if so asked.
    async fn end(&mut self, kill: bool) -> (Option<ExitStatus>, bool) {
        if kill {
            self.kill();
        }
        let Some((child, _)) = &mut self.parts else {
            return (None, false);
        };
        let mut ended = tokio::time::timeout(DYING, child.wait()).await;
        if ended.is_err() {
            self.kill();
            if let Some((child, _)) = &mut self.parts {
                ended = tokio::time::timeout(DYING, child.wait()).await;
            }
        }
        let Some((_, group)) = self.parts.take() else {
            return (None, false);
        };
        let oom = group.ran_out_of_memory();
        group.remove().await;
        (ended.ok().and_then(Result::ok), oom)
    }

    /// Kills every process inside.
    fn kill(&self) {
        if let Some((child, group)) = &self.parts {
            kill::bubblewrap(child);
            group.kill();
        }
    }
}

impl Drop for ProcessLife {
    fn drop(&mut self) {
        self.kill();
        let Some((mut child, group)) = self.parts.take() else {
            return;
        };
        drop(group);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // So that it does not stay a zombie.
            drop(runtime.spawn(async move { child.wait().await }));
        }
    }
}

/// Feeds the runner and reads what it sends until both streams end or there is a reason to
/// stop.
async fn attend(
    spec: &Spec,
    mut stdin: ChildStdin,
    mut stdout: ChildStdout,
    mut stderr: ChildStderr,
    intake: &mut Intake,
    cancel: &CancellationToken,
) -> anyhow::Result<PausedTime> {
    let input = flow::input(spec);
    let feed = async move {
        // A runner that ends early says why on its standard error.
        drop(stdin.write_all(&input).await);
    };
    tokio::pin!(feed);
    let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut fed, mut out_open, mut err_open) = (false, true, true);
    let mut started = false;
    let mut phase = tokio::time::Instant::now();
    while out_open || err_open {
        if !started && intake.started() {
            started = true;
            phase = tokio::time::Instant::now();
        }
        let limit = phase
            + intake
                .limit(spec.deadline)
                .min(Duration::from_secs(1 << 30));
        tokio::select! {
            () = cancel.cancelled() => return Ok(PausedTime::Cancelled),
            () = tokio::time::sleep_until(limit) => return Ok(PausedTime::Late),
            () = &mut feed, if !fed => fed = true,
            read = stdout.read(&mut out), if out_open => {
                let count = read.context("could not read its output")?;
                out_open = count > 0;
                if intake.stdout(&out[..count]) == Want::Nothing {
                    return Ok(PausedTime::Enough);
                }
            }
            read = stderr.read(&mut err), if err_open => {
                let count = read.context("could not read its log")?;
                err_open = count > 0;
                intake.stderr(&err[..count]);
            }
        }
    }
    Ok(PausedTime::Ended)
}
