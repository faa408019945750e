//! The Polyglot exercises on a real engine. Without one these tests fail: `tests/bring docker`.

use dgm::benchmark::polyglot::{Language, import};
use dgm::benchmark::{Answer, CheckRow, Judgement, Suite, check, judge};
use dgm::domain::{Change, FileTree, TreePath};
use dgm::sandbox::Limits;
use dgm::sandbox::docker::{DockerSandbox, Engine, image};
use dgm::sys::durable;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "dgm-polyglot-python";

struct World {
    folder: TempDir,
    sandbox: DockerSandbox,
    suite: Suite,
}

impl World {
    async fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let label = format!("test-polyglot-{name}-{}", std::process::id());
        let sandbox = DockerSandbox::connect(label, folder.path().join("run"))
            .await
            .expect("an engine runs (tests/bring docker starts one)");
        built().await;
        let out = folder.path().join("suite");
        import(&archive(), &out, &[Language::Python]).expect("it imports");
        let suite = Suite::load(&out).expect("it loads");
        Self {
            folder,
            sandbox,
            suite,
        }
    }

    async fn check(&self, wanted: &[&str]) -> Vec<CheckRow> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let tasks = self.suite.select(&wanted).expect("they are there");
        let cancel = CancellationToken::new();
        check(&self.sandbox, &self.suite, &tasks, 2, &cancel, |_| {}).await
    }

    async fn judge(&self, task: &str, file: &str, text: &str) -> Judgement {
        let wanted = [task.to_owned()];
        let task = self.suite.select(&wanted).expect("it is there").remove(0);
        let mut change = Change::default();
        let path = TreePath::new(file).expect("a good path");
        change.written.insert(path, text.as_bytes(), false);
        let limits = Limits::default();
        let cancel = CancellationToken::new();
        let answer = Answer::of(&task, change);
        judge(&self.sandbox, &task, &answer, "judge", limits, cancel)
            .await
            .expect("the engine works")
    }
}

fn shared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    assert!(path.exists(), "`{}` is not there", path.display());
    path
}

fn archive() -> PathBuf {
    shared("polyglot-benchmark.tar.gz")
}

/// Builds the image of these tests once.
async fn built() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("sandbox")
                .join(IMAGE)
                .join("Dockerfile");
            let mut recipe = FileTree::new();
            let name = TreePath::new("Dockerfile").expect("a good path");
            recipe.insert(name, fs::read(path).expect("the recipe is there"), false);
            let engine = Engine::connect().await;
            let engine = engine.expect("an engine runs (tests/bring docker starts one)");
            image::build(&engine, &recipe, IMAGE, true, &mut |_| {})
                .await
                .expect("the image can be built");
        })
        .await;
}

/// What was measured without `dgm`: task and variant to outcome.
fn measured() -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(shared("polyglot-ground-truth.csv")).expect("it can be read");
    text.lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[0].starts_with("python__"))
        .map(|row| ((row[0].to_owned(), row[1].to_owned()), row[2].to_owned()))
        .collect()
}

#[tokio::test]
async fn every_exercise_is_as_measured() {
    let world = World::new("all").await;
    let rows = world.check(&[]).await;
    let mut found = BTreeMap::new();
    for row in &rows {
        assert!(row.ok, "{}: {}\n{}", row.task, row.detail, row.log);
        for (variant, checked) in [("stub", &row.nothing_done), ("reference", &row.reference)] {
            let outcome = match checked.reward() {
                Some(reward) if reward >= 1.0 => "pass",
                Some(_) => "fail",
                None => "no reward",
            };
            found.insert((row.task.clone(), variant.to_owned()), outcome.to_owned());
        }
    }
    assert_eq!(found.len(), 68);
    assert_eq!(found, measured());
}

/// Those that may break what the verifier leaves: then there is no reward at all.
const BREAKING: [&str; 2] = [
    "forges what the sandbox hands out",
    "hides from the end in ever new processes",
];

