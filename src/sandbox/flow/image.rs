//! The runner where the root is the image's own: it brings no files and collects none.
//!
//! Files are put into the container before it starts and taken from it after it has stopped,
//! both from outside. So the script only removes, starts the image's services, waits until
//! they are well, and runs the command. What it says is the same as the other runner's.

use crate::sandbox::{ImageRoot, Spec};
use std::time::Duration;

/// The script. `$1` deadline in seconds, `$2` working directory, `$3` to `$6` how many paths to
/// remove, variables, words of the entry point and words of the command follow; `$7` what is
/// run first, `$8` how many health checks follow, each as command, interval, time-out, start
/// period, start interval and retries. The order: paths, variables, checks, command, entry point.
/// Its own programs are those of the system: a verifier may run where an agent has put others
/// of these names into a folder that comes first in `PATH`.
const RUNNER: &str = r#"
set -u
[ "$$" -lt 64 ] || { echo 'this is no sandbox' >&2; exit 125; }
umask 022
deadline=$1 work=$2 gone=$3 vars=$4 entry=$5 words=$6 prepare=$7 checks=$8
shift 8
cannot() { printf 'cannot %s\n' "$1" >&2; exit 125; }
well() {
  since=$(uptime) failures=0
  until said=$("$timeout" -s KILL "$3" sh -c "$1" 2>&1 </dev/null); do
    if [ $(($(uptime) - since)) -lt "$4" ]; then
      "$pause" "$5"
      continue
    fi
    failures=$((failures + 1))
    if [ "$failures" -ge "$6" ]; then
      printf '%s\n' "$said" >&2
      cannot "start: a health check failed $failures times in a row: $1"
    fi
    "$pause" "$2"
  done
}
uptime() {
  read -r now rest </proc/uptime
  echo "${now%.*}"
}
paths=${PATH-}
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$paths
timeout=$(command -v timeout) || cannot 'find the program timeout'
remove=$(command -v rm) pause=$(command -v sleep)
PATH=$paths
while [ "$gone" -gt 0 ]; do
  "$remove" -rf -- "$1" || cannot "remove $1"
  shift
  gone=$((gone - 1))
done
cd -- "$work" || cannot "enter $work"
while [ "$vars" -gt 0 ]; do
  export "$1"
  shift
  vars=$((vars - 1))
done
if [ "$entry" -gt 0 ]; then
  (
    shift "$((checks * 6 + words))"
    exec "$@" sh -c 'while :; do sleep 3600; done'
  ) </dev/null >/dev/null 2>&1 &
fi
if [ -n "$prepare" ]; then
  said=$(sh -c "$prepare" 2>&1 </dev/null) || {
    printf '%s\n' "$said" >&2
    cannot "prepare: $prepare"
  }
fi
while [ "$checks" -gt 0 ]; do
  well "$1" "$2" "$3" "$4" "$5" "$6"
  shift 6
  checks=$((checks - 1))
done
while [ "$words" -gt 0 ]; do
  set -- "$@" "$1"
  shift
  words=$((words - 1))
done
shift "$entry"
read -r begun rest </proc/uptime || cannot 'read /proc/uptime'
printf 'dgm-run 1 %s\n' "$begun"
(
  unset OLDPWD
  exec "$timeout" -s KILL "$deadline" "$@"
) </dev/null >&2
code=$?
read -r ended rest </proc/uptime
printf 'dgm-end %s %s\ndgm-tar 0\n' "$code" "$ended"
exit "$code"
"#;

/// Returns the sandbox's main process. `entry` is the image's entry point, if it is to run.
pub(in crate::sandbox) fn argv(
    spec: &Spec,
    root: &ImageRoot,
    workdir: &str,
    entry: &[String],
) -> Vec<String> {
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64().max(0.001));
    let entry = if root.services { entry } else { &[] };
    let mut argv: Vec<String> = ["/bin/sh", "-c", RUNNER, "dgm-run"]
        .map(str::to_owned)
        .into();
    argv.push(seconds(spec.deadline));
    argv.push(workdir.to_owned());
    let counts = [
        root.removed.len(),
        spec.env.len(),
        entry.len(),
        spec.command.len(),
    ];
    argv.extend(counts.map(|count| count.to_string()));
    argv.push(root.prepare.clone().unwrap_or_default());
    argv.push(root.health.len().to_string());
    argv.extend(root.removed.iter().cloned());
    let variable = |(name, value): &(String, String)| format!("{name}={value}");
    argv.extend(spec.env.iter().map(variable));
    for health in &root.health {
        argv.extend([
            health.command.clone(),
            seconds(health.interval),
            seconds(health.timeout),
            health.start_period.as_secs().to_string(),
            seconds(health.start_interval),
            health.retries.max(1).to_string(),
        ]);
    }
    argv.extend(spec.command.iter().cloned());
    argv.extend(entry.iter().cloned());
    argv
}
