//! What an import of exercises makes of them.

use super::{ImportError, Language, Mode, import};
use crate::benchmark::{Suite, Task};
use crate::sys::durable;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn archive() -> PathBuf {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/polyglot-benchmark.tar.gz");
    assert!(
        path.exists(),
        "the archive of the Polyglot repository is not at `{}`",
        path.display()
    );
    path
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    durable::write(path, text.as_bytes()).expect("the file can be written");
}

/// A checkout with one exercise.
fn checkout(folder: &Path) -> PathBuf {
    let exercise = folder.join("python/exercises/practice/leap");
    for (name, text) in [
        (
            ".meta/config.json",
            "{\"blurb\": \"Say \\\"leap\\\".\", \"files\": {\"solution\": [\"leap.py\"], \
             \"test\": [\"leap_test.py\"], \"example\": [\".meta/example.py\"]}}",
        ),
        (".meta/example.py", "REFERENCE = 1\n"),
        (".docs/instructions.md", "# Instructions\n\nLeap.\n"),
        (".docs/introduction.md", "# Introduction\n"),
        (".docs/hints.md", "# Hints\n"),
        (".approaches/introduction.md", "APPROACH\n"),
        ("leap.py", "STUB = 1\n"),
        ("leap_test.py", "def test_a():\n    pass\n"),
        ("test_more.py", "UNLISTED = 1\n"),
        ("data.txt", "DATA\n"),
    ] {
        put(&exercise.join(name), text);
    }
    folder.to_owned()
}

fn visible(task: &Task) -> String {
    let files = task.workspace.iter();
    let mut text: String = files
        .map(|(path, file)| format!("{path}\n{}\n", String::from_utf8_lossy(&file.bytes)))
        .collect();
    text.push_str(&task.instruction);
    text
}

#[test]
fn sorts_an_exercise() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let checkout = checkout(folder.path());
    let out = folder.path().join("out");
    let imported = import(&checkout, &out, &[Language::Python], Mode::Full).expect("it imports");
    assert_eq!(imported.dataset, "polyglot/python-full");
    assert_eq!(imported.images, ["dgm-polyglot-python"]);
    let task = Task::load(&out.join("python__leap")).expect("it loads");
    assert_eq!(task.name.as_deref(), Some("polyglot/python__leap"));
    assert_eq!(task.answer, ["leap.py"]);
    assert_eq!(task.tests_expected, Some(1));
    assert_eq!(task.workdir.as_deref(), Some("/workspace/leap"));
    assert_eq!(task.warnings, Vec::<String>::new());
    let seen: Vec<&str> = task
        .workspace
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(seen, ["data.txt", "leap.py"]);
    assert_eq!(
        task.instruction,
        "# Introduction\n\n# Instructions\n\nLeap.\n\n# What to write\n\nThe working \
         directory holds the stub. Write the solution into `leap.py`; only that counts, \
         everything else is put back before the tests run. Keep the names of the classes \
         and functions that are there, because tests that you cannot see use them. Use \
         Python's standard library only: nothing else is installed when the tests run.\n"
    );
    let hidden: Vec<&str> = task.tests.0.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        hidden,
        [
            "files/leap_test.py",
            "files/test_more.py",
            "fixed/data.txt",
            "grade.json",
            "grade.py",
            "language.py",
            "test.sh"
        ]
    );
    assert!(
        task.tests
            .0
            .get("test.sh")
            .is_some_and(|file| file.executable)
    );
    let solution = task.solution.expect("it has a reference");
    assert!(solution.0.get("files/leap.py").is_some());
}

