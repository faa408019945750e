//! What a sandbox sees, as bubblewrap's arguments: they *are* the policy.
//!
//! Invariant: of this machine's files only programs and libraries (`/usr` and what belongs to
//! it) are visible, read-only, beside an `/etc` of our own, the agent's source and the folder
//! of the job's socket. Everything writable is a sized file system in memory.

use crate::sandbox::{AGENT_DIR, SCRATCH_DIR, SHARED_MEMORY, SOCKET_PATH, Spec, flow};
use anyhow::ensure;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Search path inside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Folders beside `/usr` that hold programs and libraries, or are links into it.
const SYSTEM: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// First components of paths that are not the job's to write.
const TAKEN: [&str; 12] = [
    "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "proc", "dev", "sys", "run",
];
/// The parts of this machine that every sandbox sees.
#[derive(Debug)]
pub(super) struct System {
    /// Links into `/usr`: target and path.
    links: Vec<(PathBuf, &'static str)>,
    /// Folders of a system whose `/usr` is not merged.
    folders: Vec<&'static str>,
}

impl System {
    /// Looks at this machine.
    pub(super) fn look() -> Self {
        let mut system = Self {
            links: Vec::new(),
            folders: Vec::new(),
        };
        for path in SYSTEM {
            match fs::read_link(path) {
                Ok(target) => system.links.push((target, path)),
                Err(_) if Path::new(path).is_dir() => system.folders.push(path),
                Err(_) => {}
            }
        }
        system
    }
}

/// Folders on this machine that one sandbox sees.
pub(super) struct Sources<'a> {
    /// Becomes `/etc`.
    pub(super) etc: &'a Path,
    /// Becomes [`AGENT_DIR`].
    pub(super) agent: Option<&'a Path>,
}

/// Returns bubblewrap's arguments up to the command.
pub(super) fn arguments(
    spec: &Spec,
    system: &System,
    sources: &Sources<'_>,
) -> anyhow::Result<Vec<OsString>> {
    let mut list = Arguments(Vec::new());
    for namespace in ["user", "ipc", "pid", "net", "uts", "cgroup-try"] {
        list.0.push(format!("--unshare-{namespace}").into());
    }
    list.add(&[
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    ]);
    list.add(&[
        "--cap-drop",
        "ALL",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "dgm",
    ]);
    list.add(&["--setenv", "PATH", PATH, "--setenv", "LANG", "C.UTF-8"]);
    list.add(&["--add-seccomp-fd", "8", "--add-seccomp-fd", "9"]);
    list.add(&["--ro-bind", "/usr", "/usr"]);
    for (target, path) in &system.links {
        list.mount("--symlink", target, path);
    }
    for path in &system.folders {
        list.add(&["--ro-bind", path, path]);
    }
    list.mount("--ro-bind", sources.etc, "/etc");
    list.add(&["--proc", "/proc", "--dev", "/dev"]);
    // The kernel lets the machine's root write `/proc/sys` without any capability, whatever
    // its number inside; bubblewrap leaves that open where this program runs as root.
    list.add(&["--remount-ro", "/dev", "--remount-ro", "/proc"]);
    list.memory(SHARED_MEMORY, "/dev/shm");
    for top in tops(spec)? {
        list.memory(spec.limits.disk, &top);
    }
    for folder in flow::folders(spec).map(String::as_str).chain([SCRATCH_DIR]) {
        list.add(&["--dir", folder]);
    }
    if let Some(agent) = sources.agent {
        list.mount("--ro-bind", agent, AGENT_DIR);
    }
    if let Some(folder) = &spec.socket_dir {
        let inside = SOCKET_PATH
            .rsplit_once('/')
            .map_or("/", |(folder, _)| folder);
        list.mount("--ro-bind", folder, inside);
    }
    list.add(&["--remount-ro", "/", "--chdir", "/", "--"]);
    Ok(list.0)
}

/// Returns the folders below the root that get a file system of their own.
fn tops(spec: &Spec) -> anyhow::Result<BTreeSet<String>> {
    let mut tops = BTreeSet::from(["/tmp".to_owned()]);
    for folder in flow::folders(spec) {
        let top = folder.split('/').nth(1).unwrap_or_default();
        ensure!(
            !TAKEN.contains(&top) && format!("/{top}") != AGENT_DIR,
            "the local sandbox cannot make `{folder}` writable; use a folder outside `/{top}`, \
             or another sandbox"
        );
        tops.insert(format!("/{top}"));
    }
    Ok(tops)
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, arguments: &[&str]) {
        self.0.extend(arguments.iter().map(OsString::from));
    }

    fn mount(&mut self, option: &str, source: &Path, at: &str) {
        self.0.push(option.into());
        self.0.push(source.into());
        self.0.push(at.into());
    }

    fn memory(&mut self, size: u64, at: &str) {
        self.add(&["--size", &size.max(1 << 20).to_string(), "--tmpfs", at]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Sources, System, arguments};
    use crate::sandbox::{Root, Spec};
    use std::path::Path;

    fn spec() -> Spec {
        Spec {
            root: Root::Sealed,
            workdir: Some("/app/src".to_owned()),
            writable: vec!["/logs/verifier".to_owned()],
            vital: Vec::new(),
            socket_dir: Some("/run/job".into()),
            ..crate::sandbox::local::trial()
        }
    }

    fn line(system: &System) -> String {
        let sources = Sources {
            etc: Path::new("/run/etc"),
            agent: Some(Path::new("/run/agent")),
        };
        let list = arguments(&spec(), system, &sources).expect("these folders are free");
        let list: Vec<_> = list
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        list.join(" ")
    }

    #[test]
    fn only_programs_and_the_job_own_places_are_mounted() {
        let merged = System {
            links: vec![("usr/bin".into(), "/bin")],
            folders: Vec::new(),
        };
        let line = line(&merged);
        let (_, mounts) = line
            .split_once(" --ro-bind ")
            .expect("something is mounted");
        assert_eq!(
            mounts,
            "/usr /usr --symlink usr/bin /bin --ro-bind /run/etc /etc --proc /proc --dev /dev \
             --remount-ro /dev --remount-ro /proc \
             --size 67108864 --tmpfs /dev/shm \
             --size 536870912 --tmpfs /app --size 536870912 --tmpfs /logs \
             --size 536870912 --tmpfs /tmp \
             --dir /app/src --dir /logs/verifier --dir /tmp/dgm-scratch \
             --ro-bind /run/agent /agent --ro-bind /run/job /run/dgm --remount-ro / --chdir / --"
        );
    }

    #[test]
    fn a_system_that_is_not_merged_keeps_its_folders() {
        let system = System {
            links: Vec::new(),
            folders: vec!["/bin", "/lib64"],
        };
        let line = line(&system);
        assert!(line.contains("--ro-bind /usr /usr --ro-bind /bin /bin --ro-bind /lib64 /lib64"));
    }
}
