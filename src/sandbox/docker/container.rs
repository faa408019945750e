//! What a container of ours may do: the policy, as one value for the engine.
//!
//! Invariant: no network, no capabilities, no new privileges, never root, nothing writable
//! but sized file systems in memory, and of this machine only the agent's folder, the folder
//! of the job's own socket and a constant `/etc/hosts`, all read-only. None of these is an
//! option.

use super::profile;
use super::reap::{ARCHIVE_LABEL, CREATED_LABEL, JOB_LABEL};
use crate::sandbox::{AGENT_DIR, SHARED_MEMORY, SOCKET_PATH, Spec, flow};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    ResourcesUlimits,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// User and group of everything that runs in a container.
pub(super) const USER: u32 = 1000;
/// Least memory that the engine accepts.
const LEAST_MEMORY: u64 = 6 << 20;
/// Processes that the sandbox itself needs: init, runner, and what the runner calls.
const OWN_PROCESSES: u32 = 8;
/// Open files of one process.
const OPEN_FILES: i64 = 4096;
/// Folders of the image that must stay what they are.
const KEPT: [&str; 7] = ["/bin", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"];

/// What a spec is completed with to become a container.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    /// Label of the archive.
    pub(super) archive: &'a str,
    /// Unix time in milliseconds.
    pub(super) created: i64,
    /// Cores of the engine's machine.
    pub(super) cpus: f64,
    /// Folder of this machine that holds the agent's files.
    pub(super) agent: Option<&'a Path>,
    /// File of this machine that becomes `/etc/hosts`.
    pub(super) hosts: &'a Path,
    /// Folders that the image declares as volumes: left alone, each would be a writable
    /// place without a limit.
    pub(super) volumes: &'a [String],
    /// The runner and its arguments.
    pub(super) command: Vec<String>,
}

/// Returns what to ask of the engine, or a sentence about what is wrong with the spec.
pub(super) fn body(
    spec: &Spec,
    image: &str,
    setting: Setting<'_>,
) -> Result<ContainerCreateBody, String> {
    let labels = HashMap::from([
        (ARCHIVE_LABEL.to_owned(), setting.archive.to_owned()),
        (JOB_LABEL.to_owned(), spec.job.clone()),
        (CREATED_LABEL.to_owned(), setting.created.to_string()),
    ]);
    let host_config = host_config(spec, &setting)?;
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("sandbox".to_owned()),
        user: Some(format!("{USER}:{USER}")),
        labels: Some(labels),
        // As the entry point, not as its arguments: an image's own entry point is not run.
        entrypoint: Some(setting.command),
        cmd: Some(Vec::new()),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        working_dir: Some("/".to_owned()),
        // No network, and none of the engine's work for one either: it is two fifths of a
        // container's life.
        network_disabled: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        tty: Some(false),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    })
}

fn host_config(spec: &Spec, setting: &Setting<'_>) -> Result<HostConfig, String> {
    let limits = &spec.limits;
    let memory = i64::try_from(limits.memory.max(LEAST_MEMORY)).unwrap_or(i64::MAX);
    let processes = limits.processes.saturating_add(OWN_PROCESSES);
    Ok(HostConfig {
        network_mode: Some("none".to_owned()),
        // Names of this machine's name servers are none of the sandbox's business.
        dns: Some(vec!["127.0.0.1".to_owned()]),
        dns_search: Some(vec![".".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec![
            "no-new-privileges:true".to_owned(),
            format!("seccomp={}", profile::json()),
        ]),
        privileged: Some(false),
        readonly_rootfs: Some(true),
        tmpfs: Some(file_systems(spec, setting.volumes)?),
        mounts: Some(mounts(spec, setting)),
        ipc_mode: Some("private".to_owned()),
        shm_size: Some(i64::try_from(SHARED_MEMORY).unwrap_or(i64::MAX)),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(nano_cpus(limits.cpus, setting.cpus)),
        pids_limit: Some(i64::from(processes)),
        ulimits: Some(vec![limit("nofile", OPEN_FILES), limit("core", 0)]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        init: Some(true),
        auto_remove: Some(false),
        ..HostConfig::default()
    })
}

fn limit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    }
}

/// Returns cores in the engine's unit; it refuses more than there are.
fn nano_cpus(asked: f64, there: f64) -> i64 {
    let cores = if asked.is_finite() { asked } else { there };
    #[expect(clippy::cast_possible_truncation, reason = "clamped to a small number")]
    let nano = (cores.clamp(0.01, there.max(0.01)) * 1e9) as i64;
    nano
}

/// Returns the writable file systems and their options by folder. A folder inside another
/// one needs none of its own.
fn file_systems(spec: &Spec, volumes: &[String]) -> Result<HashMap<String, String>, String> {
    let mut folders = vec!["/tmp".to_owned()];
    for folder in flow::folders(spec) {
        folders.push(checked(folder)?);
    }
    folders.extend(volumes.iter().filter_map(|folder| checked(folder).ok()));
    folders.sort();
    folders.dedup();
    let outer = |folder: &String| !folders.iter().any(|other| lies_in(folder, other));
    let size = spec.limits.disk.max(4096);
    Ok(folders
        .iter()
        .filter(|folder| outer(folder))
        .map(|folder| {
            let mode = if folder == "/tmp" { "1777" } else { "0755" };
            // `exec` because the engine's default is not, and tests are programs.
            let options =
                format!("rw,exec,nosuid,nodev,size={size},uid={USER},gid={USER},mode={mode}");
            (folder.clone(), options)
        })
        .collect())
}

