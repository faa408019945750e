//! The seed agents and the scripted model: their own tests, and the contract in two languages.

use crate::support::Program;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the Python tests of a folder.
fn python_tests(folder: &str) {
    let output = Command::new("/usr/bin/python3")
        .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(root().join(folder))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {said}");
    assert!(!said.contains("Ran 0 tests"), "{folder}: {said}");
}

#[test]
fn the_base_agent_passes_its_own_tests() {
    python_tests("agents/base");
}

#[test]
fn the_scripted_model_passes_its_own_tests() {
    python_tests("benchmarks/scripted-model");
}

/// The contract is not Python's: an agent in shell grows an archive, too.
#[test]
fn a_seed_in_another_language_is_evaluated_and_changes_itself() {
    let folder = tempfile::Builder::new()
        .prefix("dgm-")
        .tempdir_in("/tmp")
        .unwrap();
    let path = std::env::var("PATH").unwrap();
    let program = Program::new(folder.path())
        .env("PATH", &path)
        .env("XDG_RUNTIME_DIR", folder.path().join("r").to_str().unwrap());
    let agent = root().join("agents/shell");
    let line = format!(
        "evolve shell --preset smoke --generations 1 --agent {}",
        agent.display()
    );
    let output = program.output(&line);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");
    let tree: serde_json::Value = serde_json::from_str(&program.data("tree shell --json")).unwrap();
    let seed = &tree["variants"][0]["score"];
    assert!(
        seed["resolved"].as_u64().unwrap() > 0,
        "the shell seed resolves something: {seed}"
    );
    let shown = program.data("show shell 1 --attempt --json");
    let attempt: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let origin = &attempt["origin"];
    assert!(
        origin["proposal"].is_object() && origin["failure"].is_null(),
        "{origin}"
    );
    assert!(is_shell(&agent), "no Python in the shell seed");
}

fn is_shell(agent: &Path) -> bool {
    std::fs::read_to_string(agent.join("agent.toml"))
        .unwrap()
        .contains("\"sh\"")
        && std::fs::read_dir(agent).unwrap().flatten().all(|entry| {
            entry
                .path()
                .extension()
                .is_none_or(|extension| extension != "py")
        })
}
