//! One task, read from a Harbor task directory.

use super::digest::{self, Ignored};
use super::fault::{LoadError, Spot};
use super::folder;
use super::manifest::Manifest;
use crate::domain::{FileTree, TaskId};
use crate::sandbox::Sandbox;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Files that no agent may see: tests, reference solutions.
#[derive(Clone, Debug)]
pub struct Hidden(pub(super) Arc<FileTree>);

/// Where the verifier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifierMode {
    /// In a fresh sandbox that gets the answer's files.
    Separate,
    /// In the agent's own sandbox, after every agent process is dead.
    Shared,
}

/// One task, ready to run.
#[derive(Clone, Debug)]
pub struct Task {
    /// Name of its directory.
    pub id: TaskId,
    /// Its full name, `organization/name`, for people.
    pub name: Option<String>,
    /// Digest over its files, as Harbor computes it (`sha256:…`).
    pub digest: String,
    /// What the agent is asked, canary lines removed.
    pub instruction: String,
    /// Image for backends that have images.
    pub image: Option<String>,
    /// Whether it may run in the local sandbox, which has no images.
    pub local: bool,
    /// Absolute folder in which the agent works.
    pub workdir: String,
    /// The files the agent starts with, delivered into `workdir`.
    pub workspace: Arc<FileTree>,
    /// Globs of the paths that are taken from the agent; empty: all.
    pub answer: Vec<String>,
    /// Time for the agent; none is the run's default.
    pub agent_timeout: Option<Duration>,
    /// Time for the verifier.
    pub verifier_timeout: Duration,
    /// Where the verifier runs.
    pub verifier_mode: VerifierMode,
    /// Environment of the verifier.
    pub verifier_env: Vec<(String, String)>,
    /// Environment of agent and verifier.
    pub env: Vec<(String, String)>,
    /// Reward from which on the task counts as resolved.
    pub pass_mark: f64,
    /// Number of tests that must have run, where the task says so.
    pub tests_expected: Option<u64>,
    /// Cores asked for.
    pub cpus: Option<f64>,
    /// Memory asked for, in bytes.
    pub memory: Option<u64>,
    /// Reward that the untouched workspace gets, where it is known to get one.
    pub nothing_done: f64,
    /// Whether a reward counts only if the verifier seals it: it is given a secret at
    /// `/tests/seal`, which it takes away before it starts anything else, and leaves at
    /// `/logs/verifier/seal` the HMAC-SHA256 of its reward file, made with that secret, in
    /// hexadecimal digits.
    pub sealed: bool,
    /// `tests/`.
    pub tests: Hidden,
    /// `solution/`; none: the task has no reference solution.
    pub solution: Option<Hidden>,
    /// Environment of the reference solution.
    pub solution_env: Vec<(String, String)>,
    /// What is odd about it, though it can run: one sentence each.
    pub warnings: Vec<String>,
}

