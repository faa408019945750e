//! Control groups: limits on what all processes of one sandbox use together.
//!
//! They are used where this process may make them, both versions of the kernel's interface,
//! and never by changing a group that is not ours (but for the root of version 2, which may
//! hand its controllers down). Elsewhere resource limits of single processes must do;
//! [`Groups::has`] tells which it is. A group is named `dgm-<archive>-<number>-<pid>`.

use crate::sandbox::Limits;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Processes of a sandbox that are not the job's: bubblewrap (two), runner, `timeout`.
const OURS: u64 = 4;
/// How often a group is tried to be removed.
const ATTEMPTS: u32 = 400;
/// The longest pause before the next try. The first ones are shorter: a sandbox that has ended
/// is often gone a moment later.
const PAUSE: Duration = Duration::from_millis(5);
/// Length of the period in which processor time is counted, in microseconds.
const PERIOD: u32 = 100_000;

/// What a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Memory, files in memory included.
    Memory,
    /// Processes and threads.
    Processes,
    /// Processor time.
    Cpu,
}

impl Control {
    const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// A group below which sandboxes get their own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    folder: PathBuf,
    unified: bool,
    controls: Vec<Control>,
}

/// Where groups can be made.
#[derive(Debug)]
pub(super) struct Groups {
    parents: Vec<Parent>,
    prefix: String,
}

/// The groups of one sandbox; removed when dropped, with everything in them.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<PathBuf>,
    oom: Option<PathBuf>,
}

impl Groups {
    /// Looks where this process may make groups, by making one.
    pub(super) fn find(archive: &Path) -> Self {
        let mut groups = Self {
            parents: Vec::new(),
            prefix: prefix(archive),
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        for parent in candidates(&mounts, &own) {
            groups.try_out(parent);
        }
        groups
    }

    fn try_out(&mut self, mut parent: Parent) {
        if parent.unified {
            let handed_down = handed_down(&parent.folder);
            parent
                .controls
                .retain(|control| handed_down.contains(control));
        }
        parent.controls.retain(|control| !self.has(*control));
        if parent.controls.is_empty() {
            return;
        }
        self.parents.push(parent);
        // Making a group is not enough: joining it can be forbidden.
        let works = self.make(&Limits::default()).is_ok_and(|mut group| {
            let joined = group.doors().all(|door| can_join(&door));
            removed(&mut group.folders) && joined
        });
        if !works {
            self.parents.pop();
        }
    }

    /// Returns whether groups limit this.
    pub(super) fn has(&self, control: Control) -> bool {
        self.parents
            .iter()
            .any(|parent| parent.controls.contains(&control))
    }

    /// Makes the groups of one sandbox.
    pub(super) fn make(&self, limits: &Limits) -> io::Result<Group> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}-{}", self.prefix, std::process::id());
        let mut group = Group {
            folders: Vec::new(),
            oom: None,
        };
        for parent in &self.parents {
            let folder = parent.folder.join(&name);
            let made = make_one(&folder, parent, limits);
            group.folders.push(folder);
            made?;
            if parent.controls.contains(&Control::Memory) {
                let file = if parent.unified {
                    "memory.events"
                } else {
                    "memory.oom_control"
                };
                group.oom = group.folders.last().map(|folder| folder.join(file));
            }
        }
        Ok(group)
    }

    /// Kills and removes what other processes left of this archive; returns how many groups.
    pub(super) async fn reap(&self) -> usize {
        let own = format!("-{}", std::process::id());
        let mut count = 0;
        for parent in &self.parents {
            for entry in fs::read_dir(&parent.folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with(&self.prefix) && !name.ends_with(&own) {
                    let group = Group {
                        folders: vec![entry.path()],
                        oom: None,
                    };
                    group.remove().await;
                    count += 1;
                }
            }
        }
        count
    }
}

impl Group {
    /// Returns the files into which a process writes its number to join.
    pub(super) fn doors(&self) -> impl ExactSizeIterator<Item = PathBuf> {
        self.folders
            .iter()
            .map(|folder| folder.join("cgroup.procs"))
    }

    /// Returns whether the kernel killed a process here because memory ran out.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let text = self
            .oom
            .as_ref()
            .and_then(|file| fs::read_to_string(file).ok());
        text.is_some_and(|text| {
            text.lines()
                .filter_map(|line| line.strip_prefix("oom_kill "))
                .any(|count| count.trim() != "0")
        })
    }

    /// Kills every process in it.
    pub(super) fn kill(&self) {
        kill_in(&self.folders);
    }

    /// Removes it and whatever still runs in it.
    pub(super) async fn remove(mut self) {
        for tried in 1..=ATTEMPTS {
            if removed(&mut self.folders) {
                return;
            }
            self.kill();
            tokio::time::sleep(PAUSE.min(Duration::from_millis(tried.into()))).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if removed(&mut self.folders) {
            return;
        }
        // Its processes need a moment to die. What cannot be removed then, or without a
        // thread, is removed at the next start.
        let mut folders = std::mem::take(&mut self.folders);
        kill_in(&folders);
        let remove = move || {
            for _ in 0..ATTEMPTS {
                if removed(&mut folders) {
                    return;
                }
                kill_in(&folders);
                std::thread::sleep(PAUSE);
            }
        };
        drop(
            std::thread::Builder::new()
                .name("dgm-group".to_owned())
                .spawn(remove),
        );
    }
}

