//! Provider `command`: one local program per request, JSON in, JSON out.
//!
//! Invariant: the program and everything it started in its process group is dead when the
//! call ends, however it ends. It gets a few harmless variables of this process's
//! environment and those that its settings name; no key can reach it unasked.

use super::{ModelError, ModelSettings, SettingsError};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// Most bytes of a reply.
const REPLY_LIMIT: usize = 16 << 20;
/// Bytes of standard error that are kept, from its end.
const ERROR_LIMIT: usize = 4 << 10;
/// Variables that every program gets.
const HARMLESS_ENV: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ"];

/// A program that answers requests.
#[derive(Debug)]
pub(super) struct CommandModel {
    program: PathBuf,
    arguments: Vec<String>,
    dir: PathBuf,
    env: Vec<(String, OsString)>,
    timeout: Duration,
}

/// What the program left.
struct ProgramEnd {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Why there is nothing to read a reply from.
enum ProgramFault {
    Io(io::Error),
    TooLong,
}

impl CommandModel {
    /// Takes over checked settings.
    pub(super) fn new(settings: ModelSettings) -> Self {
        let mut command = settings.command.into_iter();
        let program = command.next().unwrap_or_default();
        // A relative path is meant from the program's folder, whatever folder this process
        // is in; a bare name is looked for in `PATH`.
        let program = if program.contains('/') {
            settings.dir.join(program)
        } else {
            PathBuf::from(program)
        };
        let env = HARMLESS_ENV
            .iter()
            .map(|name| (*name).to_owned())
            .chain(settings.pass_env)
            .filter_map(|name| std::env::var_os(&name).map(|value| (name, value)))
            .collect();
        Self {
            program,
            arguments: command.collect(),
            dir: settings.dir,
            env,
            timeout: settings.timeout,
        }
    }

    /// Checks that the program is there.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let is_there = if self.program.components().count() > 1 {
            self.program.is_file()
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(&self.program).is_file())
        };
        if is_there {
            return Ok(());
        }
        Err(SettingsError::Unusable {
            key: "command",
            what: format!(
                "names the program `{}`, which is not there",
                self.program.display()
            ),
        })
    }

    /// Runs the program once and returns the JSON value it printed.
    pub(super) async fn ask(&self, request: &Value) -> Result<Value, ModelError> {
        let name = self.program.display();
        let mut child = self.start()?;
        let run = finish(&mut child, request.to_string().into_bytes());
        let finished = match tokio::time::timeout(self.timeout, run).await {
            Ok(Ok(finished)) => finished,
            Ok(Err(ProgramFault::TooLong)) => {
                let what = format!("`{name}` printed more than {} MiB", REPLY_LIMIT >> 20);
                return Err(failed(what, false));
            }
            Ok(Err(ProgramFault::Io(error))) => {
                return Err(failed(format!("could not run `{name}`: {error}"), true));
            }
            Err(_elapsed) => {
                let seconds = self.timeout.as_secs_f64();
                return Err(failed(
                    format!("`{name}` did not end within {seconds} s"),
                    true,
                ));
            }
        };
        let parsed = serde_json::from_slice::<Value>(&finished.stdout);
        match parsed {
            // An error said in the dialect is an answer, whatever the exit code.
            Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => Ok(value),
            _ if !finished.status.success() => {
                let what = format!("`{name}` ended with {}", describe(finished.status));
                Err(failed(with_stderr(what, &finished.stderr), true))
            }
            Ok(value) => Ok(value),
            Err(error) => {
                let what = format!("`{name}` printed no JSON reply: {error}");
                Err(failed(with_stderr(what, &finished.stderr), true))
            }
        }
    }

    fn start(&self) -> Result<Running, ModelError> {
        Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map(Running::new)
            .map_err(|error| self.not_started(&error))
    }

    /// Says why the program did not start: because the machine has no room for it just now,
    /// or because no later try can start it either.
    fn not_started(&self, error: &io::Error) -> ModelError {
        let what = format!(
            "could not start `{}` in `{}`: {error}",
            self.program.display(),
            self.dir.display()
        );
        match error.kind() {
            io::ErrorKind::WouldBlock
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::ExecutableFileBusy => ModelError::Failed {
                what,
                retryable: true,
                may_be_charged: false,
                retry_after: None,
            },
            _ => ModelError::Unusable { what },
        }
    }
}

/// A started program; its process group is killed when this is dropped.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn new(child: Child) -> Self {
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self { child, group }
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // A group that is empty already is what is wanted.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

async fn finish(running: &mut Running, request: Vec<u8>) -> Result<ProgramEnd, ProgramFault> {
    let stdin = running.child.stdin.take();
    let stdout = running.child.stdout.take();
    let stderr = running.child.stderr.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program may answer without reading everything: its reply decides.
            let _unread = stdin.write_all(&request).await;
        }
        Ok(())
    };
    let end = async {
        let status = running.child.wait().await.map_err(ProgramFault::Io)?;
        // What it left behind could hold the pipes open forever.
        running.kill_group();
        Ok(status)
    };
    let (status, stdout, stderr, ()) =
        tokio::try_join!(end, read_reply(stdout), read_tail(stderr), feed)?;
    Ok(ProgramEnd {
        status,
        stdout,
        stderr,
    })
}

async fn read_reply(stdout: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, ProgramFault> {
    let mut bytes = Vec::new();
    if let Some(stdout) = stdout {
        let limit = REPLY_LIMIT as u64 + 1;
        let mut limited = stdout.take(limit);
        limited
            .read_to_end(&mut bytes)
            .await
            .map_err(ProgramFault::Io)?;
    }
    if bytes.len() > REPLY_LIMIT {
        return Err(ProgramFault::TooLong);
    }
    Ok(bytes)
}

/// Reads to the end, so that the program never waits for a reader, and keeps the last part.
async fn read_tail(stderr: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, ProgramFault> {
    let mut kept = Vec::new();
    let Some(mut stderr) = stderr else {
        return Ok(kept);
    };
    let mut buffer = vec![0; 8 << 10];
    loop {
        match stderr.read(&mut buffer).await.map_err(ProgramFault::Io)? {
            0 => return Ok(kept),
            read => kept.extend_from_slice(&buffer[..read]),
        }
        if kept.len() > ERROR_LIMIT {
            kept.drain(..kept.len() - ERROR_LIMIT);
        }
    }
}

/// A failure of a program that ran: what it did outside is not known.
fn failed(what: String, retryable: bool) -> ModelError {
    ModelError::Failed {
        what,
        retryable,
        may_be_charged: true,
        retry_after: None,
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn with_stderr(what: String, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.trim() {
        "" => what,
        text => format!("{what}: {}", super::clip(text, 1000)),
    }
}

#[cfg(test)]
mod tests;
