//! What Django's own runner prints with `--verbosity 2`.
//!
//! Names may span lines, what a test prints comes between its name and its `ok`, and near the
//! end the runner's own messages break lines: each of these has its rule.

use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{ERROR, FAILED, PASSED, SKIPPED, StatusMap};
use crate::benchmark::swebench::grade::text::{first_part, is_space, lines, python, strip, words};
use memchr::memmem::Finder;
use regex::Regex;
use std::sync::LazyLock;

/// A test whose output always breaks its line.
const VERSION: &str = "--version is equivalent to version";

/// A migration's message that stands before a test's name, on its line.
const MIGRATION: &str = "Applying sites.0002_alter_domain_unique...test_no_migrations";

/// Endings of a test that passed.
const PASSES: [&str; 3] = [" ... ok", " ... OK", " ...  OK"];

/// What a skipped test's name is followed by.
const SKIP: &str = " ... skipped";

/// Messages that come between a test's name and its `ok`, each with the pattern of both.
static BROKEN: LazyLock<[(Finder<'static>, Regex); 3]> = LazyLock::new(|| {
    [
        (
            Finder::new("Testing against Django installed in "),
            python(
                r"(?m)^(.*?)\s\.\.\.\sTesting against Django installed in ((?s:.*?)) silenced\)\.\nok$",
            ),
        ),
        (
            Finder::new("Internal Server Error: /"),
            python(r"(?m)^(.*?)\s\.\.\.\sInternal Server Error: /(.*)/\nok$"),
        ),
        (
            Finder::new("System check identified no issues (0 silenced)\nok"),
            python(r"(?m)^(.*?)\s\.\.\.\sSystem check identified no issues \(0 silenced\)\nok$"),
        ),
    ]
});

/// Reads the tests.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let dots = Finder::new(" ... ");
    let skips = Finder::new(SKIP);
    let with_version = Finder::new(VERSION).find(log.as_bytes()).is_some();
    let mut before = None;
    for line in lines(log) {
        let mut line = strip(line);
        if with_version && line.contains(VERSION) {
            tests.set(VERSION, PASSED);
        }
        if let Some(at) = dots.find(line.as_bytes()) {
            before = Some(&line[..at]);
            line = finished(line, &skips, &mut tests);
        }
        if line.starts_with("FAIL:") {
            tests.set(second_word(line)?, FAILED);
        }
        if line.starts_with("ERROR:") {
            tests.set(second_word(line)?, ERROR);
        }
        if let Some(test) = before
            && line.trim_start_matches(is_space).starts_with("ok")
        {
            tests.set(test, PASSED);
        }
    }
    for (hint, pattern) in BROKEN.iter() {
        if hint.find(log.as_bytes()).is_some() {
            for found in pattern.captures_iter(log) {
                if let Some(test) = found.get(1) {
                    tests.set(test.as_str(), PASSED);
                }
            }
        }
    }
    Ok(tests)
}

/// Reads a line on which a test may end, and returns what is left of the line to be looked at.
fn finished<'a>(mut line: &'a str, skips: &Finder<'_>, tests: &mut StatusMap<'a>) -> &'a str {
    for ending in PASSES {
        if line.ends_with(ending) {
            if line.starts_with(MIGRATION) {
                line = line.split_once("...").map_or(line, |(_, rest)| strip(rest));
            }
            let test = line.strip_suffix(ending).unwrap_or(line);
            tests.set(test, PASSED);
            break;
        }
    }
    if let Some(at) = skips.find(line.as_bytes()) {
        tests.set(&line[..at], SKIPPED);
    }
    for (ending, status) in [(" ... FAIL", FAILED), (" ... ERROR", ERROR)] {
        if line.ends_with(ending) {
            tests.set(first_part(line, ending), status);
        }
    }
    line
}

fn second_word(line: &str) -> Result<&str, Unreadable> {
    words(line)
        .nth(1)
        .ok_or(Unreadable("a `FAIL:` or `ERROR:` names no test"))
}
