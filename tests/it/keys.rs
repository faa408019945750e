//! Keys of providers: nothing that a run writes, says or starts has them.

use crate::support::{Plan, Running, Upstream, World, names};
use dgm::archive::Reader;
use dgm::sys::durable;
use parquet::file::reader::SerializedFileReader;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text"]],
    generations: 1,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

const FROM_ENV: &str = "sk-env-7Qm2xW0aVbT9cRkZ4LdY";
const FROM_FILE: &str = "sk-file-u83HnPqJ5sEoGf1XiMt6";
/// A key that the server does not take, and says back.
const REFUSED: &str = "sk-no-D0wKz7yBvC3rNhA9Fj2e";

/// What an agent begins with that looks for keys wherever it can read. It knows them backwards,
/// so that its own source does not hold what is looked for.
const SPY: &str = r#"
import os as _os

def _spy():
    keys = [word[::-1].encode() for word in (%WORDS%)]
    seen = 0
    def look(where, data):
        if any(key in data for key in keys):
            print("GAINED", where, flush=True)
    look("environment", repr(_os.environ).encode())
    for top, folders, files in _os.walk("/"):
        folders[:] = [f for f in folders if _os.path.join(top, f) not in ("/usr", "/sys", "/lib")]
        for name in files:
            path = _os.path.join(top, name)
            if top.startswith("/proc") and name not in ("environ", "cmdline", "maps", "mountinfo"):
                continue
            try:
                if not _os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    data = file.read(1 << 20)
            except OSError:
                continue
            look(path, data)
            seen += 1
    print("SEARCHED", seen, flush=True)

_spy()
"#;

/// A world with a server that takes both keys, whose agents are spies. The diagnosing model is a
/// program that writes its environment down.
fn spied(plan: &Plan) -> (World, Upstream) {
    let world = World::new(plan);
    let upstream = Upstream::start(world.path("."), &[FROM_ENV, FROM_FILE]);
    let program = format!("command = [{:?}]\n", world.path("model.sh"));
    for (role, key) in [
        ("modify", "api_key_env = \"MODEL_KEY\""),
        ("solve", "api_key_file = \"../key\""),
    ] {
        let old = format!(
            "[models.{role}]\nprovider = \"command\"\nmodel = \"scripted\"\nfree = true\n{program}"
        );
        let url = upstream.url();
        let new = format!(
            "[models.{role}]\nprovider = \"openai\"\nmodel = \"scripted\"\nfree = true\n\
             base_url = {url:?}\n{key}\n"
        );
        world.configure(&old, &new);
    }
    durable::write(&world.path("key"), format!("{FROM_FILE}\n").as_bytes()).unwrap();
    world.edit(
        "model.sh",
        "#!/bin/sh\n",
        "#!/bin/sh\nenv >>\"${0%/*}/environment-of-the-program\"\n",
    );
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/base");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(base)
        .arg(world.path("spy"))
        .status();
    assert!(copied.unwrap().success());
    let backwards = |key: &str| format!("{:?}", key.chars().rev().collect::<String>());
    let words = [FROM_ENV, FROM_FILE].map(backwards).join(", ");
    let spy = SPY.replace("%WORDS%", &words);
    let main = world.path("spy/agent/__main__.py");
    let text = std::fs::read_to_string(&main).unwrap();
    durable::write(
        &main,
        format!("{text}\n")
            .replacen("\nimport ", &format!("\n{spy}\nimport "), 1)
            .as_bytes(),
    )
    .unwrap();
    world.configure("[benchmark]", "seed_agent = \"spy\"\n[benchmark]");
    (world, upstream)
}

/// Asserts that no key stands in there.
fn assert_clean(what: &str, bytes: &[u8]) {
    for key in [FROM_ENV, FROM_FILE, REFUSED] {
        let is_found = bytes.windows(key.len()).any(|part| part == key.as_bytes());
        assert!(!is_found, "{what} holds the key {key}");
    }
}

