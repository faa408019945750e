//! Java's builds: Gradle with a listener that prints each test, and Maven, which prints none.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{is_space, lines, strip, words};
use memchr::memmem::FinderRev;
use std::collections::VecDeque;

/// `Class > test PASSED`, also where other output came between the name and its status.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut waiting = None;
    for line in lines(log) {
        let line = strip(line);
        if let Some((test, status)) = whole(line) {
            tests.set(test, status);
            waiting = None;
        } else if is_name(line) {
            waiting = Some(line);
        } else if let Some(test) = waiting
            && let Some(status) = [PASSED, FAILED].into_iter().find(|status| *status == line)
        {
            tests.set(test, status);
            waiting = None;
        }
    }
    Ok(tests)
}

fn whole(line: &str) -> Option<(&str, &'static str)> {
    let (rest, status) = [PASSED, FAILED]
        .into_iter()
        .find_map(|status| Some((line.strip_suffix(status)?, status)))?;
    let test = rest.strip_suffix(is_space)?;
    let long_enough = test.chars().nth(1).is_some();
    (long_enough && !test.starts_with('>')).then_some((test, status))
}

fn is_name(line: &str) -> bool {
    let mut parts = words(line);
    !line.starts_with('>')
        && parts.next().is_some()
        && parts.next() == Some(">")
        && parts.next().is_some()
        && parts.next().is_none()
}

/// Maven names no test that passed, so each test is run by a command of its own: the trace of
/// the commands gives the names, the builds' results in their order the statuses.
pub(super) fn maven<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut waiting = VecDeque::new();
    let mut early = VecDeque::new();
    let mark = FinderRev::new(ASKED);
    for line in lines(log) {
        let line = strip(line);
        if let Some(test) = asked_for(line, &mark) {
            waiting.push_back(test);
        }
        let status = if line.ends_with("BUILD SUCCESS") {
            PASSED
        } else if line.ends_with("BUILD FAILURE") {
            FAILED
        } else {
            continue;
        };
        match waiting.pop_front() {
            Some(test) => tests.set(test, status),
            None => early.push_back(status),
        }
    }
    for (test, status) in waiting.into_iter().zip(early) {
        tests.set(test, status);
    }
    Ok(tests)
}

/// What stands before the name of a test that is asked for.
const ASKED: &str = "-Dtest=";

fn asked_for<'a>(line: &'a str, mark: &FinderRev<'_>) -> Option<&'a str> {
    let mut end = line.len();
    loop {
        let at = mark.rfind(&line.as_bytes()[..end])?;
        let rest = &line[at + ASKED.len()..];
        if !rest.is_empty() && !rest.starts_with(is_space) {
            return words(rest).next();
        }
        end = at + ASKED.len() - 1;
    }
}
