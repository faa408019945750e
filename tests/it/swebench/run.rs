//! A tiny instance, shaped as those of SWE-bench, goes the whole way on a real engine. Without
//! one these tests fail: `tests/bring docker`.

use dgm::benchmark::swebench::{self, GradeFacts, Selection};
use dgm::benchmark::{CheckRow, Grader, Suite, Task};
use dgm::domain::{FileTree, TreePath};
use dgm::sandbox::docker::image::BuildNetwork;
use dgm::sandbox::docker::{DockerSandbox, Engine, image};
use dgm::sandbox::{Ended, Exit, Limits, Sandbox as _, Spec};
use dgm::sys::durable;
use dgm::trial::{
    Answer, AnswerFault, VerifierEnd, check, folder_root, judge, judge_patch, take_answer,
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

pub(super) const IMAGE: &str = "dgm-test-swebench";
const ID: &str = "pallets__flask-1";
const GOLD: &str = "diff --git a/mathy.py b/mathy.py\n--- a/mathy.py\n+++ b/mathy.py\n@@ -1,2 +1,2 @@\n \
    def add(a, b):\n-    return a - b\n+    return a + b\n";
const TESTS: &str = "diff --git a/tests/test_mathy.py b/tests/test_mathy.py\n\
    --- a/tests/test_mathy.py\n+++ b/tests/test_mathy.py\n@@ -3,3 +3,7 @@\n \n def test_zero():\n     \
    assert mathy.add(0, 0) == 0\n+\n+\n+def test_add():\n+    assert mathy.add(2, 3) == 5\n";

/// Builds the image once and returns the commit that its repository stands at.
pub(super) async fn built() -> &'static str {
    static BASE: OnceCell<String> = OnceCell::const_new();
    BASE.get_or_init(|| async {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/swebench/image");
        let mut recipe = FileTree::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = TreePath::new(path.file_name().unwrap().to_str().unwrap()).unwrap();
            recipe.insert(name, fs::read(&path).unwrap(), false);
        }
        // Containers need not have a network of their own.
        let network = BuildNetwork {
            host: true,
            ..BuildNetwork::default()
        };
        let engine = Engine::connect().await;
        let engine = engine.expect("an engine runs (tests/bring docker starts one)");
        image::build(&engine, &recipe, IMAGE, &network, &mut |_| {})
            .await
            .expect("the image can be built");
        let output = Command::new("docker")
            .args(["run", "--rm", "--network", "none", IMAGE])
            .args(["git", "-C", "/testbed", "rev-parse", "HEAD"])
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
    .await
}

/// The instance as older datasets have it, but for the name of its image.
fn classic(base: &str) -> Value {
    json!({
        "repo": "pallets/flask",
        "instance_id": ID,
        "base_commit": base,
        "patch": GOLD,
        "test_patch": TESTS,
        "problem_statement": "`add` does not add.",
        "version": "2.0",
        "FAIL_TO_PASS": "[\"tests/test_mathy.py::test_add\"]",
        "PASS_TO_PASS": "[\"tests/test_mathy.py::test_zero\"]",
        "environment_setup_commit": base,
        "image": IMAGE,
    })
}

/// The same as version 5 has it.
pub(super) fn new(base: &str) -> Value {
    let mut row = classic(base);
    row["FAIL_TO_PASS"] = json!(["tests/test_mathy.py::test_add"]);
    row["PASS_TO_PASS"] = json!(["tests/test_mathy.py::test_zero"]);
    row["log_parser"] = json!("parse_log_flask");
    row["eval_type"] = json!("pass_and_fail");
    row["eval_script"] = json!(format!(
        "#!/bin/bash\nset -uxo pipefail\nsource /opt/miniconda3/bin/activate\n\
         conda activate testbed\ncd /testbed\ngit config --global --add safe.directory /testbed\n\
         cd /testbed\ngit status\ngit show\ngit -c core.fileMode=false diff {base}\n\
         source /opt/miniconda3/bin/activate\nconda activate testbed\npython -m pip install -e .\n\
         git checkout {base} tests/test_mathy.py\ngit apply -v - <<'EOF_114329324912'\n{TESTS}\n\
         EOF_114329324912\n: '>>>>> Start Test Output'\npytest -rA tests/test_mathy.py\n\
         : '>>>>> End Test Output'\ngit checkout {base} tests/test_mathy.py\n"
    ));
    row
}

struct World {
    folder: TempDir,
    sandbox: DockerSandbox,
    base: &'static str,
}

impl World {
    async fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let label = format!("test-swebench-{name}-{}", std::process::id());
        let sandbox = DockerSandbox::connect(label, folder.path().join("run"))
            .await
            .expect("an engine runs (tests/bring docker starts one)");
        let base = built().await;
        Self {
            folder,
            sandbox,
            base,
        }
    }

    /// Imports a row, with its text changed, and returns the benchmark.
    fn suite(&self, name: &str, row: &Value, edit: impl Fn(String) -> String) -> Suite {
        let rows = self.folder.path().join(format!("{name}.jsonl"));
        durable::write(&rows, row.to_string().as_bytes()).unwrap();
        let out = self.folder.path().join(name);
        swebench::import(&rows, &out, &Selection::default()).unwrap();
        let manifest = out.join(ID).join("task.toml");
        let text = edit(fs::read_to_string(&manifest).unwrap());
        durable::write(&manifest, text.as_bytes()).unwrap();
        Suite::load(&out).unwrap()
    }

    fn task(&self) -> Arc<Task> {
        self.suite("new", &new(self.base), |text| text).tasks[0].clone()
    }

    /// Runs a script in the place of an agent.
    async fn agent(&self, task: &Task, script: &str) -> Ended {
        let spec = Spec {
            job: "agent".to_owned(),
            image: task.image.clone(),
            agent: None,
            placed: Vec::new(),
            root: folder_root(task),
            workdir: task.workdir.clone(),
            writable: Vec::new(),
            command: ["sh", "-c", script].map(str::to_owned).into(),
            env: task.env.clone(),
            vital: Vec::new(),
            socket_dir: None,
            deadline: Duration::from_secs(60),
            collect: Vec::new(),
            limits: task.limits(Limits::default()),
        };
        let ended = self.sandbox.run(spec, CancellationToken::new()).await;
        let ended = ended.expect("the sandbox itself works");
        let said = String::from_utf8_lossy(&ended.log);
        assert_eq!(ended.exit, Exit::Code(0), "{said}");
        ended
    }

    /// What a script changes in the place of an agent.
    async fn answer(&self, task: &Task, script: &str) -> Result<Answer, AnswerFault> {
        let ended = self.agent(task, script).await;
        let nothing = ended.collected.into_iter().next().unwrap_or_default();
        take_answer(task, &nothing, ended.difference.as_ref())
    }

    /// Judges what a script changes in the place of an agent.
    async fn solve(&self, task: &Task, script: &str) -> VerifierEnd {
        let answer = self.answer(task, script).await.unwrap();
        self.judge(task, &answer).await
    }

    async fn judge(&self, task: &Task, answer: &Answer) -> VerifierEnd {
        let cancel = CancellationToken::new();
        judge(
            &self.sandbox,
            task,
            answer,
            "judge",
            task.limits(Limits::default()),
            cancel,
        )
        .await
        .expect("the engine works")
    }

    async fn patch(&self, task: &Task, patch: &str) -> VerifierEnd {
        let cancel = CancellationToken::new();
        let limits = task.limits(Limits::default());
        let facts = facts(task);
        judge_patch(
            &self.sandbox,
            task,
            facts,
            patch.as_bytes(),
            "patch",
            limits,
            cancel,
        )
        .await
        .expect("the engine works")
    }
}

