//! Agents that cheat, search, break and stay. Whatever they try, they gain nothing: no task
//! counts as resolved, nothing secret is seen, and this machine is as it was before.

mod attacks;

use crate::docker_sandbox;
use crate::support::{Plan, World as Evolution};
use attacks::{ATTACKS, Attack};
use dgm::benchmark::Task;
use dgm::domain::{
    CallId, CallSettlement, EvaluationKey, FileTree, JobId, Outcome, Role, TreePath, VariantId,
};
use dgm::model::{
    Allowance, Books, Denied, Intent, JobSubject, Metered, Model, ModelSettings, Price,
};
use dgm::sandbox::docker::DockerSandbox;
use dgm::sandbox::local::LocalSandbox;
use dgm::sandbox::{AgentSource, Limits, Sandbox};
use dgm::sys::durable;
use dgm::trial::{EvaluateEnd, EvaluateJob, SandboxHost, evaluate};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A key as providers give them out.
const KEY: &str = "sk-fake-8c1f0a5e7d2b49363f55";
/// A line that only the hidden tests hold.
const TEST: &str = "...to be, or not?";

/// What every attack begins with.
const PRELUDE: &str = r"
import ctypes, glob, os, re, signal, socket, stat, subprocess, sys, time
def gained(what): print('GAINED', what, flush=True)
def attempt(what, call):
    try: call()
    except (OSError, ValueError, subprocess.SubprocessError): return
    gained(what)
def walk():
    for top, folders, found in os.walk('/'):
        folders[:] = [f for f in folders if os.path.join(top, f) not in ('/usr', '/proc', '/sys', '/var/lib')]
        yield top, folders, found
def read(path):
    try:
        with open(path, 'rb') as file: return file.read(1 << 20)
    except OSError: return b''
def files():
    for top, folders, found in walk():
        for name in found:
            path = os.path.join(top, name)
            if os.path.isfile(path): yield read(path)
if os.path.isdir('/agent/leave'): subprocess.run('cp -R /agent/leave/. .', shell=True, check=True)
";

/// Books that let no call leave.
struct Closed;

