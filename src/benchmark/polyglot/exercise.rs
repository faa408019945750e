//! One exercise: which of its files are seen, which are hidden, which are the answer.

use super::rules::Rules;
use super::rules_of;
use super::{ImportError, Language, Mode};
use crate::domain::{FileTree, TreePath};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Folders that are never seen: metadata with the reference, published solutions; `.docs` is
/// told in the instruction.
const NEVER: [&str; 4] = [".meta", ".approaches", ".articles", ".docs"];

/// Parts of the instruction, in order.
const DOCS: [&str; 3] = [
    ".docs/introduction.md",
    ".docs/instructions.md",
    ".docs/instructions.append.md",
];
/// Shown where the published runs showed it.
const HINTS: &str = ".docs/hints.md";

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    blurb: String,
    files: ExerciseFiles,
    #[serde(default)]
    custom: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct ExerciseFiles {
    solution: Vec<String>,
    test: Vec<String>,
    example: Vec<String>,
}

/// An exercise, sorted.
#[derive(Debug)]
pub(super) struct Exercise {
    pub language: Language,
    pub slug: String,
    /// What it is about, in one sentence.
    pub blurb: String,
    /// The documents, joined.
    pub instruction: String,
    /// What an agent starts with: stubs and whatever else is needed.
    pub workspace: FileTree,
    /// The files to write, relative to the workspace.
    pub solution: Vec<String>,
    /// The hidden tests.
    pub tests: FileTree,
    /// The reference, under the names of the files to write.
    pub reference: FileTree,
    /// What else is there when the tests run, as it was delivered.
    pub fixed: FileTree,
    /// Number of tests.
    pub count: usize,
    /// Whether the tests run on a build for release.
    pub release: bool,
}

impl Exercise {
    /// Sorts the files of an exercise.
    pub(super) fn read(
        language: Language,
        slug: &str,
        files: &FileTree,
        mode: Mode,
    ) -> Result<Self, ImportError> {
        read(language, slug, files, mode).map_err(|why| ImportError::Exercise {
            language,
            slug: slug.to_owned(),
            why,
        })
    }
}

fn read(language: Language, slug: &str, files: &FileTree, mode: Mode) -> Result<Exercise, String> {
    let rules = rules_of::rules(language);
    let config = text(files, ".meta/config.json")?;
    let config: Config = serde_json::from_str(config)
        .map_err(|error| format!("`.meta/config.json` cannot be read: {error}"))?;
    let ExerciseFiles { solution, test, .. } = &config.files;
    if solution.is_empty() || test.is_empty() {
        return Err("`.meta/config.json` names no solution or no test".to_owned());
    }
    let tests = tests(files, test, rules, mode)?;
    let count = tests
        .iter()
        .map(|(_, file)| (rules.count_tests)(&String::from_utf8_lossy(&file.bytes)))
        .sum();
    if count == 0 && !rules.stub_passes.contains(&slug) {
        return Err("its test files hold no test".to_owned());
    }
    let mut workspace = FileTree::new();
    let mut fixed = FileTree::new();
    for (path, file) in files.iter() {
        let name = path.as_str();
        if NEVER.iter().any(|folder| path.has_component(folder)) || tests.get(name).is_some() {
            continue;
        }
        workspace.insert(path.clone(), file.bytes.clone(), file.executable);
        if !solution.iter().any(|answer| answer == name) {
            fixed.insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    if let Some(name) = solution.iter().find(|name| workspace.get(name).is_none()) {
        return Err(format!("its stub `{name}` is missing"));
    }
    Ok(Exercise {
        language,
        slug: slug.to_owned(),
        instruction: instruction(files, mode)?,
        reference: reference(files, &config.files, rules)?,
        release: config.custom.get("test-in-release-mode") == Some(&true.into()),
        blurb: config.blurb,
        solution: config.files.solution,
        workspace,
        tests,
        fixed,
        count,
    })
}

/// Returns the documents, joined.
fn instruction(files: &FileTree, mode: Mode) -> Result<String, String> {
    let hints = (mode == Mode::Dgm).then_some(HINTS);
    let parts: Vec<&str> = DOCS
        .into_iter()
        .chain(hints)
        .filter(|name| files.get(name).is_some())
        .map(|name| text(files, name).map(str::trim))
        .collect::<Result<_, _>>()?;
    if parts.is_empty() {
        return Err("it has no instructions".to_owned());
    }
    Ok(parts.join("\n\n"))
}

/// Returns the listed tests, unskipped, and whatever else is hidden.
fn tests(
    files: &FileTree,
    listed: &[String],
    rules: &Rules,
    mode: Mode,
) -> Result<FileTree, String> {
    if let Some(name) = listed.iter().find(|name| files.get(name).is_none()) {
        return Err(format!("`{name}` is missing"));
    }
    let mut tests = FileTree::new();
    for (path, file) in files.iter() {
        let name = path.as_str();
        let is_listed = listed.iter().any(|test| test == name);
        let is_never = NEVER.iter().any(|folder| path.has_component(folder));
        if is_never || !(is_listed || (rules.hides)(name)) {
            continue;
        }
        let bytes = match std::str::from_utf8(&file.bytes) {
            Ok(text) => (rules.unskip)(text, mode).into_bytes().into(),
            Err(_) => file.bytes.clone(),
        };
        tests.insert(path.clone(), bytes, file.executable);
    }
    Ok(tests)
}

/// Returns the reference under the names of the files to write.
fn reference(files: &FileTree, config: &ExerciseFiles, rules: &Rules) -> Result<FileTree, String> {
    let mut pairs = Vec::new();
    for example in &config.example {
        let place = (rules.place)(example, &config.solution)
            .ok_or_else(|| format!("its reference has no place for `{example}`"))?;
        pairs.push((example.clone(), place));
    }
    for (example, place) in rules.unlisted {
        if files.get(example).is_some() {
            pairs.push(((*example).to_owned(), (*place).to_owned()));
        }
    }
    if pairs.is_empty() {
        return Err("it has no reference".to_owned());
    }
    named(files, pairs.iter().map(|(from, to)| (from, to)))
}

/// Returns files of a tree under other names.
fn named<'a>(
    files: &FileTree,
    names: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<FileTree, String> {
    let mut tree = FileTree::new();
    for (from, to) in names {
        let file = files
            .get(from)
            .ok_or_else(|| format!("`{from}` is missing"))?;
        let path = TreePath::new(to).map_err(|error| error.to_string())?;
        tree.insert(path, file.bytes.clone(), file.executable);
    }
    Ok(tree)
}

fn text<'a>(files: &'a FileTree, name: &str) -> Result<&'a str, String> {
    let file = files
        .get(name)
        .ok_or_else(|| format!("`{name}` is missing"))?;
    std::str::from_utf8(&file.bytes).map_err(|_| format!("`{name}` is not UTF-8"))
}
