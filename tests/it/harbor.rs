//! Harbor task directories as their authors write them, in containers: what their keys say
//! happens, doing nothing gets 0 and the reference solution gets 1.

use crate::support::docker::Engines;
use dgm::benchmark::{CheckRow, Checked, Permits, Suite};
use dgm::sys::durable;
use dgm::trial::check;
use std::path::Path;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Files of a task, by path.
type Files = &'static [(&'static str, &'static str)];

/// Says 1 in a shared verifier if `hello.txt` greets.
const GREETED: &str = "#!/bin/bash\n\
    if grep -q Hello /app/hello.txt; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n\
    exit 7\n";
const NO_NETWORK: &str = "[environment]\nnetwork_mode = \"no-network\"\n";
const DOCKERFILE: &str = "FROM debian:bookworm-slim\nWORKDIR /app\n";

/// As in Terminal-Bench: one step, the verifier in the agent's container.
const SHARED: Files = &[
    ("task.toml", NO_NETWORK),
    (
        "instruction.md",
        "<!-- canary 0-0 -->\nGreet in /app/hello.txt.\n",
    ),
    ("environment/Dockerfile", DOCKERFILE),
    ("tests/test.sh", GREETED),
    (
        "solution/solve.sh",
        "#!/bin/bash\necho Hello > /app/hello.txt\n",
    ),
];

/// An image that is there, another user for the agent, no `#!`, mode 644, packages of state.
const USERS: Files = &[
    (
        "task.toml",
        "schema_version = \"1.3\"\n[agent]\nuser = \"solver\"\n[verifier]\nuser = 0\n\
         [environment]\nallow_internet = false\nenv = { COLOR = \"red\" }\ncpus = 0.5\n\
         memory_mb = 256\nstorage_mb = 64\nworkdir = \"/home/solver\"\n\
         [solution]\nenv = { MORE = \"yes\" }\n",
    ),
    ("instruction.md", "Leave a secret.\n"),
    (
        "environment/Dockerfile",
        "FROM debian:bookworm-slim\nRUN useradd --create-home solver\nUSER solver\n",
    ),
    (
        "tests/test.sh",
        "test \"$PWD $(id -u) $COLOR $(cat private/secret)\" = '/home/solver 0 red solver red yes'\n\
         echo '{\"reward\": '$((! $?))', \"extra\": 3}' > /logs/verifier/reward.json\n\
         echo 0.5 > /logs/verifier/reward.txt\n",
    ),
    (
        "solution/solve.sh",
        "umask 077; mkdir private; echo $(id -un) $COLOR $MORE > private/secret\n\
         echo 1 > /logs/verifier/reward.txt\nmkdir -p /tmp/x; exit 0\n",
    ),
];

/// A verifier of its own, from the task's image, that gets the artifacts.
const SEPARATE: Files = &[
    (
        "task.toml",
        "artifacts = [\"/app/out.txt\", { source = \"/srv/data\", exclude = [\"*.log\"], \
         destination = \"d\" }, \"/srv/none\"]\n\
         [verifier]\nenvironment_mode = \"separate\"\nenv = { A = \"${A:-b}\" }\n\
         [[verifier.collect]]\ncommand = \"wc -l < /app/lines > /srv/data/count\"\n\
         [[verifier.collect]]\ncommand = \"exit 3\"\nservice = \"main\"\ntimeout_sec = 5\n\
         [environment]\nnetwork_mode = \"no-network\"\n",
    ),
    ("instruction.md", "Write.\n"),
    (
        "environment/Dockerfile",
        "FROM debian:bookworm-slim\nWORKDIR /app\n\
         RUN mkdir -p /srv/data && echo old > /srv/data/old && printf '1\\n2\\n' > /app/lines\n",
    ),
    (
        "tests/test.sh",
        "#!/bin/sh\ncd /app && cat out.txt lines && ls -d /srv/data/* /logs/artifacts/*\n\
         [ \"$A $(cat out.txt) $(cat /srv/data/count) $(cat /logs/artifacts/n)\" = 'b done 3 note' ] \\\n\
         && [ ! -e /srv/data/x.log ] && [ ! -e /srv/data/old ] && [ ! -e /app/other ] \\\n\
         && [ \"$(wc -l < lines)\" = 2 ] && [ ! -e /tests/planted ]\n\
         echo $((! $?)) > /logs/verifier/reward.txt\n",
    ),
    (
        "solution/solve.sh",
        "#!/bin/sh\necho done > out.txt; echo 3 >> lines; echo other > other; rm /srv/data/old\n\
         echo log > /srv/data/x.log; echo note > /logs/artifacts/n; mkdir /tests; touch /tests/planted\n",
    ),
];

