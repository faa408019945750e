//! Every log of the parity corpus gets the official grade.

use super::shared;
use crate::support::Program;
use dgm::benchmark::swebench::{Grade, Log, Split, Tier, facts, grade};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Returns a grade as the corpus writes it down.
fn written(grade: &Grade<'_>) -> Value {
    let split = |split: &Split| json!({"success": split.success, "failure": split.failure});
    match grade {
        Grade::Found {
            statuses,
            tests,
            resolution,
        } => json!({
            "patch_successfully_applied": true,
            "resolved": grade.resolved(),
            "resolution": format!("RESOLVED_{}", resolution.name().to_uppercase()),
            "status_map": statuses.iter().collect::<BTreeMap<_, _>>(),
            "tests_status": {
                "FAIL_TO_PASS": split(&tests.fail_to_pass),
                "PASS_TO_PASS": split(&tests.pass_to_pass),
            },
            "infra_failure": false,
            "infra_failure_reason": null,
        }),
        Grade::NotFound { infra, .. } => json!({
            "patch_successfully_applied": false,
            "resolved": false,
            "resolution": null,
            "status_map": {},
            "tests_status": null,
            "infra_failure": infra.is_some_and(|infra| infra.tier == Tier::Environment),
            "infra_failure_reason": infra.map(|infra| infra.reason),
        }),
    }
}

#[test]
fn every_log_is_graded_as_the_official_harness_does() {
    let mut parsers = BTreeSet::new();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(shared("swebench-parity")).unwrap() {
        let case = entry.unwrap().path();
        let expected = fs::read(case.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let facts = facts(&expected).unwrap();
        let bytes = fs::read(case.join("test_output.txt")).unwrap();
        let log = Log::read(&bytes);
        let found = written(&grade(&facts, &log));
        for (key, value) in found.as_object().unwrap() {
            if value != &expected[key] {
                wrong.push(format!("{}: `{key}`", case.display()));
            }
        }
        parsers.insert(facts.parser.name());
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A corpus that was cut proves nothing.
    assert!(cases >= 792, "{cases} cases");
    assert!(parsers.len() >= 43, "{parsers:?}");
}

#[test]
fn the_command_prints_a_line_for_each_case_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = shared("swebench-parity");
    let names = [
        "edge__u2028",
        "edge__partial",
        "edge__frame-empty",
        "edge__crlf",
    ];
    for name in names {
        let case = folder.path().join(name);
        fs::create_dir(&case).unwrap();
        for (from, to) in [
            ("expected.json", "expected.json"),
            ("test_output.txt", "test_output.txt"),
        ] {
            fs::copy(corpus.join(name).join(from), case.join(to)).unwrap();
        }
    }
    let program = Program::new(folder.path());
    let output = program.output("bench grade .");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cases: Vec<&str> = lines
        .iter()
        .map(|line| line["case"].as_str().unwrap())
        .collect();
    assert_eq!(
        cases,
        [
            "edge__crlf",
            "edge__frame-empty",
            "edge__partial",
            "edge__u2028"
        ]
    );
    assert!(lines.iter().all(|line| line["schema"] == "dgm.grade/1"));
    assert_eq!(lines[1]["found"], false);
    assert_eq!(lines[1]["resolution"], Value::Null);
    assert_eq!(lines[2]["resolution"], "partial");

    // One by itself, with its row.
    let case = "edge__partial";
    let one = program.data(&format!(
        "bench grade --row {case}/expected.json --log {case}/test_output.txt"
    ));
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one, lines[2]);
}

#[test]
fn a_case_that_cannot_be_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = shared("swebench-parity").join("edge__partial");
    for name in ["a", "b", "c"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::copy(
        corpus.join("expected.json"),
        folder.path().join("a/expected.json"),
    )
    .unwrap();
    fs::copy(
        corpus.join("expected.json"),
        folder.path().join("b/row.json"),
    )
    .unwrap();
    fs::copy(
        corpus.join("test_output.txt"),
        folder.path().join("b/test_output.txt"),
    )
    .unwrap();
    let program = Program::new(folder.path());
    let output = program.output("bench grade .");
    assert_eq!(output.status.code(), Some(1));
    let one: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(one["case"], "b");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("a: could not read `"), "{talk}");
    assert!(talk.contains("c: could not read `"), "{talk}");
}
