//! What a file has to be like: short, with a head, declared, named after something, finished.

use crate::report;
use crate::source::sources;
use std::collections::BTreeSet;
use std::path::Path;

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "errors", "helpers", "misc", "types", "utils"];

/// Most lines of code in a file, inline tests not counted.
const CAP: usize = 450;

/// What nobody may leave behind; put together here so that this file does not hold it.
fn forbidden() -> Vec<String> {
    [
        ("todo", "!"),
        ("dbg", "!"),
        ("unimplemented", "!"),
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
    .to_vec()
}

#[test]
fn files_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in sources("src").iter().chain(sources("tests")) {
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: does not open with `//!`", source.name));
        }
        let stem = Path::new(&source.name)
            .file_stem()
            .and_then(|stem| stem.to_str());
        let parts = source.name.split('/').chain(stem);
        for part in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            problems.push(format!("{}: `{part}` says nothing", source.name));
        }
    }
    report(&problems);
}

/// Hidden tests and solutions are opened where they are placed into a sandbox, and nowhere else.
#[test]
fn only_trials_open_hidden_files() {
    let opened = |text: &str| text.contains(".reveal()");
    let mut problems = Vec::new();
    let mut is_found = false;
    for source in sources("src").iter().filter(|source| opened(&source.text)) {
        match source.name.starts_with("trial/") {
            true => is_found = true,
            false => problems.push(format!("{}: opens hidden files", source.name)),
        }
    }
    report(&problems);
    assert!(is_found, "the test looks for what is called so");
}

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for source in sources("src") {
        let lines = source.code;
        if lines > CAP {
            problems.push(format!(
                "{}: {lines} lines of code, {CAP} are allowed",
                source.name
            ));
        }
    }
    report(&problems);
}

#[test]
fn nothing_is_left_to_be_done() {
    let forbidden = forbidden();
    let mut problems = Vec::new();
    for source in sources("src").iter().chain(sources("tests")) {
        for (number, line) in source.text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| has_word(line, word)) {
                problems.push(format!("{}:{}: `{word}`", source.name, number + 1));
            }
        }
    }
    report(&problems);
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let part = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(before) && !part(after)
    })
}

#[test]
fn every_file_is_a_module() {
    let mut problems = Vec::new();
    for (folder, roots) in [
        ("src", ["lib.rs", "main.rs"]),
        ("tests", ["it/main.rs", "tidy/main.rs"]),
    ] {
        let sources = sources(folder);
        let mut declared: BTreeSet<String> = roots.map(str::to_owned).into();
        for source in sources {
            let parent = Path::new(&source.name);
            let base = match parent.file_name().and_then(|name| name.to_str()) {
                Some("mod.rs" | "lib.rs" | "main.rs") => {
                    parent.parent().unwrap_or(Path::new("")).to_owned()
                }
                _ => parent.with_extension(""),
            };
            for child in &source.modules {
                let child = base.join(child);
                declared.insert(child.with_extension("rs").display().to_string());
                declared.insert(child.join("mod.rs").display().to_string());
            }
        }
        for source in sources {
            if !declared.contains(&source.name) {
                problems.push(format!("{folder}/{}: no module declares it", source.name));
            }
        }
    }
    report(&problems);
}
