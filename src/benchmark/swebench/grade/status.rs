//! What became of each test, as a log says it.

use super::text::strip;
use std::borrow::Cow;
use std::collections::HashMap;

pub(super) const PASSED: &str = "PASSED";
pub(super) const FAILED: &str = "FAILED";
pub(super) const SKIPPED: &str = "SKIPPED";
pub(super) const ERROR: &str = "ERROR";
pub(super) const XFAIL: &str = "XFAIL";

/// Every status that means something.
pub(super) const ALL: [&str; 5] = [FAILED, PASSED, SKIPPED, ERROR, XFAIL];

/// Status by test, in the order in which the tests came first; what comes last holds.
///
/// A status is text and not one of five: a parser takes what stands where a status should
/// stand (`ERROR:`), and a status that is none counts neither as success nor as failure.
#[derive(Clone, Debug, Default)]
pub struct StatusMap<'a> {
    tests: HashMap<Cow<'a, str>, Entry<'a>>,
}

#[derive(Clone, Debug)]
struct Entry<'a> {
    order: usize,
    status: Cow<'a, str>,
}

impl<'a> StatusMap<'a> {
    /// Sets the status of a test.
    pub(super) fn set(&mut self, test: impl Into<Cow<'a, str>>, status: impl Into<Cow<'a, str>>) {
        let order = self.tests.len();
        let status = status.into();
        self.tests
            .entry(test.into())
            .and_modify(|entry| entry.status = status.clone())
            .or_insert(Entry { order, status });
    }

    /// Returns the status of a test.
    pub fn get(&self, test: &str) -> Option<&str> {
        self.tests.get(test).map(|entry| &*entry.status)
    }

    /// Returns whether no test is known.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Returns the number of tests.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Returns tests and statuses, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests
            .iter()
            .map(|(test, entry)| (&**test, &*entry.status))
    }

    /// Returns tests and statuses in order of name, each with its place in the order in which
    /// the tests came.
    pub(super) fn by_name(&self) -> Vec<(&str, &str, usize)> {
        let mut tests: Vec<_> = self
            .tests
            .iter()
            .map(|(test, entry)| (&**test, &*entry.status, entry.order))
            .collect();
        tests.sort_unstable_by_key(|(test, _, _)| *test);
        tests
    }

    /// Returns a copy that borrows nothing.
    pub(super) fn into_owned(self) -> StatusMap<'static> {
        let tests = self.tests.into_iter().map(|(test, entry)| {
            let status = Cow::Owned(entry.status.into_owned());
            let order = entry.order;
            (Cow::Owned(test.into_owned()), Entry { order, status })
        });
        StatusMap {
            tests: tests.collect(),
        }
    }
}

/// Most suites around a test.
const DEEPEST: usize = 200;

/// Suites by their indentation: what a test's full name is made of where a log shows suites
/// as lines above their tests.
#[derive(Debug, Default)]
pub(super) struct Suites<'a>(Vec<(&'a str, usize)>);

impl<'a> Suites<'a> {
    /// Enters the suite that a line names.
    pub(super) fn enter(&mut self, line: &'a str, indent: usize) {
        while self.0.last().is_some_and(|(_, above)| *above >= indent) {
            self.0.pop();
        }
        // No suites nest so deep: only a log that was made to cost time.
        if self.0.len() < DEEPEST {
            self.0.push((strip(line), indent));
        }
    }

    /// Returns the names of the suites, with a dash between each two.
    pub(super) fn prefix(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        names.join(" - ")
    }

    /// Returns the full name of a test.
    pub(super) fn full_name(&self, test: &str) -> String {
        match self.0.is_empty() {
            true => test.to_owned(),
            false => format!("{} - {test}", self.prefix()),
        }
    }
}
