//! p5.js: Mocha's list of failures, between what the tests print.

use super::browser::joined_lines;
use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{FAILED, StatusMap};
use crate::benchmark::swebench::grade::text::{
    indent, is_digit, is_space, is_word, lines, without_ansi,
};
use memchr::memmem;
use std::borrow::Cow;
use std::collections::HashMap;

/// Most characters of a failure's name.
const LONGEST: usize = 1000;

/// `1) suite`, then the test's name, each line deeper than the one above, up to a colon.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let log = without_ansi(log);
    let log = without_json(&log);
    let log = without_elements(&log);
    let mut tests = StatusMap::default();
    let mut rest: &str = &log;
    loop {
        if let Some((name, after)) = failure(rest) {
            if grows_deeper(name) {
                tests.set(joined_lines(name), FAILED);
            }
            rest = after;
        }
        match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(end) => rest = &rest[end + 1..],
            None => return Ok(tests.into_owned()),
        }
    }
}

/// Returns what stands between `1)` at the start of a line and the next colon, and what
/// follows the colon.
fn failure(line: &str) -> Option<(&str, &str)> {
    let number = line.trim_start_matches(|c| c != '\n' && is_space(c));
    let rest = number.trim_start_matches(is_digit);
    if rest.len() == number.len() {
        return None;
    }
    let rest = rest.strip_prefix(')')?;
    // A character takes four bytes at most.
    let near = &rest.as_bytes()[..rest.len().min(4 * LONGEST + 1)];
    let end = memchr::memchr(b':', near)?;
    let name = &rest[..end];
    (end <= LONGEST || name.chars().count() <= LONGEST).then(|| (name, &rest[end + 1..]))
}

fn grows_deeper(name: &str) -> bool {
    let mut above = 0;
    name.split('\n').all(|line| {
        let depth = indent(line);
        let deeper = depth > above;
        above = depth;
        deeper
    })
}

/// Returns the lines that are no part of JSON that was printed.
fn without_json(log: &str) -> String {
    let mut kept = String::with_capacity(log.len() + 1);
    let (mut in_object, mut in_list) = (false, false);
    for line in lines(log) {
        let end = line.trim_end_matches(is_space);
        if end.ends_with('{') {
            in_object = true;
        } else if end.ends_with('[') {
            in_list = true;
        } else if end == "}" && in_object {
            in_object = false;
        } else if end == "]" && in_list {
            in_list = false;
        } else {
            let whole = (end.starts_with('{') && end.ends_with('}'))
                || (end.starts_with('[') && end.ends_with(']'));
            if !in_object && !in_list && !whole {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    kept.pop();
    kept
}

/// Returns the text without elements such as `<g>…</g>`. Where one is opened more often than
/// closed, what is opened too often stays.
fn without_elements(log: &str) -> Cow<'_, str> {
    let mut last_close: HashMap<&str, usize> = HashMap::new();
    for at in memmem::find_iter(log.as_bytes(), "</") {
        if let Some(name) = tag_name(&log[at + 2..]) {
            last_close.insert(name, at);
        }
    }
    if last_close.is_empty() {
        return Cow::Borrowed(log);
    }
    let mut kept = String::with_capacity(log.len());
    let mut from = 0;
    let mut looked = 0;
    while let Some(at) = memchr::memchr(b'<', &log.as_bytes()[looked..]).map(|at| looked + at) {
        looked = at + 1;
        let Some(name) = tag_name(&log[at + 1..]) else {
            continue;
        };
        let inside = at + name.len() + 2;
        let Some(last) = last_close.get(name).filter(|last| **last >= inside) else {
            continue;
        };
        kept.push_str(&log[from..at]);
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut depth = 1;
        let mut end = inside;
        while depth > 0 && end <= *last {
            let Some(length) = log[end..].find(&close) else {
                break;
            };
            depth += log[end..end + length].matches(&open).count();
            depth -= 1;
            end += length + close.len();
        }
        for _ in 0..depth {
            kept.push_str(&open);
        }
        (from, looked) = (end, end);
    }
    kept.push_str(&log[from..]);
    Cow::Owned(kept)
}

/// Returns the name of a tag whose `<` or `</` was read.
fn tag_name(rest: &str) -> Option<&str> {
    let after = rest.trim_start_matches(is_word);
    let name = &rest[..rest.len() - after.len()];
    (!name.is_empty() && after.starts_with('>')).then_some(name)
}
