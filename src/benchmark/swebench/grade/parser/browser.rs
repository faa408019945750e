//! Tests in a browser.

use super::listed;
use super::reading::{Reading, Text};
use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{
    holds, is_space, joined, lines, strip, without_ansi,
};
use memchr::memmem::Finder;
use std::borrow::Cow;

/// Failures of Karma's, as the browsers of two periods name themselves.
pub(super) fn bpmn_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut found = Reading::of(log);
    for place in ["", "x86_64"] {
        found.take("2KPhantomJS", |log, at| {
            let at = log.space(log.linux(log.space(log.version(log.space(at)?)?)?, place)?)?;
            log.failed(at)
        });
    }
    found.take("Chrome", Text::any_headless);
    found.take("HeadlessChrome", |log, at| {
        let at = log.space(log.linux(log.space(log.version(log.space(at)?)?)?, "")?)?;
        log.failed(at)
    });
    Ok(found.failed(Cow::Borrowed))
}

/// Failures of Karma's and of the rendering tests.
pub(super) fn openlayers<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut found = Reading::of(log);
    found.take("Chrome", |log, at| {
        let at = log.space(log.literal(log.space(at)?, "Headless")?)?;
        let at = log.space(log.any_linux(log.space(log.version(at)?)?)?)?;
        log.failed_behind_space(at)
    });
    found.take("Chrome", |log, at| {
        let at = log.space(log.any_linux(log.space(log.version(log.space(at)?)?)?)?)?;
        log.failed(at)
    });
    found.tests.extend(listed::up_to_error(log));
    found.take("case", |log, at| {
        let starts = at == 4 || log.all.as_bytes()[at - 5] == b'\n';
        log.mismatch(log.space(at).filter(|_| starts)?)
    });
    Ok(found.failed(|test| joined(&Cow::Borrowed(test))))
}

/// Failures of Karma's in Chrome, colors taken away.
pub(super) fn chart_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    fn failures(log: &str) -> StatusMap<'_> {
        let mut found = Reading::of(log);
        found.take("Chrome", |log, at| {
            let at = log.blank(log.version(log.space(at)?)?)?;
            log.failed_in_place(log.literal(at, "(")?)
        });
        found.failed(Cow::Borrowed)
    }
    Ok(match without_ansi(log) {
        Cow::Borrowed(log) => failures(log),
        Cow::Owned(log) => failures(&log).into_owned(),
    })
}

/// Karma's tree of suites, between the browser's start and the summary.
pub(super) fn karma<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut suites: Vec<&str> = Vec::new();
    let mut depth = 0;
    let mut started = false;
    let start = Finder::new("Starting browser");
    for line in lines(log) {
        if line.starts_with("SUMMARY:") {
            break;
        }
        if holds(line, &start) {
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
                let mut name = String::with_capacity(64);
                for suite in &suites {
                    name.push_str(suite);
                    name.push_str(" > ");
                }
                name.push_str(found.name);
                tests.set(name, status);
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
    let mut joined = String::with_capacity(text.len());
    for line in lines(text) {
        joined.push_str(strip(line));
        joined.push(':');
    }
    joined.pop();
    joined
}
