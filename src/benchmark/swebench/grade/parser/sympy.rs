//! What SymPy's own runner prints with `--verbose`.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{ERROR, FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{strip, words};

/// A headline `____ file.py:test ____` is a failure, and stays one unless a line of the test
/// itself, which has no file in its name, says otherwise.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    for line in log.split('\n') {
        // From the first space to the last one, whatever stands around it.
        if let (Some(first), Some(last)) = (line.find(' '), line.rfind(' '))
            && first < last
            && line[first + 1..last].contains(".py:")
        {
            tests.set(&line[first + 1..last], FAILED);
        }
    }
    for line in log.split('\n') {
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
