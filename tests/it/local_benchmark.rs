//! Tasks judged and checked for real, in the local sandbox.

use dgm::benchmark::{CheckRow, Checked, Suite, Task};
use dgm::domain::{Change, TreePath};
use dgm::sandbox::Limits;
use dgm::sandbox::local::LocalSandbox;
use dgm::sys::durable;
use dgm::trial::{Answer, check, judge};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const MANIFEST: &str = "[metadata.dgm]\nworkspace = \"environment/workspace\"\nlocal = true\n\
    answer = [\"*.txt\"]\n[environment]\nnetwork_mode = \"no-network\"\n\
    env = { WORD = \"hello\" }\n[verifier]\ntimeout_sec = 10\nenv = { LINES = \"1\" }\n";
const SOLVE: &str = "echo \"$WORD\" > answer.txt; echo ignored > run.sh\n";
/// Without a `#!` line, as Harbor allows.
const VERIFY: &str = "[ \"$(cat answer.txt)\" = \"$WORD\" ] && [ \"$LINES\" = 1 ] && sh run.sh\n\
    if [ $? = 0 ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\nexit 3\n";

struct World {
    folder: TempDir,
    sandbox: LocalSandbox,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // A name of its own: by that leftovers are known.
        let name = folder.path().file_name().expect("it has a name");
        let sandbox = LocalSandbox::new(folder.path().join(name));
        Self { folder, sandbox }
    }

    /// Writes a task: its manifest, verifier and reference solution.
    fn task(&self, name: &str, manifest: &str, verify: &str, solve: &str) {
        let task = self.folder.path().join("suite").join(name);
        for (file, text) in [
            ("task.toml", manifest),
            ("instruction.md", "Say hello.\n"),
            ("environment/workspace/run.sh", "true\n"),
            ("tests/test.sh", verify),
            ("solution/solve.sh", solve),
        ] {
            if !text.is_empty() {
                put(&task.join(file), text);
            }
        }
    }

    fn suite(&self) -> Suite {
        Suite::load(&self.folder.path().join("suite")).expect("it loads")
    }

    async fn check(&self) -> Vec<CheckRow> {
        let suite = self.suite();
        let mut seen = Vec::new();
        let rows = check(
            &self.sandbox,
            &suite,
            &suite.tasks,
            2,
            &CancellationToken::new(),
            |row| seen.push(row.task.clone()),
        )
        .await;
        seen.sort();
        let mut names: Vec<_> = rows.iter().map(|row| row.task.clone()).collect();
        names.sort();
        assert_eq!(seen, names, "every row is reported once");
        rows
    }

    async fn judge(&self, task: &Task, answer: &str) -> Result<f64, String> {
        let mut change = Change::default();
        let path = TreePath::new("answer.txt").expect("a good path");
        change.written.insert(path, answer.as_bytes(), false);
        let cancel = CancellationToken::new();
        let answer = Answer::of(task, change);
        judge(&self.sandbox, task, &answer, "j", Limits::default(), cancel)
            .await
            .expect("bubblewrap is installed and works")
            .reward
            .map_err(|fault| fault.why)
    }
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    durable::write(path, text.as_bytes()).expect("the file can be written");
}

#[tokio::test]
async fn a_good_task_fails_with_nothing_done_and_passes_with_its_reference() {
    let world = World::new();
    world.task("good", MANIFEST, VERIFY, SOLVE);
    let rows = world.check().await;
    assert_eq!(rows[0].detail, "");
    assert_eq!(rows[0].nothing_done, Checked::Reward(0.0));
    assert_eq!(rows[0].reference, Checked::Reward(1.0));
    assert!(rows[0].ok && rows[0].seconds > 0.0);
}