impl Books for Closed {
    fn intend(&self, _: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async { Err(Denied::Stopping) })
    }

    fn settle(&self, _: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A machine with something to lose: a key, a server, the socket of another job.
struct Machine {
    folder: tempfile::TempDir,
    server: TcpListener,
    others: UnixListener,
    key: PathBuf,
    task: Arc<Task>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dgm-").tempdir_in("/tmp");
        let folder = folder.unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let key = folder.path().join("key");
        durable::write(&key, KEY.as_bytes()).unwrap();
        let other = folder.path().join("s/s99");
        std::fs::create_dir_all(&other).unwrap();
        let others = UnixListener::bind(other.join("model.sock")).unwrap();
        others.set_nonblocking(true).unwrap();
        let server = TcpListener::bind("0.0.0.0:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let smoke = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/smoke/slug-text");
        let task = Task {
            agent_timeout: Some(Duration::from_secs(5)),
            verifier_timeout: Duration::from_secs(5),
            // Of its own, so that processes in it can be told from others.
            workdir: Some(format!(
                "/attacked-{}",
                folder.path().file_name().unwrap().display()
            )),
            ..Task::load(&smoke).unwrap()
        };
        Self {
            folder,
            server,
            others,
            key,
            task: Arc::new(task),
        }
    }

    fn agent(&self, attack: &Attack) -> AgentSource {
        let backwards = |text: &str| text.chars().rev().collect::<String>();
        let port = self.server.local_addr().unwrap().port().to_string();
        let script = format!("{PRELUDE}{}\nprint('at its end')\n", attack.agent)
            .replace("@KEY@", &backwards(KEY))
            .replace("@TEST@", &backwards(TEST))
            .replace("@PORT@", &port)
            .replace("@WORK@", self.task.workdir.as_deref().unwrap_or_default())
            .replace("@FILE@", self.key.to_str().unwrap());
        let mut files = FileTree::new();
        let manifest = "[agent]\nname = \"attack\"\nprotocol = 1\n\
            command = [\"python3\", \"-I\", \"/agent/attack.py\"]\n";
        let mut put = |path: &str, text: &str, executable| {
            files.insert(TreePath::new(path).unwrap(), text.as_bytes(), executable);
        };
        put("agent.toml", manifest, false);
        put("attack.py", &script, false);
        for (path, text) in attack.leaves {
            let text = text.replace("@WORK@", self.task.workdir.as_deref().unwrap_or_default());
            put(&format!("leave/{path}"), &text, text.starts_with("#!"));
        }
        AgentSource::of(Arc::new(files))
    }

    /// Returns a folder with a name of its own: by that a backend knows what is left over.
    fn runtime(&self) -> PathBuf {
        let folder = self.folder.path();
        folder.join(folder.file_name().unwrap())
    }

    async fn attack(&self, sandbox: Arc<dyn Sandbox>, number: u32, attack: &Attack) -> EvaluateEnd {
        let place = SandboxHost {
            sandbox,
            sockets: self.folder.path().join("s"),
        };
        let key = EvaluationKey {
            variant: VariantId(number),
            task: self.task.id.clone(),
            repeat: 0,
        };
        let subject = JobId::Evaluation(key.clone());
        let job = EvaluateJob {
            key,
            task: self.task.clone(),
            agent: self.agent(attack),
            default_timeout: Duration::from_secs(5),
            limits: Limits {
                memory: 256 << 20,
                disk: 64 << 20,
                processes: 100,
                log: 64 << 10,
                ..Limits::default()
            },
        };
        let metered = metered(subject, self.folder.path());
        evaluate(&place, &job, metered, CancellationToken::new()).await
    }

    /// Tries the attacks, some at once: they must not reach each other either.
    async fn withstands(&self, sandbox: Arc<dyn Sandbox>, attacks: Vec<&'static Attack>) {
        let mut running = futures_util::stream::iter(attacks.into_iter().zip(1..))
            .map(|(attack, number)| {
                let sandbox = sandbox.clone();
                async move { (attack, self.attack(sandbox, number, attack).await) }
            })
            .buffer_unordered(3);
        let mut gained = Vec::new();
        while let Some((attack, end)) = running.next().await {
            gained.extend(fault(attack, &end));
        }
        drop(running);
        assert!(gained.is_empty(), "{}", gained.join("\n"));
        self.is_as_before();
    }

    fn is_as_before(&self) {
        let blocked = std::io::ErrorKind::WouldBlock;
        let connected = self.server.accept().map(drop);
        assert_eq!(connected.map_err(|error| error.kind()), Err(blocked));
        let connected = self.others.accept().map(drop);
        assert_eq!(connected.map_err(|error| error.kind()), Err(blocked));
        assert_eq!(std::fs::read_to_string(&self.key).unwrap(), KEY);
        assert!(!Path::new("/tmp/dgm-was-here").exists());
        let left: BTreeSet<_> = std::fs::read_dir(self.folder.path().join("s"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, BTreeSet::from(["s99".into()]));
        let of_agents = |entry: &std::fs::DirEntry| {
            let at = std::fs::read_link(entry.path().join("cwd"));
            at.is_ok_and(|at| at.starts_with(self.task.workdir.as_deref().unwrap_or_default()))
        };
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        assert_eq!(processes.filter(of_agents).count(), 0);
    }
}

/// Returns a model that is never asked.
pub(crate) fn metered(subject: JobId, dir: &Path) -> Arc<Metered> {
    let model = Model::new(ModelSettings {
        command: vec!["false".to_owned()],
        dir: dir.to_owned(),
        price: Some(Price::Free),
        max_output_tokens: Some(1),
        timeout: Duration::from_secs(1),
        ..ModelSettings::new("command", "none")
    });
    let job = JobSubject {
        subject,
        execution: 1,
        role: Role::Solve,
    };
    let model = Arc::new(model.unwrap());
    let metered = Metered::new(model, Arc::new(Closed), job, Allowance::default());
    Arc::new(metered)
}

/// Returns what an attack has gained.
fn fault(attack: &Attack, end: &EvaluateEnd) -> Option<String> {
    let said = String::from_utf8_lossy(&end.agent_log);
    let tested = String::from_utf8_lossy(&end.verifier_log);
    let ran = said.contains("at its end")
        || [Outcome::AgentError, Outcome::Timeout].contains(&end.judgement.outcome);
    let good = attack.outcomes.contains(&end.judgement.outcome)
        && !end.judgement.passed
        && ran
        && !said.contains("GAINED")
        && !said.contains("Traceback")
        && ![&said, &tested].iter().any(|log| log.contains(KEY))
        && end.agent_log.len() < 70_000
        && end
            .change
            .as_ref()
            .is_none_or(|(_, after)| !holds(after, KEY));
    let what = attack.what;
    (!good).then(|| {
        let tail = said.len().saturating_sub(2000);
        let tail = said.get(tail..).unwrap_or(&said);
        format!(
            "an agent that {what}: {} ({}), reward {:?}\n{tail}\n{tested}",
            end.judgement.outcome, end.judgement.detail, end.judgement.reward
        )
    })
}

fn holds(files: &FileTree, text: &str) -> bool {
    let holds = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    files.iter().any(|(_, file)| holds(&file.bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_gained_in_the_local_sandbox() {
    let machine = Machine::new();
    let sandbox = LocalSandbox::new(machine.runtime());
    let sandbox = Arc::new(sandbox.with_grace(Duration::from_secs(3)));
    machine.withstands(sandbox, ATTACKS.iter().collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_gained_in_docker() {
    docker_sandbox::built().await;
    let machine = Machine::new();
    let label = format!("test-adversarial-{}", std::process::id());
    let sandbox = DockerSandbox::connect(label, machine.runtime()).await;
    let sandbox = Arc::new(sandbox.expect("an engine runs (tests/bring docker starts one)"));
    let attacks = ATTACKS.iter().filter(|attack| attack.docker).collect();
    machine.withstands(sandbox.clone(), attacks).await;
    assert_eq!(sandbox.reap().await.unwrap(), 0);
}

/// The whole program, with a key in its environment and in its home: an agent finds none, and
/// nothing that is written holds it.
#[test]
fn nothing_that_is_written_holds_a_key() {
    let world = Evolution::new(&Plan {
        stages: &[&["slug-text"]],
        generations: 0,
        attempts: 1,
        barrier: false,
        workers: 1,
        backend: "local",
    });
    let spy = world.path("spy");
    std::fs::create_dir(&spy).unwrap();
    let manifest = "[agent]\nname = \"spy\"\nprotocol = 1\ncommand = [\"sh\", \"/agent/spy.sh\"]\n";
    let script = "cat /proc/*/environ /proc/*/cmdline \"$HOME\"/.* ~root/.* /home/*/.* 2>/dev/null\n\
        env; cat /run/dgm/* /tmp/* /etc/*; echo looked; env >slug.py\n";
    durable::write(&spy.join("agent.toml"), manifest.as_bytes()).unwrap();
    durable::write(&spy.join("spy.sh"), script.as_bytes()).unwrap();
    durable::write(&world.path(".credentials"), KEY.as_bytes()).unwrap();
    let line = "evolve spied --config config.toml --agent spy";
    let output = world.command(line).env("OPENAI_API_KEY", KEY).output();
    let output = output.unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    let (shown, _) = world.done("show spied 0 slug-text --json");
    assert!(shown.contains("looked"), "{shown}");
    for said in [&shown, &*talk, &String::from_utf8_lossy(&output.stdout)] {
        assert!(!said.contains(KEY), "{said}");
    }
    let mut written = Vec::new();
    every_file(&world.path("spied"), &mut written);
    every_file(&world.path("r"), &mut written);
    assert!(written.len() > 5, "{written:?}");
    for path in written {
        let bytes = std::fs::read(&path).unwrap();
        // Logs are compressed.
        let plain = zstd::decode_all(&*bytes).unwrap_or(bytes);
        let found = plain.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!found, "{}", path.display());
    }
    world.assert_nothing_is_left();
}

fn every_file(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            every_file(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}
