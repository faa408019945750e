//! From the status of each test to a verdict.

use super::status::{ERROR, FAILED, PASSED, SKIPPED, StatusMap, XFAIL};
use super::{EvalType, GradeFacts};

/// Whether an instance is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Every test that counts is as it should be.
    Full,
    /// Nothing is broken, and some of what was to be mended is.
    Partial,
    /// Anything else.
    No,
}

impl Resolution {
    /// Returns its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::No => "no",
        }
    }
}

/// Tests of one list, by what became of them. A test whose status is none of the known ones
/// is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// As they should be.
    pub success: Vec<String>,
    /// Not so.
    pub failure: Vec<String>,
}

impl Split {
    fn all(&self) -> bool {
        self.failure.is_empty()
    }

    fn some(&self) -> bool {
        !self.success.is_empty() && !self.failure.is_empty()
    }
}

/// The tests that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestsStatus {
    /// Those that a solution makes pass.
    pub fail_to_pass: Split,
    /// Those that it must not break.
    pub pass_to_pass: Split,
}

impl TestsStatus {
    /// Returns the verdict. A list without tests is fulfilled.
    pub fn resolution(&self) -> Resolution {
        if !self.pass_to_pass.all() {
            Resolution::No
        } else if self.fail_to_pass.all() {
            Resolution::Full
        } else if self.fail_to_pass.some() {
            Resolution::Partial
        } else {
            Resolution::No
        }
    }
}

/// Sorts the tests that count by their statuses.
pub(super) fn sort(facts: &GradeFacts, statuses: &StatusMap<'_>) -> TestsStatus {
    let cut_off = CutOff::of(facts, statuses);
    let split = |tests: &[String], skipping_is_fine: bool| {
        let mut split = Split::default();
        for test in tests {
            let good = match facts.eval_type {
                EvalType::FailOnly => Some(statuses.get(test) != Some(FAILED)),
                EvalType::PassAndFail => {
                    let status = statuses.get(test).or_else(|| cut_off.status(test));
                    success(status, skipping_is_fine)
                }
            };
            match good {
                Some(true) => split.success.push(test.clone()),
                Some(false) => split.failure.push(test.clone()),
                None => {}
            }
        }
        split
    };
    TestsStatus {
        fail_to_pass: split(&facts.fail_to_pass, false),
        pass_to_pass: split(&facts.pass_to_pass, true),
    }
}

fn success(status: Option<&str>, skipping_is_fine: bool) -> Option<bool> {
    match status {
        None | Some(FAILED | ERROR) => Some(false),
        Some(PASSED | XFAIL) => Some(true),
        Some(SKIPPED) => Some(skipping_is_fine),
        Some(_) => None,
    }
}

/// Names that were cut off in the dataset, known by their open bracket: each stands for every
/// test that starts so, if they all passed or all did not, and then for the one that came first.
struct CutOff<'a> {
    /// In order of name.
    names: Vec<Cut<'a>>,
}

/// One of them.
struct Cut<'a> {
    name: &'a str,
    /// Place of the longest of the others that it starts with.
    shorter: Option<usize>,
    found: Alike<'a>,
}

/// The tests that start with a name.
#[derive(Clone, Copy)]
enum Alike<'a> {
    None,
    /// They agree: the place of the one that came first, and its status.
    Agree(usize, &'a str),
    Differ,
}

impl<'a> Alike<'a> {
    fn and(self, other: Self) -> Self {
        let passed = |status: &str| [PASSED, XFAIL].contains(&status);
        match (self, other) {
            (Self::None, alike) | (alike, Self::None) => alike,
            (Self::Agree(_, a), Self::Agree(_, b)) if passed(a) != passed(b) => Self::Differ,
            (Self::Agree(a, _), Self::Agree(b, _)) => match a < b {
                true => self,
                false => other,
            },
            (Self::Differ, _) | (_, Self::Differ) => Self::Differ,
        }
    }
}

impl<'a> CutOff<'a> {
    /// Looks at each test once: the names are few, the tests can be very many.
    fn of(facts: &'a GradeFacts, statuses: &'a StatusMap<'_>) -> Self {
        let tests = facts.fail_to_pass.iter().chain(&facts.pass_to_pass);
        let mut names: Vec<&str> = tests
            .map(String::as_str)
            .filter(|_| facts.eval_type == EvalType::PassAndFail)
            .filter(|test| is_open(test) && statuses.get(test).is_none())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut cut_off = Self { names: Vec::new() };
        for name in names {
            let shorter = cut_off.longest(name);
            cut_off.names.push(Cut {
                name,
                shorter,
                found: Alike::None,
            });
        }
        if !cut_off.names.is_empty() {
            for (place, (test, status)) in statuses.iter().enumerate() {
                if let Some(at) = cut_off.longest(test) {
                    let found = &mut cut_off.names[at].found;
                    *found = found.and(Alike::Agree(place, status));
                }
            }
        }
        // What starts with a name starts with those that this one starts with.
        for at in (0..cut_off.names.len()).rev() {
            let Cut { shorter, found, .. } = cut_off.names[at];
            if let Some(shorter) = shorter {
                let shorter = &mut cut_off.names[shorter].found;
                *shorter = shorter.and(found);
            }
        }
        cut_off
    }

    /// Returns the place of the longest name that a test starts with.
    fn longest(&self, test: &str) -> Option<usize> {
        let below = self.names.partition_point(|cut| cut.name <= test);
        let mut near = below.checked_sub(1);
        while let Some(at) = near {
            if test.starts_with(self.names[at].name) {
                return Some(at);
            }
            near = self.names[at].shorter;
        }
        None
    }

    /// Returns the status that a name which was cut off stands for.
    fn status(&self, test: &str) -> Option<&'a str> {
        let at = self.names.binary_search_by(|cut| cut.name.cmp(test)).ok()?;
        match self.names[at].found {
            Alike::Agree(_, status) => Some(status),
            Alike::None | Alike::Differ => None,
        }
    }
}

fn is_open(test: &str) -> bool {
    let count = |bracket| memchr::memchr_iter(bracket, test.as_bytes()).count();
    memchr::memchr(b'[', test.as_bytes()).is_some() && count(b'[') > count(b']')
}
