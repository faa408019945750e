//! Quarto's tests, run by Deno with colors.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{first_part, python, strip};
use memchr::memmem::Finder;
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
    let [errors, failures, smoke, unit] =
        ["ERRORS", "failures:", "[smoke]", "[unit]"].map(Finder::new);
    let has = |line: &str, text: &Finder<'_>| text.find(line.as_bytes()).is_some();
    for line in log.split('\n') {
        if has(line, &errors) || has(line, &failures) {
            break;
        }
        if !has(line, &smoke) && !has(line, &unit) {
            continue;
        }
        let mut line = Cow::Borrowed(line);
        for pattern in TEMPORARY.iter() {
            if let Some(found) = pattern.find(&line) {
                let next = numbers.len();
                let number = *numbers.entry(found.as_str().to_owned()).or_insert(next);
                let replaced = pattern.replace_all(&line, format!("/tmp/{number}"));
                line = Cow::Owned(replaced.into_owned());
            }
        }
        let is_step = line.contains("passed") && line.contains("failed") && line.contains("steps");
        if is_step || line.starts_with("test result:") || line.contains("34mINFO") {
            continue;
        }
        let test = strip(first_part(&line, "...")).to_owned();
        if line.contains("32mok") {
            tests.set(test, PASSED);
        } else if line.contains("31mFAILED") || tests.get(&test).is_none() {
            // A test without a status did not end.
            tests.set(test, FAILED);
        }
    }
    Ok(tests)
}