/// A verifier with an image of its own that brings the tests along.
const BUNDLED: Files = &[
    (
        "task.toml",
        "artifacts = [\"/work/answer\"]\n[verifier]\nenvironment_mode = \"separate\"\n\
         [verifier.environment]\nworkdir = \"/\"\n[environment]\nnetwork_mode = \"no-network\"\n",
    ),
    ("instruction.md", "Answer.\n"),
    (
        "environment/Dockerfile",
        "FROM debian:bookworm-slim\nRUN mkdir /work\nWORKDIR /work\n",
    ),
    (
        "tests/Dockerfile",
        "FROM debian:bookworm-slim\nCOPY . /tests\nRUN echo 42 > /expected\n",
    ),
    (
        "tests/test.sh",
        "#!/bin/sh\n[ \"$(cat /work/answer)\" = \"$(cat /expected)\" ] && echo 1 > \
         /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n",
    ),
    (
        "solution/solve.sh",
        "ls /expected 2>/dev/null || echo 42 > answer\n",
    ),
];

/// Two steps in one file system, a set-up, tests of the task and of a step.
const STEPS: Files = &[
    (
        "task.toml",
        "multi_step_reward_strategy = \"mean\"\n[environment]\nnetwork_mode = \"no-network\"\n\
         [[steps]]\nname = \"one\"\nmin_reward = 0.5\n\
         [[steps]]\nname = \"two\"\nhealthcheck = { command = \"test -e /app/ready\", \
         interval_sec = 0.1 }\nverifier = { user = \"root\", timeout_sec = 30 }\n",
    ),
    (
        "environment/Dockerfile",
        "FROM debian:bookworm-slim\nWORKDIR /app\n",
    ),
    ("steps/one/instruction.md", "# canary\n\nFirst.\n"),
    ("steps/one/solution/solve.sh", "echo 1 > first\n"),
    ("steps/two/instruction.md", "Second.\n"),
    ("steps/two/workdir/given.txt", "given\n"),
    ("steps/two/workdir/setup.sh", "touch ready\n"),
    (
        "steps/two/solution/solve.sh",
        "ls /tests /logs/verifier/* 2>/dev/null || cp first second && test -e given.txt\n",
    ),
    (
        "tests/test.sh",
        "#!/bin/sh\nsh /tests/step.sh && echo 1 > /logs/verifier/reward.txt || echo 0 > \
         /logs/verifier/reward.txt\n",
    ),
    ("tests/step.sh", "test -e /app/first\n"),
    ("steps/two/tests/step.sh", "test -e /app/second\n"),
];

/// A service that its image starts and that needs a while.
const SERVICE: Files = &[
    (
        "task.toml",
        "[environment]\nnetwork_mode = \"no-network\"\n[environment.healthcheck]\n\
         command = \"test -e /run/up\"\ninterval_sec = 0.2\nretries = 100\n",
    ),
    ("instruction.md", "Ask the service.\n"),
    (
        "environment/Dockerfile",
        "FROM debian:bookworm-slim\nWORKDIR /app\nCOPY serve.sh /serve.sh\n\
         ENTRYPOINT [\"sh\", \"/serve.sh\"]\n",
    ),
    (
        "environment/serve.sh",
        "sleep 1; touch /run/up; exec \"$@\"\n",
    ),
    (
        "tests/test.sh",
        "#!/bin/sh\ntest -e /app/saw && echo 1 > /logs/verifier/reward.txt || echo 0 > \
         /logs/verifier/reward.txt\n",
    ),
    ("solution/solve.sh", "test -e /run/up && touch saw\n"),
];

struct World {
    folder: TempDir,
    engines: Engines,
}

