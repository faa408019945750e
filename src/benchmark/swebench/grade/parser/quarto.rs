//! Quarto's tests, run by Deno with colors.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{first_part, holds, lines, python, strip};
use memchr::memmem::{self, Finder};
use regex::Regex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// `[smoke] NAME ... ok`. Names of temporary files differ from run to run, so each is replaced
/// by its number in the order in which they came.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    static TEMPORARY: LazyLock<[Regex; 2]> =
        LazyLock::new(|| [python(r"/tmp/(\w+)\.qmd"), python(r"/tmp/(\w+)/")]);
    let mut tests = StatusMap::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let [smoke, unit, temporary, info] = ["[smoke]", "[unit]", "/tmp/", "34mINFO"].map(Finder::new);
    let [passed, failed, steps, good, bad] =
        ["passed", "failed", "steps", "32mok", "31mFAILED"].map(Finder::new);
    // Nothing counts from the line on that holds one of these.
    let end = ["ERRORS", "failures:"]
        .iter()
        .filter_map(|mark| memmem::find(log.as_bytes(), mark.as_bytes()))
        .min();
    let log = end.map_or(log, |end| {
        &log[..memchr::memrchr(b'\n', &log.as_bytes()[..end]).unwrap_or(0)]
    });
    for line in lines(log) {
        if !holds(line, &smoke) && !holds(line, &unit) {
            continue;
        }
        let mut line = Cow::Borrowed(line);
        let patterns: &[Regex] = match holds(&line, &temporary) {
            true => &*TEMPORARY,
            false => &[],
        };
        for pattern in patterns {
            if let Some(found) = pattern.find(&line) {
                let next = numbers.len();
                let number = *numbers.entry(found.as_str().to_owned()).or_insert(next);
                let replaced = pattern.replace_all(&line, format!("/tmp/{number}"));
                line = Cow::Owned(replaced.into_owned());
            }
        }
        let is_step = holds(&line, &passed) && holds(&line, &failed) && holds(&line, &steps);
        if is_step || line.starts_with("test result:") || holds(&line, &info) {
            continue;
        }
        let test = match &line {
            Cow::Borrowed(line) => Cow::Borrowed(strip(first_part(line, "..."))),
            Cow::Owned(line) => Cow::Owned(strip(first_part(line, "...")).to_owned()),
        };
        if holds(&line, &good) {
            tests.set(test, PASSED);
        } else if holds(&line, &bad) || tests.get(&test).is_none() {
            // A test without a status did not end.
            tests.set(test, FAILED);
        }
    }
    Ok(tests)
}
