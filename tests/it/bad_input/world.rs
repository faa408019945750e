//! A folder with an obedient agent, a benchmark, a model and a configuration, in which one
//! thing can be spoiled.

use crate::support::Program;
use dgm::sys::durable;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Does what its instruction says in the lines that begin with `do: `, and what the gates ask
/// of every agent.
const AGENT: &str = "sed -n 's/^do: //p' \"$DGM_INSTRUCTION\" >\"$DGM_SCRATCH/do\"\n\
    [ -s \"$DGM_SCRATCH/do\" ] || echo hello >hello.txt\n\
    exec sh \"$DGM_SCRATCH/do\"\n";
const AGENT_TOML: &str =
    "[agent]\nname = \"obedient\"\nprotocol = 1\ncommand = [\"sh\", \"/agent/agent.sh\"]\n";
const TASK_TOML: &str = "[metadata.dgm]\nworkspace = \"environment/workspace\"\nlocal = true\n\
    image = \"dgm-smoke\"\n\n[environment]\nnetwork_mode = \"no-network\"\nmemory_mb = 128\nworkdir = \"/workspace\"\n\n\
    [agent]\ntimeout_sec = 60\n";
const VERIFY: &str = "echo 'ok 1 - asked'\n\
    if [ \"$(cat answer.txt)\" = yes ]; then echo 1; else echo 0; fi >/logs/verifier/reward.txt\n";
const CONFIG: &str = r#"[benchmark]
path = "bench"

[[stages]]
tasks = ["hello"]

[evolve]
generations = 0
workers = 1
barrier = true
attempts_per_generation = 1
grace_sec = 0
infra_retries = 0

[policy]
selection = "score_child_prop"

[sandbox]
backend = "local"
memory_mb = 256
disk_mb = 160
log_kb = 64

[models.diagnose]
provider = "command"
model = "told"
free = true
command = ["sh", "FOLDER/model.sh"]

[models.modify]
provider = "command"
model = "silent"
free = true
command = ["false"]

[models.solve]
provider = "command"
model = "silent"
free = true
command = ["false"]
"#;

/// The folder.
pub(super) struct World {
    folder: TempDir,
}

/// What the program said.
pub(super) struct Said {
    /// Exit code.
    pub(super) code: i32,
    /// Data.
    pub(super) out: String,
    /// Talk, with the folder and digests hidden.
    pub(super) err: String,
}