#[test]
fn says_what_is_wrong_with_an_exercise() {
    let practice = "python/exercises/practice/leap";
    for (file, text, message) in [
        (
            ".meta/config.json",
            "{",
            "exercise `python/leap`: `.meta/config.json` cannot be read: EOF while parsing \
             an object at line 1 column 1",
        ),
        (
            ".meta/config.json",
            "{\"files\": {\"solution\": [], \"test\": [], \"example\": []}}",
            "exercise `python/leap`: `.meta/config.json` names no solution or no test",
        ),
        (
            ".meta/config.json",
            "{\"files\": {\"solution\": [\"a.py\"], \"test\": [\"leap_test.py\"], \
             \"example\": [\".meta/example.py\"]}}",
            "exercise `python/leap`: its stub `a.py` is missing",
        ),
        (
            ".meta/config.json",
            "{\"files\": {\"solution\": [\"leap.py\"], \"test\": [\"no_test.py\"], \
             \"example\": [\".meta/example.py\"]}}",
            "exercise `python/leap`: `no_test.py` is missing",
        ),
        (
            ".meta/config.json",
            "{\"files\": {\"solution\": [\"leap.py\"], \"test\": [\"leap_test.py\"], \
             \"example\": []}}",
            "exercise `python/leap`: it has no reference",
        ),
        (
            "leap_test.py",
            "x = 1\n",
            "exercise `python/leap`: its test files hold no test",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let checkout = checkout(folder.path());
        put(&checkout.join(practice).join(file), text);
        let out = folder.path().join("out");
        let error = import(&checkout, &out, &[Language::Python], Mode::Full).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(!out.exists(), "nothing is left of a failed import");
    }
}

#[test]
fn refuses_by_name_what_it_cannot_import() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out");
    let error =
        import(folder.path(), &out, &[Language::Python], Mode::Full).expect_err("no checkout");
    assert!(matches!(error, ImportError::NotPolyglot { .. }), "{error}");
    let error = import(folder.path(), &out, &[], Mode::Full).expect_err("no language");
    assert!(matches!(error, ImportError::NoLanguage), "{error}");
    for language in Language::ALL {
        assert_eq!(Language::from_name(language.name()), Some(language));
    }
}

#[test]
fn replaces_its_own_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let checkout = checkout(folder.path());
    let out = folder.path().join("out");
    let again = || import(&checkout, &out, &[Language::Python], Mode::Full);
    fs::create_dir(&out).expect("an empty folder can be made");
    again().expect("an empty folder is free");
    let first = fs::read(out.join("dataset.toml")).expect("it is there");
    again().expect("its own may be replaced");
    assert_eq!(
        fs::read(out.join("dataset.toml")).expect("it is there"),
        first
    );
    put(&out.join("mine.txt"), "mine");
    let error = again().expect_err("somebody's file");
    assert!(
        error
            .to_string()
            .contains("holds `mine.txt`, which no import made"),
        "{error}"
    );
    let other = folder.path().join("other");
    put(&other.join("mine.txt"), "mine");
    let error =
        import(&checkout, &other, &[Language::Python], Mode::Full).expect_err("somebody's folder");
    assert!(
        error
            .to_string()
            .contains("is not empty, and no import made it"),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("it can be read")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

/// The digests of tasks that were imported before stay what they are.
fn assert_plan_is_sorted(task: &Task) {
    let mut plans = task.tests.0.iter();
    let plan = plans.find(|(path, _)| path.as_str() == "grade.json");
    let plan = &plan.expect("there is a plan").1.bytes;
    let mut sorted: serde_json::Value = serde_json::from_slice(plan).expect("it is JSON");
    sorted.sort_all_objects();
    assert_eq!(format!("{sorted:#}\n").as_bytes(), &plan[..], "{}", task.id);
}

#[test]
fn imports_all_exercises_without_giving_anything_away() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out");
    let imported = import(&archive(), &out, &Language::ALL, Mode::Full).expect("it imports");
    assert_eq!(imported.tasks.len(), 225);
    assert_eq!(imported.images.len(), 6);
    let suite = Suite::load(&out).expect("it loads");
    assert_eq!(suite.name.as_deref(), Some("polyglot/full"));
    assert_eq!(
        suite.warnings,
        Vec::<String>::new(),
        "the digests are right"
    );
    assert!(suite.refused.is_empty(), "{:?}", suite.refused);
    for task in &suite.tasks {
        assert_plan_is_sorted(task);
        let visible = visible(task);
        let solution = &task.solution.as_ref().expect("a reference").0;
        let hidden = task.tests.0.iter().chain(solution.iter());
        for (path, file) in hidden.filter(|(path, _)| path.as_str().starts_with("files/")) {
            let name = path.as_str().trim_start_matches("files/");
            let stub = task.workspace.get(name).map(|stub| &stub.bytes);
            // A manifest can be reference and stub in one; in `counter` the tests' file is
            // empty.
            if stub == Some(&file.bytes) || file.bytes.len() < 128 {
                continue;
            }
            let text = String::from_utf8_lossy(&file.bytes);
            assert!(!visible.contains(text.trim()), "{}: {path}", task.id);
        }
        for (path, _) in task.workspace.iter() {
            let hides = [
                "_test.",
                ".spec.js",
                "src/test/",
                "tests/",
                ".meta",
                ".docs",
            ];
            let shown = hides.iter().find(|part| path.as_str().contains(**part));
            assert_eq!(shown, None, "{}: {path}", task.id);
        }
        assert!(!task.answer.is_empty() && !task.local);
    }
    let passing: Vec<&str> = suite
        .tasks
        .iter()
        .filter(|task| !task.is_scored())
        .map(|task| task.id.as_str())
        .collect();
    assert_eq!(
        passing,
        [
            "go__counter",
            "go__ledger",
            "go__markdown",
            "java__ledger",
            "java__tree-building",
            "javascript__ledger"
        ]
    );
}

