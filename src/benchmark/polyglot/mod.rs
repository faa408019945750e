//! The Polyglot exercises as Harbor task directories.
//!
//! Turns a checkout of the public repository (or an archive of one) into a benchmark that
//! runs without network: stubs and instructions where an agent sees them, tests and reference
//! solutions where it does not. A language is one file of [`Rules`] beside this one; what a
//! language needs otherwise is data.
//!
//! Invariant: no test, reference solution or published approach is in what an agent gets.
//! The result appears under its name whole or not at all, and nothing that this module did
//! not make is ever replaced.

mod exercise;
mod python;
mod render;
mod source;

use super::publish::{PublishError, Target};
use crate::domain::TaskId;
use exercise::Exercise;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How much of an exercise a task holds; results of different modes must not be mixed, so
/// the mode stands in the dataset's name. `full`: every test runs, hints are left out.
const MODE: &str = "full";

/// The languages of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// C++.
    Cpp,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript.
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
}

/// What is particular to a language.
#[derive(Debug)]
struct Rules {
    /// Image in which its tests run.
    image: &'static str,
    /// Returns whether a file is hidden although the exercise does not list it as a test.
    hides: fn(&str) -> bool,
    /// Returns the number of tests in a test file.
    count_tests: fn(&str) -> usize,
    /// Files of `tests/` that run the tests, with whether they are programs.
    runner: &'static [(&'static str, &'static str, bool)],
    /// What the instruction says of libraries.
    libraries: &'static str,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 6] = [
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Python,
        Self::Rust,
    ];

    /// Returns the language's name, which is also its folder in the repository.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }

    /// Returns the language of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    fn rules(self) -> Option<&'static Rules> {
        match self {
            Self::Python => Some(&python::RULES),
            Self::Cpp | Self::Go | Self::Java | Self::JavaScript | Self::Rust => None,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Name of the dataset, such as `polyglot/python-full`.
    pub dataset: String,
    /// The tasks, in order of name.
    pub tasks: Vec<TaskId>,
    /// Images that the tasks run in.
    pub images: Vec<String>,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No language was asked for.
    #[error("no language is named; name one, such as `--language python`")]
    NoLanguage,
    /// This language cannot be imported.
    #[error("language `{language}` is not supported yet: only `python` can be imported")]
    Unsupported {
        /// The language.
        language: Language,
    },
    /// The checkout cannot be read.
    #[error("could not read `{path}`")]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The checkout is none of the Polyglot repository.
    #[error(
        "`{path}` is no checkout of the Polyglot repository: it has no \
         `{language}/exercises/practice`"
    )]
    NotPolyglot {
        /// What was given.
        path: PathBuf,
        /// The language that was looked for.
        language: Language,
    },
    /// An exercise is not as it should be.
    #[error("exercise `{language}/{slug}`: {why}")]
    Exercise {
        /// Its language.
        language: Language,
        /// Its name.
        slug: String,
        /// What is wrong.
        why: String,
    },
    /// The target cannot be used.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Makes a benchmark of the exercises of some languages. `checkout` is the repository's
/// folder or a `.tar.gz` of it; `out` is made, or replaced if an import made it.
pub fn import(
    checkout: &Path,
    out: &Path,
    languages: &[Language],
) -> Result<Imported, ImportError> {
    let mut languages = languages.to_vec();
    languages.sort_unstable();
    languages.dedup();
    if languages.is_empty() {
        return Err(ImportError::NoLanguage);
    }
    let target = Target::check(out, "polyglot")?;
    let mut tasks = BTreeMap::new();
    let mut images = Vec::new();
    for language in &languages {
        let language = *language;
        let Some(rules) = language.rules() else {
            return Err(ImportError::Unsupported { language });
        };
        images.push(rules.image.to_owned());
        let files = source::read(checkout, language)?;
        for (slug, files) in source::exercises(&files) {
            let exercise = Exercise::read(language, &slug, &files, rules)?;
            let name = format!("{language}__{slug}");
            tasks.insert(name, render::task(&exercise, rules));
        }
    }
    let dataset = dataset_name(&languages);
    let manifest = render::dataset(&dataset, &languages, &tasks);
    target.publish(&tasks, &manifest)?;
    Ok(Imported {
        dataset,
        tasks: tasks.into_keys().map(TaskId::new).collect(),
        images,
    })
}

fn dataset_name(languages: &[Language]) -> String {
    let names: Vec<&str> = languages.iter().map(|language| language.name()).collect();
    format!("polyglot/{}-{MODE}", names.join("-"))
}

