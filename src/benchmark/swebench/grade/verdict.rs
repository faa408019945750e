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
    let known = Known::new(statuses);
    let split = |tests: &[String], skipping_is_fine: bool| {
        let mut split = Split::default();
        for test in tests {
            match success(facts.eval_type, &known, test, skipping_is_fine) {
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

fn success(
    eval_type: EvalType,
    known: &Known<'_>,
    test: &str,
    skipping_is_fine: bool,
) -> Option<bool> {
    match eval_type {
        EvalType::FailOnly => Some(known.statuses.get(test) != Some(FAILED)),
        EvalType::PassAndFail => match known.status(test) {
            None | Some(FAILED | ERROR) => Some(false),
            Some(PASSED | XFAIL) => Some(true),
            Some(SKIPPED) => Some(skipping_is_fine),
            Some(_) => None,
        },
    }
}

/// The statuses, and an index for names that were cut off.
struct Known<'a> {
    statuses: &'a StatusMap<'a>,
    by_name: std::cell::OnceCell<Vec<(&'a str, &'a str, usize)>>,
}

impl<'a> Known<'a> {
    fn new(statuses: &'a StatusMap<'a>) -> Self {
        Self {
            statuses,
            by_name: std::cell::OnceCell::new(),
        }
    }

    /// Returns the status of a test. A name with an open bracket was cut off in the dataset:
    /// it stands for every test that starts so, if they all passed or all did not, and then
    /// for the one that came first.
    fn status(&self, test: &str) -> Option<&'a str> {
        if let Some(status) = self.statuses.get(test) {
            return Some(status);
        }
        let count = |bracket| test.bytes().filter(|byte| *byte == bracket).count();
        if count(b'[') <= count(b']') {
            return None;
        }
        let by_name = self.by_name.get_or_init(|| self.statuses.by_name());
        let from = by_name.partition_point(|(name, _, _)| *name < test);
        let alike = by_name[from..]
            .iter()
            .take_while(|(name, _, _)| name.starts_with(test));
        let passed = |status: &str| [PASSED, XFAIL].contains(&status);
        let mut first: Option<(usize, &'a str)> = None;
        for (_, status, order) in alike {
            match first {
                Some((_, other)) if passed(other) != passed(status) => return None,
                Some((earliest, _)) if earliest < *order => {}
                _ => first = Some((*order, status)),
            }
        }
        first.map(|(_, status)| status)
    }
}
