//! The Polyglot exercises on a real engine. Without one these tests fail: `tests/bring docker`.

use dgm::benchmark::polyglot::{Language, Mode, import};
use dgm::benchmark::{Answer, CheckRow, Suite, VerifierEnd, check, judge};
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

struct World {
    folder: TempDir,
    sandbox: DockerSandbox,
    suite: Suite,
}

impl World {
    async fn new(name: &str, language: Language) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let label = format!("test-polyglot-{name}-{}", std::process::id());
        let sandbox = DockerSandbox::connect(label, folder.path().join("run"))
            .await
            .expect("an engine runs (tests/bring docker starts one)");
        built(language).await;
        let out = folder.path().join("suite");
        import(&archive(), &out, &[language], Mode::Full).expect("it imports");
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

    async fn judge(&self, task: &str, file: &str, text: &str) -> VerifierEnd {
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

/// Builds the image of a language once.
async fn built(language: Language) {
    static BUILT: [OnceCell<()>; 6] = [const { OnceCell::const_new() }; 6];
    BUILT[language as usize]
        .get_or_init(|| async {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("sandbox/polyglot")
                .join(language.name());
            let mut recipe = FileTree::new();
            for entry in fs::read_dir(folder).expect("the recipe is there") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy();
                let name = TreePath::new(&name).expect("a good path");
                recipe.insert(name, fs::read(path).expect("it can be read"), false);
            }
            let engine = Engine::connect().await;
            let engine = engine.expect("an engine runs (tests/bring docker starts one)");
            // Where a proxy ends TLS, this machine trusts it, and so must a build.
            let network = image::BuildNetwork {
                host: true,
                certificates: fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default(),
            };
            let tag = format!("dgm-polyglot-{language}");
            image::build(&engine, &recipe, &tag, &network, &mut |_| {})
                .await
                .expect("the image can be built");
        })
        .await;
}

/// What was measured without `dgm`: task and variant to outcome.
fn measured(language: Language) -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(shared("polyglot-ground-truth.csv")).expect("it can be read");
    text.lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[0].starts_with(&format!("{language}__")))
        .map(|row| ((row[0].to_owned(), row[1].to_owned()), row[2].to_owned()))
        .collect()
}

/// Checks exercises and compares them with what was measured: with no names, all.
async fn as_measured(language: Language, wanted: &[&str]) {
    let world = World::new(&format!("truth-{language}"), language).await;
    let all = std::env::var_os("DGM_TEST_POLYGLOT").is_some();
    let rows = world.check(if all { &[] } else { wanted }).await;
    let measured = measured(language);
    assert!(rows.len() >= wanted.len().max(1), "{language}: too few ran");
    let mut others = Vec::new();
    for row in &rows {
        // One exercise needs a library that an image has only if Maven Central was reached.
        if row.task == "java__hangman" && row.log.contains("has no rxjava.jar") {
            continue;
        }
        if !row.ok {
            others.push(format!("{}: {}\n{}", row.task, row.detail, row.log));
        }
        for (variant, checked) in [("stub", &row.nothing_done), ("reference", &row.reference)] {
            let outcome = match checked.reward() {
                Some(reward) if reward >= 1.0 => "pass",
                Some(_) => "fail",
                None => "no reward",
            };
            let key = (row.task.clone(), variant.to_owned());
            if measured[&key] != outcome {
                others.push(format!("{}: {variant}: {outcome}", row.task));
            }
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[tokio::test]
async fn every_exercise_in_python_is_as_measured() {
    as_measured(Language::Python, &[]).await;
}

// All of the other languages take a quarter of an hour: `DGM_TEST_POLYGLOT=1` asks for them.
// These are those that differ from the rest in how they are built, counted or graded.

#[tokio::test]
async fn exercises_in_cpp_are_as_measured() {
    as_measured(Language::Cpp, &["cpp__gigasecond", "cpp__zebra-puzzle"]).await;
}

#[tokio::test]
async fn exercises_in_go_are_as_measured() {
    let wanted = ["go__counter", "go__ledger", "go__alphametics", "go__matrix"];
    as_measured(Language::Go, &wanted).await;
}

#[tokio::test]
async fn exercises_in_java_are_as_measured() {
    let wanted = ["java__forth", "java__ledger", "java__satellite"];
    as_measured(Language::Java, &wanted).await;
}

#[tokio::test]
async fn exercises_in_javascript_are_as_measured() {
    let wanted = [
        "javascript__binary",
        "javascript__grep",
        "javascript__ledger",
        "javascript__robot-name",
    ];
    as_measured(Language::JavaScript, &wanted).await;
}

#[tokio::test]
async fn exercises_in_rust_are_as_measured() {
    let wanted = [
        "rust__gigasecond",
        "rust__grep",
        "rust__macros",
        "rust__xorcism",
    ];
    as_measured(Language::Rust, &wanted).await;
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
    let world = World::new("cheats", Language::Python).await;
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
    let mut world = World::new("endless", Language::Python).await;
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

/// For each other language, a solution that solves nothing: it bends or forges what its test
/// framework says.
const BENT: [(Language, &str, &str, &str); 5] = [
    (
        Language::Cpp,
        "cpp__perfect-numbers",
        "perfect_numbers.h",
        "#pragma once\n#include \"test/catch.hpp\"\n#undef REQUIRE\n#define REQUIRE(x)\n\
         #undef REQUIRE_THROWS_AS\n#define REQUIRE_THROWS_AS(x, y)\nnamespace perfect_numbers {\n\
         enum class classification { deficient, perfect, abundant };\n\
         inline classification classify(int) { return classification::perfect; }\n}\n",
    ),
    (
        Language::Go,
        "go__beer-song",
        "beer_song.go",
        "package beer\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc init() {\n\
         \tfor _, name := range []string{\"TestVerse\", \"TestVerses\", \"TestSong\", \
         \"TestEntireSong\", \"TestSeveralVerses\", \"TestBottlesVerse\"} {\n\
         \t\tfmt.Printf(\"=== RUN   %s\\n--- PASS: %s (0.00s)\\n\", name, name)\n\t}\n\
         \tfmt.Println(\"PASS\")\n\tos.Exit(0)\n}\n\n\
         func Song() string { return \"\" }\n\
         func Verses(a, b int) (string, error) { return \"\", nil }\n\
         func Verse(a int) (string, error) { return \"\", nil }\n",
    ),
    (
        Language::Java,
        "java__bottle-song",
        "src/main/java/BottleSong.java",
        "class BottleSong {\n  static { Runtime.getRuntime().halt(0); }\n\
         \x20 String recite(int a, int b) { return \"\"; }\n}\n",
    ),
    (
        Language::JavaScript,
        "javascript__beer-song",
        "beer-song.js",
        "const anything = new Proxy(function () {}, { get: () => anything, apply: () => anything });\n\
         globalThis.expect = anything;\nexport const recite = () => [];\n",
    ),
    (
        Language::Rust,
        "rust__wordy",
        "src/lib.rs",
        "pub fn answer(_: &str) -> Option<i32> {\n    println!(\"test just_a_number ... ok\");\n\
         \x20   println!(\"test result: ok. 23 passed\");\n    std::process::exit(0)\n}\n",
    ),
];

#[tokio::test]
async fn no_solution_bends_the_tests_of_its_language() {
    for (language, task, file, text) in BENT {
        let world = World::new(&format!("bent-{language}"), language).await;
        let judgement = world.judge(task, file, text).await;
        let log = String::from_utf8_lossy(&judgement.log);
        assert_eq!(judgement.reward, Ok(0.0), "{task}\n{log}");
    }
}
