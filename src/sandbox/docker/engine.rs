//! The connection to the engine, and its errors in the user's words.

use crate::sandbox::SandboxError;
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use std::time::Duration;

/// Oldest API that the sandbox is tested with (Docker 20.10).
const OLDEST_API: (u32, u32) = (1, 41);

/// Where the engine listens unless it is told otherwise.
const USUAL_HOST: &str = "unix:///var/run/docker.sock";
/// Time for the engine to begin an answer. Streams may then last as long as they like.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A container engine that answered.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    /// Version of the engine, as it says.
    pub version: String,
    /// Version of its API.
    pub api: String,
    /// Its processor cores: no container can be given more.
    pub cpus: f64,
    /// Version of the kernel's control groups that it uses, where it says so.
    pub cgroups: Option<String>,
    /// Limits that it cannot keep, because a control group is missing.
    pub cannot_limit: Vec<&'static str>,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` names, or to the one on the usual socket.
    pub async fn connect() -> Result<Self, SandboxError> {
        let host = std::env::var("DOCKER_HOST").ok();
        let host = host.as_deref().filter(|host| !host.is_empty());
        Self::connect_to(host.unwrap_or(USUAL_HOST)).await
    }

    /// Connects to the engine at a `unix://` address.
    pub async fn connect_to(host: &str) -> Result<Self, SandboxError> {
        if !host.starts_with("unix://") {
            return Err(SandboxError::Unavailable {
                what: format!("`DOCKER_HOST` is `{host}`, an engine on another machine"),
                hint: "agent and model socket reach a container through folders of this machine: \
                       point `DOCKER_HOST` at a local socket (`unix://…`) or unset it"
                    .to_owned(),
            });
        }
        let docker = Docker::connect_with_unix(host, TIMEOUT.as_secs(), API_DEFAULT_VERSION)
            .map_err(|error| silent(host, &error))?;
        // Asked for its side effect, too: should bollard begin to put its own API version into
        // its requests, an older engine would refuse them without this.
        let docker = docker
            .negotiate_version()
            .await
            .map_err(|error| silent(host, &error))?;
        let version = docker
            .version()
            .await
            .map_err(|error| silent(host, &error))?;
        let info = docker.info().await.map_err(|error| silent(host, &error))?;
        let api = version.api_version.unwrap_or_default();
        if api_number(&api).is_some_and(|number| number < OLDEST_API) {
            let (major, minor) = OLDEST_API;
            return Err(SandboxError::Unavailable {
                what: format!("the engine at `{host}` speaks API {api}, {major}.{minor} is needed"),
                hint: "update it to Docker 20.10 or newer".to_owned(),
            });
        }
        let cpus = info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        Ok(Self {
            docker,
            version: version.version.unwrap_or_default(),
            api,
            cpus: f64::from(cpus.max(1)),
            cgroups: info.cgroup_version.map(|version| version.to_string()),
            cannot_limit: [
                (info.memory_limit, "memory"),
                (info.pids_limit, "processes"),
                (info.cpu_cfs_quota, "processor time"),
            ]
            .into_iter()
            .filter_map(|(can, what)| (can == Some(false)).then_some(what))
            .collect(),
        })
    }
}

impl Engine {
    /// Checks that it can keep every limit that a sandbox promises: an engine that cannot
    /// would only warn, and run without.
    pub(super) fn check_limits(&self) -> Result<(), SandboxError> {
        if self.cannot_limit.is_empty() {
            return Ok(());
        }
        Err(SandboxError::Unavailable {
            what: format!(
                "the engine cannot limit {} of a container",
                self.cannot_limit.join(" and ")
            ),
            hint: "give it the kernel's control groups `memory`, `pids` and `cpu` (a rootless \
                   engine needs them delegated), or choose `--sandbox local`"
                .to_owned(),
        })
    }
}

fn api_number(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns the error for an engine that did not answer.
fn silent(host: &str, error: &Error) -> SandboxError {
    let cause = root_cause(error);
    let hint = if cause.to_lowercase().contains("permission denied") {
        "you may not use its socket: join the group `docker`, or run as root"
    } else {
        "start the engine (`systemctl start docker`, or `dockerd` as root), or choose \
         `--sandbox local`, which needs none"
    };
    SandboxError::Unavailable {
        what: format!("no container engine answers at `{host}`: {cause}"),
        hint: hint.to_owned(),
    }
}

fn root_cause(error: &Error) -> String {
    if let Error::SocketNotFoundError(_) = error {
        return "there is no such socket".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Returns what turns an engine's error into one that says what was being done.
pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(Error) -> SandboxError {
    let what = what.into();
    move |error| SandboxError::Failed {
        what,
        source: error.into(),
    }
}

/// Returns whether the engine says that the thing does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::api_number;

    #[test]
    fn compares_api_versions_as_numbers() {
        assert_eq!(api_number("1.9"), Some((1, 9)));
        assert!(api_number("1.9") < api_number("1.41"));
        assert_eq!(api_number("latest"), None);
    }
}