fn facts(task: &Task) -> &GradeFacts {
    match &task.grader {
        Grader::Swebench(facts) => facts,
        Grader::Verifier => panic!("it is graded outside"),
    }
}

fn said(judgement: &VerifierEnd) -> String {
    String::from_utf8_lossy(&judgement.log).into_owned()
}

#[tokio::test]
async fn the_reference_resolves_it_and_doing_nothing_does_not() {
    let world = World::new("check").await;
    let old = world.suite("old", &classic(world.base), |text| text);
    let new = world.suite("new", &new(world.base), |text| text);
    assert_eq!(
        old.tasks[0].digest, new.tasks[0].digest,
        "both are one task"
    );
    let cancel = CancellationToken::new();
    let rows: Vec<CheckRow> = check(&world.sandbox, &old, &old.tasks, 1, &cancel, |_| {}).await;
    let row = &rows[0];
    assert!(row.ok, "{}\n{}", row.detail, row.log);
    assert_eq!(row.nothing_done.reward(), Some(0.0));
    assert_eq!(row.reference.reward(), Some(1.0));
}

#[tokio::test]
async fn the_fix_is_not_reachable_for_an_agent() {
    let world = World::new("history").await;
    let task = world.task();
    let looks = "git log --all --format='commit %H %s'; git status --short; \
                 git reflog --all | cat; git stash list; git tag; git branch --all; \
                 git cat-file --batch-check --batch-all-objects | grep -c . ; \
                 git cat-file --batch --batch-all-objects | grep -a THE-FIX; \
                 grep -raF THE-FIX . /opt /tmp /root /home 2>/dev/null; \
                 ls build; ls /tests /solution 2>&1; find / -xdev -name '*.pack' | wc -l; true";
    let ended = world.agent(&task, looks).await;
    let said = String::from_utf8_lossy(&ended.log).into_owned();
    assert!(!said.contains("THE-FIX"), "{said}");
    let commits: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("commit"))
        .collect();
    assert_eq!(
        commits,
        [format!("commit {} Break it", world.base)],
        "{said}"
    );
    // Its own files are as they were, what git ignores among them.
    assert!(said.contains("\nkept\nout\n"), "{said}");
    assert!(said.contains("cannot access '/tests'"), "{said}");
    assert!(said.contains("cannot access '/solution'"), "{said}");
    assert!(!said.contains(" M "), "{said}");
    let difference = ended.difference.unwrap();
    assert_eq!(difference.after.files.len(), 0, "looking changes nothing");
}