impl World {
    async fn new(name: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            engines: Engines::connect(name).await,
        }
    }

    fn put(&self, task: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            write(&self.folder.path().join(task).join(path), text);
        }
    }

    async fn check(&self) -> Vec<CheckRow> {
        let suite = Suite::load(self.folder.path()).unwrap();
        if let Some((name, why)) = suite.refused.first() {
            panic!("{name}: {}", why.sentence());
        }
        self.engines.prepare(&suite.tasks).await;
        let cancel = CancellationToken::new();
        let sandbox = &self.engines.sandbox;
        let rows = check(sandbox, &suite, &suite.tasks, 2, &cancel, |_| {}).await;
        assert_eq!(self.engines.left(), "", "nothing is left in the engine");
        rows
    }

    async fn is_good(&self) {
        for row in self.check().await {
            assert!(row.ok, "{}: {}\n{}", row.task, row.detail, row.log);
            assert_eq!(row.nothing_done, Checked::Reward(0.0), "{}", row.task);
            assert_eq!(row.reference, Checked::Reward(1.0), "{}", row.task);
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(path, text.as_bytes()).unwrap();
}

#[tokio::test]
async fn shared_and_separate_verifiers() {
    let world = World::new("verifiers").await;
    world.put("shared", SHARED);
    world.put("users", USERS);
    world.put("separate", SEPARATE);
    world.put("bundled", BUNDLED);
    world.is_good().await;
}

#[tokio::test]
async fn an_agent_cannot_stand_in_for_the_shell_of_a_shared_verifier() {
    let world = World::new("shells").await;
    let names = ["bash", "rm", "sh", "timeout"];
    for name in names {
        // The system's own is named in full: the others may be the agent's.
        let solve = format!(
            "#!/bin/bash\n/bin/cat > /usr/local/bin/{name} <<'END'\n#!/bin/bash\n\
             echo 1 > /logs/verifier/reward.txt\nEND\n/bin/chmod 755 /usr/local/bin/{name}\n"
        );
        world.put(name, SHARED);
        world.put(
            name,
            &[
                ("tests/test.sh", "echo 0 > /logs/verifier/reward.txt\n"),
                ("solution/solve.sh", &solve),
            ],
        );
    }
    let rows = world.check().await;
    let found: Vec<_> = rows.iter().map(|row| row.reference.clone()).collect();
    assert_eq!(found, names.map(|_| Checked::Reward(0.0)), "{rows:?}");
}

#[tokio::test]
async fn steps_and_services() {
    let world = World::new("steps").await;
    world.put("steps", STEPS);
    world.put("service", SERVICE);
    world.is_good().await;
}

#[tokio::test]
async fn large_artifacts_are_taken_where_the_run_allows_it() {
    let world = World::new("large").await;
    world.put("large", SEPARATE);
    let test = "#!/bin/sh\n[ \"$(wc -c < /app/out.txt)\" = 73400320 ]\n\
                echo $((! $?)) > /logs/verifier/reward.txt\n";
    let solve = "#!/bin/sh\nhead -c 70M /dev/zero > out.txt\n";
    world.put(
        "large",
        &[("tests/test.sh", test), ("solution/solve.sh", solve)],
    );
    let mut found = Vec::new();
    for collect in [None, Some(80 << 20)] {
        let permits = Permits {
            collect,
            ..Permits::default()
        };
        let suite = Suite::load_with(world.folder.path(), &permits).unwrap();
        world.engines.prepare(&suite.tasks).await;
        let cancel = CancellationToken::new();
        let sandbox = &world.engines.sandbox;
        let rows = check(sandbox, &suite, &suite.tasks, 1, &cancel, |_| {}).await;
        found.push(rows[0].reference.clone());
    }
    let Checked::NotRun(why) = &found[0] else {
        panic!("{found:?}");
    };
    assert!(
        why.contains("the 64 MiB and 20000 files") && why.contains("`collect_mb`"),
        "{why}"
    );
    assert_eq!(found[1], Checked::Reward(1.0));
}

#[tokio::test]
async fn a_gate_ends_a_trial_and_the_strategy_counts() {
    let world = World::new("gates").await;
    let manifest = |strategy: &str, gate: &str| {
        format!(
            "multi_step_reward_strategy = \"{strategy}\"\n[environment]\n\
             network_mode = \"no-network\"\n[metadata.dgm]\npass_mark = 0.05\n\
             [[steps]]\nname = \"a\"\n{gate}\n[[steps]]\nname = \"b\"\n"
        )
    };
    for (name, strategy, gate, reward) in [
        ("mean", "mean", "", 0.625),
        ("final", "final", "", 1.0),
        ("gated-mean", "mean", "min_reward = 0.5", 0.25),
        (
            "gated-final",
            "final",
            "min_reward = { reward = 0.5 }",
            0.25,
        ),
        ("passed", "mean", "min_reward = { reward = 0.25 }", 0.625),
        ("unknown", "mean", "min_reward = { speed = 0.1 }", 0.25),
    ] {
        world.put(
            name,
            &[
                ("task.toml", manifest(strategy, gate).as_str()),
                ("environment/Dockerfile", DOCKERFILE),
                ("steps/a/instruction.md", "A\n"),
                ("steps/b/instruction.md", "B\n"),
                ("steps/a/solution/solve.sh", "touch done\n"),
                ("steps/b/solution/solve.sh", "touch done\n"),
                (
                    "steps/a/tests/test.sh",
                    "[ -e done ] && r=0.25 || r=0; echo $r > /logs/verifier/reward.txt\n",
                ),
                (
                    "steps/b/tests/test.sh",
                    "[ -e done ] && r=1 || r=0; echo $r > /logs/verifier/reward.txt\n",
                ),
            ],
        );
        let suite = Suite::load(&world.folder.path().join(".")).unwrap();
        world.engines.prepare(&suite.tasks).await;
        let tasks = suite.select(&[name.to_owned()]).unwrap();
        let cancel = CancellationToken::new();
        let rows = check(&world.engines.sandbox, &suite, &tasks, 1, &cancel, |_| {}).await;
        assert_eq!(
            rows[0].reference,
            Checked::Reward(reward),
            "{name}: {}",
            rows[0].detail
        );
    }
}

#[tokio::test]
async fn a_verifier_that_misbehaves_disturbs_no_other() {
    let world = World::new("garbage").await;
    let bad = |name: &str, manifest: &str, test: &str| {
        world.put(
            name,
            &[
                (
                    "task.toml",
                    format!("{manifest}{NO_NETWORK}storage_mb = 64\n").as_str(),
                ),
                ("instruction.md", "Do.\n"),
                ("environment/Dockerfile", DOCKERFILE),
                ("tests/test.sh", test),
                ("solution/solve.sh", "touch x\n"),
            ],
        );
    };
    let reward = "/logs/verifier/reward";
    bad("nothing", "", "exit 0\n");
    bad("words", "", &format!("echo well done > {reward}.txt\n"));
    bad(
        "nan",
        "",
        &format!("echo '{{\"reward\": NaN}}' > {reward}.json\n"),
    );
    bad(
        "large",
        "",
        &format!("head -c 100000 /dev/zero > {reward}.txt\n"),
    );
    bad(
        "gigabytes",
        "",
        &format!(
            "echo 1 > {reward}.txt; n=0; while :; do n=$((n + 1)); head -c 8M /dev/zero > /logs/verifier/f$n; done\n"
        ),
    );
    bad(
        "output",
        "",
        &format!("head -c 50M /dev/urandom; echo 1 > {reward}.txt\n"),
    );
    bad(
        "endless",
        "[verifier]\ntimeout_sec = 2\n",
        "trap '' TERM; while :; do sleep 1; done\n",
    );
    bad("link", "", &format!("ln -s /etc/hostname {reward}.txt\n"));
    bad("device", "", &format!("mkfifo {reward}.txt\n"));
    bad(
        "good",
        "",
        &format!("[ -e x ] && r=1 || r=0; echo $r > {reward}.txt\n"),
    );
    let rows = world.check().await;
    let said: Vec<String> = rows
        .iter()
        .map(|row| match &row.reference {
            Checked::Reward(reward) => format!("{}: {reward}", row.task),
            Checked::NoReward(why) | Checked::NotRun(why) => format!("{}: {why}", row.task),
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[tokio::test]
async fn a_dockerfile_that_fails_disturbs_no_other() {
    let world = World::new("broken").await;
    world.put("good", SHARED);
    world.put("broken", SHARED);
    world.put(
        "broken",
        &[(
            "environment/Dockerfile",
            "FROM debian:bookworm-slim\nRUN echo no luck; exit 3\n",
        )],
    );
    let suite = Suite::load(world.folder.path()).unwrap();
    let made = world.engines.try_prepare(&suite.tasks).await;
    let failed: Vec<&String> = made.iter().filter_map(|(_, why)| why.as_ref()).collect();
    assert_eq!((made.len(), failed.len()), (2, 1));
    assert!(failed[0].contains("no luck"), "{}", failed[0]);
    let cancel = CancellationToken::new();
    let rows = check(
        &world.engines.sandbox,
        &suite,
        &suite.tasks,
        2,
        &cancel,
        |_| {},
    )
    .await;
    assert_eq!((rows[0].task.as_str(), rows[0].ok), ("broken", false));
    assert!(
        rows[0].detail.contains("is not there"),
        "{}",
        rows[0].detail
    );
    assert!(rows[1].ok, "{}", rows[1].detail);
}
