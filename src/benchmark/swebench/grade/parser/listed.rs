//! Failures that Mocha lists by number, and the errors behind them.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{FAILED, StatusMap};
use crate::benchmark::swebench::grade::text::{is_digit, is_space, joined};
use memchr::memmem::Finder;
use std::borrow::Cow;

/// The name ends before the line with the kind of error:
/// `\s{2}\d+\)(?P<test>[\s\S]*?)\s+(?:.*Error)`.
pub(super) fn eslint<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let error = Finder::new("Error");
    let mut from = 0;
    for close in memchr::memchr_iter(b')', log.as_bytes()) {
        if number(log, from, close).is_none() {
            continue;
        }
        let start = close + 1;
        let Some((end, next)) = before_error(log, start, &error) else {
            // An error behind a later number would be one behind this one, too.
            break;
        };
        tests.set(joined(&Cow::Borrowed(&log[start..end])), FAILED);
        from = next;
    }
    Ok(tests)
}

/// Returns the place where the white space begins that an error follows on the same line, and
/// the place behind the last error there.
fn before_error(log: &str, start: usize, error: &Finder<'_>) -> Option<(usize, usize)> {
    let mut errors = error.find_iter(&log.as_bytes()[start..]);
    let (end, at) = errors.find_map(|at| {
        let before = &log[start..start + at];
        let end = match memchr::memrchr(b'\n', before.as_bytes()) {
            // The white space around the line's end is one.
            Some(line_end) => before[..line_end].trim_end_matches(is_space).len(),
            None => before.find(is_space)?,
        };
        Some((start + end, start + at))
    })?;
    let line_end = memchr::memchr(b'\n', &log.as_bytes()[at..]).map_or(log.len(), |end| at + end);
    let last = memchr::memmem::rfind(&log.as_bytes()[at..line_end], b"Error")?;
    Some((end, at + last + "Error".len()))
}

/// Returns what stands between a number at the start of a line and the next error:
/// `(?m)^\s{2}\d+\)(?P<test>[\s\S]*?)Error:`.
pub(super) fn up_to_error(log: &str) -> Vec<&str> {
    const ERROR: &str = "Error:";
    let mut tests = Vec::new();
    let error = Finder::new(ERROR);
    let mut from = 0;
    for close in memchr::memchr_iter(b')', log.as_bytes()) {
        let start = number(log, from, close);
        if start.is_none_or(|start| start > 0 && log.as_bytes()[start - 1] != b'\n') {
            continue;
        }
        let Some(length) = error.find(&log.as_bytes()[close + 1..]) else {
            break;
        };
        let test = &log[close + 1..close + 1 + length];
        tests.push(test);
        from = close + 1 + length + ERROR.len();
    }
    tests
}

/// Returns where two characters of white space begin that a number follows, up to the
/// parenthesis that closes it: `\s{2}\d+\)`.
fn number(log: &str, from: usize, close: usize) -> Option<usize> {
    let before = log.get(from..close)?;
    let space = before.trim_end_matches(is_digit);
    let inner = space.strip_suffix(is_space)?.strip_suffix(is_space)?;
    (space.len() < before.len()).then_some(from + inner.len())
}