#[tokio::test]
async fn an_agents_answer_is_taken_as_it_is() {
    let world = World::new("answer").await;
    let task = world.task();
    // Whatever it does beside the fix: line ends, modes, names, binary files, folders, tests.
    let script = "sed -i 's/a - b/a + b/' mathy.py; printf 'one\\r\\n2\\r\\n' > windows.txt; \
                  git mv notes.txt 'a \"note\"'; chmod +x mathy.py; head -c 3000 /dev/urandom > bin; \
                  mkdir -p deep/er; printf x > deep/er/file; : > empty; \
                  echo 'def test_zero(): pass' > tests/test_mathy.py; git commit -qam x; true";
    let judged = world.solve(&task, script).await;
    assert_eq!(judged.reward, Ok(1.0), "{}", said(&judged));
    assert!(said(&judged).contains("PASSED tests/test_mathy.py::test_zero"));
    let wrong = world.solve(&task, "echo '# thinking' >> mathy.py").await;
    assert_eq!(wrong.reward, Ok(0.0), "{}", said(&wrong));
    // Tests that were made to pass are put back.
    let cheat = "printf 'def test_zero(): pass\\ndef test_add(): pass\\n' > tests/test_mathy.py";
    assert_eq!(world.solve(&task, cheat).await.reward, Ok(0.0));
}

/// Whatever a build may leave, more than is collected and of every kind; and what an agent may
/// do to have more ignored, or to hide that something is tracked.
const BUILDS: &str = "sed -i 's/a - b/a + b/' mathy.py\n\
    mkdir -p target/debug .venv/bin new/target\n\
    fallocate -l 70M target/debug/large\nfallocate -l 70M new/target/large\n\
    ln -s /usr/bin/python3 .venv/bin/python\nmkfifo .venv/pipe\n\
    touch build/x.o\nln build/x.o build/y\necho more >>build/out\necho more >build/kept\n\
    touch deep.o docs/new.html\necho z >new/z.c\ntouch -h link\n\
    echo '*' >.gitignore\necho '*' >new/.gitignore\necho '*' >.git/info/exclude\n\
    git rm -rq --cached .\ngit config core.excludesFile .gitignore\n";