fn lies_in(folder: &str, other: &str) -> bool {
    folder
        .strip_prefix(other)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the folder, or why nothing may be mounted there. That it is the plain absolute
/// path of a folder below the root is known ([`flow::check`]), but for an image's volumes.
fn checked(folder: &str) -> Result<String, String> {
    let folder = folder.trim_end_matches('/');
    let socket = socket_folder();
    let needed = KEPT.iter().copied().chain([AGENT_DIR, socket]);
    for kept in needed {
        let hides = folder.is_empty() || folder == kept || lies_in(kept, folder);
        if hides || (kept == AGENT_DIR || kept == socket) && lies_in(folder, kept) {
            return Err(format!(
                "folder `{folder}` cannot be made writable: the sandbox needs `{kept}` as it is"
            ));
        }
    }
    Ok(folder.to_owned())
}

fn socket_folder() -> &'static str {
    SOCKET_PATH
        .rsplit_once('/')
        .map_or("/", |(folder, _)| folder)
}

/// Returns what of this machine is seen inside: mounts, not binds, because a
/// bind of a missing folder would create it on the host.
fn mounts(spec: &Spec, setting: &Setting<'_>) -> Vec<Mount> {
    let bind = |source: PathBuf, target: &str| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(true),
        ..Mount::default()
    };
    let hosts = bind(setting.hosts.to_owned(), "/etc/hosts");
    let agent = setting
        .agent
        .map(|folder| bind(folder.to_owned(), AGENT_DIR));
    // The folder, not the socket: a gateway that starts again makes a new socket in it. To
    // connect needs no right to write the folder.
    let socket = spec.socket_dir.as_ref();
    let socket = socket.map(|folder| bind(folder.clone(), socket_folder()));
    let given = agent.into_iter().chain(socket);
    std::iter::once(hosts).chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::{Setting, Spec, body, checked, nano_cpus};
    use crate::sandbox::{Limits, Placed};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    fn spec(workdir: &str, writable: &[&str], placed: &[&str]) -> Spec {
        Spec {
            job: "job".to_owned(),
            image: None,
            agent: None,
            placed: placed
                .iter()
                .map(|at| Placed {
                    at: (*at).to_owned(),
                    files: Arc::default(),
                })
                .collect(),
            workdir: workdir.to_owned(),
            writable: writable.iter().map(|at| (*at).to_owned()).collect(),
            command: Vec::new(),
            env: Vec::new(),
            socket_dir: Some(PathBuf::from("/host/socket")),
            deadline: Duration::from_secs(1),
            collect: Vec::new(),
            limits: Limits::default(),
        }
    }

    fn setting() -> Setting<'static> {
        Setting {
            archive: "a",
            created: 0,
            cpus: 2.0,
            agent: Some(Path::new("/host/agent")),
            hosts: Path::new("/host/hosts"),
            volumes: &[],
            command: vec!["sh".to_owned()],
        }
    }

    #[test]
    fn folders_inside_others_share_their_file_system() {
        let spec = spec(
            "/app",
            &["/logs/verifier", "/tmp/dgm-scratch"],
            &["/app/x", "/apple"],
        );
        let body = body(&spec, "image", setting()).expect("a good spec");
        let tmpfs = body.host_config.and_then(|host| host.tmpfs);
        let mut folders: Vec<String> = tmpfs.unwrap_or_default().into_keys().collect();
        folders.sort();
        assert_eq!(folders, ["/app", "/apple", "/logs/verifier", "/tmp"]);
    }

    #[test]
    fn every_mount_of_this_machine_is_read_only() {
        let body = body(&spec("/app", &[], &[]), "image", setting()).expect("a good spec");
        let host = body.host_config.unwrap_or_default();
        assert_eq!(host.binds, None);
        let mounts = host.mounts.unwrap_or_default();
        let targets: Vec<_> = mounts.iter().filter_map(|m| m.target.clone()).collect();
        assert_eq!(targets, ["/etc/hosts", "/agent", "/run/dgm"]);
        assert!(mounts.iter().all(|mount| mount.read_only == Some(true)));
    }

    #[test]
    fn no_folder_that_the_sandbox_needs_becomes_writable() {
        for folder in [
            "/", "/agent", "/agent/x", "/run", "/run/dgm", "/etc", "/usr/",
        ] {
            assert!(checked(folder).is_err(), "{folder}");
        }
        for folder in ["/app", "/usr/src/app", "/root", "/etc/app"] {
            assert_eq!(checked(folder).as_deref(), Ok(folder));
        }
    }

    #[test]
    fn cores_stay_within_what_the_engine_has() {
        assert_eq!(nano_cpus(1.5, 2.0), 1_500_000_000);
        assert_eq!(nano_cpus(64.0, 2.0), 2_000_000_000);
        assert_eq!(nano_cpus(0.0, 2.0), 10_000_000);
        assert_eq!(nano_cpus(f64::NAN, 2.0), 2_000_000_000);
    }
}
