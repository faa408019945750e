//! Tests in a browser, and others that print only what failed.

use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{is_space, joined, python, strip, without_ansi};
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Failures of Karma's, as the browsers of two periods name themselves.
pub(super) fn bpmn_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static PATTERNS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            python(r"2KPhantomJS\s[\d\.]+\s\(Linux\s[\d\.]+\)\s(?P<test>.*)FAILED\n"),
            python(r"2KPhantomJS\s[\d\.]+\s\(Linux\sx86_64\)\s(?P<test>.*)FAILED\n"),
            python(r"Chrome\sHeadless\s.*\s\(Linux\sx86_64\)\s(?P<test>.*)FAILED\n"),
            python(r"HeadlessChrome\s[\d\.]+\s\(Linux\s[\d\.]+\)\s(?P<test>.*)FAILED\n"),
        ]
    });
    Ok(failures(log, PATTERNS.iter(), Cow::Borrowed))
}

/// Failures of Karma's and of the rendering tests.
pub(super) fn openlayers<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static PATTERNS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            python(r"Chrome\sHeadless\s[\d\.]+\s\(Linux\s[\d\._\S]+\)\s(?P<test>.*)\sFAILED\n"),
            python(r"Chrome\s[\d\.]+\s\(Linux\s[\d\._\S]+\)\s(?P<test>.*)FAILED\n"),
            python(r"(?m)^\s{2}\d+\)(?P<test>[\s\S]*?)Error:"),
            python(r"(?m)^case\s(?P<test>.*):\smismatch"),
        ]
    });
    Ok(failures(log, PATTERNS.iter(), |test| {
        joined(&Cow::Borrowed(test))
    }))
}

/// Failures of Mocha's, up to the kind of error.
pub(super) fn eslint<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| python(r"\s{2}\d+\)(?P<test>[\s\S]*?)\s+(?:.*Error)"));
    Ok(failures(log, std::iter::once(&*PATTERN), |test| {
        joined(&Cow::Borrowed(test))
    }))
}

fn failures<'a, 'p>(
    log: &'a str,
    patterns: impl Iterator<Item = &'p Regex>,
    name: impl Fn(&'a str) -> Cow<'a, str>,
) -> StatusMap<'a> {
    let mut tests = StatusMap::default();
    for pattern in patterns {
        for found in pattern.captures_iter(log) {
            if let Some(test) = found.name("test") {
                tests.set(name(test.as_str()), FAILED);
            }
        }
    }
    tests
}

/// Failures of Karma's in Chrome, colors taken away.
pub(super) fn chart_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        python(r"(?m)Chrome\s[\d\.]+[^\S\r\n]\(.+?\)[^\S\r\n](?P<test>.*)FAILED$")
    });
    let pattern = std::iter::once(&*PATTERN);
    Ok(match without_ansi(log) {
        Cow::Borrowed(log) => failures(log, pattern, Cow::Borrowed),
        Cow::Owned(log) => failures(&log, pattern, Cow::Borrowed).into_owned(),
    })
}

/// Karma's tree of suites, between the browser's start and the summary.
pub(super) fn karma<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut suites: Vec<&str> = Vec::new();
    let mut depth = 0;
    let mut started = false;
    for line in log.split('\n') {
        if line.starts_with("SUMMARY:") {
            break;
        }
        if line.contains("Starting browser") {
            started = true;
            continue;
        }
        let Some(found) = branch(line).filter(|_| started) else {
            continue;
        };
        match found.status {
            None if found.indent > depth => {
                depth = found.indent;
                suites.push(found.name);
            }
            None if found.indent > 0 && found.indent < depth => {
                depth = found.indent;
                suites
                    .pop()
                    .ok_or(Unreadable("Karma's suites end more often than they begin"))?;
            }
            None => {}
            Some(status) => {
                let suites = suites.iter().copied();
                let name: Vec<&str> = suites.chain(std::iter::once(found.name)).collect();
                tests.set(name.join(" > "), status);
            }
        }
    }
    Ok(tests)
}

/// One line of Karma's tree.
struct Branch<'a> {
    indent: usize,
    status: Option<&'static str>,
    name: &'a str,
}

fn branch(line: &str) -> Option<Branch<'_>> {
    let rest = line.trim_start_matches(is_space);
    let space = &line[..line.len() - rest.len()];
    let status = match rest.chars().next() {
        Some('✔') => Some(PASSED),
        Some('✖') => Some(FAILED),
        _ => None,
    };
    let mut chars = rest.chars();
    chars.next();
    if let (Some(status), Some(name)) = (status, chars.as_str().strip_prefix(is_space)) {
        return Some(Branch {
            indent: space.chars().count(),
            status: Some(status),
            name,
        });
    }
    // One white space separates, the others indent.
    space.chars().next_back()?;
    Some(Branch {
        indent: space.chars().count() - 1,
        status: None,
        name: rest,
    })
}

/// Returns the text without line ends around each of its lines, joined.
pub(super) fn joined_lines(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(strip).collect();
    lines.join(":")
}
