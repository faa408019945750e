//! Makes a task of a Harbor task directory.
//!
//! Invariant: what a task wants and cannot have is an error that names it; nothing is left
//! out silently.

use super::Step;
use super::compose::{self, Compose};
use super::digest::{self, HarborIgnored, TaskIgnored};
use super::fault::{LoadError, Spot};
use super::folder;
use super::lint::lint;
use super::manifest::{Manifest, OPENED};
use super::permits::Permits;
use super::recipe::Recipe;
use super::steps;
use super::swebench;
use super::task::{Delivery, Grader, Steps, Task};
use super::task_files::{NO_MANIFEST, recipe, text};
use crate::domain::{FileTree, TaskId, TreePath};
use crate::sandbox::Network;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Where Harbor's tasks work by convention; taken where a task that brings its files names no
/// folder.
const DEFAULT_WORKDIR: &str = "/app";
impl Task {
    /// Loads a Harbor task directory that gets nothing beyond its own files.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        Self::load_with(dir, &Permits::default())
    }

    /// Loads a Harbor task directory, with what the run lets it have.
    pub fn load_with(dir: &Path, permits: &Permits) -> Result<Self, LoadError> {
        load(dir, permits)
    }
}

/// Loads a task.
fn load(dir: &Path, permits: &Permits) -> Result<Task, LoadError> {
    let id = id(dir)?;
    let files = files(dir)?;
    let manifest = Manifest::read(text(&files, "task.toml", NO_MANIFEST)?, permits)?;
    refuse_foreign(&files)?;
    let own = &manifest.own;
    if (own.workspace.is_some() || own.answer.is_some()) && files.get("tests/Dockerfile").is_some()
    {
        return Err(LoadError::Unsupported {
            spot: Spot::file("tests/Dockerfile"),
            what: "a verifier with an image of its own".to_owned(),
            todo: "bring what it needs into the task's image",
        });
    }
    let workspace = match &manifest.own.workspace {
        Some(folder) => workspace(dir, &files, folder)?,
        None => FileTree::new(),
    };
    let mut task = assemble(id, &files, manifest, permits)?;
    task.workspace = Arc::new(workspace);
    task.findings = lint(&task, &files);
    // Who runs it should hear of this without asking.
    if let Some(opened) = task.warnings.iter().find(|said| said.contains(OPENED)) {
        tracing::warn!("task `{}`: {opened}", task.id);
    }
    Ok(task)
}

