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
            tests: Hidden(Arc::new(tests)),
            solution: solution.map(|files| Hidden(Arc::new(files))),
            solution_env: manifest.solution_env,
            warnings: manifest.warnings,
        })
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
