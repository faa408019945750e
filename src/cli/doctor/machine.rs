//! The machine itself: what it is, how much of it there is, which programs it has.

use crate::view::check::Check;
use crate::view::size;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Below this an evaluation or two can fill the memory.
const LOW_MEMORY: u64 = 2 << 30;
/// Below this images and archives soon fill the disk.
const LOW_DISK: u64 = 5 << 30;
/// Oldest Python that the base agent runs with.
const OLDEST_PYTHON: (u32, u32) = (3, 8);

/// Returns the findings about the machine.
pub(super) fn checks(dir: &Path) -> Vec<Check> {
    vec![
        Check::ok("dgm", env!("CARGO_PKG_VERSION")),
        system(),
        cores(),
        memory(&read("/proc/meminfo")),
        disk(dir),
        python(version("python3").as_deref()),
        git(version("git").as_deref()),
        cgroups(),
        confinement(
            &read("/sys/kernel/security/lsm"),
            &read("/proc/self/status"),
        ),
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn system() -> Check {
    let release = read("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown system", |name| name.trim_matches('"'));
    let kernel = read("/proc/sys/kernel/osrelease");
    let found = format!(
        "{name}, Linux {}, {}",
        kernel.trim(),
        std::env::consts::ARCH
    );
    Check::ok("system", found)
}

fn cores() -> Check {
    match std::thread::available_parallelism() {
        Ok(cores) => Check::ok("cores", format!("{cores} usable")),
        Err(error) => Check::warn(
            "cores",
            format!("not known: {error}"),
            "set the number of workers yourself",
        ),
    }
}

fn memory(meminfo: &str) -> Check {
    let kib = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (Some(total), Some(free)) = (kib("MemTotal:"), kib("MemAvailable:")) else {
        return Check::warn(
            "memory",
            "not known: `/proc/meminfo` cannot be read",
            "keep the number of workers small",
        );
    };
    let found = format!("{} available of {}", size(free << 10), size(total << 10));
    if free << 10 < LOW_MEMORY {
        return Check::warn("memory", found, "run one worker only, or free some memory");
    }
    Check::ok("memory", found)
}

/// A folder that is still to be made is on the disk of its nearest ancestor.
fn disk(dir: &Path) -> Check {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let there = dir.ancestors().find(|folder| folder.exists());
    let stat = there.and_then(|folder| rustix::fs::statvfs(folder).ok());
    let Some(stat) = stat else {
        return Check::warn(
            "disk",
            format!("free space at `{}` is not known", dir.display()),
            "check that the folder can be read",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{} free at `{}`", size(free), dir.display());
    if free < LOW_DISK {
        return Check::warn("disk", found, "free some space before a long run");
    }
    Check::ok("disk", found)
}

/// Returns the first line that `PROGRAM --version` prints.
fn version(program: &str) -> Option<String> {
    // No more of the environment than a program needs to be found: keys are none of its business.
    let needed = ["PATH", "HOME", "LANG"];
    let env = needed
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next()?.trim().to_owned();
    output.status.success().then_some(line)
}

fn python(version: Option<&str>) -> Check {
    let advice = "install Python 3.8 or newer (`apt install python3`): the base agent and the \
                  local sandbox's tasks need it";
    let Some(version) = version else {
        return Check::missing("python3", "not found", advice);
    };
    let numbers = version.strip_prefix("Python ").unwrap_or(version);
    let mut parts = numbers.split('.').map_while(|part| part.parse().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_PYTHON => {
            Check::ok("python3", numbers)
        }
        (_, _) => Check::warn("python3", numbers, advice),
    }
}

fn git(version: Option<&str>) -> Check {
    match version {
        Some(version) => Check::ok(
            "git",
            version.strip_prefix("git version ").unwrap_or(version),
        ),
        None => Check::warn(
            "git",
            "not found",
            "`dgm` does not need it; to look into `agents.git` yourself: `apt install git`",
        ),
    }
}

fn cgroups() -> Check {
    let controllers = read("/sys/fs/cgroup/cgroup.controllers");
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let list = controllers
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(", ");
        return Check::ok("cgroups", format!("version 2 ({list})"));
    }
    if Path::new("/sys/fs/cgroup/memory").exists() {
        return Check::ok("cgroups", "version 1");
    }
    Check::warn(
        "cgroups",
        "none is mounted",
        "the engine cannot limit memory and processes of containers without them",
    )
}

fn confinement(lsm: &str, status: &str) -> Check {
    let seccomp = status.lines().any(|line| line.starts_with("Seccomp:"));
    let landlock = lsm.trim().split(',').any(|module| module == "landlock");
    let found = format!(
        "seccomp {}, landlock {}",
        if seccomp { "yes" } else { "no" },
        match (landlock, lsm.is_empty()) {
            (true, _) => "yes",
            (false, false) => "no",
            (false, true) => "not known",
        }
    );
    if seccomp {
        return Check::ok("kernel", found);
    }
    Check::missing(
        "kernel",
        found,
        "use a kernel with seccomp filters: sandboxes do not run without them",
    )
}

/// Returns which keys are set, never what they are: those of the variables that an archive's
/// models name, or, where nothing names any, the usual ones.
pub(super) fn keys(named: Option<&[String]>, is_set: &dyn Fn(&str) -> bool) -> Check {
    let found = |names: &[&str]| {
        let each = names
            .iter()
            .map(|name| format!("{name} {}", if is_set(name) { "set" } else { "not set" }));
        each.collect::<Vec<_>>().join(", ")
    };
    let Some(named) = named else {
        let names = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"];
        if names.into_iter().any(is_set) {
            return Check::ok("model keys", found(&names));
        }
        return Check::warn(
            "model keys",
            found(&names),
            "a model of a provider needs its key, in a variable that `api_key_env` names in \
             `dgm.toml`; scripted and local models need none",
        );
    };
    let names: Vec<&str> = named.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Check::ok("model keys", "`dgm.toml` names no variable that holds one");
    }
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_set(name)).collect();
    if missing.is_empty() {
        return Check::ok("model keys", found(&names));
    }
    let advice = format!(
        "set {} to the provider's key: models that `dgm.toml` names need it",
        missing.join(" and ")
    );
    Check::warn("model keys", found(&names), advice)
}

#[cfg(test)]
mod tests {
    use super::{confinement, keys, memory, python};
    use crate::view::check::CheckState;

    #[test]
    fn knows_an_old_python() {
        assert_eq!(python(Some("Python 3.11.2")).state, CheckState::Ok);
        assert_eq!(python(Some("Python 3.7.9")).state, CheckState::Warn);
        assert_eq!(python(Some("Python 2.7.18")).state, CheckState::Warn);
        assert_eq!(python(Some("gibberish")).state, CheckState::Warn);
        assert_eq!(python(None).state, CheckState::Missing);
    }

    #[test]
    fn reads_memory() {
        let check = memory("MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable: 1048576 kB\n");
        assert_eq!(check.found, "1.0 GiB available of 8.0 GiB");
        assert_eq!(check.state, CheckState::Warn);
        assert_eq!(memory("").state, CheckState::Warn);
    }

    #[test]
    fn tells_what_the_kernel_confines_with() {
        let status = "Name:\tx\nSeccomp:\t0\n";
        let found = |lsm| confinement(lsm, status).found;
        assert_eq!(found("lockdown,landlock,yama"), "seccomp yes, landlock yes");
        assert_eq!(found("capability"), "seccomp yes, landlock no");
        assert_eq!(found(""), "seccomp yes, landlock not known");
        assert_eq!(confinement("", "Name:\tx\n").state, CheckState::Missing);
    }

    #[test]
    fn one_of_the_usual_keys_is_enough() {
        assert_eq!(
            keys(None, &|name| name == "OPENAI_API_KEY").state,
            CheckState::Ok
        );
        assert_eq!(keys(None, &|_| false).state, CheckState::Warn);
    }

    #[test]
    fn every_key_that_is_named_is_needed_and_no_other() {
        let named = ["FIRST".to_owned(), "SECOND".to_owned()];
        let check = keys(Some(&named), &|name| name == "FIRST");
        assert_eq!(check.state, CheckState::Warn);
        assert_eq!(check.found, "FIRST set, SECOND not set");
        let advice = check.advice.unwrap_or_default();
        assert!(advice.starts_with("set SECOND to "), "{advice}");
        assert_eq!(keys(Some(&named), &|_| true).state, CheckState::Ok);
        assert_eq!(keys(Some(&[]), &|_| false).state, CheckState::Ok);
    }
}