/// Asserts it of every file below a folder, compressed ones included, but the key's own.
fn assert_clean_files(folder: &Path, seen: &mut BTreeSet<String>) {
    for name in names(folder) {
        let path = folder.join(&name);
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            assert_clean_files(&path, seen);
        } else if kind.is_file() && name != "key" {
            let shown = path.display().to_string();
            let bytes = std::fs::read(&path).unwrap();
            if name.ends_with(".zst") {
                let whole = zstd::decode_all(&bytes[..]).unwrap();
                assert_clean(&shown, &whole);
            }
            assert_clean(&shown, &bytes);
            seen.insert(shown);
        }
    }
}

/// Looks at the environments of everything that a process has started, until it ends; returns
/// how many processes were looked at.
fn watch_children(run: &mut Running) -> usize {
    let mut looked_at = BTreeSet::new();
    while run
        .ended_within(std::time::Duration::from_millis(2))
        .is_none()
    {
        let mut parents = BTreeMap::new();
        for pid in names(Path::new("/proc")) {
            let Ok(pid) = pid.parse::<i32>() else {
                continue;
            };
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit(')')
                .next()
                .and_then(|rest| rest.split_whitespace().nth(1));
            parents.insert(
                pid,
                parent.and_then(|parent| parent.parse().ok()).unwrap_or(0),
            );
        }
        for pid in parents.keys() {
            let mut above = std::iter::successors(parents.get(pid), |pid| parents.get(*pid));
            if !above.any(|parent| *parent == run.pid()) {
                continue;
            }
            for file in ["environ", "cmdline"] {
                let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                // Between its fork and its start a process is a copy of this program.
                let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                if !program.ends_with("dgm") {
                    assert_clean(&format!("{file} of {}", program.display()), &bytes);
                    looked_at.insert(*pid);
                }
            }
        }
    }
    looked_at.len()
}

/// `least`: how many processes a run starts that can be looked at.
fn assert_no_key_gets_out(world: &World, upstream: &Upstream, least: usize) {
    let trace = [("MODEL_KEY", REFUSED), ("RUST_LOG", "trace")];
    let mut refused = world.start_with("evolve refused --config config.toml", &trace);
    assert_eq!(refused.code(), Some(4), "{}", last(&refused));
    assert!(refused.talk().contains("answers 401"), "{}", last(&refused));

    let trace = [("MODEL_KEY", FROM_ENV), ("RUST_LOG", "trace")];
    let mut run = world.start_with("evolve demo --config config.toml", &trace);
    let children = watch_children(&mut run);
    assert_eq!(run.code(), Some(0), "{}", last(&run));
    assert!(children >= least, "{children}");
    assert!(upstream.asked() > 10);

    let reader = Reader::open(&world.path("demo")).unwrap();
    let lineage = reader.lineage().unwrap();
    let evaluations = lineage.evaluations().map(|found| &found.agent_log);
    let ends = lineage
        .attempts()
        .filter_map(|attempt| attempt.end.as_ref());
    let logs = evaluations.chain(ends.map(|end| &end.log)).flatten();
    let mut searched = 0;
    for log in logs {
        let log = String::from_utf8(reader.blob(log).unwrap()).unwrap();
        assert!(
            log.contains("SEARCHED ") && !log.contains("GAINED"),
            "{log}"
        );
        searched += 1;
    }
    assert!(searched > 1, "{searched}");

    let facts = format!("{:?}", reader.facts().unwrap());
    assert_clean("the facts", facts.as_bytes());
    let git = Command::new("git")
        .args(["cat-file", "--batch-all-objects", "--batch"])
        .current_dir(world.path("demo/agents.git"))
        .output()
        .unwrap();
    assert!(git.status.success());
    assert_clean("the repository", &git.stdout);
    for line in [
        "tree demo --json",
        "show demo 0 --json",
        "show demo 1 --attempt --json",
        "show demo 1 --full",
        "show demo 1 --attempt --full",
        "show demo 0 missing-rebate --full",
        "cost demo",
        "cost demo --by role,model,variant,attempt,task,day",
        "cost demo --json",
        "cost refused",
        "cost refused --json",
        "show refused 0 --full",
        "doctor demo --json",
    ] {
        assert!(says_no_key(world, line), "{line}");
    }
    assert_exports_are_clean(world);
    let mut seen = BTreeSet::new();
    assert_clean_files(&world.path("."), &mut seen);
    for part in ["archive.db", ".zst", "environment-of-the-program", "talk-"] {
        assert!(
            seen.iter().any(|file| file.contains(part)),
            "{part}: {seen:?}"
        );
    }
}

