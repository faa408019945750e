//! Jest and Vitest: tests with a mark before them, or whole files.

use super::lines::{each, jest_json, without_duration};
use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, SKIPPED, StatusMap, Suites};
use crate::benchmark::swebench::grade::text::{indent, is_digit, is_space, python, strip};
use regex::Regex;
use std::sync::LazyLock;

/// `✓ NAME (12 ms)`. The blocks around a test are no part of its name.
pub(super) fn verbose<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MARKS: [(char, &str); 3] = [('✓', PASSED), ('✕', FAILED), ('○', SKIPPED)];
    Ok(each(log, |line| {
        let (rest, status) = marked(line, &MARKS)?;
        Some((strip(without_duration(rest)), status))
    }))
}

/// `✓ NAME 12ms`
pub(super) fn vitest<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MARKS: [(char, &str); 3] = [('✓', PASSED), ('×', FAILED), ('↓', SKIPPED)];
    Ok(each(log, |line| {
        let (rest, status) = marked(line, &MARKS)?;
        Some((without_note(rest), status))
    }))
}

/// Returns what follows a mark and one white space.
fn marked<'a>(line: &'a str, marks: &[(char, &'static str)]) -> Option<(&'a str, &'static str)> {
    let (rest, status) = marks
        .iter()
        .find_map(|(mark, status)| Some((line.strip_prefix(*mark)?, *status)))?;
    let rest = rest.strip_prefix(is_space)?;
    (!rest.is_empty()).then_some((rest, status))
}

/// Returns a name without `12ms`, `12 s`, `12` or `[skipped]` behind it.
fn without_note(text: &str) -> &str {
    fn cut(text: &str) -> Option<&str> {
        let before = match text.strip_suffix("[skipped]") {
            Some(before) => before,
            None => {
                let number = text.strip_suffix('s').unwrap_or(text);
                let number = number.strip_suffix('m').unwrap_or(number);
                let number = number.trim_end_matches(is_space);
                let before = number.trim_end_matches(is_digit);
                if before.len() == number.len() {
                    return None;
                }
                before
            }
        };
        let name = before.strip_suffix(is_space)?;
        (!name.is_empty()).then_some(name)
    }
    cut(text).unwrap_or(text)
}

/// `PASS path/of/file (12.3 s)`
pub(super) fn files<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static TIMED: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            python(r"^(.*)\s\([\d\.]+ms\)"),
            python(r"^(.*)\s\([\d\.]+\ss\)"),
            python(r"^(.*)\s\([\d\.]+s\)"),
        ]
    });
    let mut tests = StatusMap::default();
    for line in log.split('\n') {
        let status = match line.get(..4) {
            Some("PASS") => PASSED,
            Some("FAIL") => FAILED,
            _ => continue,
        };
        let Some(rest) = line[4..].strip_prefix(is_space) else {
            continue;
        };
        let timed = TIMED
            .iter()
            .filter(|_| rest.contains("s)"))
            .find_map(|timed| Some(timed.captures(rest)?.get(1)?.as_str()));
        tests.set(timed.unwrap_or(rest), status);
    }
    Ok(tests)
}

/// The same, where a passed file wins over a failed one.
pub(super) fn grommet<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static FAIL: LazyLock<Regex> = LazyLock::new(|| python(r"(?m)^FAIL\s(.*)"));
    static PASS: LazyLock<Regex> = LazyLock::new(|| python(r"(?m)^PASS\s(.*)"));
    static TIMED: LazyLock<Regex> = LazyLock::new(|| python(r"\s\([\d\.]+\s?(?:ms|s)\)$"));
    let mut tests = StatusMap::default();
    for (pattern, status) in [(&FAIL, FAILED), (&PASS, PASSED)] {
        for found in pattern.captures_iter(log) {
            let name = found.get(1).map_or("", |name| strip(name.as_str()));
            let end = TIMED.find(name).map_or(name.len(), |timed| timed.start());
            tests.set(&name[..end], status);
        }
    }
    Ok(tests)
}

/// Calypso runs Jest once for each path; names carry the blocks around them.
pub(super) fn calypso<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut suites = Suites::default();
    for run in log.split(" ./node_modules/.bin/jest ").skip(1) {
        for line in run.split('\n') {
            if line.starts_with("Test Suites") || line.starts_with("  ● ") {
                break;
            }
            let depth = indent(line);
            let inner = strip(line);
            let status = match inner.chars().next() {
                Some('✓') => PASSED,
                Some('✕') => FAILED,
                _ => {
                    if depth > 0 {
                        suites.enter(line, depth);
                    }
                    continue;
                }
            };
            let test = calypso_test(line, depth).ok_or(Unreadable(
                "a mark stands where no test of Jest's can stand",
            ))?;
            let name = format!("{} - {test}", suites.prefix());
            tests.set(strip(&name).to_owned(), status);
        }
    }
    Ok(tests)
}

/// Returns the name behind a mark, which must be indented, without its duration.
fn calypso_test(line: &str, depth: usize) -> Option<&str> {
    static DURATION: LazyLock<Regex> = LazyLock::new(|| python(r"\(\d+ms\)"));
    static AT_END: LazyLock<Regex> = LazyLock::new(|| python(r"\(\d+ms\)$"));
    let mark = line.char_indices().nth(depth)?;
    let test = line[mark.0 + mark.1.len_utf8()..].strip_prefix(is_space)?;
    if depth == 0 {
        return None;
    }
    if !line.contains("ms)") || !DURATION.is_match(line) {
        return Some(test);
    }
    let end = AT_END.find(test)?.start();
    Some(&test[..end])
}

/// Two instances of immutable-js, two formats.
pub(super) fn immutable_js<'a>(log: &'a str, about: About<'_>) -> Parsed<'a> {
    match about.instance_id.rsplit('-').next() {
        Some("2006") => verbose(log, about),
        Some("2005") => jest_json(log, about),
        _ => Err(Unreadable(
            "no format is known for this instance of immutable-js",
        )),
    }
}
