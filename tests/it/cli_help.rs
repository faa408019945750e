//! `docs/cli.md` is what the program says of itself.

use crate::support::Program;
use std::path::Path;

const HEAD: &str = "\
# The command line

This file is generated from the program's own help: run the tests with `UPDATE=1` after a change.
";

#[test]
fn the_reference_is_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let dgm = Program::new(folder.path()).env("COLUMNS", "100");
    let mut reference = HEAD.to_owned();
    describe(&dgm, "", &mut reference);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        dgm::sys::durable::write(&path, reference.as_bytes()).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = reference
        .lines()
        .zip(written.lines().chain(std::iter::repeat("")))
        .find(|(now, then)| now != then);
    assert!(
        reference == written,
        "`docs/cli.md` is out of date (first at {differs:?}): run with UPDATE=1"
    );
}

/// Adds a command and the commands below it.
fn describe(dgm: &Program, command: &str, reference: &mut String) {
    let help: Vec<String> = dgm
        .data(&format!("{command} --help"))
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    let help = help.join("\n");
    let title = format!("dgm {command}");
    let title = title.trim();
    let section = format!("\n## `{title}`\n\n```text\n{}\n```\n", help.trim());
    reference.push_str(&section);
    for below in commands(&help) {
        describe(dgm, format!("{command} {below}").trim(), reference);
    }
}

/// Names in the section `Commands:`; long descriptions go on in deeper lines.
fn commands(help: &str) -> Vec<&str> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    section
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}
