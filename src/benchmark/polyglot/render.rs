//! Writes an exercise down as a Harbor task directory.

use super::{Exercise, Language, MODE, Rules};
use crate::benchmark::digest;
use crate::domain::{FileTree, TreePath};
use serde_json::json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Time for an agent, as in the published runs.
const AGENT_SECONDS: f64 = 600.0;
/// Time for the verifier, as in the published runs.
const VERIFIER_SECONDS: f64 = 120.0;
/// Of which the tests may take this, …
const TESTS_SECONDS: u32 = 75;
/// … and the tests that must fail this: they stop at once, but load the solution again.
const DECOY_SECONDS: u32 = 30;

/// Returns the files of the task directory.
pub(super) fn task(exercise: &Exercise, rules: &Rules) -> FileTree {
    let mut files = FileTree::new();
    let mut put = |path: String, bytes: &[u8], executable: bool| {
        let path = TreePath::new(&path).expect("invariant: parts of the path were checked");
        files.insert(path, bytes, executable);
    };
    put(
        "task.toml".to_owned(),
        manifest(exercise, rules).as_bytes(),
        false,
    );
    put(
        "instruction.md".to_owned(),
        instruction(exercise, rules).as_bytes(),
        false,
    );
    put(
        "environment/Dockerfile".to_owned(),
        dockerfile(exercise, rules).as_bytes(),
        false,
    );
    for (path, file) in exercise.workspace.iter() {
        let path = format!("environment/workspace/{path}");
        put(path, &file.bytes, file.executable);
    }
    for (name, text, executable) in rules.runner {
        put(format!("tests/{name}"), text.as_bytes(), *executable);
    }
    put(
        "tests/grade.json".to_owned(),
        plan(exercise).as_bytes(),
        false,
    );
    for (path, file) in exercise.tests.iter() {
        put(format!("tests/files/{path}"), &file.bytes, file.executable);
    }
    put(
        "solution/solve.sh".to_owned(),
        b"#!/bin/sh\n# Puts the reference solution into the working directory.\n\
          set -e\ncp -R /solution/files/. .\n",
        true,
    );
    for (path, file) in exercise.reference.iter() {
        let path = format!("solution/files/{path}");
        put(path, &file.bytes, file.executable);
    }
    files
}

/// Returns `dataset.toml`.
pub(super) fn dataset(
    name: &str,
    languages: &[Language],
    tasks: &BTreeMap<String, FileTree>,
) -> String {
    let languages: Vec<&str> = languages.iter().map(|language| language.name()).collect();
    let listed = tasks.iter().map(|(name, files)| {
        let mut task = Table::new();
        task.insert("name".to_owned(), full_name(name).into());
        task.insert("digest".to_owned(), digest::of(files).into());
        Value::Table(task)
    });
    let listed = Value::Array(listed.collect());
    let mut text = format!(
        "schema_version = \"1.0\"\n\n[dataset]\nname = {}\ndescription = {}\nkeywords = {}\n\n\
         [metadata.dgm]\nimporter = \"polyglot\"\nmode = {}\nlanguages = {}\n\n",
        quoted(name),
        quoted("Exercism's exercises as the Polyglot benchmark selects them, every test hidden"),
        list(&["polyglot"]),
        quoted(MODE),
        list(&languages),
    );
    let mut tables = Table::new();
    tables.insert("tasks".to_owned(), listed);
    text.push_str(&tables.to_string());
    text
}

fn full_name(task: &str) -> String {
    format!("polyglot/{task}")
}

fn workdir(exercise: &Exercise) -> String {
    // The last component is the exercise's name because some languages' build files read it.
    format!("/workspace/{}", exercise.slug)
}

fn manifest(exercise: &Exercise, rules: &Rules) -> String {
    let Exercise {
        language,
        slug,
        blurb,
        solution,
        count,
        ..
    } = exercise;
    let workdir = workdir(exercise);
    let artifacts: Vec<String> = solution
        .iter()
        .map(|file| format!("{workdir}/{file}"))
        .collect();
    format!(
        "schema_version = \"1.4\"\nartifacts = {artifacts}\n\n\
         [task]\nname = {name}\ndescription = {blurb}\nkeywords = {keywords}\n\n\
         [metadata.dgm]\nworkspace = \"environment/workspace\"\nimage = {image}\n\
         local = false\nanswer = {answer}\npass_mark = 1.0\ntests_expected = {count}\nsealed = true\n\
         language = {language}\nmode = {mode}\nexercise = {slug}\n\n\
         [agent]\ntimeout_sec = {AGENT_SECONDS:?}\n\n\
         [verifier]\ntimeout_sec = {VERIFIER_SECONDS:?}\nenvironment_mode = \"separate\"\n\n\
         [environment]\nnetwork_mode = \"no-network\"\nworkdir = {workdir}\n",
        artifacts = list(&artifacts),
        name = quoted(&full_name(&format!("{language}__{slug}"))),
        blurb = quoted(blurb),
        keywords = list(&["polyglot", language.name()]),
        image = quoted(rules.image),
        answer = list(solution),
        language = quoted(language.name()),
        mode = quoted(MODE),
        slug = quoted(slug),
        workdir = quoted(&workdir),
    )
}

fn instruction(exercise: &Exercise, rules: &Rules) -> String {
    let files: Vec<String> = exercise
        .solution
        .iter()
        .map(|file| format!("`{file}`"))
        .collect();
    format!(
        "{}\n\n# What to write\n\nThe working directory holds the stub. Write the solution into \
         {}; only that counts, everything else is put back before the tests run. Keep the names \
         of the classes and functions that are there, because tests that you cannot see use \
         them. {}\n",
        exercise.instruction,
        files.join(" and "),
        rules.libraries,
    )
}

/// For Harbor itself; `dgm` starts from the image and delivers the workspace.
fn dockerfile(exercise: &Exercise, rules: &Rules) -> String {
    format!(
        "FROM {}\nWORKDIR {}\nCOPY --chown=1000:1000 workspace/ ./\n",
        rules.image,
        workdir(exercise)
    )
}

/// What the tests' runner needs to know.
fn plan(exercise: &Exercise) -> String {
    let tests: Vec<&str> = exercise
        .tests
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    let plan = json!({
        "solution": exercise.solution,
        "tests": tests,
        "count": exercise.count,
        "timeout_sec": TESTS_SECONDS,
        "decoy_timeout_sec": DECOY_SECONDS,
    });
    format!("{plan:#}\n")
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let texts = texts.iter().map(|text| Value::from(text.as_ref()));
    Value::Array(texts.collect()).to_string()
}
