//! `dgm fsck` and `dgm doctor`.

use crate::support::{Grown, Program};
use insta::assert_snapshot;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[test]
fn fsck_of_an_archive_in_order() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("fsck demo"), @"the archive is in order");
    let report: Value = serde_json::from_str(&dgm.data("fsck demo --json")).unwrap();
    assert_eq!(report["schema"], "dgm.fsck/1");
    assert_eq!(report["clean"], true);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn fsck_names_a_lost_blob() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    let lost = blobs(&grown.archive().join("blobs"));
    std::fs::remove_file(&lost[0]).unwrap();
    let output = dgm.output("fsck demo --repair --json");
    assert_eq!(output.status.code(), Some(1), "damage cannot be repaired");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["clean"], false);
    let finding = &report["findings"][0];
    assert_eq!(finding["name"], "damage", "{report}");
    assert!(finding["advice"].is_string(), "{report}");
}

/// All stored blobs, in order.
fn blobs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn doctor_says_what_to_do_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    let dgm = Program::new(folder.path())
        .env("PATH", &path)
        .env("OPENAI_API_KEY", "sk-very-secret");
    let output = dgm.output("doctor --json");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("very-secret"), "a key was shown");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], "dgm.doctor/1");
    let usable = report["usable"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if usable { 0 } else { 4 }));
    let checks = report["checks"].as_array().unwrap();
    for name in [
        "dgm",
        "system",
        "cores",
        "memory",
        "disk",
        "python3",
        "git",
        "cgroups",
        "kernel",
        "local sandbox",
        "docker engine",
        "model keys",
    ] {
        assert!(
            checks.iter().any(|check| check["name"] == name),
            "no `{name}`: {text}"
        );
    }
    for check in checks {
        let fine = check["state"] == "ok";
        assert_eq!(fine, check["advice"].is_null(), "{check}");
    }
    let keys = checks.iter().find(|check| check["name"] == "model keys");
    assert_eq!(
        keys.unwrap()["found"],
        "ANTHROPIC_API_KEY not set, OPENAI_API_KEY set"
    );
}

#[test]
fn doctor_without_any_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    // No program can be found, and no engine listens there.
    let dgm = Program::new(folder.path())
        .env("PATH", "/nonexistent")
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let output = dgm.output("doctor");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "missing  python3",
        "bubblewrap (`bwrap`) is not installed",
        "→ install it: `apt-get install bubblewrap`",
        "no container engine answers at `unix:///nonexistent/docker.sock`",
        "no sandbox works here: agents cannot be run",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn doctor_knows_an_archive() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder()).env("PATH", "/nonexistent");
    let text = String::from_utf8(dgm.output("doctor demo").stdout).unwrap();
    assert!(
        text.contains("`demo`, format 3: 6 variants, 8 attempts, 26 evaluations"),
        "{text}"
    );
}