fn kill_in(folders: &[PathBuf]) {
    for folder in folders {
        let text = fs::read_to_string(folder.join("cgroup.procs"));
        for line in text.unwrap_or_default().lines() {
            if let Some(pid) = line.parse().ok().and_then(Pid::from_raw) {
                // It may have ended by itself meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Removes the groups that have no processes; returns whether all are gone.
fn removed(folders: &mut Vec<PathBuf>) -> bool {
    folders.retain(|folder| fs::remove_dir(folder).is_err() && folder.exists());
    folders.is_empty()
}

fn can_join(door: &Path) -> bool {
    let tried = Command::new("/bin/sh")
        .args(["-c", r#"echo $$ >"$1""#, "dgm-join"])
        .arg(door)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

fn prefix(archive: &Path) -> String {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("dgm-{}-", name.chars().map(plain).collect::<String>())
}

/// Returns the groups that may serve as parents, best first.
fn candidates(mounts: &str, own: &str) -> Vec<Parent> {
    let own: Vec<(&str, &str)> = own
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .collect();
    let mut parents = Vec::new();
    for line in mounts.lines() {
        let Some((mount, kind)) = line.split_once(" - ") else {
            continue;
        };
        let mount: Vec<&str> = mount.split(' ').collect();
        let kind: Vec<&str> = kind.split(' ').collect();
        let (&[_, _, _, root, at, ..], &[kind, _, options]) = (mount.as_slice(), kind.as_slice())
        else {
            continue;
        };
        let unified = match kind {
            "cgroup" => false,
            "cgroup2" => true,
            _ => continue,
        };
        let controls: Vec<Control> = Control::ALL
            .into_iter()
            .filter(|control| unified || options.split(',').any(|option| option == control.name()))
            .collect();
        let is_own = |controllers: &str| {
            let mut names = controllers.split(',');
            match controls.first() {
                Some(control) if !unified => names.any(|name| name == control.name()),
                _ => unified && controllers.is_empty(),
            }
        };
        let Some((_, path)) = own.iter().find(|(controllers, _)| is_own(controllers)) else {
            continue;
        };
        let inner = path.strip_prefix(root).unwrap_or(path);
        let folder = Path::new(at).join(inner.trim_start_matches('/'));
        let mut folders = vec![folder.clone()];
        // A process lives in a leaf of version 2; its sandboxes go beside it.
        if unified && folder != Path::new(at) {
            folders.extend(folder.parent().map(Path::to_owned));
        }
        parents.extend(folders.into_iter().map(|folder| Parent {
            folder,
            unified,
            controls: controls.clone(),
        }));
    }
    parents
}

/// Returns what a group of version 2 hands down to groups below it.
fn handed_down(folder: &Path) -> Vec<Control> {
    let file = folder.join("cgroup.subtree_control");
    let read = || fs::read_to_string(&file).unwrap_or_default();
    // Only the root has no type, and may have processes and hand down.
    if read().is_empty() && !folder.join("cgroup.type").exists() {
        for control in Control::ALL {
            // What it refuses is not there afterwards.
            drop(set(&file, &format!("+{}", control.name())));
        }
    }
    let text = read();
    let has = |control: &Control| text.split_whitespace().any(|name| name == control.name());
    Control::ALL.into_iter().filter(has).collect()
}

fn make_one(folder: &Path, parent: &Parent, limits: &Limits) -> io::Result<()> {
    fs::create_dir(folder)?;
    let set = |file: &str, value: String| set(&folder.join(file), &value);
    for control in &parent.controls {
        match (control, parent.unified) {
            (Control::Memory, false) => {
                set("memory.limit_in_bytes", limits.memory.to_string())?;
                // Not there unless the kernel counts swap.
                drop(set(
                    "memory.memsw.limit_in_bytes",
                    limits.memory.to_string(),
                ));
            }
            (Control::Memory, true) => {
                set("memory.max", limits.memory.to_string())?;
                drop(set("memory.swap.max", "0".to_owned()));
            }
            (Control::Processes, _) => {
                set("pids.max", (u64::from(limits.processes) + OURS).to_string())?;
            }
            (Control::Cpu, false) => {
                set("cpu.cfs_period_us", PERIOD.to_string())?;
                set("cpu.cfs_quota_us", format!("{:.0}", quota(limits)))?;
            }
            (Control::Cpu, true) => set("cpu.max", format!("{:.0} {PERIOD}", quota(limits)))?,
        }
    }
    Ok(())
}

/// Returns processor time per period; the kernel takes no less than a millisecond.
fn quota(limits: &Limits) -> f64 {
    (limits.cpus * f64::from(PERIOD)).max(1000.0)
}

fn set(file: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Control, Parent, candidates};

    fn parent(folder: &str, unified: bool, controls: &[Control]) -> Parent {
        Parent {
            folder: folder.into(),
            unified,
            controls: controls.to_vec(),
        }
    }

    #[test]
    fn finds_its_own_groups_of_version_1() {
        let mounts = "\
            30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            33 30 0:29 /box /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n\
            34 30 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
        let own = "8:pids:/box/in\n4:memory:/user\n1:cpu,cpuacct:/\n";
        assert_eq!(
            candidates(mounts, own),
            [
                parent("/sys/fs/cgroup/cpu", false, &[Control::Cpu]),
                parent("/sys/fs/cgroup/memory/user", false, &[Control::Memory]),
                parent("/sys/fs/cgroup/pids/in", false, &[Control::Processes]),
            ]
        );
    }

    #[test]
    fn goes_beside_its_own_group_of_version_2() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "0::/user.slice/app.slice/run.scope\n";
        assert_eq!(
            candidates(mounts, own),
            [
                parent(
                    "/sys/fs/cgroup/user.slice/app.slice/run.scope",
                    true,
                    &Control::ALL
                ),
                parent("/sys/fs/cgroup/user.slice/app.slice", true, &Control::ALL),
            ]
        );
    }
}