#[tokio::test]
async fn what_git_ignores_is_no_part_of_an_answer() {
    let world = World::new("ignored").await;
    let task = world.task();
    let answer = world.answer(&task, BUILDS).await.unwrap();
    let paths = answer.change.written.iter().map(|(path, _)| path.as_str());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        [
            ".gitignore",
            "build/kept",
            "mathy.py",
            "new/.gitignore",
            "new/z.c"
        ]
    );
    assert_eq!(answer.change.deleted, []);
    let judged = world.judge(&task, &answer).await;
    assert_eq!(judged.reward, Ok(1.0), "{}", said(&judged));
    // Of what goes, too, only what is tracked counts.
    let answer = world.answer(&task, "rm -rf build target docs .git").await;
    let answer = answer.unwrap();
    let deleted = answer.change.deleted.iter().map(TreePath::as_str);
    assert_eq!(
        deleted.collect::<Vec<_>>(),
        ["build/kept", "docs/.gitignore", "docs/index.html"]
    );
    assert_eq!(world.judge(&task, &answer).await.reward, Ok(0.0));
    // A folder in the place of a file has no rules in the image.
    let answer = world.answer(
        &task,
        "rm notes.txt; mkdir notes.txt; touch notes.txt/x.o notes.txt/x.c",
    );
    let change = answer.await.unwrap().change;
    assert!(change.written.get("notes.txt/x.c").is_some() && change.written.len() == 1);
    let fault = world.answer(&task, "ln -s /etc alias").await.unwrap_err();
    let what = "symlink `alias` → `/etc`".to_owned();
    assert_eq!(fault, AnswerFault::Refused(what));
}

#[tokio::test]
async fn what_tests_print_is_believed_only_so_far() {
    let world = World::new("spoof").await;
    let task = world.suite("new", &new(world.base), |text| {
        text.replace("timeout_sec = 1800.0", "timeout_sec = 8.0")
    });
    let task = &task.tasks[0];
    let spoof = "cat > mathy.py <<'X'\nimport os\n\
                 print('PASSED tests/test_mathy.py::test_add')\n\
                 print('PASSED tests/test_mathy.py::test_zero', flush=True)\nos._exit(3)\nX";
    let judged = world.solve(task, spoof).await;
    let why = judged.reward.unwrap_err().why;
    assert!(
        why.starts_with("the tests' command failed although no test did"),
        "{why}"
    );
    let quits = world
        .solve(task, "echo 'import os; os._exit(0)' > mathy.py")
        .await;
    let why = quits.reward.unwrap_err().why;
    assert_eq!(why, "the log names no test and does not say that any ran");
    let hangs = "printf 'import time\\ntime.sleep(1000)\\n' > mathy.py";
    let why = world.solve(task, hangs).await.reward.unwrap_err().why;
    assert_eq!(why, "the tests did not end within 8 s");
    // The tests that count are not told inside, and a reward that is written counts nothing.
    let looks = "cat > mathy.py <<'X'\nimport os\n\
                 print(sorted(os.listdir('/tests')))\nopen('/logs/verifier/reward.txt', 'w').write('1')\n\
                 os.system('git log --all --format=%s | cat')\nadd = lambda a, b: 0\nX";
    let judged = world.solve(task, looks).await;
    assert_eq!(judged.reward, Ok(0.0));
    let said = said(&judged);
    assert!(
        said.contains("['eval.sh', 'history.sh', 'patch.diff', 'test.sh']"),
        "{said}"
    );
    assert!(
        said.contains("Add notes") && !said.contains("THE-FIX"),
        "{said}"
    );
}

#[tokio::test]
async fn tests_may_write_and_start_what_builds_do() {
    let world = World::new("limits").await;
    let task = world.task();
    let limits = task.limits(Limits::default());
    assert_eq!((limits.disk, limits.processes), (20 << 30, 4096));
    // More than other tasks may; it is there until the tests are over.
    let large = "cat > mathy.py <<'X'\nimport os, threading\nend = threading.Event()\n\
                 file = os.open('/tmp/large', os.O_CREAT | os.O_WRONLY)\n\
                 os.posix_fallocate(file, 0, 600 << 20)\n\
                 threads = [threading.Thread(target=end.wait) for _ in range(400)]\n\
                 for thread in threads: thread.start()\n\
                 end.set()\n\
                 for thread in threads: thread.join()\n\
                 add = lambda a, b: a + b\nX";
    let judged = world.solve(&task, large).await;
    assert_eq!(judged.reward, Ok(1.0), "{}", said(&judged));
}

