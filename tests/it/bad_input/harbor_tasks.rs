//! Task directories with every kind of defect: each is refused by name, and none is passed over.

use crate::support::docker::docker;
use dgm::benchmark::{Suite, Task};
use dgm::sandbox::docker::ARCHIVE_LABEL;
use dgm::sys::durable;
use insta::assert_snapshot;
use std::path::Path;

/// Writes a good task with one file replaced, and says why it is refused.
fn refusal(changes: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let task = folder.path().join("task");
    write(&task, changes);
    match Task::load(&task) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.sentence(),
    }
}

fn write(task: &Path, changes: &[(&str, &str)]) {
    let good = [
        ("task.toml", ""),
        ("instruction.md", "Do it.\n"),
        ("environment/Dockerfile", "FROM debian:bookworm-slim\n"),
        ("tests/test.sh", "echo 1 > /logs/verifier/reward.txt\n"),
    ];
    for (path, text) in good.iter().chain(changes) {
        let path = task.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if *text == "(missing)" {
            std::fs::remove_file(path).unwrap();
        } else {
            durable::write(&path, text.as_bytes()).unwrap();
        }
    }
}

/// Returns each text with what it is answered, one after the other.
fn table(texts: &[&str], refusal: impl Fn(&str) -> String) -> String {
    let mut table = String::new();
    for text in texts {
        let answer = refusal(text);
        assert_ne!(answer, "accepted", "{text}");
        table.extend([text.replace('\n', " | "), format!("\n    {answer}\n")]);
    }
    table
}

const AT_THE_TOP: &[&str] = &[
    "version = ",
    "a = 1\na = 2",
    "version = 1.0",
    "schema_version = 1",
    "task = 3",
    "[task]\ndescription = 'x'",
    "[task]\nname = 'hello'",
    "[task]\nname = 'a/../b'",
    "artifacts = 'x'",
    "artifacts = [3]",
    "artifacts = ['relative']",
    "artifacts = ['/a/../b']",
    "artifacts = ['/']",
    "artifacts = [{ destination = 'x' }]",
    "artifacts = [{ source = '/x', service = 'db' }]",
    "artifacts = [{ source = '/x', destination = '../x' }]",
    "artifacts = [{ source = '/x', destination = 'manifest.json' }]",
    "artifacts = [{ source = '/x', exclude = 'y' }]",
    "steps = 3",
    "steps = [3]",
    "[[steps]]",
    "[[steps]]\nname = ''",
    "[[steps]]\nname = '../x'",
    "[[steps]]\nname = 'CON'",
    "[[steps]]\nname = 'a.'",
    "[[steps]]\nname = 'a'",
    "[[steps]]\nname = 'a'\n[[steps]]\nname = 'A'",
    "[[steps]]\nname = 'a'\nmin_reward = 'x'",
    "[[steps]]\nname = 'a'\nmin_reward = { reward = nan }",
    "multi_step_reward_strategy = 'best'",
    "multi_step_reward_strategy = 1",
];

const ENVIRONMENT: &[&str] = &[
    "os = 'windows'",
    "gpus = 1",
    "gpu_types = ['H100']",
    "tpu = { type = 'v6e', topology = '2x4' }",
    "mcp_servers = [{ name = 'x' }]",
    "skills_dir = '/skills'",
    "docker_image = '-v'",
    "docker_image = 3",
    "network_mode = 'public'",
    "network_mode = 'allowlist'",
    "network_mode = 'none'",
    "network_mode = 1",
    "allowed_hosts = ['a.org']",
    "network_mode = 'allowlist'\nallowed_hosts = ['a.org']",
    "allow_internet = true",
    "allow_internet = 'no'",
    "workdir = 'app'",
    "workdir = '/a/../tests'",
    "workdir = '/logs/verifier'",
    "workdir = '/tests'",
    "workdir = '/proc/1'",
    "cpus = 0",
    "cpus = inf",
    "cpus = '2'",
    "memory = '4GB'",
    "memory = '4096'",
    "memory = '1G'\nmemory_mb = 1000",
    "memory_mb = '1'",
    "memory_mb = 0",
    "memory_mb = -1",
    "storage = 'much'",
    "storage_mb = 1.5",
    "build_timeout_sec = 0",
    "env = { A = 1 }",
    "env = { 'A B' = '1' }",
    "env = { KEY = '${API_KEY}' }",
    "healthcheck = 'curl'",
    "healthcheck = { }",
    "healthcheck = { command = ' ' }",
    "healthcheck = { command = 'x', interval_sec = -1 }",
    "healthcheck = { command = 'x', retries = -1 }",
];

