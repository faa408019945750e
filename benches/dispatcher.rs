//! What an evaluation costs beyond its two bare sandboxes.
//!
//! `cargo bench --bench dispatcher [-- ROUNDS] [local] [docker]`, with bubblewrap for `local`,
//! with an engine and the image `dgm-smoke` for `docker`; both if none is named.
//! In turns, in one program, with 1, 2 and 4 workers:
//! - `plain`: the bare backend's start and end of a sandbox that does nothing;
//! - `alike`: the same with the isolation that `dgm` asks for (local: without its system call
//!   filters and control groups);
//! - `sandbox`: `Sandbox::run` with a command that does nothing and no files;
//! - `evaluation`: a whole run of the engine on an archive on disk, per evaluation: an agent
//!   that writes one file, in one sandbox, a verifier that gives it 1, in another, and all
//!   durable records. No model is called.
//!
//! `own ms` is an evaluation's time beyond two bare sandboxes that are alike; `cpu ms` the
//! processor time of this process alone, sandboxes excluded, in an evaluation; `half` the half
//! of an evaluation: what there is of it for one sandbox.
//! Each round's ratios compare neighbors in time, so that other load on the machine falls on
//! all of them.

#![expect(clippy::print_stdout, reason = "a benchmark's numbers are its output")]

mod bare;

use anyhow::{Context as _, ensure};
use bollard::Docker;
use dgm::archive::Writer;
use dgm::benchmark::Suite;
use dgm::domain::{Fact, FileTree, Outcome, Purpose, TreePath, Variant, VariantId};
use dgm::evolve::{Budgets, Engine, EngineSettings, Parts, Progress, RoleModels};
use dgm::model::{Model, ModelSettings, Price};
use dgm::policy::EvalPolicy;
use dgm::sandbox::docker::DockerSandbox;
use dgm::sandbox::local::LocalSandbox;
use dgm::sandbox::{Exit, Limits, Sandbox, Spec};
use dgm::sys::clock::now_ms;
use dgm::sys::durable;
use dgm::sys::shutdown::Shutdown;
use dgm::trial::SandboxHost;
use futures_util::{StreamExt as _, stream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Evaluations in one round, a multiple of every number of workers; twice as many sandboxes.
const PER_ROUND: u32 = 16;
const MANIFEST: &str = "[environment]\nworkdir = \"/workspace\"\nnetwork_mode = \"no-network\"\n\
    [metadata.dgm]\nworkspace = \"environment/workspace\"\nimage = \"dgm-smoke\"\nlocal = true\n";
const AGENT: &str = "[agent]\nname = \"idle\"\nprotocol = 1\n\
    command = [\"sh\", \"/agent/agent.sh\"]\n";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok());
    let rounds: usize = rounds.unwrap_or(7);
    let names = ["local", "docker"];
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let folder = tempfile::tempdir()?;
    let suite = Arc::new(suite(&folder.path().join("suite"))?);
    for name in names {
        if !named(name) && names.iter().any(|name| named(name)) {
            continue;
        }
        let bench = Bench::open(name, &folder.path().join(name), suite.clone()).await?;
        // Once unmeasured: caches of the engine, of the client and of the kernel.
        for kind in Kind::ALL {
            bench.time(kind, 1).await?;
        }
        println!("\n{name}: ms, medians of {rounds} rounds; ratios with (p10, p90)");
        println!(
            "workers   plain   alike  sandbox  evaluation  /second  own ms  cpu ms  \
             half/plain            half/alike"
        );
        for workers in [1, 2, 4] {
            let (mut times, mut own) = (Vec::new(), 0.0);
            for round in 0..rounds {
                let mut took = [0.0; 4];
                // Whoever comes next finds the backend still busy with the one before.
                for turn in 0..Kind::ALL.len() {
                    let at = (round + turn) % Kind::ALL.len();
                    let before = processor_ms()?;
                    took[at] = bench.time(Kind::ALL[at], workers).await?;
                    if matches!(Kind::ALL[at], Kind::Evaluation) {
                        own += processor_ms()? - before;
                    }
                }
                times.push(took);
            }
            print_row(workers, &times, own / f64::from(PER_ROUND) / rounds as f64);
        }
    }
    Ok(())
}

fn print_row(workers: usize, times: &[[f64; 4]], cpu: f64) {
    let of = |pick: &dyn Fn(&[f64; 4]) -> f64, part: f64| {
        let mut values: Vec<f64> = times.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * part).round() as usize]
    };
    let ratio = |to: usize| {
        let of = |part| of(&|took| took[3] / 2.0 / took[to], part);
        format!("{:.2} ({:.2}, {:.2})", of(0.5), of(0.1), of(0.9))
    };
    println!(
        "{workers:>7} {:>7.1} {:>7.1} {:>8.1} {:>11.1} {:>8.1} {:>7.1} {cpu:>7.1}  {:<20}  {}",
        of(&|took| took[0], 0.5),
        of(&|took| took[1], 0.5),
        of(&|took| took[2], 0.5),
        of(&|took| took[3], 0.5),
        of(&|took| 1e3 / took[3], 0.5),
        of(&|took| took[3] - 2.0 * took[1], 0.5),
        ratio(0),
        ratio(1),
    );
}