#[cfg(test)]
mod tests {
    use super::{ImportError, Language, import};
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
        let imported = import(&checkout, &out, &[Language::Python]).expect("it imports");
        assert_eq!(imported.dataset, "polyglot/python-full");
        assert_eq!(imported.images, ["dgm-polyglot-python"]);
        let task = Task::load(&out.join("python__leap")).expect("it loads");
        assert_eq!(task.name.as_deref(), Some("polyglot/python__leap"));
        assert_eq!(task.answer, ["leap.py"]);
        assert_eq!(task.tests_expected, Some(1));
        assert_eq!(task.workdir, "/workspace/leap");
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
            ["files/leap_test.py", "grade.json", "grade.py", "test.sh"]
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
                "exercise `python/leap`: its reference has not one file for each file to write",
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
            let error = import(&checkout, &out, &[Language::Python]).expect_err(message);
            assert_eq!(error.to_string(), message);
            assert!(!out.exists(), "nothing is left of a failed import");
        }
    }

    #[test]
    fn refuses_by_name_what_it_cannot_import() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("out");
        let error = import(folder.path(), &out, &[Language::Python]).expect_err("no checkout");
        assert!(matches!(error, ImportError::NotPolyglot { .. }), "{error}");
        let error = import(folder.path(), &out, &[]).expect_err("no language");
        assert!(matches!(error, ImportError::NoLanguage), "{error}");
        for language in Language::ALL {
            assert_eq!(Language::from_name(language.name()), Some(language));
            if language != Language::Python {
                let error = import(folder.path(), &out, &[language]).expect_err("unsupported");
                assert_eq!(
                    error.to_string(),
                    format!(
                        "language `{language}` is not supported yet: only `python` can be imported"
                    )
                );
            }
        }
    }

    #[test]
    fn replaces_its_own_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let checkout = checkout(folder.path());
        let out = folder.path().join("out");
        let again = || import(&checkout, &out, &[Language::Python]);
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
        let error = import(&checkout, &other, &[Language::Python]).expect_err("somebody's folder");
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

    #[test]
    fn imports_the_python_exercises_without_giving_anything_away() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("out");
        let imported = import(&archive(), &out, &[Language::Python]).expect("it imports");
        assert_eq!(imported.tasks.len(), 34);
        let suite = Suite::load(&out).expect("it loads");
        assert_eq!(suite.name.as_deref(), Some("polyglot/python-full"));
        assert_eq!(
            suite.warnings,
            Vec::<String>::new(),
            "the digests are right"
        );
        assert!(suite.refused.is_empty(), "{:?}", suite.refused);
        assert_eq!(suite.tasks.len(), 34);
        for task in &suite.tasks {
            let visible = visible(task);
            let solution = &task.solution.as_ref().expect("a reference").0;
            let hidden = task.tests.0.iter().chain(solution.iter());
            for (path, file) in hidden.filter(|(path, _)| path.as_str().starts_with("files/")) {
                let text = String::from_utf8_lossy(&file.bytes);
                assert!(!visible.contains(text.trim()), "{}: {path}", task.id);
            }
            for (path, _) in task.workspace.iter() {
                let name = path.as_str();
                assert!(
                    !name.contains("test") && !name.contains('/'),
                    "{}: {path}",
                    task.id
                );
            }
            assert!(!visible.contains("import unittest"), "{}", task.id);
            assert_eq!(task.image.as_deref(), Some("dgm-polyglot-python"));
            assert!(!task.answer.is_empty() && !task.local);
        }
    }

    #[test]
    fn counts_the_tests_as_measured() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("out");
        import(&archive(), &out, &[Language::Python]).expect("it imports");
        let suite = Suite::load(&out).expect("it loads");
        let truth = fs::read_to_string(archive().with_file_name("polyglot-ground-truth.csv"))
            .expect("the measured values lie beside the archive");
        let measured: BTreeMap<&str, u64> = truth
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| row[0].starts_with("python__") && row[1] == "reference")
            .map(|row| (row[0], row[6].parse().expect("a number of passed tests")))
            .collect();
        let counted: BTreeMap<&str, u64> = suite
            .tasks
            .iter()
            .map(|task| (task.id.as_str(), task.tests_expected.unwrap_or(0)))
            .collect();
        assert_eq!(counted, measured);
        assert_eq!(counted.values().sum::<u64>(), 584);
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
        import(&archive(), &one, &[Language::Python]).expect("it imports");
        import(&unpacked, &two, &[Language::Python]).expect("it imports");
        assert_eq!(
            fs::read(one.join("dataset.toml")).expect("it is there"),
            fs::read(two.join("dataset.toml")).expect("it is there")
        );
    }
}
