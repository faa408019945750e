//! How one run goes as byte streams, the same for every backend.
//!
//! The sandbox's main process is the runner, a small POSIX shell script ([`argv`]). It needs
//! `sh`, `tar`, `timeout` and `mkdir` in the sandbox, and goes like this:
//!
//! 1. stdin: one tar ([`input`]) with all placed files; it is unpacked at `/`;
//! 2. stdout: `dgm-run 1 <uptime>` once everything is set up. Without this line the command
//!    was never started, and whatever is wrong is not its fault;
//! 3. the command runs under a deadline, without stdin; what it prints goes to stderr, one
//!    stream, so that the log keeps its order;
//! 4. every process but the runner is killed, until none is left;
//! 5. stdout: `dgm-end <code> <uptime>`, one tar of the collected folders, `dgm-tar <code>`.
//!
//! What runs inside has the runner's user, so it may kill, stop or imitate it. Invariant: that
//! harms only its own answer. [`Intake`] takes any bytes in bounded memory; streams that end
//! early or make no sense give [`Collected`](super::Collected) with `truncated` set and a
//! sentence in `refused`; and a backend never waits longer than [`Intake::limit`] allows,
//! after which it kills the sandbox from outside.
//!
//! Everything that varies reaches the script as arguments, never as script text.

mod image;
mod intake;

use super::{IN_WORKDIR, Root, SCRATCH_DIR, SandboxError, Spec, archive};
use anyhow::{bail, ensure};
use std::time::Duration;

pub(super) use image::argv as image_argv;
pub(super) use intake::{GRACE, Intake, SeenEnd, Want};

/// The script. `$1` deadline in seconds, `$2` working directory, `$3` whether a tar comes,
/// `$4` `$5` `$6` how many folders to make, folders to collect and variables follow; then the
/// command. `kill -9 -1` reaches every process of the sandbox but the caller and process 1,
/// and fails once there is none left to reach. Outside a process namespace it would end the
/// machine's processes instead, hence the look at `$$` before anything else.
const RUNNER: &str = r#"
set -u
[ "$$" -lt 64 ] || { echo 'this is no sandbox' >&2; exit 125; }
umask 022
export HOME=/tmp TMPDIR=/tmp
deadline=$1 work=$2 input=$3 dirs=$4 collect=$5 vars=$6
shift 6
cannot() { printf 'cannot %s\n' "$1" >&2; exit 125; }
while [ "$dirs" -gt 0 ]; do
  [ -d "$1" ] || mkdir -p -- "$1" || cannot "create $1"
  [ -w "$1" ] || cannot "write to $1"
  shift
  dirs=$((dirs - 1))
done
for tool in tar timeout; do
  command -v "$tool" >/dev/null || cannot "find the program $tool"