/// Returns the processor time that this process has used, its children excluded.
fn processor_ms() -> anyhow::Result<f64> {
    /// The kernel's unit, the same on every Linux.
    const TICK_MS: f64 = 10.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() * TICK_MS)
}

/// What is measured.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Alike,
    Sandbox,
    Evaluation,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Plain, Self::Alike, Self::Sandbox, Self::Evaluation];
}

/// One backend with an archive.
struct Bench {
    archive: std::path::PathBuf,
    suite: Arc<Suite>,
    place: SandboxHost,
    docker: Option<Docker>,
}

impl Bench {
    async fn open(name: &str, folder: &Path, suite: Arc<Suite>) -> anyhow::Result<Self> {
        let runtime = folder.join("run");
        durable::create_dir_all(&runtime)?;
        let is_docker = name == "docker";
        let sandbox: Arc<dyn Sandbox> = if is_docker {
            let label = format!("bench-{}", std::process::id());
            Arc::new(DockerSandbox::connect(label, runtime.clone()).await?)
        } else {
            Arc::new(LocalSandbox::new(runtime.clone()))
        };
        sandbox.check(&[bare::IMAGE.to_owned()]).await?;
        let archive = folder.join("archive");
        seed(&archive)?;
        Ok(Self {
            archive,
            suite,
            place: SandboxHost {
                sandbox,
                sockets: runtime.join("s"),
            },
            docker: is_docker
                .then(Docker::connect_with_local_defaults)
                .transpose()?,
        })
    }

    /// Returns the milliseconds that one of this kind takes with so many at once.
    async fn time(&self, kind: Kind, workers: usize) -> anyhow::Result<f64> {
        if matches!(kind, Kind::Evaluation) {
            let took = self.evaluations(workers).await?;
            return Ok(took.as_secs_f64() * 1e3 / f64::from(PER_ROUND));
        }
        let begun = Instant::now();
        let runs: Vec<anyhow::Result<()>> = stream::iter(0..2 * PER_ROUND)
            .map(|_| async {
                match (kind, &self.docker) {
                    (Kind::Plain, Some(docker)) => bare::run(docker, bare::plain()).await,
                    (Kind::Alike, Some(docker)) => bare::run(docker, bare::alike()).await,
                    (Kind::Plain, None) => bubblewrap(&[]).await,
                    (Kind::Alike, None) => bubblewrap(&ALIKE).await,
                    (Kind::Sandbox | Kind::Evaluation, _) => self.sandbox().await,
                }
            })
            .buffer_unordered(workers)
            .collect()
            .await;
        runs.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(begun.elapsed().as_secs_f64() * 1e3 / f64::from(2 * PER_ROUND))
    }

    async fn sandbox(&self) -> anyhow::Result<()> {
        let spec = Spec {
            job: "bench".to_owned(),
            image: Some(bare::IMAGE.to_owned()),
            agent: None,
            placed: Vec::new(),
            root: dgm::sandbox::Root::Sealed,
            workdir: Some("/workspace".to_owned()),
            writable: Vec::new(),
            command: vec!["true".to_owned()],
            env: Vec::new(),
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_secs(60),
            collect: vec!["/workspace".to_owned()],
            limits: Limits::default(),
        };
        let ended = self.place.sandbox.run(spec, CancellationToken::new());
        let exit = ended.await?.exit;
        ensure!(exit == Exit::Code(0), "`true` ended as {exit:?}");
        Ok(())
    }

    /// Returns the time from the start of the first evaluation to the record of the last one.
    async fn evaluations(&self, workers: usize) -> anyhow::Result<Duration> {
        let writer = Writer::open(&self.archive)?;
        let tasks: Vec<_> = self
            .suite
            .tasks
            .iter()
            .map(|task| task.id.clone())
            .collect();
        let lineage = writer.lineage()?;
        // Every round adds as many to what the rounds before it did.
        let known = lineage
            .evaluations()
            .filter(|found| Some(&found.key.task) == tasks.first());
        let attempts = u32::try_from(known.count())? + PER_ROUND;
        let (seed, purpose) = (VariantId::SEED, Purpose::Extra);
        let policy = EvalPolicy::missing(&lineage, seed, purpose, &tasks, attempts);
        let (progress, mut told) = mpsc::unbounded_channel();
        let watch = tokio::spawn(async move {
            let (mut first, mut last, mut resolved) = (None, None, 0);
            while let Some(progress) = told.recv().await {
                let now = Instant::now();
                match progress {
                    Progress::Status { .. } => _ = first.get_or_insert(now),
                    Progress::Evaluated { outcome, .. } => {
                        last = Some(now);
                        resolved += u32::from(outcome == Outcome::Resolved);
                    }
                    _ => {}
                }
            }
            (first.zip(last), resolved)
        });
        let run = Engine::run(Parts {
            writer,
            lineage,
            policy: Arc::new(policy),
            place: self.place.clone(),
            suite: self.suite.clone(),
            lacking: std::collections::BTreeMap::new(),
            models: models()?,
            replay: None,
            settings: settings(workers),
            shutdown: Shutdown::default(),
            progress,
            command: "bench".to_owned(),
            config: String::new(),
        });
        run.await?;
        let (times, resolved) = watch.await?;
        ensure!(
            resolved == PER_ROUND,
            "{resolved} of {PER_ROUND} evaluations were resolved"
        );
        let (first, last) = times.context("nothing was evaluated")?;
        Ok(last - first)
    }
}