const PHASES: &[&str] = &[
    "[agent]\ntimeout_sec = '1'",
    "[agent]\ntimeout_sec = 0",
    "[agent]\nuser = ''",
    "[agent]\nuser = '-x'",
    "[agent]\nuser = -1",
    "[agent]\nuser = true",
    "[agent]\nnetwork_mode = 'public'",
    "[verifier]\ntimeout_sec = -1.5",
    "[verifier]\ntimeout_sec = 1e99",
    "[verifier]\nenvironment_mode = 'both'",
    "[verifier]\nenvironment_mode = 'shared'\n[verifier.environment]\ncpus = 1",
    "[verifier.environment]\nos = 'windows'",
    "[verifier]\ncollect = 3",
    "[[verifier.collect]]\nservice = 'main'",
    "[[verifier.collect]]\ncommand = 'x'\nservice = 'db'",
    "[[verifier.collect]]\ncommand = 'x'\ntimeout_sec = 0",
    "[solution]\nenv = [1]",
];

const OWN: &[&str] = &[
    "local = true",
    "workspace = '../secret'",
    "workspace = 'environment/../tests'",
    "workspace = 'environment/none'\nlocal = true",
    "image = '-v'\nanswer = []",
    "answer = 'a'",
    "answer = ['/a']",
    "answer = ['../a']",
    "answer = ['a']\npass_mark = 0",
    "answer = ['a']\npass_mark = nan",
    "answer = ['a']\ntests_expected = -1",
    "answer = ['a']\nsealed = 1",
    "answer = ['a']\n[verifier]\nenvironment_mode = 'shared'",
    "answer = ['a']\n[[verifier.collect]]\ncommand = 'x'",
    "answer = ['a']\n[verifier.environment]\ncpus = 1",
    "answer = ['a']\n[[steps]]\nname = 'a'",
];

#[test]
fn a_task_toml_with_a_defect() {
    assert_snapshot!(
        "at_the_top",
        table(AT_THE_TOP, |text| refusal(&[("task.toml", text)]))
    );
    assert_snapshot!(
        "environment",
        table(ENVIRONMENT, |text| {
            refusal(&[("task.toml", &format!("[environment]\n{text}"))])
        })
    );
    assert_snapshot!(
        "phases",
        table(PHASES, |text| refusal(&[("task.toml", text)]))
    );
    assert_snapshot!(
        "own",
        table(OWN, |text| {
            refusal(&[("task.toml", &format!("[metadata.dgm]\n{text}"))])
        })
    );
}

#[test]
fn files_that_are_missing_or_too_much() {
    let cases: &[&[(&str, &str)]] = &[
        &[("task.toml", "(missing)")],
        &[("instruction.md", "(missing)")],
        &[("instruction.md", "<!-- canary 1 -->\n\n")],
        &[("tests/test.sh", "(missing)")],
        &[("tests/test.sh", "(missing)"), ("tests/test.bat", "x")],
        &[("environment/Dockerfile", "(missing)")],
        &[("trajectory.json", "{}")],
        &[(
            "environment/docker-compose.yaml",
            "services: { main: {}, db: {} }",
        )],
        &[(
            "environment/docker-compose.yaml",
            "services: { main: { privileged: true } }",
        )],
        &[
            ("task.toml", "[[steps]]\nname = 'a'"),
            ("steps/b/instruction.md", "x"),
        ],
        &[
            ("task.toml", "[[steps]]\nname = 'a'"),
            ("steps/a/instruction.md", "x"),
            ("tests/test.sh", "(missing)"),
        ],
        &[
            ("task.toml", "[verifier]\nenvironment_mode = 'separate'"),
            ("tests/docker-compose.yaml", "services: { main: {} }"),
        ],
        &[
            ("task.toml", "[metadata.dgm]\nanswer = ['a']"),
            ("tests/Dockerfile", "FROM debian:bookworm-slim"),
        ],
    ];
    let said: Vec<String> = cases.iter().map(|changes| refusal(changes)).collect();
    assert_snapshot!(said.join("\n"));
}

