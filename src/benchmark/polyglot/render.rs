//! Writes an exercise down as a Harbor task directory.

use super::rules::Rules;
use super::{Exercise, Language, Mode};
use crate::benchmark::digest;
use crate::domain::{FileTree, TreePath};
use serde_json::json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Time for an agent, as in the published runs.
const AGENT_SECONDS: f64 = 600.0;
/// Seconds that the verifier gets beyond those for the tests.
const MARGIN_SECONDS: u32 = 15;
/// What runs the tests of every language, with whether it is a program.
const RUNNER: [(&str, &str, bool); 2] = [
    ("test.sh", include_str!("runner/test.sh"), true),
    ("grade.py", include_str!("runner/grade.py"), false),
];

/// Returns the files of the task directory.
pub(super) fn task(exercise: &Exercise, rules: &Rules, mode: Mode) -> FileTree {
    let mut files = FileTree::new();
    let mut put = |path: String, bytes: &[u8], executable: bool| {
        let path = TreePath::new(&path).expect("invariant: parts of the path were checked");
        files.insert(path, bytes, executable);
    };
    put(
        "task.toml".to_owned(),
        manifest(exercise, rules, mode).as_bytes(),
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
    let own = rules
        .runner
        .iter()
        .map(|(name, text)| (*name, *text, false));
    for (name, text, executable) in RUNNER.into_iter().chain(own) {
        put(format!("tests/{name}"), text.as_bytes(), executable);
    }
    put(
        "tests/grade.json".to_owned(),
        plan(exercise, rules).as_bytes(),
        false,
    );
    for (path, file) in exercise.tests.iter() {
        put(format!("tests/files/{path}"), &file.bytes, file.executable);
    }
    for (path, file) in exercise.fixed.iter() {
        put(format!("tests/fixed/{path}"), &file.bytes, file.executable);
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
    mode: Mode,
    tasks: &BTreeMap<String, FileTree>,
) -> String {
    let languages: Vec<&str> = languages.iter().map(|language| language.name()).collect();
    let listed = tasks.iter().map(|(name, files)| {
        let mut task = Table::new();
        task.insert("digest".to_owned(), digest::of(files).into());
        task.insert("name".to_owned(), full_name(name).into());
        Value::Table(task)
    });
    let listed = Value::Array(listed.collect());
    let mut text = format!(
        "schema_version = \"1.0\"\n\n[dataset]\nname = {}\ndescription = {}\nkeywords = {}\n\n\
         [metadata.dgm]\nimporter = \"polyglot\"\nmode = {}\nlanguages = {}\n\n",
        quoted(name),
        quoted("Exercism's exercises as the Polyglot benchmark selects them, every test hidden"),
        list(&["polyglot"]),
        quoted(mode.name()),
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

fn manifest(exercise: &Exercise, rules: &Rules, mode: Mode) -> String {
    let Exercise {
        language,
        slug,
        blurb,
        count,
        ..
    } = exercise;
    let workdir = workdir(exercise);
    let mut answer = exercise.solution.clone();
    // Harbor's artifacts are files and folders; ours are patterns.
    let mut artifacts: Vec<String> = match rules.folder {
        Some(folder) => vec![format!("{workdir}/{folder}")],
        None => Vec::new(),
    };
    if let Some(folder) = rules.folder {
        answer = vec![format!("{folder}/**")];
    }
    if artifacts.is_empty() {
        artifacts.extend(answer.iter().map(|file| format!("{workdir}/{file}")));
    }
    // What passes untouched says nothing of solving.
    let nothing_done = match rules.stub_passes.contains(&slug.as_str()) {
        true => "nothing_done = 1.0\n",
        false => "",
    };
    let threads = rules
        .threads
        .map_or_else(String::new, |threads| format!("processes = {threads}\n"));
    let memory = rules
        .memory_mb
        .map_or_else(String::new, |memory| format!("memory_mb = {memory}\n"));
    format!(
        "schema_version = \"1.4\"\nartifacts = {artifacts}\n\n\
         [task]\nname = {name}\ndescription = {blurb}\nkeywords = {keywords}\n\n\
         [metadata.dgm]\nworkspace = \"environment/workspace\"\nimage = {image}\n\
         local = false\nanswer = {answer}\npass_mark = 1.0\ntests_expected = {count}\nsealed = true\n\
         {threads}{nothing_done}language = {language}\nmode = {mode}\nexercise = {slug}\n\n\
         [agent]\ntimeout_sec = {AGENT_SECONDS:?}\n\n\
         [verifier]\ntimeout_sec = {verifier_seconds}.0\nenvironment_mode = \"separate\"\n\n\
         [environment]\nnetwork_mode = \"no-network\"\nworkdir = {workdir}\n{memory}",
        verifier_seconds = rules.seconds.0 + rules.seconds.1 + MARGIN_SECONDS,
        artifacts = list(&artifacts),
        name = quoted(&full_name(&format!("{language}__{slug}"))),
        blurb = quoted(blurb),
        keywords = list(&["polyglot", language.name()]),
        image = quoted(rules.image),
        answer = list(&answer),
        language = quoted(language.name()),
        mode = quoted(mode.name()),
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
fn plan(exercise: &Exercise, rules: &Rules) -> String {
    let tests: Vec<&str> = exercise
        .tests
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    let fixed: Vec<&str> = exercise
        .fixed
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    let needs: Vec<&str> = rules
        .needs
        .iter()
        .filter(|(slug, _)| *slug == exercise.slug)
        .map(|(_, library)| *library)
        .collect();
    let mut plan = json!({
        "slug": exercise.slug,
        "solution": exercise.solution,
        "folder": rules.folder,
        "tests": tests,
        "fixed": fixed,
        "count": exercise.count,
        "needs": needs,
        "release": exercise.release,
        "timeout_sec": rules.seconds.0,
        "decoy_timeout_sec": rules.seconds.1,
    });
    // The file is part of the task's digest.
    plan.sort_all_objects();
    format!("{plan:#}\n")
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let texts = texts.iter().map(|text| Value::from(text.as_ref()));
    Value::Array(texts.collect()).to_string()
}
