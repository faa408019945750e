//! Grades a test log: from what a container printed to resolved or not.
//!
//! Invariant: pure. The same facts and the same bytes give the same grade, whatever they are;
//! nothing here panics, and time grows with the length of the log. Every rule is that of the
//! official grader (`swebench` 5.0.2), in its order, so that scores can be compared; where it
//! fails on a log, there is no result here either.

mod grade_facts;
mod infra;
mod parser;
mod status;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

use parser::About;
use regex::Regex;
use std::sync::LazyLock;

pub use grade_facts::{EvalType, GradeFacts};
pub use infra::{Infra, Tier};
pub use parser::Parser;
pub use status::StatusMap;
pub use text::Log;
pub use verdict::{Resolution, Split, TestsStatus};

/// Marks that say that the tests were not run as they should have been.
const FAILURES: [(&str, &str); 4] = [
    (">>>>> Patch Apply Failed", "the patch did not apply"),
    (">>>>> Reset Failed", "the repository could not be reset"),
    (">>>>> Tests Errored", "the tests could not be run"),
    (">>>>> Tests Timed Out", "the tests did not end in time"),
];
const START: &str = ">>>>> Start Test Output";
const END: &str = ">>>>> End Test Output";

/// What a log says.
#[derive(Debug)]
pub enum Grade<'a> {
    /// The tests were run.
    Found {
        /// What became of each.
        statuses: StatusMap<'a>,
        /// The tests that count, by what became of them.
        tests: TestsStatus,
        /// Whether the instance is resolved.
        resolution: Resolution,
    },
    /// The log holds no result that can be believed.
    NotFound {
        /// Why.
        why: String,
        /// What may have been wrong with the place instead of the patch; advice only.
        infra: Option<Infra>,
    },
}

impl Grade<'_> {
    /// Returns whether the instance is resolved.
    pub fn resolved(&self) -> bool {
        match self {
            Self::Found { resolution, .. } => *resolution == Resolution::Full,
            Self::NotFound { .. } => false,
        }
    }
}

/// Grades a log.
pub fn grade<'a>(facts: &GradeFacts, log: &'a Log<'_>) -> Grade<'a> {
    match statuses(facts, log.as_str()) {
        Ok(statuses) => {
            let tests = verdict::sort(facts, &statuses);
            let resolution = tests.resolution();
            Grade::Found {
                statuses,
                tests,
                resolution,
            }
        }
        Err(why) => Grade::NotFound {
            why,
            infra: infra::classify(log.as_str()),
        },
    }
}

/// Returns whether a log says that the answer was in place and that the tests came to their
/// end, whatever they did: without that the official harness writes no report.
pub fn is_complete(log: &Log<'_>) -> bool {
    let marks = Marks::of(log.as_str());
    marks.end && marks.failure.is_none()
}

/// Returns what in a log points to the place instead of the answer; advice only.
pub fn infra(log: &Log<'_>) -> Option<Infra> {
    infra::classify(log.as_str())
}

/// Returns what became of each test, or why that is not known.
fn statuses<'a>(facts: &GradeFacts, log: &'a str) -> Result<StatusMap<'a>, String> {
    let marks = Marks::of(log);
    if let Some(why) = marks.failure {
        return Err(why.to_owned());
    }
    for (found, name) in [(marks.start, "start"), (marks.end, "end")] {
        if !found {
            return Err(format!("the log has no mark of the test output's {name}"));
        }
    }
    let about = About {
        instance_id: &facts.instance_id,
        version: &facts.version,
    };
    let between = text::second_part(log, START).unwrap_or("");
    let between = text::first_part(between, END);
    let parse = |log: &'a str| {
        facts
            .parser
            .parse(log, about)
            .map_err(|why| why.to_string())
    };
    let mut tests = parse(between)?;
    if tests.is_empty() {
        // Some runners print past the marks.
        tests = parse(log)?;
    }
    if tests.is_empty() {
        return match ran(log) {
            true => Ok(tests),
            false => Err("the log names no test and does not say that any ran".to_owned()),
        };
    }
    let failed = |status: &str| [status::FAILED, status::ERROR].contains(&status);
    if exited_with_failure(log) && !tests.iter().any(|(_, status)| failed(status)) {
        return Err(
            "the tests' command failed although no test did: the log does not tell what ran"
                .to_owned(),
        );
    }
    Ok(tests)
}

/// Which marks stand in a log, wherever.
#[derive(Debug, Default)]
struct Marks {
    failure: Option<&'static str>,
    start: bool,
    end: bool,
}

impl Marks {
    fn of(log: &str) -> Self {
        let mut marks = Self::default();
        for at in memchr::memmem::find_iter(log.as_bytes(), ">>>>> ") {
            let rest = &log.as_bytes()[at..];
            marks.start |= rest.starts_with(START.as_bytes());
            marks.end |= rest.starts_with(END.as_bytes());
            for (mark, why) in FAILURES {
                if marks.failure.is_none() && rest.starts_with(mark.as_bytes()) {
                    marks.failure = Some(why);
                }
            }
        }
        marks
    }
}

/// Returns whether a runner says that it ran at least one test: then a log without a test is
/// one without a failure.
fn ran(log: &str) -> bool {
    static RAN: LazyLock<Regex> = LazyLock::new(|| {
        text::python(concat!(
            r"(?m)Executed [1-9]\d* of \d+",
            r"|TOTAL: [1-9]\d* (?:SUCCESS|FAILED)",
            r"|[1-9]\d* passing",
            r"|Tests:\s+[1-9]\d*",
            r"|Test Suites:\s+(?:\d+ \w+, )*[1-9]\d* total",
            r"|^# tests [1-9]\d*",
            r"|[1-9]\d* specs?, \d+ failures?",
            r"|': ok$",
        ))
    });
    RAN.is_match(log)
}

/// Returns whether the recorded exit code of the tests' command, the first one, is not zero.
fn exited_with_failure(log: &str) -> bool {
    const MARK: &str = ">>>>> Test Exit Code:";
    for at in memchr::memmem::find_iter(log.as_bytes(), MARK) {
        let rest = log[at + MARK.len()..].trim_start_matches(text::is_space);
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let end = rest.find(|c| !text::is_digit(c)).unwrap_or(rest.len());
        if end > 0 {
            return rest[..end].chars().any(|digit| !is_zero(digit));
        }
    }
    false
}

/// Returns whether a decimal digit of any script is its zero. Each script's ten digits follow
/// one another, so what stands nine places on is a digit and what stands before is none, or
/// is the nine of the script before.
fn is_zero(digit: char) -> bool {
    if digit.is_ascii() {
        return digit == '0';
    }
    let run = (1..=0x100)
        .take_while(|back| char::from_u32(digit as u32 - back).is_some_and(text::is_digit))
        .count();
    run.is_multiple_of(10)
}
