//! Runners that print one line for each test.

use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, SKIPPED, StatusMap};
use crate::benchmark::swebench::grade::text::{
    holds, indent, is_digit, is_space, is_word, lines, strip, words,
};
use memchr::memmem::Finder;
use memchr::memrchr_iter;

/// Reads each line, stripped, with a rule that may find a test and its status.
pub(super) fn each<'a>(
    log: &'a str,
    rule: impl Fn(&'a str) -> Option<(&'a str, &'static str)>,
) -> StatusMap<'a> {
    let mut tests = StatusMap::default();
    for line in lines(log) {
        if let Some((test, status)) = rule(strip(line)) {
            tests.set(test, status);
        }
    }
    tests
}

/// Returns the status that the line starts with, and the rest.
fn opening<'a>(
    line: &'a str,
    meanings: &[(&str, &'static str)],
) -> Option<(&'a str, &'static str)> {
    meanings
        .iter()
        .find_map(|(word, status)| Some((line.strip_prefix(word)?, *status)))
}

/// Returns what follows exactly one white space; nothing there is no test.
fn after_space(rest: &str) -> Option<&str> {
    let mut chars = rest.chars();
    let after = chars
        .next()
        .filter(|c| is_space(*c))
        .map(|_| chars.as_str())?;
    (!after.is_empty()).then_some(after)
}

/// `test NAME ... ok`
pub(super) fn cargo<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        if !line.starts_with("test") {
            return None;
        }
        let mut parts = words(line);
        let (first, test) = (parts.next()?, parts.next()?);
        let (dots, outcome) = (parts.next()?, parts.next()?);
        let status = match outcome {
            "ok" => PASSED,
            "FAILED" => FAILED,
            _ => return None,
        };
        (first == "test" && dots == "..." && parts.next().is_none()).then_some((test, status))
    }))
}

/// `--- PASS: NAME (0.00s)`
pub(super) fn gotest<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 3] = [
        ("--- PASS: ", PASSED),
        ("--- FAIL: ", FAILED),
        ("--- SKIP: ", SKIPPED),
    ];
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &MEANINGS)?;
        Some((before_parentheses(rest)?, status))
    }))
}

/// Returns the text before the last ` (…)`, which ends it and holds something.
fn before_parentheses(text: &str) -> Option<&str> {
    let body = text.strip_suffix(')')?;
    let bytes = body.as_bytes();
    let opens = memrchr_iter(b'(', bytes)
        .find(|at| at + 1 < bytes.len() && bytes[..*at].last() == Some(&b' '))?;
    (opens > 1).then(|| &body[..opens - 1])
}

/// `ok 1 NAME`
pub(super) fn tap<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &[("ok ", PASSED), ("not ok ", FAILED)])?;
        let after = rest.trim_start_matches(is_digit);
        let test = after.strip_prefix(' ')?;
        (after.len() < rest.len() && !test.is_empty()).then_some((test, status))
    }))
}

/// `[PASSED] NAME`
pub(super) fn jest_json<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &[("[PASSED]", PASSED), ("[FAILED]", FAILED)])?;
        Some((after_space(rest)?, status))
    }))
}

/// `PASS: NAME`
pub(super) fn jq<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &[("PASS:", PASSED), ("FAIL:", FAILED)])?;
        Some((after_space(rest)?, status))
    }))
}

/// `pass  NAME`
pub(super) fn micropython<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 3] = [("pass", PASSED), ("FAIL", FAILED), ("skip", SKIPPED)];
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &MEANINGS)?;
        let test = rest.trim_start_matches(is_space);
        (test.len() < rest.len()).then_some((test, status))
    }))
}

/// `[junit] [PASS] NAME`
pub(super) fn ant<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 3] = [("[PASS]", PASSED), ("[FAIL]", FAILED), ("[ERR]", FAILED)];
    let spaced = |text: &'a str| {
        let rest = text.trim_start_matches(is_space);
        (rest.len() < text.len()).then_some(rest)
    };
    Ok(each(log, |line| {
        let (rest, status) = opening(spaced(line.strip_prefix("[junit]")?)?, &MEANINGS)?;
        Some((spaced(rest)?, status))
    }))
}

/// `[ok]: NAME (12 ms)`
pub(super) fn redis<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 4] = [
        ("[ok]:", PASSED),
        ("[err]:", FAILED),
        ("[skip]:", SKIPPED),
        ("[ignore]:", SKIPPED),
    ];
    Ok(each(log, |line| {
        let (rest, status) = opening(line, &MEANINGS)?;
        let test = without_duration(after_space(rest)?);
        match status {
            FAILED => Some((without_file(test), status)),
            _ => Some((test, status)),
        }
    }))
}

/// Returns a name without ` (12 ms)` behind it.
pub(super) fn without_duration(text: &str) -> &str {
    fn cut(text: &str) -> Option<&str> {
        let (before, inside) = text.strip_suffix(')')?.rsplit_once('(')?;
        let before = before.strip_suffix(is_space)?;
        let inside = inside.strip_suffix('s')?;
        let inside = inside.strip_suffix('m').unwrap_or(inside);
        let digits = inside.trim_end_matches(is_space);
        let good = !before.is_empty() && !digits.is_empty() && digits.chars().all(is_digit);
        good.then_some(before)
    }
    cut(text).unwrap_or(text)
}

/// Returns a name without ` in FILE` behind it.
fn without_file(text: &str) -> &str {
    fn cut(text: &str) -> Option<&str> {
        let head = text.trim_end_matches(|c| !is_space(c));
        if head.len() == text.len() {
            return None;
        }
        let before = head.trim_end_matches(is_space).strip_suffix("in")?;
        let name = before.trim_end_matches(is_space);
        (name.len() < before.len() && !head.is_empty()).then_some(name)
    }
    cut(text).unwrap_or(text)
}

