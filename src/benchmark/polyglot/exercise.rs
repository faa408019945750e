//! One exercise: which of its files are seen, which are hidden, which are the answer.

use super::{ImportError, Language, Rules};
use crate::domain::{FileTree, TreePath};
use serde::Deserialize;

/// Folders that are never seen: metadata with the reference, published solutions; `.docs` is
/// told in the instruction.
const NEVER: [&str; 4] = [".meta", ".approaches", ".articles", ".docs"];

/// Parts of the instruction, in order. Hints are left out: published results differ in
/// whether they were shown.
const DOCS: [&str; 3] = [
    ".docs/introduction.md",
    ".docs/instructions.md",
    ".docs/instructions.append.md",
];

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    blurb: String,
    files: Files,
}

#[derive(Deserialize)]
struct Files {
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
    /// Number of tests.
    pub count: usize,
}

impl Exercise {
    /// Sorts the files of an exercise.
    pub(super) fn read(
        language: Language,
        slug: &str,
        files: &FileTree,
        rules: &Rules,
    ) -> Result<Self, ImportError> {
        read(language, slug, files, rules).map_err(|why| ImportError::Exercise {
            language,
            slug: slug.to_owned(),
            why,
        })
    }
}

fn read(
    language: Language,
    slug: &str,
    files: &FileTree,
    rules: &Rules,
) -> Result<Exercise, String> {
    let config = text(files, ".meta/config.json")?;
    let config: Config = serde_json::from_str(config)
        .map_err(|error| format!("`.meta/config.json` cannot be read: {error}"))?;
    let Files {
        solution,
        test,
        example,
    } = config.files;
    if solution.is_empty() || test.is_empty() {
        return Err("`.meta/config.json` names no solution or no test".to_owned());
    }
    if solution.len() != example.len() {
        return Err("its reference has not one file for each file to write".to_owned());
    }
    let instruction: Vec<&str> = DOCS
        .into_iter()
        .filter(|name| files.get(name).is_some())
        .map(|name| text(files, name).map(str::trim))
        .collect::<Result<_, _>>()?;
    if instruction.is_empty() {
        return Err("it has no instructions".to_owned());
    }
    let tests = named(files, test.iter().zip(&test))?;
    let count = tests
        .iter()
        .map(|(_, file)| String::from_utf8_lossy(&file.bytes))
        .map(|text| (rules.count_tests)(&text))
        .sum();
    if count == 0 {
        return Err("its test files hold no test".to_owned());
    }
    let mut workspace = FileTree::new();
    for (path, file) in files.iter() {
        let name = path.as_str();
        let is_hidden = NEVER.iter().any(|folder| path.has_component(folder))
            || test.iter().any(|test| test == name)
            || (rules.hides)(name);
        if !is_hidden {
            workspace.insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    if let Some(name) = solution.iter().find(|name| workspace.get(name).is_none()) {
        return Err(format!("its stub `{name}` is missing"));
    }
    Ok(Exercise {
        language,
        slug: slug.to_owned(),
        blurb: config.blurb,
        instruction: instruction.join("\n\n"),
        workspace,
        tests,
        reference: named(files, example.iter().zip(&solution))?,
        solution,
        count,
    })
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
