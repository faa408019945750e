//! What a container of ours may do: the policy, as one value for the engine.
//!
//! Invariant: no capabilities (but those over its own files, where a run on an image's own root
//! asks for them), no new privileges, and of this machine only the agent's folder,
//! the folder of the job's own socket and a constant `/etc/hosts`, all read-only. None of these
//! is an option. A sealed root has no network, never root as its user, and nothing writable but
//! sized file systems in memory. Where the root is the image's own, it is writable, its user is
//! the image's or the task's, and it has a network only if the run's configuration allows one.

use super::profile;
use super::reap::{ARCHIVE_LABEL, CREATED_LABEL, JOB_LABEL};
use crate::sandbox::{AGENT_DIR, ImageRoot, Network, Root, SHARED_MEMORY, SOCKET_PATH, Spec, flow};
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
/// Capabilities that reach no further than the container's own files, users and processes.
const FILE_RIGHTS: [&str; 7] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
];
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
    /// User that the image names; empty: root.
    pub(super) user: &'a str,
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
        user: Some(match &spec.root {
            Root::Sealed => format!("{USER}:{USER}"),
            Root::Image(root) => user(root, setting.user).to_owned(),
        }),
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
        network_disabled: Some(network(spec) == Network::None),
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

/// Returns the user of a run on the image's own root: the task's, or the image's.
pub(super) fn user<'a>(root: &'a ImageRoot, of_image: &'a str) -> &'a str {
    match root.user.as_deref().unwrap_or(of_image) {
        "" => "0",
        user => user,
    }
}

fn network(spec: &Spec) -> Network {
    spec.root.image().map_or(Network::None, |root| root.network)
}

