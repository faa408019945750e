//! Parts of a task's folder, each read with an error that names what is missing.

use super::fault::{LoadError, Spot};
use super::hidden::Hidden;
use super::recipe::Recipe;
use super::step::FreshVerifier;
use crate::domain::FileTree;
use crate::sandbox::docker::image::recipe_digest;
use std::sync::Arc;
use std::time::Duration;

/// Harbor's default for a verifier.
pub(super) const DEFAULT_VERIFIER_TIMEOUT: Duration = Duration::from_mins(10);

/// Beginning of the names of images that are built from tasks.
pub(super) const IMAGE_PREFIX: &str = "dgm-task/";

/// Returns a recipe; the name of its image follows from its files.
pub(super) fn recipe(name: &str, files: FileTree, timeout: Duration) -> Recipe {
    let digest = recipe_digest(&files);
    let mut plain: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    plain.truncate(64);
    while plain.contains("--") {
        plain = plain.replace("--", "-");
    }
    let plain = plain.trim_matches('-');
    Recipe {
        image: format!("{IMAGE_PREFIX}{plain}:{}", &digest[..20]),
        timeout,
        files: Hidden(Arc::new(files)),
    }
}

/// Refuses tests without the script that is run, unless an image brings it.
pub(super) fn require_script(
    tests: &FileTree,
    fresh: Option<&FreshVerifier>,
    name: &str,
) -> Result<(), LoadError> {
    if tests.get("test.sh").is_some() || fresh.is_some_and(|fresh| fresh.bundled) {
        return Ok(());
    }
    if name != "tests/test.sh" {
        return Err(LoadError::Invalid {
            spot: Spot::file(name),
            why: "is missing, and so is `tests/test.sh`: the step cannot be graded".to_owned(),
        });
    }
    Err(LoadError::Missing {
        what: "`tests/test.sh`",
        todo: "write a script that leaves a number in `/logs/verifier/reward.txt`; \
               without it the task cannot be graded",
    })
}

/// Reads an instruction, without what marks it as benchmark data.
pub(super) fn instruction(files: &FileTree, name: &str) -> Result<String, LoadError> {
    let instruction = match name {
        "instruction.md" => text(files, name, NO_INSTRUCTION)?,
        name => {
            let missing = LoadError::Invalid {
                spot: Spot::file(name),
                why: "is missing; write what the agent is to do in this step".to_owned(),
            };
            text(files, name, missing)?
        }
    };
    let instruction = without_canary(instruction);
    if instruction.trim().is_empty() {
        return Err(LoadError::Invalid {
            spot: Spot::file(name),
            why: "says nothing; write what the agent is to do".to_owned(),
        });
    }
    Ok(instruction)
}

/// Returns a reference solution, if there is one.
pub(super) fn solution(files: FileTree) -> Option<Hidden> {
    let there = files.get("solve.sh").is_some();
    there.then(|| Hidden(Arc::new(files)))
}

pub(super) const NO_MANIFEST: LoadError = LoadError::Missing {
    what: "`task.toml`",
    todo: "a folder of a benchmark is a task; move it away if it is none",
};

pub(super) const NO_INSTRUCTION: LoadError = LoadError::Missing {
    what: "`instruction.md`",
    todo: "write what the agent is to do",
};

pub(super) fn text<'a>(
    files: &'a FileTree,
    name: &str,
    missing: LoadError,
) -> Result<&'a str, LoadError> {
    let file = files.get(name).ok_or(missing)?;
    std::str::from_utf8(&file.bytes).map_err(|error| LoadError::Invalid {
        spot: Spot::file(name),
        why: format!("is not UTF-8 from byte {} on", error.valid_up_to()),
    })
}

/// Removes what marks a text as benchmark data: leading comment lines that say "canary", and
/// the blank lines after them. No agent is to see them; Harbor's rule exactly.
pub(super) fn without_canary(text: &str) -> String {
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