#[tokio::test]
async fn a_task_that_measures_nothing_is_found_out() {
    let world = World::new();
    let always = "echo 1 > /logs/verifier/reward.txt\n";
    let never = "echo 0 > /logs/verifier/reward.txt\n";
    world.task("a-always", MANIFEST, always, SOLVE);
    world.task("b-never", MANIFEST, never, SOLVE);
    world.task("c-silent", MANIFEST, "echo all is well\n", SOLVE);
    world.task("d-broken", MANIFEST, VERIFY, "echo why >&2; exit 7\n");
    world.task("e-idle", MANIFEST, VERIFY, "echo x > not-an-answer\n");
    world.task("f-link", MANIFEST, VERIFY, "ln -s /etc/passwd answer.txt\n");
    world.task("g-unsolved", MANIFEST, VERIFY, "");
    let image = MANIFEST.replace("local = true", "image = \"some\"");
    world.task("h-image", &image, VERIFY, SOLVE);
    world.task("i-refused", "[agent]\nuser = \"-\"\n", VERIFY, SOLVE);
    let slow = MANIFEST.replace("timeout_sec = 10", "timeout_sec = 0.5");
    let sleep = "echo 1 > /logs/verifier/reward.txt; sleep 60\n";
    world.task("j-slow", &slow, sleep, SOLVE);
    let rows = world.check().await;
    let found: Vec<String> = rows
        .iter()
        .map(|row| format!("{}: {}", row.task, row.detail))
        .collect();
    for (found, wanted) in found.iter().zip([
        "a-always: doing nothing gets 1 and passes: solving this task would show nothing",
        "b-never: the reference solution gets 0, below the pass mark 1",
        "c-silent: with nothing done: the verifier left no reward: neither `reward.json` nor \
         `reward.txt`",
        "d-broken: the reference solution ended with exit code 7",
        "e-idle: the reference solution changed nothing that counts as an answer",
        "f-link: the agent left something that cannot be an answer: ",
        "g-unsolved: the task has no `solution/solve.sh`: nothing shows that it can be solved",
        "h-image: task `h-image` needs its image `some`, which the sandbox `local` cannot give \
         it; run it with `--sandbox docker`",
        "j-slow: with nothing done: the verifier did not end within 0.5 s",
        "i-refused: task.toml:2: `agent.user`: `-` is not a user's name",
    ]) {
        assert!(found.starts_with(wanted), "{found}\nshould be\n{wanted}");
    }
    assert_eq!(found.len(), 10);
    assert!(rows.iter().all(|row| !row.ok));
    assert_eq!(rows[2].log, "all is well");
    assert_eq!(rows[3].log, "why");
}

#[tokio::test]
async fn only_the_answer_is_laid_over_a_fresh_workspace() {
    let world = World::new();
    world.task("good", MANIFEST, VERIFY, SOLVE);
    let task = world.suite().tasks[0].clone();
    assert_eq!(world.judge(&task, "hello").await, Ok(1.0));
    assert_eq!(world.judge(&task, "bye").await, Ok(0.0));
}

#[tokio::test]
async fn a_sealed_reward_cannot_be_written_by_the_answer() {
    let world = World::new();
    let sealed = MANIFEST.replace("local = true", "local = true\nsealed = true");
    // This verifier runs the answer, which is the point.
    let verify = "seal=$(cat /tests/seal); rm /tests/seal\nsh answer.txt\n\
        [ -e /logs/verifier/reward.txt ] || { echo 0 > /logs/verifier/reward.txt\n\
        python3 -I -c 'import hmac, sys; print(hmac.new(sys.argv[1].encode(), b\"0\\n\", \"sha256\").hexdigest())' \
        \"$seal\" > /logs/verifier/seal; }\n\
        [ ! -e later.sh ] || sh later.sh\n";
    world.task("sealed", &sealed, verify, SOLVE);
    let task: Arc<Task> = world.suite().tasks[0].clone();
    assert_eq!(world.judge(&task, "true").await, Ok(0.0));
    let not_sealed =
        Err("the reward is not sealed: something else than the verifier left it".to_owned());
    // What outlives the tests finds the seal of another reward.
    assert_eq!(
        world
            .judge(
                &task,
                "echo 'echo 1 > /logs/verifier/reward.txt' > later.sh"
            )
            .await,
        not_sealed
    );
    let forged = "echo 1 > /logs/verifier/reward.txt; cat /tests/seal > /logs/verifier/seal";
    assert_eq!(world.judge(&task, forged).await, not_sealed);
}

#[tokio::test]
async fn a_cancelled_check_says_so() {
    let world = World::new();
    world.task("good", MANIFEST, "sleep 60\n", SOLVE);
    let suite = world.suite();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let rows = check(&world.sandbox, &suite, &suite.tasks, 1, &cancel, |_| {}).await;
    assert_eq!(rows[0].detail, "stopped");
}