/// Number of tests that were measured to run with the reference, by task.
fn measured() -> BTreeMap<String, u64> {
    let truth = fs::read_to_string(archive().with_file_name("polyglot-ground-truth.csv"))
        .expect("the measured values lie beside the archive");
    truth
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[1] == "reference")
        .map(|row| {
            let passed = row[6].parse().expect("a number of passed tests");
            (row[0].to_owned(), passed)
        })
        .collect()
}

#[test]
fn counts_the_tests_as_measured() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out");
    import(&archive(), &out, &Language::ALL, Mode::Full).expect("it imports");
    let suite = Suite::load(&out).expect("it loads");
    let measured = measured();
    let mut differ = Vec::new();
    for task in &suite.tasks {
        let counted = task.tests_expected.unwrap_or(0);
        let ran = measured[task.id.as_str()];
        // A table of cases counts once for Go's functions, and case by case when it runs.
        let same = match task.id.as_str().starts_with("go__") {
            true => counted <= ran,
            false => counted == ran,
        };
        if !same {
            differ.push((task.id.as_str(), counted, ran));
        }
    }
    // Measured without the two optional long tests, and with the tests in Rust's
    // documentation, which an answer brings itself.
    assert_eq!(
        differ,
        [
            ("javascript__palindrome-products", 12, 11),
            ("javascript__robot-name", 9, 8),
            ("rust__decimal", 44, 45),
            ("rust__fizzy", 7, 14),
            ("rust__react", 20, 22),
        ]
    );
}

#[test]
fn other_modes_skip_what_published_runs_skip() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let languages = [Language::Java, Language::JavaScript];
    let mut counts = BTreeMap::new();
    for mode in Mode::ALL {
        let out = folder.path().join(mode.name());
        let imported = import(&archive(), &out, &languages, mode).expect("it imports");
        assert_eq!(imported.dataset, format!("polyglot/java-javascript-{mode}"));
        for task in Suite::load(&out).expect("it loads").tasks {
            let language = task.id.as_str().split("__").next().unwrap_or("").to_owned();
            *counts.entry((language, mode.name())).or_insert(0) += task.tests_expected.unwrap_or(0);
        }
    }
    let count = |language: &str, mode| counts[&(language.to_owned(), mode)];
    assert_eq!(count("java", "full"), 790);
    assert_eq!(count("java", "full") - count("java", "aider"), 1);
    assert_eq!(count("java", "dgm"), 48);
    assert_eq!(count("javascript", "full"), 908);
    assert_eq!(
        count("javascript", "full") - count("javascript", "aider"),
        25
    );
    assert_eq!(count("javascript", "dgm"), count("javascript", "aider"));
}

#[test]
fn a_folder_and_an_archive_give_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = fs::File::open(archive()).expect("it opens");
    let unpacked = folder.path().join("checkout");
    tar::Archive::new(flate2::read::GzDecoder::new(file))
        .unpack(&unpacked)
        .expect("it unpacks");
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    import(&archive(), &one, &[Language::Python], Mode::Full).expect("it imports");
    import(&unpacked, &two, &[Language::Python], Mode::Full).expect("it imports");
    assert_eq!(
        fs::read(one.join("dataset.toml")).expect("it is there"),
        fs::read(two.join("dataset.toml")).expect("it is there")
    );
}