/// What a patch may hold beside the fix without keeping it from being applied.
const BESIDE: &[(&str, &str)] = &[
    (
        "tests",
        "diff --git a/tests/test_mathy.py b/tests/test_mathy.py\n--- a/tests/test_mathy.py\n\
         +++ b/tests/test_mathy.py\n@@ -4,2 +4,2 @@\n def test_zero():\n-    assert \
         mathy.add(0, 0) == 0\n+    pass\n",
    ),
    (
        "a binary file",
        "diff --git a/b.bin b/b.bin\nnew file mode 100644\nindex \
         0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d\n\
         GIT binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 0\nHcmV?d00001\n\n",
    ),
    // Git refuses it; the fourth attempt leaves out what it cannot read.
    (
        "a binary file without content",
        "diff --git a/b.bin b/b.bin\nnew file mode 100644\nBinary files /dev/null and b/b.bin \
         differ\n",
    ),
    (
        "a submodule",
        "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..0123456\n--- /dev/null\n\
         +++ b/sub\n@@ -0,0 +1 @@\n+Subproject commit 0123456789abcdef0123456789abcdef01234567\n",
    ),
    (
        "line ends",
        "diff --git a/windows.txt b/windows.txt\n--- a/windows.txt\n+++ b/windows.txt\n\
         @@ -1,2 +1,2 @@\n one\r\n-two\r\n+2\r\n",
    ),
    (
        "another name",
        "diff --git a/notes.txt b/other.txt\nsimilarity index 100%\nrename from notes.txt\n\
         rename to other.txt\n",
    ),
    (
        "another mode",
        "diff --git a/notes.txt b/notes.txt\nold mode 100644\nnew mode 100755\n",
    ),
    (
        "a link",
        "diff --git a/alias b/alias\nnew file mode 120000\n--- /dev/null\n+++ b/alias\n\
         @@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
    ),
];

/// Patches that are not applied.
const REFUSED: &[(&str, &str)] = &[
    ("no patch", "hello\n"),
    (
        "through a link",
        "diff --git a/alias b/alias\nnew file mode 120000\n--- /dev/null\n+++ b/alias\n\
         @@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\ndiff --git a/alias/own b/alias/own\n\
         new file mode 100644\n--- /dev/null\n+++ b/alias/own\n@@ -0,0 +1 @@\n+x\n",
    ),
    (
        "outside",
        "diff --git a/../../etc/own b/../../etc/own\nnew file mode 100644\n--- /dev/null\n\
         +++ b/../../etc/own\n@@ -0,0 +1 @@\n+x\n",
    ),
];

#[tokio::test]
async fn every_patch_has_a_clear_outcome() {
    let world = World::new("patches").await;
    let task = world.task();
    let applied = |(name, patch): &(&'static str, &str)| (*name, format!("{GOLD}{patch}"), Ok(1.0));
    let not_applied = || Err("the patch did not apply".to_owned());
    let refused =
        |(name, patch): &(&'static str, &str)| (*name, (*patch).to_owned(), not_applied());
    let changed = |from: &str, to: &str| GOLD.replace(from, to);
    let mut cases = vec![
        ("reference", GOLD.to_owned(), Ok(1.0)),
        ("nothing", String::new(), Ok(0.0)),
        ("other file", changed("mathy", "physics"), not_applied()),
        ("other lines", changed("a - b", "a / b"), not_applied()),
        ("other context", changed(" def add(", " def plus("), Ok(1.0)),
        ("cut off", GOLD.trim_end().to_owned(), not_applied()),
    ];
    cases.extend(BESIDE.iter().map(applied));
    cases.extend(REFUSED.iter().map(refused));
    let mut wrong = Vec::new();
    for (name, patch, want) in cases {
        let judged = world.patch(&task, &patch).await;
        if judged.reward.clone().map_err(|fault| fault.why) != want {
            wrong.push(format!("{name}: {:?}\n{}", judged.reward, said(&judged)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