done
if [ "$input" = 1 ]; then tar -xmof - -C / || cannot 'unpack the files'; fi
cd -- "$work" || cannot "enter $work"
read -r begun idle </proc/uptime || cannot 'read /proc/uptime'
printf 'dgm-run 1 %s\n' "$begun"
(
  unset OLDPWD
  shift "$collect"
  while [ "$vars" -gt 0 ]; do
    export "$1"
    shift
    vars=$((vars - 1))
  done
  exec timeout -s KILL "$deadline" "$@"
) </dev/null >&2
code=$?
while kill -9 -1 2>/dev/null; do :; done
read -r ended idle </proc/uptime
printf 'dgm-end %s %s\n' "$code" "$ended"
others=$(($# - collect))
while [ "$collect" -gt 0 ]; do
  if [ -e "$1" ] || [ -h "$1" ]; then set -- "$@" ".$1"; fi
  shift
  collect=$((collect - 1))
done
shift "$others"
status=0
if [ $# -gt 0 ]; then
  tar -cf - --exclude=.git --exclude=__pycache__ --exclude=.pytest_cache -C / "$@"
  status=$?
fi
printf 'dgm-tar %s\n' "$status"
exit "$code"
"#;

/// Checks what the runner relies on: absolute folders that are not the root, do not repeat
/// each other where they are collected, and variables and arguments that a shell can pass on.
pub(super) fn check(spec: &Spec) -> Result<(), SandboxError> {
    faults(spec).map_err(|source| SandboxError::Failed {
        what: format!("could not run `{}`", spec.job),
        source,
    })
}

fn faults(spec: &Spec) -> anyhow::Result<()> {
    match (&spec.root, &spec.workdir) {
        (Root::Sealed, None) => bail!("there is no working directory"),
        (Root::Sealed, Some(_)) | (Root::Image(_), _) => {}
    }
    // An image may work in its root; a sealed root has no place for that.
    let of_image = spec.root.image().is_some();
    let image_root = |folder: &str| of_image && (folder == "/" || folder == IN_WORKDIR);
    for folder in folders(spec).chain(&spec.collect) {
        ensure!(
            is_folder(folder) || image_root(folder),
            "`{}` is not the absolute path of a folder below the root",
            folder.escape_debug()
        );
    }
    for (index, folder) in spec.collect.iter().enumerate() {
        let below = |other: &&String| other.starts_with(&format!("{folder}/")) || *other == folder;
        let others = spec
            .collect
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != index);
        if let Some(other) = others.map(|(_, other)| other).find(below) {
            bail!("`{folder}` and `{other}` cannot be collected both");
        }
    }
    for path in &spec.vital {
        let lies_in = |folder: &String| path.starts_with(&format!("{folder}/"));
        ensure!(
            is_folder(path) && spec.collect.iter().any(lies_in),
            "`{}` is not the path of a file in a folder that is collected",
            path.escape_debug()
        );
    }
    for (name, value) in &spec.env {
        let good = |at, byte: u8| {
            byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit()
        };
        ensure!(
            !name.is_empty() && name.bytes().enumerate().all(|(at, byte)| good(at, byte)),
            "`{}` is not the name of a variable",
            name.escape_debug()
        );
        ensure!(!value.contains('\0'), "variable `{name}` holds a NUL byte");
    }
    ensure!(!spec.command.is_empty(), "there is no command");
    ensure!(
        spec.command.iter().all(|part| !part.contains('\0')),
        "the command holds a NUL byte"
    );
    Ok(())
}

fn is_folder(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|inner| {
        let good = |part: &str| !part.is_empty() && part != "." && part != "..";
        inner.split('/').all(good) && !path.contains(|c: char| c.is_control())
    })
}

/// Returns every folder that the command finds writable, with repetitions.
pub(super) fn folders(spec: &Spec) -> impl Iterator<Item = &String> {
    let placed = spec.placed.iter().map(|placed| &placed.at);
    spec.workdir.iter().chain(&spec.writable).chain(placed)
}

/// Returns the sandbox's main process, program and arguments. `program` is how the sandbox
/// calls its POSIX shell.
pub(super) fn argv(spec: &Spec, program: &str) -> Vec<String> {
    let mut dirs: Vec<&str> = folders(spec).map(String::as_str).collect();
    dirs.push(SCRATCH_DIR);
    dirs.sort_unstable();
    dirs.dedup();
    let input = spec.placed.iter().any(|placed| !placed.files.is_empty());
    let deadline = spec.deadline.max(Duration::from_millis(1)).as_secs_f64();
    let mut argv: Vec<String> = [program, "-c", RUNNER, "dgm-run"].map(str::to_owned).into();
    argv.push(format!("{deadline:.3}"));
    argv.push(spec.workdir.clone().unwrap_or_default());
    argv.push(u8::from(input).to_string());
    // What is vital comes first, and again in its folder: the stream may be cut behind it.
    let collect: Vec<&String> = spec.vital.iter().chain(&spec.collect).collect();
    argv.extend([dirs.len(), collect.len(), spec.env.len()].map(|count| count.to_string()));
    argv.extend(dirs.into_iter().map(str::to_owned));
    argv.extend(collect.into_iter().cloned());
    argv.extend(
        spec.env
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    argv.extend(spec.command.iter().cloned());
    argv
}

/// Returns the runner's standard input: a tar of all placed files.
pub(super) fn input(spec: &Spec) -> Vec<u8> {
    archive::write(&spec.placed).expect("memory takes any checked path and content")
}

#[cfg(test)]
mod tests {
    use super::{argv, check, input};
    use crate::domain::{FileTree, TreePath};
    use crate::sandbox::{Limits, Placed, Root, Spec};
    use std::sync::Arc;
    use std::time::Duration;

    fn spec() -> Spec {
        let mut files = FileTree::new();
        files.insert(TreePath::new("a").expect("good"), *b"text", false);
        Spec {
            job: "t".to_owned(),
            image: None,
            agent: None,
            placed: vec![Placed {
                at: "/tests".to_owned(),
                files: Arc::new(files),
            }],
            root: Root::Sealed,
            workdir: Some("/work".to_owned()),
            writable: vec!["/logs/verifier".to_owned()],
            command: ["sh", "-c", "exit 1"].map(str::to_owned).into(),
            env: vec![("A".to_owned(), "$(b) c".to_owned())],
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_millis(1500),
            collect: vec!["/work".to_owned()],
            limits: Limits::default(),
        }
    }

    #[test]
    fn everything_reaches_the_script_as_an_argument() {
        let argv = argv(&spec(), "/bin/sh");
        assert_eq!(argv[0..2], ["/bin/sh", "-c"]);
        assert_eq!(
            argv[3..].join("|"),
            "dgm-run|1.500|/work|1|4|1|1|/logs/verifier|/tests|/tmp/dgm-scratch|/work|/work|\
             A=$(b) c|sh|-c|exit 1"
        );
        assert_eq!(input(&spec()), input(&spec()));
        assert_eq!(input(&spec()).len(), 10_240);
    }

    #[test]
    fn refuses_what_the_runner_could_not_take() {
        let fault = |change: fn(&mut Spec)| {
            let mut spec = spec();
            change(&mut spec);
            let error = check(&spec).expect_err("this cannot run");
            format!("{:#}", anyhow::Error::from(error))
        };
        check(&spec()).expect("this can run");
        insta::assert_snapshot!(fault(|spec| spec.workdir = Some("/".to_owned())), @"could not run `t`: `/` is not the absolute path of a folder below the root");
        insta::assert_snapshot!(fault(|spec| spec.writable[0] = "/a/../b".to_owned()), @"could not run `t`: `/a/../b` is not the absolute path of a folder below the root");
        insta::assert_snapshot!(fault(|spec| spec.collect.push("/work/a".to_owned())), @"could not run `t`: `/work` and `/work/a` cannot be collected both");
        insta::assert_snapshot!(fault(|spec| spec.collect.push("/work".to_owned())), @"could not run `t`: `/work` and `/work` cannot be collected both");
        insta::assert_snapshot!(fault(|spec| spec.env[0].0 = "A=B".to_owned()), @"could not run `t`: `A=B` is not the name of a variable");
        insta::assert_snapshot!(fault(|spec| spec.command.clear()), @"could not run `t`: there is no command");
    }
}
