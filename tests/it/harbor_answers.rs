//! Answers to Harbor tasks are kept, whatever their verifier is, and judged again in a fresh
//! container when the verifier has changed.

use crate::adversarial::metered;
use crate::support::docker::Engines;
use dgm::benchmark::Task;
use dgm::domain::{
    Evaluation, EvaluationKey, FileTree, JobId, Judgement, Outcome, Purpose, RunId, Timing,
    TreePath, VariantId,
};
use dgm::sandbox::{AgentSource, Limits};
use dgm::sys::durable;
use dgm::trial::{EvaluateEnd, EvaluateJob, RegradeJob, SandboxHost, evaluate, regrade};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// An image with another user, whose files the agent changes.
const DOCKERFILE: &str = "FROM debian:bookworm-slim\n\
    RUN useradd --create-home solver && mkdir -p /srv/data/old && echo x > /srv/data/old/x \\\n\
     && chown -R solver: /srv\nWORKDIR /srv\n";

/// What the agent does in each of its turns: files with owners and modes, links, files removed.
const AGENT: &str = "set -e\necho turn >> turns\nrm -rf data/old\numask 077\n\
    mkdir -p /home/solver/private\necho secret > /home/solver/private/key\n\
    ln -sf /home/solver/private/key link\ntest \"$(wc -l < turns)\" = 1 || mkdir -p data/old\n\
    echo artifact > /srv/data/out\n";

/// What a shared verifier wants to find after the given turn.
fn wanted(turns: u32, again: &str) -> String {
    format!(
        "#!/bin/sh\nok() {{\n[ \"$(wc -l < /srv/turns)\" = {turns} ] \\\n\
         && [ ! -e /srv/data/old/x ] && [ \"$(cat /srv/link)\" = secret ] \\\n\
         && [ \"$(stat -c '%U %a' /home/solver/private)\" = 'solver 700' ] {again}\n}}\n\
         if ok; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n"
    )
}

struct World {
    folder: TempDir,
    engines: Engines,
}

impl World {
    async fn new(name: &str) -> Self {
        Self {
            folder: tempfile::Builder::new()
                .prefix("dgm-")
                .tempdir_in("/tmp")
                .unwrap(),
            engines: Engines::connect(name).await,
        }
    }

    fn task(&self, files: &[(&str, &str)]) -> Arc<Task> {
        let folder = self.folder.path().join("task");
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            durable::write(&path, text.as_bytes()).unwrap();
        }
        Arc::new(Task::load(&folder).unwrap())
    }

    async fn evaluate(&self, task: &Arc<Task>) -> EvaluateEnd {
        self.engines.prepare(std::slice::from_ref(task)).await;
        let host = SandboxHost {
            sandbox: Arc::new(self.engines.sandbox.clone()),
            sockets: self.folder.path().join("s"),
        };
        let job = EvaluateJob {
            key: key(task),
            task: task.clone(),
            agent: agent(),
            default_timeout: Duration::from_secs(60),
            limits: Limits::default(),
        };
        let subject = JobId::Evaluation(EvaluationKey {
            variant: VariantId(1),
            task: task.id.clone(),
            repeat: 0,
        });
        let metered = metered(subject, self.folder.path());
        evaluate(&host, &job, metered, CancellationToken::new()).await
    }

    async fn regrade(&self, task: &Arc<Task>, first: &EvaluateEnd) -> Judgement {
        let job = RegradeJob {
            task: task.clone(),
            answer: first.answer.clone(),
            first: evaluation(task, first),
            limits: Limits::default(),
        };
        let sandbox = &self.engines.sandbox;
        let end = regrade(sandbox, &job, CancellationToken::new()).await;
        assert_eq!(self.engines.left(), "", "nothing is left in the engine");
        end.judgement
    }

    /// Has a task solved, and its answer judged again by the same verifier and by one that
    /// wants something else.
    async fn is_judged_again(&self, files: &[(&str, &str)], strict: &[(&str, &str)]) {
        let task = self.task(files);
        let first = self.evaluate(&task).await;
        let log = String::from_utf8_lossy(&first.verifier_log).into_owned();
        assert_eq!(first.judgement.outcome, Outcome::Resolved, "{log}{first:?}");
        assert!(first.answer.is_some(), "the answer is kept");
        let same = self.regrade(&task, &first).await;
        assert_eq!(same.outcome, Outcome::Resolved, "{same:?}");
        assert_eq!(same.reward, Some(1.0));
        let other = self.task(strict);
        assert_ne!(other.digest, task.digest);
        let changed = self.regrade(&other, &first).await;
        assert_eq!(changed.outcome, Outcome::Unresolved, "{changed:?}");
        assert_eq!(changed.task_digest, other.digest);
    }
}