#[test]
fn folders_that_hold_what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["link", "pipe", "bytes", "none", "good"] {
        write(&folder.path().join(name), &[]);
    }
    let at = |path: &str| folder.path().join(path);
    std::os::unix::fs::symlink("/etc/passwd", at("link/tests/passwd")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe/environment/p"),
        pipe,
        0o600.into(),
        0,
    )
    .unwrap();
    durable::write(&at("bytes/instruction.md"), &[0x61, 0xff]).unwrap();
    std::fs::remove_dir_all(at("none")).unwrap();
    std::fs::create_dir(at("none")).unwrap();
    std::os::unix::fs::symlink(at("good"), at("alias")).unwrap();
    let suite = Suite::load(folder.path()).unwrap();
    let names: Vec<&str> = suite.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(names, ["good"]);
    let said = suite.refused.iter();
    let said: Vec<String> = said
        .map(|(name, why)| format!("{name}: {}", why.sentence()))
        .collect();
    assert_snapshot!(said.join("\n"));
}

/// A verifier in what the agent left.
const SHARED: &str = "[environment]\nnetwork_mode = \"no-network\"\nstorage_mb = 48\n[agent]\n\
    timeout_sec = 8\n[verifier]\ntimeout_sec = 20\n";
const GREETED: &str = "#!/bin/bash\n. /tests/lib.sh\n\
    if [ \"$(cat /app/hello.txt)\" = hello ]; then good; else bad; fi\n";
const LIB: &str = "good() { echo 1 > /logs/verifier/reward.txt; }\n\
    bad() { echo 0 > /logs/verifier/reward.txt; }\n";

/// Agents on tasks of Harbor's kind, in containers: each ends as the table of outcomes says,
/// whatever an agent tries, and nothing of it is left in the engine.
#[test]
fn agents_on_harbor_tasks_end_as_they_deserve() {
    let world = super::world::World::new();
    let tasks: &[(&str, &str, &str)] = &[
        ("right", "resolved", "echo hello > /app/hello.txt"),
        ("wrong", "unresolved", "echo bye > /app/hello.txt"),
        ("idle", "empty", "cat /etc/hostname"),
        (
            "crash",
            "agent_error",
            "echo hello > /app/hello.txt; exit 3",
        ),
        ("late", "timeout", "echo hello > /app/hello.txt; sleep 60"),
        (
            "disk",
            "agent_error",
            "while :; do n=$((n + 1)); head -c 4M /dev/zero > /app/f$n; done",
        ),
        (
            "forge",
            "unresolved",
            "mkdir -p /tests /logs/verifier; echo 1 > /logs/verifier/reward.txt; \
             echo '{\"reward\": 1}' > /logs/verifier/reward.json; \
             echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh; \
             echo 'bad() { good; }' > /tests/zz.sh; chmod +x /tests/test.sh; chmod -R a-w /tests",
        ),
        (
            "outlive",
            "unresolved",
            "(while :; do sleep 0.1; echo 1 > /logs/verifier/reward.txt; done) > /dev/null 2>&1 & \
             echo x > /app/x",
        ),
        (
            "break",
            "agent_error",
            "echo x > /app/x; rm -f /bin/bash /usr/bin/bash",
        ),
    ];
    for (name, _, commands) in tasks {
        world.task(name, commands);
        let task = format!("bench/{name}");
        world.put(&format!("{task}/task.toml"), SHARED);
        world.put(&format!("{task}/tests/test.sh"), GREETED);
        world.put(&format!("{task}/tests/lib.sh"), LIB);
        world.put(
            &format!("{task}/environment/Dockerfile"),
            "FROM debian:bookworm-slim\nWORKDIR /app\n",
        );
    }
    let names: Vec<&str> = tasks.iter().map(|(name, ..)| *name).collect();
    world.stage(&names);
    world.edit("dgm.toml", "workers = 1", "workers = 2");
    world.edit("dgm.toml", "backend = \"local\"", "backend = \"docker\"");
    let said = world.run("evolve demo --config dgm.toml --agent agent --quiet");
    assert_eq!(said.code, 0, "{}", said.err);
    for (name, outcome, _) in tasks {
        let shown = world.run(&format!("show demo seed {name} --json"));
        let shown: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
        let evaluation = &shown["evaluation"];
        assert_eq!(evaluation["outcome"], *outcome, "{name}: {evaluation}");
        let passes = matches!(*name, "right" | "late");
        assert_eq!(evaluation["passed"], passes, "{name}: {evaluation}");
    }
    let archive = dgm::archive::Reader::open(&world.path("demo")).unwrap();
    let filter = format!("label={ARCHIVE_LABEL}={}", archive.id());
    for what in ["ps", "images"] {
        let left = docker(&[what, "--all", "--quiet", "--filter", &filter]);
        assert_eq!(left, "", "{what}");
    }
    world.goes_on("demo");
}