/// The namespaces and mounts of `dgm`'s own sandboxes.
const ALIKE: [&str; 40] = [
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--disable-userns",
    "--new-session",
    "--clearenv",
    "--cap-drop",
    "ALL",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--hostname",
    "dgm",
    "--size",
    "67108864",
    "--tmpfs",
    "/dev/shm",
    "--remount-ro",
    "/dev",
    "--remount-ro",
    "/proc",
    "--size",
    "536870912",
    "--tmpfs",
    "/workspace",
    "--size",
    "536870912",
    "--tmpfs",
    "/tmp",
    "--dir",
    "/tmp/dgm-scratch",
    "--dir",
    "/etc",
    "--remount-ro",
    "/",
    "--chdir",
    "/",
    "--",
];

async fn bubblewrap(more: &[&str]) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new("bwrap");
    command.args(["--unshare-pid", "--unshare-net", "--die-with-parent"]);
    command.args(["--ro-bind", "/usr", "/usr"]);
    for folder in ["/bin", "/lib", "/lib64"] {
        if Path::new(folder).exists() {
            command.args(["--ro-bind", folder, folder]);
        }
    }
    let status = command
        .args(["--proc", "/proc", "--dev", "/dev"])
        .args(more)
        .arg("true")
        .stdin(Stdio::null())
        .status()
        .await
        .context("could not start `bwrap`")?;
    ensure!(status.success(), "bubblewrap ended with {status}");
    Ok(())
}

/// Writes and loads one task, whose verifier is always content.
fn suite(folder: &Path) -> anyhow::Result<Suite> {
    for (path, text) in [
        ("task.toml", MANIFEST),
        ("instruction.md", "Leave a file.\n"),
        ("environment/workspace/README.md", "Nothing is here.\n"),
        (
            "tests/test.sh",
            "#!/bin/sh\necho 1 >/logs/verifier/reward.txt\n",
        ),
    ] {
        let path = folder.join("trivial").join(path);
        durable::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        durable::write(&path, text.as_bytes())?;
    }
    Ok(Suite::load(folder)?)
}

/// Makes an archive whose seed writes one file, a different one each time.
fn seed(archive: &Path) -> anyhow::Result<()> {
    let mut files = FileTree::new();
    files.insert(TreePath::new("agent.toml")?, AGENT.as_bytes(), false);
    let script = "read -r uuid </proc/sys/kernel/random/uuid\necho \"$uuid\" >answer.txt\n\
        echo \"wrote $uuid\"\n";
    files.insert(TreePath::new("agent.sh")?, script.as_bytes(), false);
    let mut writer = Writer::create(archive, "", now_ms())?;
    let id = VariantId::SEED;
    let (commit, tree) = writer.commit_variant(id, &files, None, "seed\n", now_ms())?;
    writer.record(&[Fact::VariantMade(Variant {
        id,
        commit,
        tree,
        parent: None,
        generation: 0,
        summary: "seed".to_owned(),
        created_ms: now_ms(),
    })])?;
    Ok(())
}

fn models() -> anyhow::Result<RoleModels> {
    let model = Arc::new(Model::new(ModelSettings {
        command: vec!["false".to_owned()],
        dir: "/".into(),
        price: Some(Price::Free),
        timeout: Duration::from_secs(1),
        ..ModelSettings::new("command", "none")
    })?);
    Ok(RoleModels {
        diagnose: model.clone(),
        modify: model.clone(),
        solve: model,
    })
}

fn settings(workers: usize) -> EngineSettings {
    EngineSettings {
        record: false,
        disclosure: dgm::domain::Disclosure::Visible,
        outage_limit: Duration::from_secs(3600),
        workers,
        modify_timeout: Duration::from_secs(60),
        agent_timeout: Duration::from_secs(60),
        grace: Duration::from_secs(5),
        infra_retries: 0,
        budgets: Budgets::default(),
        agent_image: bare::IMAGE.to_owned(),
        limits: Limits::default(),
    }
}