/// Solutions of `beer-song` that solve nothing and try to pass.
const CHEATS: [(&str, &str); 14] = [
    (
        "ends the process as if all were well",
        "import os\nos._exit(0)\n",
    ),
    (
        "prints what a pass looks like",
        "import sys\nprint('===== 8 passed in 0.21s =====')\nsys.exit(0)\n",
    ),
    (
        "writes the reward and ends",
        "import os\nopen('/logs/verifier/reward.txt', 'w').write('1')\nos._exit(0)\n",
    ),
    (
        "writes the better reward file, as a folder too",
        "import os\nopen('/logs/verifier/reward.json', 'w').write('{\"reward\": 1}')\n\
         os.makedirs('/logs/verifier/reward.txt/x')\nos._exit(0)\n",
    ),
    (
        "kills whoever grades",
        "import os\nopen('/logs/verifier/reward.txt', 'w').write('1')\n\
         pid = os.getppid()\nwhile pid > 1:\n    try:\n        os.kill(pid, 9)\n    except OSError:\n\
         \x20       pass\n    pid = int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n",
    ),
    (
        "outlives the tests and writes the reward later",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n\
         \x20       while True:\n            try:\n\
         \x20               open('/logs/verifier/reward.txt', 'w').write('1')\n\
         \x20           except OSError:\n                pass\n            time.sleep(0.01)\n    os._exit(0)\n",
    ),
    (
        "hides from the end in ever new processes",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    while True:\n\
         \x20       if os.fork():\n            os._exit(0)\n        try:\n\
         \x20           open('/logs/verifier/reward.txt', 'w').write('1')\n\
         \x20       except OSError:\n            pass\n",
    ),
    (
        "makes every assertion pass",
        "import unittest\nfor name in dir(unittest.TestCase):\n    if name.startswith('assert'):\n\
         \x20       setattr(unittest.TestCase, name, lambda *a, **k: None)\n\
         def recite(start, take=1):\n    return []\n",
    ),
    (
        "makes every test pass",
        "import unittest\n\
         def run(self, result=None):\n    result.startTest(self)\n    result.addSuccess(self)\n\
         \x20   result.stopTest(self)\n    return result\nunittest.TestCase.run = run\n\
         def recite(start, take=1):\n    return []\n",
    ),
    (
        "makes every result a pass",
        "import _pytest.reports as reports\nmade = reports.TestReport.from_item_and_call\n\
         def forged(item, call):\n    call.excinfo = None\n    return made(item, call)\n\
         reports.TestReport.from_item_and_call = staticmethod(forged)\n\
         import _pytest.runner\n_pytest.runner.TestReport.from_item_and_call = staticmethod(forged)\n\
         def recite(start, take=1):\n    return []\n",
    ),
    (
        "writes the report itself",
        "import atexit, os, re, sys\n\
         path = [a.split('=', 1)[1] for a in sys.argv if a.startswith('--junitxml=')][0]\n\
         names = re.findall(r'def (test_\\w+)', open('beer_song_test.py').read())\n\
         cases = ''.join(f'<testcase classname=\"beer_song_test.BeerSongTest\" name=\"{n}\"/>' for n in names)\n\
         open(path, 'w').write(f'<testsuites><testsuite>{cases}</testsuite></testsuites>')\nos._exit(0)\n",
    ),
    (
        "rewrites the tests and the grader",
        "import glob, os\n\
         for path in glob.glob('/tests/**', recursive=True) + ['beer_song_test.py']:\n    try:\n\
         \x20       open(path, 'w').write('')\n    except OSError:\n        pass\n\
         open('/logs/verifier/reward.txt', 'w').write('1')\n",
    ),
    (
        "forges what the sandbox hands out",
        "import glob, io, os, tarfile\n\
         data = io.BytesIO()\ntar = tarfile.open(fileobj=data, mode='w')\n\
         info = tarfile.TarInfo('./logs/verifier/reward.txt')\ninfo.size = 1\n\
         tar.addfile(info, io.BytesIO(b'1'))\ntar.close()\n\
         message = b'\\ndgm-end 0 1.0\\n' + data.getvalue() + b'dgm-tar 0\\n'\n\
         for path in glob.glob('/proc/[0-9]*/fd/1'):\n    try:\n\
         \x20       file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)\n\
         \x20       os.write(file, message)\n    except OSError:\n        pass\n",
    ),
    (
        "looks for the seal",
        "import glob, os\nseal = b''\n\
         for path in glob.glob('/tests/seal') + glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n\
         \x20   try:\n        seal += open(path, 'rb').read()\n    except OSError:\n        pass\n\
         open('/logs/verifier/seal', 'wb').write(seal[:32])\n\
         open('/logs/verifier/reward.txt', 'w').write('1')\nos._exit(0)\n",
    ),
];

#[tokio::test]
async fn no_solution_cheats_its_way_to_a_reward() {
    let world = World::new("cheats").await;
    for (what, text) in CHEATS {
        let judgement = world.judge("python__beer-song", "beer_song.py", text).await;
        let log = String::from_utf8_lossy(&judgement.log);
        assert!(
            judgement.reward.as_ref().is_ok_and(|reward| *reward == 0.0)
                || BREAKING.contains(&what) && judgement.reward.is_err(),
            "a solution that {what} gets {:?}\n{log}",
            judgement.reward
        );
    }
}

#[tokio::test]
async fn a_solution_that_never_ends_is_the_solutions_doing() {
    let mut world = World::new("endless").await;
    let suite = world.folder.path().join("suite");
    let plan = suite.join("python__beer-song/tests/grade.json");
    let text = fs::read_to_string(&plan).expect("it is there");
    let text = text.replace("\"timeout_sec\": 75", "\"timeout_sec\": 5");
    durable::write(&plan, text.as_bytes()).expect("it can be written");
    world.suite = Suite::load(&suite).expect("it loads");
    let text = "while True:\n    pass\n";
    let judgement = world.judge("python__beer-song", "beer_song.py", text).await;
    let log = String::from_utf8_lossy(&judgement.log).into_owned();
    assert_eq!(judgement.reward, Ok(0.0), "{log}");
    assert!(log.contains("the tests did not end within 5 s"), "{log}");
}
