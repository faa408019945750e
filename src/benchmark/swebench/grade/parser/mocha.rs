//! Mocha's reporters: trees, and JSON between other output.

use super::jest::{durations, files};
use super::reading::Reading;
use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap, Suites};
use crate::benchmark::swebench::grade::text::{
    before_last, indent, is_digit, is_space, last_part, lines, python, strip, without_ansi,
};
use memchr::memmem::{self, Finder};
use regex::Regex;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

/// One level of suites, `suite.test`, up to the summary.
pub(super) fn highlight_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let end = summary(log).unwrap_or(log.len());
    let mut tests = StatusMap::default();
    let mut suite: Option<&str> = None;
    for line in lines(&log[..end]) {
        let inner = strip(line);
        let found = if let Some(mark) = ['✓', '✔'].into_iter().find(|c| inner.starts_with(*c)) {
            line.split_once(mark).map(|(_, test)| (test, PASSED))
        } else {
            after_number(inner).and_then(|_| Some((line.split_once(')')?.1, FAILED)))
        };
        if let Some((test, status)) = found {
            let test = without_times(test);
            let name = match suite {
                Some(suite) => Cow::Owned([suite, ".", &test].concat()),
                None => test,
            };
            tests.set(name, status);
        } else if line.starts_with("  ") {
            suite = Some(inner);
        }
    }
    Ok(tests)
}

/// Returns what follows `12)` at the start of a line.
fn after_number(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(is_digit);
    (rest.len() < line.len()).then(|| rest.strip_prefix(')'))?
}

/// Returns where the line of the summary ends that stands before it: `12 passing` begins a line.
fn summary(log: &str) -> Option<usize> {
    memmem::find_iter(log.as_bytes(), " passing").find_map(|at| {
        let before = log[..at].trim_end_matches(is_digit);
        let line = before.trim_end_matches([' ', '\t']).strip_suffix('\n')?;
        (before.len() < at).then_some(line.len())
    })
}

fn without_times(test: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut from = 0;
    for time in durations(test) {
        if from == 0 && strip(&test[time.end..]).is_empty() {
            return Cow::Borrowed(strip(&test[..time.start]));
        }
        kept.push_str(&test[from..time.start]);
        from = time.end;
    }
    if from == 0 {
        return Cow::Borrowed(strip(test));
    }
    kept.push_str(&test[from..]);
    Cow::Owned(strip(&kept).to_owned())
}

/// A JSON report after each command.
pub(super) fn prism_js<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const COMMAND: &str = "./node_modules/.bin/mocha tests/run.js --reporter json";
    const BROKEN: Unreadable = Unreadable("a command left no report of Mocha's");
    let mut tests = StatusMap::default();
    for run in log.split(COMMAND).skip(1) {
        let body = run.split_once('{').map_or(run, |(_, body)| body);
        let body = before_last(body, "}");
        let report = ["{", body, "}"].concat();
        if let Ok(report) = serde_json::from_str::<MochaReport>(&report) {
            for (list, status) in [(report.failures, FAILED), (report.passes, PASSED)] {
                for test in list {
                    tests.set(test.0, status);
                }
            }
            continue;
        }
        // Whatever is odd about it: the slow way decides.
        let report: Value = serde_json::from_str(&report).map_err(|_| BROKEN)?;
        for (list, status) in [("failures", FAILED), ("passes", PASSED)] {
            for test in report.get(list).and_then(Value::as_array).ok_or(BROKEN)? {
                let title = test
                    .get("fullTitle")
                    .and_then(Value::as_str)
                    .ok_or(BROKEN)?;
                tests.set(title.to_owned(), status);
            }
        }
    }
    Ok(tests)
}

/// What counts of a report; a whole tree of it would cost several times as much.
#[derive(Deserialize)]
struct MochaReport {
    failures: Vec<Title>,
    passes: Vec<Title>,
}

/// Full title of a test.
struct Title(String);

impl<'de> Deserialize<'de> for Title {
    fn deserialize<D: Deserializer<'de>>(test: D) -> Result<Self, D::Error> {
        struct MochaTest;
        impl<'de> Visitor<'de> for MochaTest {
            type Value = Title;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a test")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut test: A) -> Result<Title, A::Error> {
                let mut title = None;
                while let Some(key) = test.next_key::<String>()? {
                    if key == "fullTitle" {
                        title = Some(Title(test.next_value()?));
                    } else {
                        test.next_value::<IgnoredAny>()?;
                    }
                }
                title.ok_or_else(|| A::Error::missing_field("fullTitle"))
            }
        }
        test.deserialize_map(MochaTest)
    }
}

/// Lighthouse changed its runner twice.
pub(super) fn lighthouse<'a>(log: &'a str, about: About<'_>) -> Parsed<'a> {
    if ["9.5", "10.0", "10.2"].contains(&about.version) {
        return Ok(lighthouse_tree(log));
    }
    let version: f64 = strip(about.version)
        .parse()
        .map_err(|_| Unreadable("the version of Lighthouse is no number"))?;
    if version >= 3.0 {
        return files(log, about);
    }
    let mut tests = StatusMap::default();
    for run in log
        .split("./node_modules/.bin/mocha --reporter json")
        .skip(1)
    {
        let passes = before_last(last_part(run, "\"passes\": ["), "]");
        let failures = before_last(last_part(run, "\"failures\": ["), "],");
        for (list, status) in [(passes, PASSED), (failures, FAILED)] {
            let mut titles = Reading::of(list);
            titles.take("\"fullTitle\":", |list, at| list.quoted(list.space(at)?));
            for title in titles.tests {
                tests.set(title, status);
            }
        }
    }
    Ok(tests)
}

