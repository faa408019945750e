//! Jest and Vitest: tests with a mark before them, or whole files.

use super::lines::{each, jest_json, without_duration};
use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, SKIPPED, StatusMap, Suites};
use crate::benchmark::swebench::grade::text::{indent, is_digit, is_space, lines, strip};
use memchr::memmem::Finder;
use std::ops::Range;
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
    let mut tests = StatusMap::default();
    for line in lines(log) {
        let status = match line.get(..4) {
            Some("PASS") => PASSED,
            Some("FAIL") => FAILED,
            _ => continue,
        };
        let Some(rest) = line[4..].strip_prefix(is_space) else {
            continue;
        };
        tests.set(before_time(rest), status);
    }
    Ok(tests)
}

/// Returns the text before a time: the last one in milliseconds, or else the last one in
/// seconds behind a space, or else the last one in seconds; all where there is none.
fn before_time(text: &str) -> &str {
    let mut best: Option<(usize, &str)> = None;
    for open in memchr::memrchr_iter(b'(', text.as_bytes()) {
        let found = text[..open]
            .strip_suffix(is_space)
            .and_then(|before| Some((time(&text[open + 1..])?, before)));
        if let Some((rank, before)) = found
            && best.is_none_or(|(best, _)| rank < best)
        {
            if rank == 0 {
                return before;
            }
            best = Some((rank, before));
        }
    }
    best.map_or(text, |(_, before)| before)
}

/// Returns which kind of time a text starts with: `12ms)`, `1.2 s)` or `1.2s)`.
fn time(text: &str) -> Option<usize> {
    let unit = text.trim_start_matches(|c| c == '.' || is_digit(c));
    if unit.len() == text.len() {
        return None;
    }
    let spaced = || unit.strip_prefix(is_space);
    if unit.starts_with("ms)") {
        Some(0)
    } else if spaced().is_some_and(|unit| unit.starts_with("s)")) {
        Some(1)
    } else {
        unit.starts_with("s)").then_some(2)
    }
}

/// The same, where a passed file wins over a failed one.
pub(super) fn grommet<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    for (word, status) in [("FAIL", FAILED), ("PASS", PASSED)] {
        let mut rest = Some(log);
        while let Some(text) = rest {
            // The white space may be the line's end: then the name stands on the next one.
            let name = text.strip_prefix(word);
            let text = match name.and_then(|name| name.strip_prefix(is_space)) {
                Some(after) => {
                    let name = lines(after).next().unwrap_or_default();
                    tests.set(without_time(strip(name)), status);
                    &after[name.len()..]
                }
                None => text,
            };
            rest = memchr::memchr(b'\n', text.as_bytes()).map(|at| &text[at + 1..]);
        }
    }
    Ok(tests)
}

/// Returns a name without ` (1.2 s)` behind it.
fn without_time(text: &str) -> &str {
    fn cut(text: &str) -> Option<&str> {
        let (before, inside) = text.strip_suffix("s)")?.rsplit_once('(')?;
        let before = before.strip_suffix(is_space)?;
        let inside = inside.strip_suffix('m').unwrap_or(inside);
        let number = inside.strip_suffix(is_space).unwrap_or(inside);
        let good = !number.is_empty() && number.chars().all(|c| c == '.' || is_digit(c));
        good.then_some(before)
    }
    cut(text).unwrap_or(text)
}

/// Calypso runs Jest once for each path; names carry the blocks around them.
pub(super) fn calypso<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut suites = Suites::default();
    for run in log.split(" ./node_modules/.bin/jest ").skip(1) {
        for line in lines(run) {
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
            let name = [suites.prefix(), " - ", test].concat();
            let stripped = strip(&name);
            let name = match stripped.len() == name.len() {
                true => name,
                false => stripped.to_owned(),
            };
            tests.set(name, status);
        }
    }
    Ok(tests)
}

/// Returns the name behind a mark, which must be indented, without its duration.
fn calypso_test(line: &str, depth: usize) -> Option<&str> {
    let mark = line.char_indices().nth(depth)?;
    let test = line[mark.0 + mark.1.len_utf8()..].strip_prefix(is_space)?;
    if depth == 0 {
        return None;
    }
    match durations(line).last() {
        None => Some(test),
        // It begins behind white space or later, as the name does.
        Some(last) if last.end == line.len() => line.get(line.len() - test.len()..last.start),
        Some(_) => None,
    }
}

/// Returns where `(12ms)` stands in a text.
pub(super) fn durations(text: &str) -> impl Iterator<Item = Range<usize>> {
    static UNIT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ms)"));
    UNIT.find_iter(text.as_bytes()).filter_map(|end| {
        let before = text[..end].trim_end_matches(is_digit);
        let start = before.strip_suffix('(').filter(|_| before.len() < end)?;
        Some(start.len()..end + "ms)".len())
    })
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
