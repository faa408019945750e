//! Writes an instance down as a Harbor task directory.

use super::instance::Instance;
use crate::benchmark::digest;
use crate::domain::{FileTree, TreePath};
use serde_json::json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Time for the tests, as in the official harness.
const VERIFIER_SECONDS: f64 = 1800.0;
/// Memory that is asked for; the official harness sets no limit.
const MEMORY_MB: u32 = 4096;
/// Disk that is asked for, likewise: builds and tests write much.
const STORAGE_MB: u32 = 20_480;

/// Returns the files of the task directory.
pub(super) fn task(instance: &Instance) -> FileTree {
    let mut files = FileTree::new();
    let mut put = |path: &str, bytes: &[u8], executable: bool| {
        let path = TreePath::new(path).expect("invariant: parts of the path were checked");
        files.insert(path, bytes, executable);
    };
    put("task.toml", manifest(instance).as_bytes(), false);
    put("instruction.md", instruction(instance).as_bytes(), false);
    put("tests/test.sh", include_bytes!("test.sh"), true);
    put("tests/eval.sh", instance.eval_script.as_bytes(), false);
    put("tests/row.json", row(instance).as_bytes(), false);
    for asset in &instance.assets {
        put(&format!("tests/assets/{}", asset.path), &asset.bytes, false);
    }
    put("solution/solve.sh", include_bytes!("solve.sh"), true);
    put("solution/gold.patch", instance.patch.as_bytes(), false);
    files
}

/// Returns `dataset.toml`.
pub(super) fn dataset(name: &str, tasks: &BTreeMap<String, FileTree>) -> String {
    let listed = tasks.iter().map(|(name, files)| {
        let mut task = Table::new();
        task.insert("digest".to_owned(), digest::of(files).into());
        task.insert("name".to_owned(), full_name(name).into());
        Value::Table(task)
    });
    let listed = Value::Array(listed.collect());
    let mut text = format!(
        "schema_version = \"1.0\"\n\n[dataset]\nname = {}\ndescription = {}\nkeywords = {}\n\n\
         [metadata.dgm]\nimporter = \"swebench\"\n\n",
        quoted(name),
        quoted("Instances of SWE-bench, graded outside of their containers"),
        Value::Array(vec!["swe-bench".into()]),
    );
    let mut tables = Table::new();
    tables.insert("tasks".to_owned(), listed);
    text.push_str(&tables.to_string());
    text
}

fn full_name(task: &str) -> String {
    format!("swe-bench/{task}")
}

fn manifest(instance: &Instance) -> String {
    let Instance {
        repo,
        base_commit,
        image,
        facts,
        ..
    } = instance;
    format!(
        "schema_version = \"1.4\"\n\n\
         [task]\nname = {name}\nkeywords = {keywords}\n\n\
         [metadata.dgm]\ngrader = \"swebench\"\nrepo = {repo}\nversion = {version}\n\
         base_commit = {base_commit}\npass_mark = 1.0\n\n\
         [verifier]\ntimeout_sec = {VERIFIER_SECONDS:?}\nenvironment_mode = \"separate\"\n\n\
         [environment]\ndocker_image = {image}\nworkdir = \"/testbed\"\n\
         network_mode = \"no-network\"\nmemory_mb = {MEMORY_MB}\n\
         storage_mb = {STORAGE_MB}\n",
        name = quoted(&full_name(&facts.instance_id)),
        keywords = Value::Array(vec!["swe-bench".into(), repo.as_str().into()]),
        repo = quoted(repo),
        version = quoted(&facts.version),
        base_commit = quoted(base_commit),
        image = quoted(image),
    )
}

/// The issue as it is, and what is to be done about it.
fn instruction(instance: &Instance) -> String {
    format!(
        "{}\n\n# What to do\n\nThe above is an issue of `{}`, whose repository is the working \
         directory. Change its files so that the issue is solved. Tests that you cannot see \
         decide whether it is; the test files that they use are put back before they run.\n",
        instance.problem_statement, instance.repo,
    )
}

/// What the grader needs, in the shape of a row.
fn row(instance: &Instance) -> String {
    let facts = &instance.facts;
    let mut row = json!({
        "instance_id": facts.instance_id,
        "repo": instance.repo,
        "version": facts.version,
        "log_parser": facts.parser.name(),
        "eval_type": facts.eval_type.name(),
        "FAIL_TO_PASS": facts.fail_to_pass,
        "PASS_TO_PASS": facts.pass_to_pass,
    });
    // The file is part of the task's digest.
    row.sort_all_objects();
    format!("{row:#}\n")
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