/// Returns the files that belong to the task.
fn files(dir: &Path) -> Result<FileTree, LoadError> {
    let all = folder::read_task(dir)?;
    let ignored = ignored(dir)?;
    let harbor = HarborIgnored::of(&all);
    let mut files = FileTree::new();
    for (path, file) in all.iter() {
        if !ignored.ignores(path.as_str()) && !harbor.ignores(path.as_str()) {
            files.insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    Ok(files)
}

fn assemble(
    id: TaskId,
    files: &FileTree,
    mut manifest: Manifest,
    permits: &Permits,
) -> Result<Task, LoadError> {
    let delivery = match (&manifest.own.workspace, &manifest.own.answer) {
        (Some(_), _) => Delivery::Workspace,
        (None, Some(_)) => Delivery::Folder,
        (None, None) => Delivery::InImage,
    };
    let network = network(&mut manifest, delivery, permits);
    let (image, mut recipes) = environment(&id, files, &mut manifest)?;
    let common = steps::Common {
        files,
        manifest: &manifest,
        image: image.as_deref(),
        network,
    };
    let (steps, more) = steps::all(&common)?;
    recipes.extend(more);
    let first = &steps[0];
    let grader = match manifest.own.is_swebench {
        false => Grader::Verifier,
        true => Grader::Swebench(Arc::new(facts(files)?)),
    };
    Ok(Task {
        name: manifest.name,
        digest: digest::of(files),
        instruction: whole_instruction(&steps),
        image,
        local: manifest.own.local,
        delivery,
        workdir: match delivery {
            Delivery::Workspace => {
                let workdir = manifest.environment.workdir;
                Some(workdir.unwrap_or_else(|| DEFAULT_WORKDIR.to_owned()))
            }
            Delivery::Folder | Delivery::InImage => manifest.environment.workdir,
        },
        workspace: Arc::default(),
        answer: manifest.own.answer.unwrap_or_default(),
        agent_timeout: first.agent_timeout,
        verifier_timeout: first.verifier.timeout,
        agent_user: first.agent_user.clone(),
        verifier_user: first.verifier.user.clone(),
        agent_network: first.agent_network,
        verifier_network: first.verifier.network,
        file_rights: permits.file_rights,
        collect: permits.collect,
        health: first.health.clone(),
        build_timeout: manifest.environment.build_timeout,
        verifier_env: first.verifier.env.clone(),
        env: manifest.environment.env,
        pass_mark: manifest.own.pass_mark,
        reward_key: manifest.own.reward_key,
        tests_expected: manifest.own.tests_expected,
        cpus: manifest.environment.cpus,
        memory: manifest.environment.memory,
        disk: manifest.environment.storage,
        processes: manifest.own.processes,
        nothing_done: manifest.own.nothing_done,
        sealed: manifest.own.sealed,
        grader,
        tests: first.tests.clone(),
        solution: first.solution.clone(),
        solution_env: manifest.solution_env,
        steps: Steps {
            all: steps,
            strategy: manifest.strategy,
        },
        recipes,
        warnings: manifest.warnings,
        findings: Vec::new(),
        id,
    })
}

/// Returns what SWE-bench's grader needs to know.
fn facts(files: &FileTree) -> Result<swebench::GradeFacts, LoadError> {
    const NAME: &str = "tests/row.json";
    let row = text(
        files,
        NAME,
        LoadError::Missing {
            what: "`tests/row.json`",
            todo: "import the task again: without it nothing says which tests count",
        },
    )?;
    let invalid = |why: String| LoadError::Invalid {
        spot: Spot::file(NAME),
        why,
    };
    let row = serde_json::from_str(row).map_err(|error| invalid(format!("is no JSON: {error}")))?;
    swebench::facts(&row).map_err(|error| invalid(error.to_string()))
}

/// Returns the network of a task where a phase says nothing, and notes that a task which says
/// nothing at all has none.
fn network(manifest: &mut Manifest, delivery: Delivery, permits: &Permits) -> Network {
    // A sealed sandbox never has one.
    let allowed = match delivery {
        Delivery::Workspace => Network::None,
        Delivery::Folder | Delivery::InImage => permits.network,
    };
    if manifest.environment.network.is_none() && allowed == Network::None {
        manifest.warnings.push(
            "task.toml: `environment.network_mode` is not given: the task runs without \
             network, where Harbor gives it one"
                .to_owned(),
        );
    }
    manifest.environment.network.unwrap_or(allowed)
}

/// Returns the image of a task and how it is built if it is, and takes in what a compose file
/// says beside that.
fn environment(
    id: &TaskId,
    files: &FileTree,
    manifest: &mut Manifest,
) -> Result<(Option<String>, Vec<Recipe>), LoadError> {
    if files.get(compose::FILE).is_none() {
        return image(id, files, manifest, None);
    }
    let compose = Compose::read(text(files, compose::FILE, NO_MANIFEST)?)?;
    let found = image(id, files, manifest, Some(&compose))?;
    let environment = &mut manifest.environment;
    environment.workdir = environment.workdir.take().or(compose.workdir);
    manifest.agent.user = manifest.agent.user.take().or(compose.user.clone());
    manifest.verifier.user = manifest.verifier.user.take().or(compose.user);
    // The task's own table comes last, so it wins.
    let own = std::mem::take(&mut environment.env);
    environment.env = compose.env.into_iter().chain(own).collect();
    Ok(found)
}

/// Returns the image of a task, and how it is built if it is.
fn image(
    id: &TaskId,
    files: &FileTree,
    manifest: &Manifest,
    compose: Option<&Compose>,
) -> Result<(Option<String>, Vec<Recipe>), LoadError> {
    let own = &manifest.own;
    let named = own.image.as_ref().or(manifest.environment.image.as_ref());
    let named = named.or(compose.and_then(|compose| compose.image.as_ref()));
    if let Some(image) = named {
        return Ok((Some(image.clone()), Vec::new()));
    }
    let build = compose.and_then(|compose| compose.build.as_ref());
    let (folder, dockerfile) = match build {
        Some((context, dockerfile)) if context.is_empty() => {
            ("environment".to_owned(), dockerfile.as_str())
        }
        Some((context, dockerfile)) => (format!("environment/{context}"), dockerfile.as_str()),
        None => ("environment".to_owned(), "Dockerfile"),
    };
    let mut environment = folder::below(files, &folder);
    if let Some(file) = environment.get(dockerfile).map(|file| file.bytes.clone()) {
        let path = TreePath::new("Dockerfile").expect("a plain name is a valid path");
        environment.insert(path, file, false);
        let recipe = recipe(id.as_str(), environment, manifest.environment.build_timeout);
        return Ok((Some(recipe.image.clone()), vec![recipe]));
    }
    if own.workspace.is_some() {
        if own.local {
            return Ok((None, Vec::new()));
        }
        return Err(LoadError::Invalid {
            spot: Spot {
                key: "metadata.dgm.image".to_owned(),
                ..Spot::file("task.toml")
            },
            why: "is missing and `local` is not set: the task could run nowhere; \
                   name an image, or write `local = true`"
                .to_owned(),
        });
    }
    Err(LoadError::Missing {
        what: "the task's image",
        todo: "name one with `docker_image` under `[environment]`, or write \
               `environment/Dockerfile`",
    })
}

/// What a reader, or a diagnosing model, is shown of a task of several steps.
fn whole_instruction(steps: &[Step]) -> String {
    match steps {
        [only] => only.instruction.clone(),
        steps => {
            let part = |step: &Step| {
                let name = step.name.as_deref().unwrap_or_default();
                format!("# Step `{name}`\n\n{}", step.instruction)
            };
            steps.iter().map(part).collect::<Vec<_>>().join("\n\n")
        }
    }
}

fn workspace(dir: &Path, files: &FileTree, folder: &str) -> Result<FileTree, LoadError> {
    let workspace = folder::below(files, folder);
    if workspace.is_empty() && !dir.join(folder).is_dir() {
        return Err(LoadError::Invalid {
            spot: Spot {
                key: "metadata.dgm.workspace".to_owned(),
                ..Spot::file("task.toml")
            },
            why: format!("there is no folder `{folder}`"),
        });
    }
    Ok(workspace)
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

fn ignored(dir: &Path) -> Result<TaskIgnored, LoadError> {
    match fs::read_to_string(dir.join(".gitignore")) {
        Ok(text) => Ok(TaskIgnored::new(Some(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TaskIgnored::new(None)),
        Err(source) => Err(LoadError::Read {
            file: ".gitignore".to_owned(),
            source,
        }),
    }
}

/// Refuses what changes a task's meaning by a file being there.
fn refuse_foreign(files: &FileTree) -> Result<(), LoadError> {
    for (path, _) in files.iter() {
        let path = path.as_str();
        let (what, todo) = match path {
            "trajectory.json" => ("a task that starts from a trajectory", "run it with Harbor"),
            "tests/test.bat" if files.get("tests/test.sh").is_none() => {
                ("a test script for Windows", "write `tests/test.sh`")
            }
            _ if path.starts_with("steps/") && path.ends_with("/trajectory.json") => {
                ("a step that starts from a trajectory", "run it with Harbor")
            }
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

#[cfg(test)]
mod tests;