impl World {
    /// Returns one in which everything is right: the benchmark has the task `hello`.
    pub(super) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        world.put("agent/agent.toml", AGENT_TOML);
        world.put("agent/agent.sh", AGENT);
        world.task("hello", "echo yes >answer.txt");
        let folder = world.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        world.put("dgm.toml", &CONFIG.replace("FOLDER", folder));
        let ask = "n=1\nwhile [ -e FOLDER/asked-$n ]; do n=$((n + 1)); done\n\
            : >FOLDER/asked-$n\ncat FOLDER/proposal-$n\n";
        world.put("model.sh", &ask.replace("FOLDER", folder));
        world
    }

    /// Returns the path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(super) fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, text.as_bytes()).unwrap();
    }

    /// Changes a file by replacing a part that it must have.
    pub(super) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "no `{from}` in {text}");
        self.put(name, &text.replacen(from, to, 1));
    }

    /// Writes a task whose instruction makes the agent run shell commands.
    pub(super) fn task(&self, name: &str, commands: &str) {
        let orders = commands.lines().map(|line| format!("do: {line}\n"));
        let task = format!("bench/{name}");
        self.put(
            &format!("{task}/instruction.md"),
            &orders.collect::<String>(),
        );
        self.put(&format!("{task}/task.toml"), TASK_TOML);
        self.put(&format!("{task}/tests/test.sh"), VERIFY);
        self.put(&format!("{task}/environment/workspace/kept.txt"), "kept\n");
    }

    /// Makes the list of the first stage's tasks.
    pub(super) fn stage(&self, tasks: &[&str]) {
        self.edit(
            "dgm.toml",
            "tasks = [\"hello\"]",
            &format!("tasks = {tasks:?}"),
        );
    }

    /// Writes what the model proposes: for each attempt a title, and commands that the parent
    /// runs on its own source.
    pub(super) fn proposals(&self, proposals: &[(&str, &str)]) {
        for (number, (title, commands)) in (1..).zip(proposals) {
            let orders = commands.lines().map(|line| format!("do: {line}\n"));
            let proposal = json!({
                "log_summarization": "It did as told.",
                "potential_improvements": ["Do more."],
                "improvement_proposal": "Do more.",
                "implementation_suggestion": "As described.",
                "problem_description": format!("{title}\n\n{}", orders.collect::<String>()),
            });
            let reply = json!({
                "choices": [{
                    "message": {"role": "assistant", "content": proposal.to_string()},
                    "finish_reason": "stop",
                }],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            });
            self.put(&format!("proposal-{number}"), &reply.to_string());
        }
        let count = proposals.len();
        self.edit("dgm.toml", "generations = 0", "generations = 1");
        self.edit(
            "dgm.toml",
            "attempts_per_generation = 1",
            &format!("attempts_per_generation = {count}"),
        );
    }

    /// Returns the program in this world.
    pub(super) fn program(&self) -> Program {
        Program::new(self.folder.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", self.path("run").to_str().unwrap())
    }

    /// Returns a command line of the program, to be started.
    pub(super) fn command(&self, line: &str) -> Command {
        self.program().command(line)
    }

    /// Runs a command line.
    pub(super) fn run(&self, line: &str) -> Said {
        self.said(self.command(line))
    }

    /// Runs a command to its end.
    pub(super) fn said(&self, mut command: Command) -> Said {
        let output = command.output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: self.redacted(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Runs a command line that must be refused, and returns all of its talk with the exit
    /// code; it has no data.
    pub(super) fn refused(&self, line: &str) -> String {
        refusal(&self.run(line))
    }

    /// Runs a command line that must do its work, and returns its data.
    pub(super) fn done(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {}", said.err);
        said.out
    }

    /// Runs a command line that must do its work, and returns its data as JSON.
    pub(super) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(line)).unwrap()
    }

    /// Makes the archive `demo`, runs it until its goal is reached.
    pub(super) fn grow(&self) {
        self.done("evolve demo --config dgm.toml --agent agent");
    }

    /// Checks that the archive is in order and that a run goes on with it to its goal.
    pub(super) fn goes_on(&self, dir: &str) {
        assert_eq!(
            self.done(&format!("fsck {dir}")),
            "the archive is in order\n"
        );
        self.done(&format!("evolve {dir}"));
        assert_eq!(
            self.done(&format!("fsck {dir}")),
            "the archive is in order\n"
        );
    }

    /// Returns the names in the folder that begin with a prefix.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    fn redacted(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let text = text.replace(folder.to_str().unwrap(), "FOLDER");
        hide_temporary(&hide_digests(&text))
    }
}

/// Returns the talk and the exit code of a command that was refused and has no data.
pub(super) fn refusal(said: &Said) -> String {
    assert_eq!(said.out, "", "{}", said.err);
    format!("{}exit {}", said.err, said.code)
}

/// Returns the number of a process in a text, hidden.
pub(super) fn hide(text: &str, pid: u32) -> String {
    text.replace(&pid.to_string(), "PID")
}

fn hide_digests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for char in text.chars().chain(['\0']) {
        if char.is_ascii_hexdigit() {
            run.push(char);
            continue;
        }
        out.push_str(if run.len() == 64 { "DIGEST" } else { &run });
        run.clear();
        out.push(char);
    }
    out.pop();
    out
}

/// Hides the random ends of the names of temporary files.
fn hide_temporary(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let end = |text: &str, mark: &str| text.find(mark).map(|at| at + mark.len());
    while let Some(at) = [".init-", "/.tmp"]
        .iter()
        .filter_map(|mark| end(rest, mark))
        .min()
    {
        out.push_str(&rest[..at]);
        out.push_str("RANDOM");
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    out + rest
}

/// Returns the most memory that a process has held so far, in KiB.
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
