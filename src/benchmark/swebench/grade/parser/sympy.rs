//! What SymPy's own runner prints with `--verbose`.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{ERROR, FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{holds, lines, strip, words};
use memchr::memmem::Finder;

/// A headline `____ file.py:test ____` is a failure, and stays one unless a line of the test
/// itself, which has no file in its name, says otherwise.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    // The lines are few in which a file is named.
    let file = Finder::new(".py:");
    let mut rest = log;
    while let Some(at) = file.find(rest.as_bytes()) {
        let start = memchr::memrchr(b'\n', &rest.as_bytes()[..at]).map_or(0, |end| end + 1);
        let line = lines(&rest[start..]).next().unwrap_or_default();
        rest = &rest[start + line.len()..];
        // From the first space to the last one, whatever stands around it.
        if let (Some(first), Some(last)) = (line.find(' '), line.rfind(' '))
            && first < last
            && holds(&line[first + 1..last], &file)
        {
            tests.set(&line[first + 1..last], FAILED);
        }
    }
    for line in lines(log) {
        let line = strip(line);
        if line.starts_with("test_")
            && let Some(test) = words(line).next()
        {
            for (ending, status) in [(" E", ERROR), (" F", FAILED), (" ok", PASSED)] {
                if line.ends_with(ending) {
                    tests.set(test, status);
                }
            }
        }
    }
    Ok(tests)
}