/// Runs a command line that has the key in its environment, and asserts that it says none;
/// returns whether it succeeded.
fn says_no_key(world: &World, line: &str) -> bool {
    let mut command = world.command(line);
    let said = command.env("MODEL_KEY", FROM_ENV).output().unwrap();
    assert_clean(line, &said.stdout);
    assert_clean(line, &said.stderr);
    said.status.success()
}

/// Every format, to standard output or into the world, where every file is looked at later.
fn assert_exports_are_clean(world: &World) {
    for format in ["csv", "parquet", "harbor", "atif"] {
        let line = format!("export demo 0 --format {format} --out out-{format}");
        assert!(says_no_key(world, &line), "{line}");
        assert!(world.path(&format!("out-{format}")).exists(), "{line}");
    }
    assert!(says_no_key(world, "export demo --format csv"));
    assert!(says_no_key(world, "export demo 1 --attempt --format atif"));
    // Its columns are compressed.
    let table = std::fs::File::open(world.path("out-parquet")).unwrap();
    let rows = SerializedFileReader::new(table).unwrap().into_iter();
    let rows: Vec<String> = rows.map(|row| row.unwrap().to_string()).collect();
    assert!(!rows.is_empty());
    assert_clean("the table", rows.join("\n").as_bytes());
    // These are of instances of SWE-bench alone; what is said instead holds no key either.
    for format in ["predictions", "preds", "swebench-report"] {
        let line = format!("export demo 0 --format {format} --out out-{format}");
        assert!(!says_no_key(world, &line), "{line}");
    }
}

/// The end of what it said: with everything logged it says a lot.
fn last(run: &Running) -> String {
    let talk = run.talk();
    talk.lines().rev().take(20).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_key_gets_out_of_a_run() {
    let (world, upstream) = spied(&PLAN);
    assert_no_key_gets_out(&world, &upstream, 10);
}

#[test]
fn no_key_gets_out_of_a_run_in_containers() {
    let (world, upstream) = spied(&Plan {
        stages: &[&["missing-rebate"]],
        attempts: 1,
        backend: "docker",
        ..PLAN
    });
    // Needs an engine and its base image: `tests/bring docker`.
    world.done("bench build dgm-smoke --network host");
    // The engine starts the containers; this program starts the diagnosing model alone.
    assert_no_key_gets_out(&world, &upstream, 1);
}

/// Another process of the same user can read neither memory nor environment of this program.
#[test]
fn the_process_is_closed_to_others_of_its_user() {
    const NOBODY: u32 = 65_534;
    let world = World::new(&PLAN);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(world.path("."), open).unwrap();
    let as_nobody = |mut command: Command| {
        command.uid(NOBODY).gid(NOBODY);
        command
    };
    let made = as_nobody(world.command("init demo --config config.toml"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let socket = world.path("s");
    let line = format!("gateway demo --role solve --socket {}", socket.display());
    let mut gateway = as_nobody(world.command(&line))
        .env("MODEL_KEY", FROM_ENV)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        assert!(
            gateway.try_wait().unwrap().is_none(),
            "it serves until it is interrupted"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let read = |pid: u32, file: &str| {
        let mut cat = Command::new("cat");
        cat.arg(format!("/proc/{pid}/{file}"));
        as_nobody(cat).output().unwrap()
    };
    let told = ["environ", "maps", "mem"].map(|file| read(gateway.id(), file));
    let limits = read(gateway.id(), "limits");
    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    let mut other = as_nobody(sleep).spawn().unwrap();
    let control = read(other.id(), "environ");
    for process in [&mut gateway, &mut other] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert!(
        control.status.success(),
        "another process of the user can be read: {control:?}"
    );
    for said in told {
        assert!(!said.status.success() && said.stdout.is_empty(), "{said:?}");
    }
    let limits = String::from_utf8(limits.stdout).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
