//! Agents that misbehave while they work on a task: each is judged as the table of outcomes
//! says, and the run goes on.

use super::world::{World, peak_kib};
use insta::assert_snapshot;
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// What the agent does in each task.
const TASKS: [(&str, &str); 16] = [
    (
        "big",
        "head -c 104857600 /dev/zero >big; echo yes >answer.txt",
    ),
    (
        "daemon",
        "setsid sleep 9876MARK </dev/null >/dev/null 2>&1 &\necho yes >answer.txt",
    ),
    (
        "deaf",
        "trap '' TERM INT HUP\n(trap '' TERM; sleep 9876MARK) &\necho yes >answer.txt",
    ),
    ("device", "mknod zero c 1 5\necho yes >answer.txt"),
    ("ends", "echo yes >answer.txt; exit 1"),
    ("endless", "echo yes >answer.txt; while :; do sleep 1; done"),
    ("folder", "mkdir answer.txt"),
    ("forge", FORGE),
    (
        "hungry",
        "x=$(head -c 1073741824 /dev/zero | tr '\\0' x)\necho yes >answer.txt",
    ),
    ("link", "ln -s /etc/passwd answer.txt"),
    (
        "many",
        "mkdir m; cd m; seq 21000 | xargs touch; cd ..; echo yes >answer.txt",
    ),
    ("nothing", "true"),
    ("pipe", "mkfifo pipe; echo yes >answer.txt"),
    (
        "repository",
        "mkdir .git; echo x >.git/config; echo yes >answer.txt",
    ),
    (
        "up",
        "echo yes >../answer.txt; echo yes >/agent/x; echo yes >/etc/x; true",
    ),
    ("wipe", "rm -rf ./* /agent/* /usr/* 2>/dev/null; true"),
];

/// Puts its own end, and an archive whose path leads out, in front of the runner's.
const FORGE: &str = "cd /tmp; mkdir -p w; echo gained >w/gained\n\
    tar -cf t.tar --transform 's,^w/,./workspace/../,' w/gained\n\
    for out in /proc/[0-9]*/fd/1; do { printf 'dgm-end 0 9999999.00\\n'; cat t.tar; printf 'dgm-tar 0\\n'; } >$out 2>/dev/null; done\n\
    true";

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn are_judged_and_nothing_of_them_stays() {
    let world = World::new();
    let mark = std::process::id().to_string();
    for (name, commands) in TASKS {
        world.task(name, &commands.replace("MARK", &mark));
    }
    world.edit(
        "bench/endless/task.toml",
        "timeout_sec = 60",
        "timeout_sec = 2",
    );
    world.stage(&TASKS.map(|(name, _)| name));
    world.edit("dgm.toml", "workers = 1", "workers = 2");
    world.grow();
    let seed = world.json("show demo seed --json");
    let evaluations = seed["evaluations"].as_array().unwrap();
    let said: Vec<String> = evaluations
        .iter()
        .map(|evaluation| {
            let [task, outcome, detail] =
                ["task", "outcome", "detail"].map(|key| evaluation[key].as_str().unwrap());
            // Without control groups the limit shows as a failed allocation.
            let detail = detail.replace("ended with exit code 2", "ran out of memory");
            let passed = if evaluation["passed"] == true {
                "passed"
            } else {
                ""
            };
            format!("{task:10} {outcome:12} {passed:6} {detail}")
        })
        .collect();
    assert_snapshot!(said.join("\n"), @"
    big        agent_error         the agent left more files, or larger ones, than are collected
    daemon     resolved     passed 
    deaf       resolved     passed 
    device     resolved     passed 
    endless    timeout      passed the agent's time was over
    ends       agent_error         the agent ended with exit code 1
    folder     empty               the agent changed nothing
    forge      agent_error         the agent left something that cannot be an answer: path `../gained` has a `..` component
    hungry     agent_error         the agent ran out of memory
    link       agent_error         the agent left something that cannot be an answer: symlink `answer.txt` → `/etc/passwd`
    many       agent_error         the agent left more files, or larger ones, than are collected
    nothing    empty               the agent changed nothing
    pipe       agent_error         the agent left something that cannot be an answer: named pipe `pipe`
    repository resolved     passed 
    up         empty               the agent changed nothing
    wipe       unresolved
    ");
    assert_eq!(sleepers(&mark), [""; 0], "processes were left behind");
    assert_eq!(number(&seed["score"]["counted"]), TASKS.len());
    world.goes_on("demo");
}

/// Returns the command lines on this machine that hold the mark.
fn sleepers(mark: &str) -> Vec<String> {
    let wanted = format!("9876{mark}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(&wanted))
        .collect()
}

#[test]
fn that_prints_100_mb() {
    let world = World::new();
    let flood = "head -c 104857600 /dev/zero | tr '\\0' x\necho yes >answer.txt; echo the end";
    world.task("hello", flood);
    let mut dgm = world
        .command("evolve demo --config dgm.toml --agent agent --quiet")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while dgm.try_wait().unwrap().is_none() {
        peak = peak_kib(dgm.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(dgm.wait().unwrap().success());
    assert!((1..100 << 10).contains(&peak), "it took {peak} KiB");
    let shown = world.json("show demo seed hello --json");
    assert_eq!(shown["evaluation"]["outcome"], "resolved", "{shown}");
    let log = shown["texts"]["agent log"].as_str().unwrap();
    assert!(log.len() < (64 << 10) + 64, "{}", log.len());
    let (head, tail) = log.split_once("\n[… ").unwrap();
    assert!(head.starts_with("xxx") && tail.ends_with("xthe end\n"));
    assert!(
        tail.starts_with("104792072 bytes cut …]\n"),
        "{}",
        &tail[..40]
    );
    world.goes_on("demo");
}
