//! What became of each test, as a log says it.

use super::text::strip;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::borrow::Cow;
use std::hash::BuildHasher as _;

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
///
/// A log can hold hundreds of thousands of tests, and most time goes into memory: so each is
/// kept small, and the table holds nothing but places.
#[derive(Clone, Debug, Default)]
pub struct StatusMap<'a> {
    tests: Vec<Test<'a>>,
    /// Places of the tests, by the hashes of their names.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Statuses that are none.
    odd: Vec<Cow<'a, str>>,
}

#[derive(Clone, Debug)]
struct Test<'a> {
    name: Cow<'a, str>,
    /// A part of the hash of its name.
    hash: u32,
    /// The place of its status in [`ALL`], or behind those in the odd ones.
    status: u32,
}

impl<'a> StatusMap<'a> {
    /// Sets the status of a test.
    pub(super) fn set(&mut self, test: impl Into<Cow<'a, str>>, status: impl Into<Cow<'a, str>>) {
        let name = test.into();
        let status = self.status(status.into());
        if self.tests.len() == self.places.capacity() {
            self.grow();
        }
        let hash = self.hash(&name);
        let tests = &mut self.tests;
        let entry = self.places.entry(
            spread(hash),
            |place| {
                let test = &tests[*place as usize];
                test.hash == hash && test.name == name
            },
            |place| spread(tests[*place as usize].hash),
        );
        match entry {
            Entry::Occupied(place) => tests[*place.get() as usize].status = status,
            Entry::Vacant(free) => {
                free.insert(place(tests.len()));
                tests.push(Test { name, hash, status });
            }
        }
    }

    fn status(&mut self, status: Cow<'a, str>) -> u32 {
        match &*status {
            FAILED => 0,
            PASSED => 1,
            SKIPPED => 2,
            ERROR => 3,
            XFAIL => 4,
            _ => {
                self.odd.push(status);
                place(ALL.len() + self.odd.len() - 1)
            }
        }
    }

    fn hash(&self, name: &str) -> u32 {
        // The upper half is as good as the lower one.
        (self.hasher.hash_one(name) >> 32) as u32
    }

    /// Makes place for four times as many tests: each growth costs as much as many tests do.
    fn grow(&mut self) {
        let mut places = HashTable::with_capacity((self.tests.len() * 4).max(64));
        for (at, test) in self.tests.iter().enumerate() {
            let hash = |place: &u32| spread(self.tests[*place as usize].hash);
            places.insert_unique(spread(test.hash), place(at), hash);
        }
        self.places = places;
    }

    /// Returns the status of a test.
    pub fn get(&self, test: &str) -> Option<&str> {
        let hash = self.hash(test);
        let place = self.places.find(spread(hash), |place| {
            let known = &self.tests[*place as usize];
            known.hash == hash && known.name == test
        })?;
        Some(self.text(self.tests[*place as usize].status))
    }

    fn text(&self, status: u32) -> &str {
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
        tests.map(|test| (&*test.name, self.text(test.status)))
    }

    /// Returns a copy that borrows nothing.
    pub(super) fn into_owned(self) -> StatusMap<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let owned = |test: Test<'a>| Test {
            name: own(test.name),
            hash: test.hash,
            status: test.status,
        };
        StatusMap {
            tests: self.tests.into_iter().map(owned).collect(),
            places: self.places,
            hasher: self.hasher,
            odd: self.odd.into_iter().map(own).collect(),
        }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("invariant: a log has fewer lines")
}

/// Returns the hash that the table wants, which looks at its highest bits and its lowest ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// Most suites around a test.
const DEEPEST: usize = 200;

/// Suites by their indentation: what a test's full name is made of where a log shows suites
/// as lines above their tests.
#[derive(Debug, Default)]
pub(super) struct Suites {
    /// Names of the suites, with a dash between each two.
    prefix: String,
    /// Indentation of each, and where its name ends.
    open: Vec<(usize, usize)>,
}

impl Suites {
    /// Enters the suite that a line names.
    pub(super) fn enter(&mut self, line: &str, indent: usize) {
        while self.open.last().is_some_and(|(above, _)| *above >= indent) {
            self.open.pop();
        }
        let end = self.open.last().map_or(0, |(_, end)| *end);
        self.prefix.truncate(end);
        // No suites nest so deep: only a log that was made to cost time.
        if self.open.len() < DEEPEST {
            if !self.open.is_empty() {
                self.prefix.push_str(" - ");
            }
            self.prefix.push_str(strip(line));
            self.open.push((indent, self.prefix.len()));
        }
    }

    /// Returns the names of the suites, with a dash between each two.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the full name of a test.
    pub(super) fn full_name(&self, test: &str) -> String {
        match self.open.is_empty() {
            true => test.to_owned(),
            false => [self.prefix(), " - ", test].concat(),
        }
    }
}