fn lighthouse_tree(log: &str) -> StatusMap<'_> {
    static START: LazyLock<Regex> = LazyLock::new(|| python(r"running\s\d+\stest\sfiles"));
    static END: LazyLock<Regex> = LazyLock::new(|| python(r"\d+\spassing"));
    let mut tests = StatusMap::default();
    for run in START.split(log).skip(1) {
        let end = END.find(run).map_or(run.len(), |found| found.start());
        let mut suites = Suites::default();
        for line in lines(strip(&run[..end])) {
            let inner = strip(line);
            let (rest, status) = match inner.strip_prefix('✔') {
                Some(rest) => (Some(rest), PASSED),
                None => (after_number(inner), FAILED),
            };
            if let Some(test) = rest.and_then(|rest| rest.strip_prefix(is_space)) {
                tests.set(suites.full_name(before_time(test)), status);
            } else if indent(line) > 0 {
                suites.enter(line, indent(line));
            }
        }
    }
    tests
}

/// Returns the text before the last ` (12ms)`, or all.
fn before_time(text: &str) -> &str {
    let mut opens = memchr::memrchr_iter(b'(', text.as_bytes());
    let found = opens.find_map(|open| {
        let before = text[..open].strip_suffix(is_space)?;
        let number = &text[open + 1..];
        let unit = number.trim_start_matches(is_digit);
        let end = unit.trim_start_matches('m');
        let good = unit.len() < number.len() && end.len() < unit.len() && end.starts_with("s)");
        good.then_some(before)
    });
    found.unwrap_or(text)
}

/// Next changed its runner once.
pub(super) fn next<'a>(log: &'a str, about: About<'_>) -> Parsed<'a> {
    Ok(match about.version {
        "1.27" => next_cypress(log),
        _ => next_karma(log),
    })
}

fn next_karma(log: &str) -> StatusMap<'static> {
    static ASSERTION: LazyLock<Regex> =
        LazyLock::new(|| python(r"AssertionError:\s+#([\s\S]*?)\n\n"));
    let log = without_ansi(log);
    let log = ASSERTION.replace_all(&log, "");
    let marked = [("✗", FAILED), ("✓", PASSED)].map(|(mark, status)| (Finder::new(mark), status));
    let mut tests = StatusMap::default();
    let mut suites = Suites::default();
    for run in log.split(" xvfb-run ").skip(1) {
        for line in last_part(run, "Starting browser Chrome").split('\n') {
            if line.starts_with("TOTAL") {
                break;
            }
            let inner = strip(line);
            let noise = ["ERROR", "LOG", "WARN", "Check", "in"];
            if noise.iter().any(|word| inner.starts_with(word)) {
                continue;
            }
            let found = marked.iter().find_map(|(mark, status)| {
                let at = mark.find(line.as_bytes())?;
                Some((&line[at + mark.needle().len()..], *status))
            });
            if let Some((test, status)) = found {
                let test = test.trim_start_matches(is_space);
                tests.set(suites.full_name(test), status);
            } else if indent(line) > 0 {
                suites.enter(line, indent(line));
            }
        }
    }
    tests.into_owned()
}

fn next_cypress(log: &str) -> StatusMap<'_> {
    static SUITE: LazyLock<Regex> = LazyLock::new(|| python(r"Running:(.*)\)\n{3}\s{2}(.*)\n"));
    let mut tests = StatusMap::default();
    let mut suites = SUITE.captures_iter(log).peekable();
    while let Some(suite) = suites.next() {
        let (Some(whole), Some(name)) = (suite.get(0), suite.get(2)) else {
            continue;
        };
        let end = suites.peek().and_then(|next| next.get(0));
        let body = &log[whole.end()..end.map_or(log.len(), |next| next.start())];
        for status in [FAILED, PASSED] {
            for test in cypress_tests(body, status) {
                tests.set([name.as_str(), ": ", strip(test)].concat(), status);
            }
        }
    }
    tests
}

/// Returns the tests of one kind: behind four characters of white space from a line's start,
/// `1) NAME` for those that failed and `✓ NAME (` for those that passed.
fn cypress_tests<'a>(body: &'a str, status: &str) -> Vec<&'a str> {
    let passed = status == PASSED;
    let mark = if passed { "✓" } else { ")" };
    let mut tests = Vec::new();
    let mut from = 0;
    for at in memmem::find_iter(body.as_bytes(), mark) {
        let Some(head) = body.get(from..at) else {
            continue;
        };
        let space = match passed {
            true => head,
            false => head.trim_end_matches(is_digit),
        };
        let mut chars = space.chars();
        let is_indented = (0..4).all(|_| chars.next_back().is_some_and(is_space));
        let start = from + chars.as_str().len();
        let at_line_start = start == 0 || body.as_bytes()[start - 1] == b'\n';
        if !is_indented || !at_line_start || (!passed && space.len() == head.len()) {
            continue;
        }
        let Some(rest) = body[at + mark.len()..].strip_prefix(is_space) else {
            continue;
        };
        let line = lines(rest).next().unwrap_or_default();
        let (test, taken) = match (passed, memchr::memrchr(b'(', line.as_bytes())) {
            (false, _) => (line, line.len()),
            (true, Some(open)) => (&line[..open], open + 1),
            (true, None) => continue,
        };
        tests.push(test);
        from = body.len() - rest.len() + taken;
    }
    tests
}