fn key(task: &Task) -> EvaluationKey {
    EvaluationKey {
        variant: VariantId(1),
        task: task.id.clone(),
        repeat: 0,
    }
}

fn evaluation(task: &Task, end: &EvaluateEnd) -> Evaluation {
    Evaluation {
        key: key(task),
        purpose: Purpose::Extra,
        judgement: end.judgement.clone(),
        image: None,
        agent_log: None,
        verifier_log: None,
        patch: None,
        transcript: None,
        context_overflow: false,
        timing: Timing::default(),
        run: RunId(1),
        execution: 1,
        at_ms: 0,
    }
}

fn agent() -> AgentSource {
    let mut files = FileTree::new();
    let manifest = "[agent]\nname = \"x\"\nprotocol = 1\ncommand = [\"sh\", \"/agent/run.sh\"]\n";
    for (path, text) in [("agent.toml", manifest), ("run.sh", AGENT)] {
        files.insert(TreePath::new(path).unwrap(), text.as_bytes(), false);
    }
    AgentSource::of(Arc::new(files))
}

const CONFIG: &str = "[agent]\nuser = \"solver\"\n[verifier]\nuser = \"root\"\n\
    [environment]\nnetwork_mode = \"no-network\"\n";

#[tokio::test]
async fn of_a_verifier_that_shares_the_agents_container() {
    let world = World::new("kept-shared").await;
    let (test, strict) = (wanted(1, ""), wanted(1, "&& [ -e /srv/none ]"));
    let files = |test| {
        vec![
            ("task.toml", CONFIG),
            ("instruction.md", "Do it.\n"),
            ("environment/Dockerfile", DOCKERFILE),
            ("tests/test.sh", test),
        ]
    };
    world.is_judged_again(&files(&test), &files(&strict)).await;
}

#[tokio::test]
async fn of_a_verifier_with_a_container_of_its_own() {
    let world = World::new("kept-separate").await;
    let config = CONFIG.replace(
        "[verifier]\n",
        "[verifier]\nenvironment_mode = \"separate\"\n",
    );
    let config = format!("artifacts = [\"/srv/data\"]\n{config}");
    let files = |test| {
        vec![
            ("task.toml", config.as_str()),
            ("instruction.md", "Do it.\n"),
            ("environment/Dockerfile", DOCKERFILE),
            ("tests/test.sh", test),
        ]
    };
    let test = "[ \"$(cat /srv/data/out)\" = artifact ] && [ ! -e /srv/turns ] && \
        [ ! -e /srv/data/old ]\necho $((! $?)) > /logs/verifier/reward.txt\n";
    let strict = "[ -e /srv/data/none ]\necho $((! $?)) > /logs/verifier/reward.txt\n";
    world.is_judged_again(&files(test), &files(strict)).await;
}

#[tokio::test]
async fn of_several_steps() {
    let world = World::new("kept-steps").await;
    let config = format!("{CONFIG}[[steps]]\nname = \"one\"\n[[steps]]\nname = \"two\"\n");
    let (first, second) = (wanted(1, ""), wanted(2, ""));
    let strict = wanted(2, "&& [ ! -d /srv/data/old ]");
    let files = |second| {
        vec![
            ("task.toml", config.as_str()),
            ("environment/Dockerfile", DOCKERFILE),
            ("steps/one/instruction.md", "Do it.\n"),
            ("steps/one/tests/test.sh", first.as_str()),
            ("steps/two/instruction.md", "Do it again.\n"),
            ("steps/two/tests/test.sh", second),
        ]
    };
    // One of two steps is not enough for a mean of 1.
    world
        .is_judged_again(&files(&second), &files(&strict))
        .await;
}

#[tokio::test]
async fn what_is_more_than_is_taken_out_is_judged_and_not_kept() {
    let world = World::new("kept-much").await;
    let files = [
        ("task.toml", CONFIG),
        ("instruction.md", "Do it.\n"),
        ("environment/Dockerfile", DOCKERFILE),
        ("tests/test.sh", "echo 1 > /logs/verifier/reward.txt\n"),
    ];
    let task = Task {
        collect: Some(1 << 10),
        ..Task::clone(&world.task(&files))
    };
    let end = world.evaluate(&Arc::new(task)).await;
    assert_eq!(end.judgement.outcome, Outcome::Resolved, "{end:?}");
    assert!(end.answer.is_none());
}
