//! Folders of tasks, choosing among them, and what is refused.

use super::{Suite, SuiteError};
use crate::benchmark::fixture;
use std::path::Path;

fn write(folder: &Path, names: &[&str]) {
    for name in names {
        fixture::write(&folder.join(name), &fixture::good());
    }
}

fn selected(suite: &Suite, wanted: &[&str]) -> Result<Vec<String>, String> {
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    suite
        .select(&wanted)
        .map(|tasks| tasks.iter().map(|task| task.id.to_string()).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn a_bad_task_disturbs_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    write(folder, &["b", "a", ".hidden"]);
    fixture::write(
        folder,
        &[
            ("README.md", "about\n".to_owned()),
            ("broken/task.toml", "[agent\n".to_owned()),
            ("notes/x.md", "no task\n".to_owned()),
        ],
    );
    std::os::unix::fs::symlink(folder.join("a"), folder.join("link")).expect("a link");
    let suite = Suite::load(folder).expect("it loads");
    let names: Vec<&str> = suite.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let refused: Vec<String> = suite
        .refused
        .iter()
        .map(|(name, error)| format!("{name}: {}", error.sentence()))
        .collect();
    assert_eq!(
        refused,
        [
            "broken: task.toml:1: unclosed table, expected `]`",
            "link: link: is a symbolic link; put the task itself there",
            "notes: `task.toml` is missing: a folder of a benchmark is a task; move it away \
             if it is none",
        ]
    );
    assert_eq!(
        selected(&suite, &["broken"]),
        Err("task `broken` cannot run: task.toml:1: unclosed table, expected `]`".to_owned())
    );
}

#[test]
fn selects_by_name_and_pattern() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(
        folder.path(),
        &["python__bowling", "python__grep", "rust__grep"],
    );
    let suite = Suite::load(folder.path()).expect("it loads");
    assert_eq!(selected(&suite, &[]).map(|names| names.len()), Ok(3));
    assert_eq!(
        selected(&suite, &["rust__grep", "python__*", "*__grep"]),
        Ok(vec![
            "rust__grep".to_owned(),
            "python__bowling".to_owned(),
            "python__grep".to_owned(),
        ])
    );
    assert_eq!(
        selected(&suite, &["python__bowlign"]),
        Err("there is no task `python__bowlign`; did you mean `python__bowling`?".to_owned())
    );
    assert_eq!(
        selected(&suite, &["bowling"]),
        Err("there is no task `bowling`; did you mean `python__bowling`?".to_owned())
    );
    assert_eq!(
        selected(&suite, &["zzz"]),
        Err("there is no task `zzz`".to_owned())
    );
    assert_eq!(
        selected(&suite, &["go__*"]),
        Err("no task matches `go__*`".to_owned())
    );
}

#[test]
fn a_selection_tells_what_of_it_cannot_run() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write(folder.path(), &["good-a", "good-b", "other"]);
    let bad = || "[agent\n".to_owned();
    let bad = [("bad-a/task.toml", bad()), ("good-c/task.toml", bad())];
    fixture::write(folder.path(), &bad);
    let suite = Suite::load(folder.path()).expect("it loads");
    let chosen = |wanted: &[&str], excluded: &[&str]| {
        let texts = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        suite
            .choose(&texts(wanted), &texts(excluded))
            .map(|selection| {
                let tasks = selection.tasks.iter().map(|task| task.id.to_string());
                let refused = selection.refused.iter().map(|(name, why)| {
                    assert!(why.contains("unclosed table"), "{why}");
                    format!("!{name}")
                });
                tasks.chain(refused).collect::<Vec<_>>().join(" ")
            })
            .map_err(|error| error.to_string())
    };
    let is = |text: &str| Ok(text.to_owned());
    assert_eq!(chosen(&[], &[]), is("good-a good-b other !bad-a !good-c"));
    assert_eq!(chosen(&["good-*"], &[]), is("good-a good-b !good-c"));
    assert_eq!(chosen(&["other"], &[]), is("other"));
    assert_eq!(chosen(&["bad-a", "o*", "*r"], &[]), is("other !bad-a"));
    assert_eq!(chosen(&["o*", "bad*"], &["bad-a"]), is("other"));
    assert_eq!(chosen(&["good-*"], &["*-c", "good-a"]), is("good-b"));
    assert_eq!(chosen(&[], &["bad-a", "good-c"]), is("good-a good-b other"));
    let said = |found: Result<String, String>| found.expect_err("it cannot be selected");
    let why = "cannot run: task.toml:1: unclosed table, expected `]`";
    assert_eq!(said(chosen(&["bad-*"], &[])), format!("task `bad-a` {why}"));
    assert_eq!(said(chosen(&[], &["x*"])), "no task matches `x*`");
    assert!(said(chosen(&[], &["good-d"])).starts_with("there is no task `good-d`;"));
}

#[test]
fn says_what_is_no_benchmark() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let empty = Suite::load(folder.path()).expect_err("nothing in it");
    assert!(matches!(empty, SuiteError::Empty { .. }), "{empty}");
    let missing = Suite::load(&folder.path().join("nowhere")).expect_err("not there");
    assert!(matches!(missing, SuiteError::Read { .. }), "{missing}");
    write(folder.path(), &["a"]);
    let task = Suite::load(&folder.path().join("a")).expect_err("a task");
    assert!(matches!(task, SuiteError::IsTask { .. }), "{task}");
}

#[test]
fn notices_a_task_that_changed_since_its_import() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut files = fixture::good();
    files[0].1.push_str("[task]\nname = \"us/a\"\n");
    fixture::write(&folder.path().join("a"), &files);
    let digest = Suite::load(folder.path()).expect("it loads").tasks[0]
        .digest
        .clone();
    let listed = |digest: &str| {
        format!("[dataset]\nname = \"us/all\"\n[[tasks]]\nname = \"us/a\"\ndigest = \"{digest}\"\n")
    };
    fixture::write(folder.path(), &[("dataset.toml", listed(&digest))]);
    let suite = Suite::load(folder.path()).expect("it loads");
    assert_eq!(suite.name.as_deref(), Some("us/all"));
    assert_eq!(suite.warnings, Vec::<String>::new());
    fixture::write(folder.path(), &[("dataset.toml", listed("sha256:0"))]);
    let suite = Suite::load(folder.path()).expect("it loads");
    assert_eq!(
        suite.warnings,
        ["task `a` is not as `dataset.toml` has it: its files were changed"]
    );
}