fn host_config(spec: &Spec, setting: &Setting<'_>) -> Result<HostConfig, String> {
    let sealed = spec.root == Root::Sealed;
    let offline = network(spec) == Network::None;
    let mut ulimits = vec![limit("nofile", OPEN_FILES), limit("core", 0)];
    if !sealed {
        // One file cannot pass the limit at all; all together are watched.
        let disk = i64::try_from(spec.limits.disk).unwrap_or(i64::MAX);
        ulimits.push(limit("fsize", disk));
    }
    let limits = &spec.limits;
    let memory = i64::try_from(limits.memory.max(LEAST_MEMORY)).unwrap_or(i64::MAX);
    let processes = limits.processes.saturating_add(OWN_PROCESSES);
    Ok(HostConfig {
        network_mode: Some(if offline { "none" } else { "default" }.to_owned()),
        // Names of this machine's name servers are none of the sandbox's business.
        dns: offline.then(|| vec!["127.0.0.1".to_owned()]),
        dns_search: offline.then(|| vec![".".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: spec
            .root
            .image()
            .filter(|root| root.file_rights)
            .map(|_| FILE_RIGHTS.map(str::to_owned).into()),
        security_opt: Some(vec![
            "no-new-privileges:true".to_owned(),
            format!("seccomp={}", profile::json()),
        ]),
        privileged: Some(false),
        readonly_rootfs: Some(sealed),
        tmpfs: Some(if sealed {
            file_systems(spec, setting.volumes)?
        } else {
            volumes(spec, setting.volumes)?
        }),
        mounts: Some(mounts(spec, setting, offline)),
        ipc_mode: Some("private".to_owned()),
        shm_size: Some(i64::try_from(SHARED_MEMORY).unwrap_or(i64::MAX)),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(nano_cpus(limits.cpus, setting.cpus)),
        pids_limit: Some(i64::from(processes)),
        ulimits: Some(ulimits),
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

/// Returns file systems in memory for the volumes that an image declares: left alone, each
/// would be a place on the engine's disk that no limit covers and no snapshot holds.
fn volumes(spec: &Spec, volumes: &[String]) -> Result<HashMap<String, String>, String> {
    let size = spec.limits.disk.max(4096);
    let mut systems = HashMap::new();
    for folder in volumes.iter().filter_map(|folder| checked(folder).ok()) {
        let covers = |path: &String| *path == folder || lies_in(path, &folder);
        if let Some(path) = flow::folders(spec).find(|path| covers(path)) {
            return Err(format!(
                "the image declares the volume `{folder}`, so `{path}` would be empty and \
                 nothing of it could be kept: build the image without `VOLUME`"
            ));
        }
        let options = format!("rw,exec,nosuid,nodev,size={size},mode=1777");
        systems.insert(folder, options);
    }
    Ok(systems)
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
fn mounts(spec: &Spec, setting: &Setting<'_>, offline: bool) -> Vec<Mount> {
    let bind = |source: PathBuf, target: &str| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(true),
        ..Mount::default()
    };
    // With a network the engine makes its own.
    let hosts = offline.then(|| bind(setting.hosts.to_owned(), "/etc/hosts"));
    let agent = setting
        .agent
        .map(|folder| bind(folder.to_owned(), AGENT_DIR));
    // The folder, not the socket: a gateway that starts again makes a new socket in it. To
    // connect needs no right to write the folder.
    let socket = spec.socket_dir.as_ref();
    let socket = socket.map(|folder| bind(folder.clone(), socket_folder()));
    let given = agent.into_iter().chain(socket);
    hosts.into_iter().chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::{Setting, Spec, body, checked, nano_cpus};
    use crate::sandbox::{ImageRoot, Limits, Network, Placed, Root};
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
            root: Root::Sealed,
            workdir: Some(workdir.to_owned()),
            writable: writable.iter().map(|at| (*at).to_owned()).collect(),
            command: Vec::new(),
            env: Vec::new(),
            vital: Vec::new(),
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
            user: "",
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
    fn the_image_s_own_root_keeps_every_other_wall() {
        let root = |network| {
            Root::Image(ImageRoot {
                user: Some("solver".to_owned()),
                network,
                ..ImageRoot::default()
            })
        };
        let spec = |network| Spec {
            root: root(network),
            ..spec("/app", &[], &[])
        };
        for network in [Network::None, Network::Public] {
            let body = body(&spec(network), "image", setting()).expect("a good spec");
            assert_eq!(body.user.as_deref(), Some("solver"));
            let offline = network == Network::None;
            assert_eq!(body.network_disabled, Some(offline));
            let host = body.host_config.unwrap_or_default();
            assert_eq!(host.network_mode.as_deref() == Some("none"), offline);
            assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
            assert_eq!((host.cap_add, host.binds), (None, None));
            let options = host.security_opt.unwrap_or_default();
            assert!(options.contains(&"no-new-privileges:true".to_owned()));
            assert!(options.iter().any(|option| option.starts_with("seccomp={")));
            let mounts = host.mounts.unwrap_or_default();
            assert!(mounts.iter().all(|mount| mount.read_only == Some(true)));
            assert_eq!(host.tmpfs, Some(std::collections::HashMap::new()));
        }
    }

    #[test]
    fn a_volume_over_the_working_directory_is_refused() {
        let spec = Spec {
            root: Root::Image(ImageRoot::default()),
            ..spec("/data/app", &[], &[])
        };
        let with = |volumes: &[String]| {
            let setting = Setting {
                volumes,
                ..setting()
            };
            body(&spec, "image", setting).map(|_| ())
        };
        assert_eq!(with(&["/var/lib/db".to_owned()]), Ok(()));
        let why = with(&["/data".to_owned()]).expect_err("it hides the files");
        assert!(why.contains("volume `/data`, so `/data/app`"), "{why}");
    }

    #[test]
    fn cores_stay_within_what_the_engine_has() {
        assert_eq!(nano_cpus(1.5, 2.0), 1_500_000_000);
        assert_eq!(nano_cpus(64.0, 2.0), 2_000_000_000);
        assert_eq!(nano_cpus(0.0, 2.0), 10_000_000);
        assert_eq!(nano_cpus(f64::NAN, 2.0), 2_000_000_000);
    }
}
