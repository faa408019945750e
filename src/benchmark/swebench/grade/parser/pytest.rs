//! What `pytest -rA` prints, as four families of repositories want it read.

use super::{About, Parsed};
use crate::benchmark::swebench::grade::status::{ALL, FAILED, PASSED, SKIPPED, StatusMap};
use crate::benchmark::swebench::grade::text::{holds, is_digit, joined, lines, start_of, words};
use memchr::memmem::Finder;
use std::borrow::Cow;

/// A line that starts with a status names a test in its second word.
pub(super) fn plain<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    for line in lines(log) {
        if let Some((status, test)) = result(line) {
            tests.set(test, status);
        }
    }
    Ok(tests)
}

/// The same, with a path as parameter cut to its last part.
pub(super) fn options<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    for line in lines(log) {
        if let Some((status, test)) = result(line) {
            tests.set(short_option(test), status);
        }
    }
    Ok(tests)
}

/// The same, with two names of mouse buttons replaced by their numbers.
pub(super) fn mouse_buttons<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    const BUTTON: &str = "MouseButton.";
    let button = Finder::new(BUTTON);
    let mut numbered = String::new();
    for line in lines(log) {
        // Numbers in place of names make no line start with a status.
        if !starts_with_status(line) {
            continue;
        }
        if !holds(line, &button) {
            if let Some((status, test)) = result(line) {
                tests.set(test, status);
            }
            continue;
        }
        numbered.clear();
        let mut from = 0;
        for at in button.find_iter(line.as_bytes()) {
            let rest = &line[at + BUTTON.len()..];
            let number = [("LEFT", "1"), ("RIGHT", "3")]
                .into_iter()
                .find(|(side, _)| rest.starts_with(side));
            if let Some((side, number)) = number {
                numbered.extend([&line[from..at], number]);
                from = at + BUTTON.len() + side.len();
            }
        }
        numbered.push_str(&line[from..]);
        if let Some((status, test)) = result(&numbered) {
            tests.set(test.to_owned(), known(status));
        }
    }
    Ok(tests)
}

/// A line that starts or ends with a status names a test in all the rest.
pub(super) fn whole_line<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let mut clean = String::new();
    for line in lines(log) {
        if without_control(line, &mut clean) {
            if let Some((test, status)) = whole(&clean) {
                tests.set(test.into_owned(), known(status));
            }
        } else if let Some((test, status)) = whole(line) {
            tests.set(test, status);
        }
    }
    Ok(tests)
}

/// Returns a status that borrows nothing.
fn known(status: &str) -> Cow<'static, str> {
    match ALL.iter().find(|known| **known == status) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(status.to_owned()),
    }
}

fn whole(line: &str) -> Option<(Cow<'_, str>, &str)> {
    if starts_with_status(line) {
        let line = match line.starts_with(FAILED) {
            // What failed is said behind the name.
            true => line.split_once(" - ").map_or(line, |(first, _)| first),
            false => line,
        };
        let status = words(line).next()?;
        let rest = &line[status.len()..];
        let first = words(rest).next()?;
        (!is_skip_summary(status, first)).then(|| (joined(&Cow::Borrowed(rest)), status))
    } else if ends_with_status(line) {
        let status = words(line).next_back()?;
        let rest = &line[..line.len() - status.len()];
        words(rest).next()?;
        Some((joined(&Cow::Borrowed(rest)), status))
    } else {
        None
    }
}

/// What seaborn's several versions print: `FAILED name`, `name PASSED …`, `PASSED name`.
pub(super) fn seaborn<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let passed = Finder::new(" PASSED ");
    for line in lines(log) {
        let failed = line.starts_with(FAILED);
        let amid = !failed && holds(line, &passed);
        if !failed && !amid && !line.starts_with(PASSED) {
            continue;
        }
        let mut parts = words(line);
        let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
            continue;
        };
        if failed {
            tests.set(second, FAILED);
        } else if !amid {
            tests.set(second, PASSED);
        } else if second == PASSED {
            tests.set(first, PASSED);
        }
    }
    Ok(tests)
}

fn starts_with_status(line: &str) -> bool {
    matches!(
        line.as_bytes().first(),
        Some(b'F' | b'P' | b'S' | b'E' | b'X')
    ) && ALL.iter().any(|status| line.starts_with(status))
}

fn ends_with_status(line: &str) -> bool {
    matches!(line.as_bytes().last(), Some(b'D' | b'R' | b'L'))
        && ALL.iter().any(|status| line.ends_with(status))
}

/// Returns status and test of a line: its first two words.
fn result(line: &str) -> Option<(&str, &str)> {
    if !starts_with_status(line) {
        return None;
    }
    let mut parts = words(line);
    let (status, mut test) = (parts.next()?, parts.next()?);
    if test == "-" && line.starts_with(FAILED) {
        // A dash between spaces separates; the official parser takes each second one away
        // where several follow each other.
        test = after_dashes(line)?;
    }
    (!is_skip_summary(status, test)).then_some((status, test))
}

/// Returns the second word of a line in which each ` - ` has become a space.
fn after_dashes(line: &str) -> Option<&str> {
    let mut first = true;
    for part in line.split(" - ") {
        let mut parts = words(part);
        if first {
            parts.next()?;
            first = false;
        }
        if let Some(word) = parts.next() {
            return Some(word);
        }
    }
    None
}

/// Returns whether the line is a count of skipped tests, `SKIPPED [3] …`, and no test.
fn is_skip_summary(status: &str, test: &str) -> bool {
    let inside = |test: &'_ str| -> bool {
        test.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|count| !count.is_empty() && count.chars().all(is_digit))
    };
    status == SKIPPED && inside(test)
}

fn short_option(test: &str) -> Cow<'_, str> {
    let Some(open) = test.find('[') else {
        return Cow::Borrowed(test);
    };
    let Some(close) = test.rfind(']').filter(|close| *close > open) else {
        return Cow::Borrowed(test);
    };
    let option = &test[open + 1..close];
    let is_path = option.starts_with('/') && !option.starts_with("//") && !option.contains('*');
    match option.rfind('/') {
        Some(slash) if is_path && slash > 0 => {
            Cow::Owned([&test[..=open], &option[slash..], "]"].concat())
        }
        // What follows the bracket is no part of the name.
        _ => Cow::Borrowed(&test[..=close]),
    }
}

/// Returns whether a line holds color codes (`[31m`) or control characters, and writes it
/// without them if so.
fn without_control(line: &str, clean: &mut String) -> bool {
    let bytes = line.as_bytes();
    let suspect = |byte: u8| byte == b'[' || (0x01..=0x1f).contains(&byte);
    let mut kept = 0;
    let mut from = 0;
    loop {
        from += start_of(&bytes[from..], |byte| !suspect(byte));
        let Some(open) = bytes[from..].iter().position(|byte| suspect(*byte)) else {
            break;
        };
        let open = from + open;
        from = open + 1;
        let end = match bytes[open] {
            b'[' => color_end(line, open),
            _ => Some(open + 1),
        };
        if let Some(end) = end {
            if kept == 0 {
                clean.clear();
            }
            clean.push_str(&line[kept..open]);
            (kept, from) = (end, end);
        }
    }
    if kept > 0 {
        clean.push_str(&line[kept..]);
    }
    kept > 0
}

/// Returns where a color code that starts at a bracket ends.
fn color_end(line: &str, open: usize) -> Option<usize> {
    let rest = &line[open + 1..];
    let digits = rest.trim_start_matches(is_digit);
    (digits.len() < rest.len() && digits.starts_with('m')).then(|| line.len() - digits.len() + 1)
}
