//! What became of each test, as a log says it.

use super::text::strip;
use indexmap::IndexMap;
use std::borrow::Cow;

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
    tests: IndexMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> StatusMap<'a> {
    /// Sets the status of a test.
    pub(super) fn set(&mut self, test: impl Into<Cow<'a, str>>, status: impl Into<Cow<'a, str>>) {
        self.tests.insert(test.into(), status.into());
    }

    /// Returns the status of a test.
    pub fn get(&self, test: &str) -> Option<&str> {
        self.tests.get(test).map(|status| &**status)
    }

    /// Returns whether no test is known.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Returns the number of tests.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Returns tests and statuses, in the order in which the tests came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests.iter().map(|(test, status)| (&**test, &**status))
    }

    /// Returns tests and statuses in order of name, each with its place in the order in which
    /// the tests came.
    pub(super) fn by_name(&self) -> Vec<(&str, &str, usize)> {
        let tests = self.iter().enumerate();
        let mut tests: Vec<_> = tests
            .map(|(order, (test, status))| (test, status, order))
            .collect();
        tests.sort_unstable_by_key(|(test, _, _)| *test);
        tests
    }

    /// Returns a copy that borrows nothing.
    pub(super) fn into_owned(self) -> StatusMap<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let tests = self.tests.into_iter();
        StatusMap {
            tests: tests
                .map(|(test, status)| (own(test), own(status)))
                .collect(),
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