impl Task {
    /// Loads a Harbor task directory.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let id = id(dir)?;
        let all = folder::read_task(dir)?;
        let ignored = ignored(dir, &all)?;
        let mut files = FileTree::new();
        for (path, file) in all.iter() {
            if !ignored.ignores(path.as_str()) {
                files.insert(path.clone(), file.bytes.clone(), file.executable);
            }
        }
        let manifest = Manifest::read(text(&files, "task.toml", NO_MANIFEST)?)?;
        refuse_foreign(&files)?;
        let instruction = without_canary(text(&files, "instruction.md", NO_INSTRUCTION)?);
        if instruction.trim().is_empty() {
            return Err(LoadError::Invalid {
                spot: Spot::file("instruction.md"),
                why: "says nothing; write what the agent is to do".to_owned(),
            });
        }
        let tests = folder::below(&files, "tests");
        if tests.get("test.sh").is_none() {
            return Err(LoadError::Missing {
                what: "`tests/test.sh`",
                todo: "write a script that leaves a number in `/logs/verifier/reward.txt`; \
                       without it the task cannot be graded",
            });
        }
        let workspace = folder::below(&files, &manifest.workspace);
        if workspace.is_empty() && !dir.join(&manifest.workspace).is_dir() {
            return Err(LoadError::Invalid {
                spot: Spot {
                    key: "metadata.dgm.workspace".to_owned(),
                    ..Spot::file("task.toml")
                },
                why: format!("there is no folder `{}`", manifest.workspace),
            });
        }
        let solution = folder::below(&files, "solution");
        let solution = solution.get("solve.sh").is_some().then_some(solution);
        Ok(Self {
            id,
            name: manifest.name,
            digest: digest::of(&files),
            instruction,
            image: manifest.image,
            local: manifest.local,
            workdir: manifest.workdir,
            workspace: Arc::new(workspace),
            answer: manifest.answer,
            agent_timeout: manifest.agent_timeout,
            verifier_timeout: manifest.verifier_timeout,
            verifier_mode: VerifierMode::Separate,
            verifier_env: manifest.verifier_env,
            env: manifest.env,
            pass_mark: manifest.pass_mark,
            tests_expected: manifest.tests_expected,
            cpus: manifest.cpus,
            memory: manifest.memory,
            nothing_done: manifest.nothing_done,
            sealed: manifest.sealed,
            tests: Hidden(Arc::new(tests)),
            solution: solution.map(|files| Hidden(Arc::new(files))),
            solution_env: manifest.solution_env,
            warnings: manifest.warnings,
        })
    }

    /// Returns whether solving it shows something: a task that passes untouched is run where it
    /// is named, and never chosen for a score.
    pub fn is_scored(&self) -> bool {
        self.nothing_done < self.pass_mark
    }

    /// Returns why the task cannot run in this sandbox, if it cannot.
    pub fn unfit_for(&self, sandbox: &dyn Sandbox) -> Option<String> {
        if sandbox.has_images() {
            return self.image.is_none().then(|| {
                format!(
                    "task `{}` names no image; add `[metadata.dgm] image`, or run it with \
                     `--sandbox local`",
                    self.id
                )
            });
        }
        (!self.local).then(|| {
            format!(
                "task `{}` needs its image `{}`, which the sandbox `{}` cannot give it; run it \
                 with `--sandbox docker`",
                self.id,
                self.image.as_deref().unwrap_or("?"),
                sandbox.name()
            )
        })
    }
}

/// A task's name goes into labels, job names and file names.
fn id(dir: &Path) -> Result<TaskId, LoadError> {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 128
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if good {
        return Ok(TaskId::new(name));
    }
    Err(LoadError::Invalid {
        spot: Spot::file(name.escape_debug().to_string()),
        why: "is no name for a task: it takes letters, digits, `.`, `_` and `-`, 128 at most"
            .to_owned(),
    })
}

fn ignored(dir: &Path, files: &FileTree) -> Result<Ignored, LoadError> {
    let harbor = files
        .iter()
        .find(|(path, _)| path.as_str().ends_with("/.harborignore"))
        .map(|(path, _)| path.as_str());
    if harbor.is_some() || dir.join(".harborignore").exists() {
        return Err(LoadError::Unsupported {
            spot: Spot::file(harbor.unwrap_or(".harborignore")),
            what: "a `.harborignore`".to_owned(),
            todo: "take the files that it leaves out away, and the file itself",
        });
    }
    match fs::read_to_string(dir.join(".gitignore")) {
        Ok(text) => Ok(Ignored::new(Some(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ignored::new(None)),
        Err(source) => Err(LoadError::Read {
            file: ".gitignore".to_owned(),
            source,
        }),
    }
}

const NO_MANIFEST: LoadError = LoadError::Missing {
    what: "`task.toml`",
    todo: "a folder of a benchmark is a task; move it away if it is none",
};
const NO_INSTRUCTION: LoadError = LoadError::Missing {
    what: "`instruction.md`",
    todo: "write what the agent is to do",
};

fn text<'a>(files: &'a FileTree, name: &str, missing: LoadError) -> Result<&'a str, LoadError> {
    let file = files.get(name).ok_or(missing)?;
    std::str::from_utf8(&file.bytes).map_err(|error| LoadError::Invalid {
        spot: Spot::file(name),
        why: format!("is not UTF-8 from byte {} on", error.valid_up_to()),
    })
}

