//! What became of each test, as a log says it.

use super::text::strip;
use foldhash::fast::RandomState;
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
    tests: IndexMap<Cow<'a, str>, Status, RandomState>,
    /// Statuses that are none.
    odd: Vec<Cow<'a, str>>,
}

/// A status: its place in [`ALL`], or behind those in the odd ones. A log can hold hundreds of
/// thousands of tests, so each is kept small.
type Status = u32;

/// Number of tests up to which a map grows as any other.
const FEW: usize = 1 << 10;

impl<'a> StatusMap<'a> {
    /// Sets the status of a test.
    pub(super) fn set(&mut self, test: impl Into<Cow<'a, str>>, status: impl Into<Cow<'a, str>>) {
        let place = self.place(status.into());
        // Growing means that every test is put into its place anew: rather seldom.
        if self.tests.len() == self.tests.capacity() && self.tests.len() >= FEW {
            self.tests.reserve(self.tests.len() * 3);
        }
        self.tests.insert(test.into(), place);
    }

    fn place(&mut self, status: Cow<'a, str>) -> Status {
        let known = match &*status {
            FAILED => 0,
            PASSED => 1,
            SKIPPED => 2,
            ERROR => 3,
            XFAIL => 4,
            _ => {
                self.odd.push(status);
                ALL.len() + self.odd.len() - 1
            }
        };
        Status::try_from(known).expect("invariant: a log has fewer lines")
    }

    /// Returns the status of a test.
    pub fn get(&self, test: &str) -> Option<&str> {
        self.tests.get(test).map(|status| self.text(*status))
    }

    fn text(&self, status: Status) -> &str {
        let place = status as usize;
        match ALL.get(place) {
            Some(status) => status,
            None => &self.odd[place - ALL.len()],
        }
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
        let tests = self.tests.iter();
        tests.map(|(test, status)| (&**test, self.text(*status)))
    }

    /// Returns a copy that borrows nothing.
    pub(super) fn into_owned(self) -> StatusMap<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let tests = self.tests.into_iter();
        StatusMap {
            tests: tests.map(|(test, status)| (own(test), status)).collect(),
            odd: self.odd.into_iter().map(own).collect(),
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
        let mut prefix = String::new();
        for (place, (name, _)) in self.0.iter().enumerate() {
            if place > 0 {
                prefix.push_str(" - ");
            }
            prefix.push_str(name);
        }
        prefix
    }

    /// Returns the full name of a test.
    pub(super) fn full_name(&self, test: &str) -> String {
        match self.0.is_empty() {
            true => test.to_owned(),
            false => [&self.prefix(), " - ", test].concat(),
        }
    }
}