/// `[       OK ] NAME (0 ms)`
pub(super) fn googletest<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let body = line.strip_suffix(')')?;
        let mut opens = memrchr_iter(b'(', body.as_bytes());
        let end = opens.find_map(|at| Some(body[..at].strip_suffix(is_space)?.len()))?;
        // The last mark counts of those that leave a place for a name.
        memrchr_iter(b'[', &body.as_bytes()[..end]).find_map(|at| {
            let (rest, status) = googletest_mark(&body[at + 1..])?;
            let start = body.len() - rest.len();
            (start <= end).then(|| (&body[start..end], status))
        })
    }))
}

/// Returns what follows `OK ] `, and what it means.
fn googletest_mark(rest: &str) -> Option<(&str, &'static str)> {
    let rest = rest.trim_start_matches(is_space);
    let (rest, status) = opening(rest, &[("OK", PASSED), ("FAILED", FAILED)])?;
    let rest = rest.trim_start_matches(is_space).strip_prefix(']')?;
    Some((rest.strip_prefix(is_space)?, status))
}

/// `1) NAME`: only what failed is printed.
pub(super) fn marked<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    for line in lines(log) {
        let rest = line.trim_start_matches(is_digit);
        if rest.len() < line.len()
            && let Some(test) = rest.strip_prefix(')')
            && indent(test) > 0
        {
            tests.set(strip(test), FAILED);
        }
    }
    Ok(tests)
}

/// `Suite (Namespace\Suite)`, then ` ✔ Name`.
pub(super) fn phpunit<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 3] = [("✔", PASSED), ("✘", FAILED), ("↩", SKIPPED)];
    let mut tests = StatusMap::default();
    let mut suite = "None";
    for line in lines(log) {
        if let Some(name) = before_parentheses(line)
            && name.starts_with(is_word)
            && name.chars().nth(1).is_some()
        {
            suite = name;
        } else if let Some((rest, status)) = opening(line.trim_start_matches(is_space), &MEANINGS) {
            let test = rest.trim_start_matches(is_space);
            tests.set([suite, " > ", test].concat(), status);
        }
    }
    Ok(tests)
}

/// `Class#test_name = 0.01 s = .`, with a full stop behind the name.
pub(super) fn minitest<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let outcome = memchr::memrchr3(b'.', b'F', b'E', line.as_bytes())?;
        let equals = memchr::memrchr(b'=', &line.as_bytes()[..outcome])?;
        let mut stops = memrchr_iter(b'.', &line.as_bytes()[..equals]);
        let name = stops.find(|at| line.as_bytes()[at + 1] == b' ' && at + 1 < equals)?;
        if name == 0 {
            return None;
        }
        let status = match line.as_bytes()[outcome] {
            b'.' => PASSED,
            _ => FAILED,
        };
        Some((&line[..name], status))
    }))
}

/// `features/name.feature ....F`
pub(super) fn cucumber<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let dots = Finder::new(" .");
    Ok(each(log, |line| {
        if !holds(line, &dots) {
            return None;
        }
        memrchr_iter(b' ', line.as_bytes()).find_map(|at| {
            let rest = &line[at + 1..];
            let after = rest.trim_start_matches('.');
            let status = match rest.len() - after.len() {
                0 => return None,
                _ if after.starts_with('F') => FAILED,
                1 => return None,
                _ => PASSED,
            };
            Some((&line[..at], status))
        })
    }))
}

/// `test: NAME: .: (0.01)`
pub(super) fn ruby_unit<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    Ok(each(log, |line| {
        let named = line.strip_prefix("test: ").and_then(before_outcome);
        named.or_else(|| before_outcome(line))
    }))
}

/// Returns the text before the last colon that white space and an outcome follow, and what
/// the outcome means.
fn before_outcome(text: &str) -> Option<(&str, &'static str)> {
    let outcome = |rest: &str| {
        let after = rest.trim_start_matches(is_space);
        let mut chars = after.chars();
        let letter = chars.next().filter(|_| after.len() < rest.len())?;
        let is_whole = !chars.next().is_some_and(is_word);
        match letter {
            '.' => Some(PASSED),
            'E' | 'F' if is_whole => Some(FAILED),
            'O' if is_whole => Some(SKIPPED),
            _ => None,
        }
    };
    memrchr_iter(b':', text.as_bytes())
        .filter(|at| *at > 0)
        .find_map(|at| Some((&text[..at], outcome(&text[at + 1..])?)))
}

/// `NAME - passed`
pub(super) fn rspec<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    const MEANINGS: [(&str, &str); 2] = [(" passed", PASSED), (" failed", FAILED)];
    Ok(each(log, |line| {
        let (name, status) = memrchr_iter(b'-', line.as_bytes()).find_map(|at| {
            let (_, status) = opening(&line[at + 1..], &MEANINGS)?;
            Some((line[..at].strip_suffix(' ')?, status))
        })?;
        (!name.is_empty()).then_some((name, status))
    }))
}

/// Jekyll's instances use two runners; which one is known by the number of the pull request.
pub(super) fn jekyll<'a>(log: &'a str, about: About<'_>) -> Parsed<'a> {
    match about.instance_id.split('-').nth(1) {
        Some("9141" | "8047" | "8167") => minitest(log, about),
        Some("8761" | "8771") => cucumber(log, about),
        _ => Err(Unreadable("no runner is known for this instance of Jekyll")),
    }
}