/// Refuses what changes a task's meaning by a file being there.
fn refuse_foreign(files: &FileTree) -> Result<(), LoadError> {
    for (path, _) in files.iter() {
        let path = path.as_str();
        let (what, todo) = match path {
            "trajectory.json" => ("a task that starts from a trajectory", "run it with Harbor"),
            "tests/Dockerfile" => (
                "a verifier with an image of its own",
                "bring what it needs into the task's image",
            ),
            "environment/docker-compose.yaml" | "tests/docker-compose.yaml" => (
                "a task of services",
                "bring what it needs into one image and remove the file",
            ),
            "tests/test.bat" if files.get("tests/test.sh").is_none() => {
                ("a test script for Windows", "write `tests/test.sh`")
            }
            _ if path.starts_with("steps/") => (
                "a task of several steps",
                "run it with Harbor, or make one task of each step",
            ),
            _ => continue,
        };
        return Err(LoadError::Unsupported {
            spot: Spot::file(path),
            what: what.to_owned(),
            todo,
        });
    }
    Ok(())
}

/// Removes what marks a text as benchmark data: leading comment lines that say "canary", and
/// the blank lines after them. No agent is to see them; Harbor's rule exactly.
fn without_canary(text: &str) -> String {
    let is_canary = |line: &&str| {
        let line = line.trim().to_ascii_lowercase();
        line.contains("canary")
            && (line.starts_with('#') || (line.starts_with("<!--") && line.ends_with("-->")))
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let canaries = lines.iter().take_while(|line| is_canary(line)).count();
    let blanks = lines[canaries..]
        .iter()
        .take_while(|line| line.trim().is_empty())
        .count();
    lines[canaries + blanks..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Task, without_canary};
    use crate::benchmark::fixture;
    use std::path::Path;
    use std::time::Duration;

    fn load(files: &[(&str, String)]) -> Result<Task, String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let task = folder.path().join("hello");
        fixture::write(&task, files);
        Task::load(&task).map_err(|error| error.sentence())
    }

    fn with(path: &'static str, text: &str) -> Vec<(&'static str, String)> {
        let mut files = fixture::good();
        files.retain(|(name, _)| *name != path);
        files.push((path, text.to_owned()));
        files
    }

    fn without(path: &str) -> Vec<(&'static str, String)> {
        let mut files = fixture::good();
        files.retain(|(name, _)| !name.starts_with(path));
        files
    }

    #[test]
    fn loads_a_task() {
        let mut files = with(
            "task.toml",
            "schema_version = \"1.3\"\nartifacts = [\"/srv/hello/hello.txt\"]\n\
             [task]\nname = \"us/hello\"\n\
             [metadata]\ndifficulty = \"easy\"\n\
             [metadata.dgm]\nworkspace = \"environment/workspace/\"\nimage = \"a/b:1\"\n\
             answer = [\"hello.txt\", \"src/**\"]\npass_mark = 0.5\ntests_expected = 3\n\
             [agent]\ntimeout_sec = 90\n\
             [verifier]\ntimeout_sec = 1.5\nenv = { A = \"1\" }\n\
             [environment]\nallow_internet = false\nworkdir = \"/srv/hello\"\ncpus = 2\n\
             memory = \"1.5G\"\nmemory_mb = 1536\nstorage_mb = 10240\ngpus = 0\nmcp_servers = []\n\
             env = { B = \"${HOME:-/nowhere}\" }\n\
             [solution]\nenv = { C = \"3\" }\n",
        );
        files.push(("instruction.md", "# canary 1\n\nDo it.\n".to_owned()));
        let task = load(&files).expect("it loads");
        assert_eq!(task.id.as_str(), "hello");
        assert_eq!(task.name.as_deref(), Some("us/hello"));
        assert_eq!(task.instruction, "Do it.\n");
        assert_eq!(task.image.as_deref(), Some("a/b:1"));
        assert!(!task.local);
        assert_eq!(task.workdir, "/srv/hello");
        assert_eq!(task.workspace.len(), 1);
        assert_eq!(task.answer, ["hello.txt", "src/**"]);
        assert_eq!(task.agent_timeout, Some(Duration::from_secs(90)));
        assert_eq!(task.verifier_timeout, Duration::from_millis(1500));
        assert_eq!(task.verifier_env, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(task.env, [("B".to_owned(), "/nowhere".to_owned())]);
        assert_eq!(task.solution_env, [("C".to_owned(), "3".to_owned())]);
        assert!((task.pass_mark - 0.5).abs() < f64::EPSILON);
        assert_eq!(task.tests_expected, Some(3));
        assert_eq!(task.cpus, Some(2.0));
        assert_eq!(task.memory, Some(1536 << 20));
        assert_eq!(task.tests.0.len(), 1);
        assert!(task.solution.is_some());
        assert_eq!(
            task.warnings,
            [
                "task.toml:27: `environment.env`: `B` takes its default `/nowhere`, never this \
              machine's value"
            ]
        );
    }

    #[test]
    fn takes_defaults() {
        let task = load(&without("solution")).expect("it loads");
        assert_eq!(task.workdir, "/app");
        assert_eq!(task.agent_timeout, None);
        assert_eq!(task.verifier_timeout, Duration::from_mins(10));
        assert!((task.pass_mark - 1.0).abs() < f64::EPSILON);
        assert!(task.local && task.solution.is_none());
        assert_eq!(task.warnings, Vec::<String>::new());
    }

    #[test]
    fn warns_of_what_it_ignores() {
        let text = format!(
            "colour = 1\n{}workdri = \"/x\"\nmemory = 4096\nartifacts = []\n\
             [agent]\ntimeout = 3\n[metadata]\nanything = true\n",
            fixture::MANIFEST
                .replace("1.0", "9.9")
                .replace("network_mode = \"no-network\"\n", "")
                .replace("answer = [\"*.txt\"]\n", "answr = [\"*.txt\"]\n")
        );
        let task = load(&with("task.toml", &text)).expect("it loads");
        assert_eq!(
            task.warnings,
            [
                "task.toml:2: `version`: schema `9.9` is newer than 1.4, read as 1.4",
                "task.toml: `environment.network_mode` is not given: the task runs without \
                 network, where Harbor gives it one",
                "task.toml:12: `environment.memory`: a bare number is ignored, as Harbor does; \
                 write `memory_mb` instead",
                "task.toml:13: `environment.artifacts`: unknown key, ignored",
                "task.toml:11: `environment.workdri`: unknown key, ignored, did you mean \
                 `workdir`",
                "task.toml:15: `agent.timeout`: unknown key, ignored, did you mean `timeout_sec`",
                "task.toml: `metadata.dgm.answer` is not given: every file that the agent \
                 leaves is there when the tests run",
                "task.toml:8: `metadata.dgm.answr`: unknown key, ignored, did you mean `answer`",
                "task.toml: `environment.artifacts` is ignored: `artifacts` must stand above the \
                 first `[section]`",
                "task.toml:1: `colour`: unknown key, ignored",
            ]
        );
        assert_eq!(task.memory, None);
    }

    #[test]
    fn names_what_is_missing() {
        for (path, message) in [
            (
                "task.toml",
                "`task.toml` is missing: a folder of a benchmark is a task; move it away if it \
                 is none",
            ),
            (
                "instruction.md",
                "`instruction.md` is missing: write what the agent is to do",
            ),
            (
                "tests",
                "`tests/test.sh` is missing: write a script that leaves a number in \
                 `/logs/verifier/reward.txt`; without it the task cannot be graded",
            ),
            (
                "environment",
                "task.toml: `metadata.dgm.workspace`: there is no folder `environment/workspace`",
            ),
        ] {
            assert_eq!(load(&without(path)).expect_err(path), message);
        }
    }

    #[test]
    fn refuses_by_name_what_it_cannot_run() {
        for (path, message) in [
            (
                "trajectory.json",
                "trajectory.json: a task that starts from a trajectory is not supported: run it \
                 with Harbor",
            ),
            (
                "tests/Dockerfile",
                "tests/Dockerfile: a verifier with an image of its own is not supported: bring \
                 what it needs into the task's image",
            ),
            (
                "environment/docker-compose.yaml",
                "environment/docker-compose.yaml: a task of services is not supported: bring \
                 what it needs into one image and remove the file",
            ),
            (
                "steps/one/instruction.md",
                "steps/one/instruction.md: a task of several steps is not supported: run it with \
                 Harbor, or make one task of each step",
            ),
            (
                "tests/.harborignore",
                "tests/.harborignore: a `.harborignore` is not supported: take the files that it \
                 leaves out away, and the file itself",
            ),
        ] {
            assert_eq!(load(&with(path, "x\n")).expect_err(path), message);
        }
    }

    #[test]
    fn refuses_links_and_names_that_are_none() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let task = folder.path().join("hello");
        fixture::write(&task, &fixture::good());
        std::os::unix::fs::symlink("/etc/passwd", task.join("environment/workspace/link"))
            .expect("a link can be made");
        let error = Task::load(&task).expect_err("a link is refused");
        assert_eq!(
            error.to_string(),
            "environment/workspace/link: is a symbolic link; put the file itself there"
        );
        fixture::write(folder.path(), &[("bad name/task.toml", String::new())]);
        let error = Task::load(&folder.path().join("bad name")).expect_err("the name is refused");
        assert_eq!(
            error.to_string(),
            "bad name: is no name for a task: it takes letters, digits, `.`, `_` and `-`, 128 at \
             most"
        );
        let error = load(&with("environment/workspace/.git/config", "x")).expect_err("a repo");
        assert_eq!(error, "environment/workspace/.git: lies in a `.git` folder");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = Task::load(Path::new("/nowhere/at-all")).expect_err("it is not there");
        assert!(error.to_string().starts_with("`task.toml` is missing"));
    }

    #[test]
    fn what_is_ignored_is_no_part_of_the_task() {
        let plain = load(&fixture::good()).expect("it loads");
        let files = with("environment/workspace/__pycache__/a.pyc", "x");
        let task = load(&files).expect("it loads");
        assert_eq!(task.digest, plain.digest);
        assert_eq!(task.workspace, plain.workspace);
        let mut files = with(".gitignore", "*.secret\n");
        files.push(("tests/a.secret", "x".to_owned()));
        let task = load(&files).expect("it loads");
        assert_eq!(task.digest, plain.digest);
        assert_eq!(task.tests.0.len(), 1);
        let task = load(&with("environment/workspace/more.txt", "x")).expect("it loads");
        assert_ne!(task.digest, plain.digest);
    }

    #[test]
    fn strips_canaries_as_harbor_does() {
        for (text, left) in [
            ("Do it.\n", "Do it.\n"),
            ("<!-- harbor-canary GUID 1 -->\nDo it.\n", "Do it.\n"),
            ("# Canary string: 1\n# CANARY 2\n\n \nDo it.\n", "Do it.\n"),
            ("  <!-- a canary -->  \n\n# Title\n", "# Title\n"),
            // Only at the head, and only whole comment lines.
            ("Do it.\n# canary\n", "Do it.\n# canary\n"),
            ("The canary sings.\n", "The canary sings.\n"),
            ("<!-- canary\n-->\nDo it.\n", "<!-- canary\n-->\nDo it.\n"),
            ("# Title\n", "# Title\n"),
            ("\n\nDo it.", "Do it."),
        ] {
            assert_eq!(without_canary(text), left, "{text:?}");
        }
    }
}
