//! Killing bubblewrap so that nothing of it stays.
//!
//! Between making process 1 of a sandbox and telling it to go on, bubblewrap must not be the
//! only one killed: process 1 would wait for that word forever.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::process::Child;

/// How often, and after which pauses, it is looked whether a process has stopped.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_micros(200);

/// Kills everything in the sandbox of a bubblewrap. Process 1 of the namespace comes first:
/// once bubblewrap itself can be waited for, the kernel has ended all that were in it.
pub(super) fn bubblewrap(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    let Some(outer) = pid.and_then(Pid::from_raw) else {
        return;
    };
    // Stopped, it makes no process 1 that would be missed here. Whatever has ended by itself
    // meanwhile needs no signal.
    let _ = kill_process(outer, Signal::STOP);
    for _ in 0..LOOKS {
        if !runs(outer) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let inner = children(outer);
    for process in &inner {
        let _ = kill_process(*process, Signal::KILL);
    }
    let last = if inner.is_empty() {
        Signal::KILL
    } else {
        Signal::CONT
    };
    let _ = kill_process(outer, last);
}

/// Kills the processes of this user that were started with a path below a folder as argument.
pub(super) fn started_with(folder: &Path) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let below = |argument: &[u8]| {
            argument
                .strip_prefix(folder.as_os_str().as_bytes())
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        let is_bubblewrap = line
            .split(|byte| *byte == 0)
            .any(|part| part == b"--die-with-parent");
        if is_bubblewrap && line.split(|byte| *byte == 0).any(below) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Returns whether a process is neither stopped nor dead.
fn runs(process: Pid) -> bool {
    let file = format!("/proc/{}/stat", process.as_raw_nonzero());
    let text = fs::read_to_string(file).unwrap_or_default();
    // The name before it may hold anything but ends with the last parenthesis.
    let state = text
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('T' | 't' | 'Z' | 'X'))
}

fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero();
    let file = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(file).unwrap_or_default();
    let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}
