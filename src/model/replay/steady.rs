//! What differs between two runs that do the same: the time, how long something took, where
//! something lay in memory, and names of temporary files.
//!
//! A request is matched as it is first. Only where that fails, and only among the requests of
//! the same job, texts are compared without these.

use serde_json::Value;

/// What takes the place of such a thing.
const MARK: char = '\u{2026}';

/// Names that Python and `mktemp` make begin so, and go on with at least so many letters of
/// chance.
const TEMPORARY: &str = "/tmp/tmp";
const CHANCE: usize = 6;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const UNITS: [&str; 12] = [
    "s", "ms", "us", "µs", "ns", "sec", "secs", "second", "seconds", "min", "minute", "minutes",
];

/// Returns a value whose texts do not say such things.
pub(super) fn steady(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(steady_text(text)),
        Value::Array(items) => items.iter().map(steady).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, item)| (name.clone(), steady(item)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Returns a text in which every moment, duration, address and temporary name is a mark.
fn steady_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut last = ' ';
    while let Some(first) = rest.chars().next() {
        let at_word = !last.is_alphanumeric() && last != '.' && last != '_';
        let length = match at_word {
            true => volatile(rest),
            false => 0,
        };
        if length > 0 {
            out.push(MARK);
            last = MARK;
            rest = &rest[length..];
        } else {
            out.push(first);
            last = first;
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Returns the length of the volatile thing that a text begins with, or 0.
fn volatile(text: &str) -> usize {
    let found = [temporary(text), address(text), moment(text), duration(text)];
    found.into_iter().max().unwrap_or(0)
}

fn temporary(text: &str) -> usize {
    let Some(name) = text.strip_prefix(TEMPORARY) else {
        return 0;
    };
    let name = name.strip_prefix('.').unwrap_or(name);
    let start = text.len() - name.len();
    match run(name, |byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        chance if chance >= CHANCE => start + chance,
        _ => 0,
    }
}

fn address(text: &str) -> usize {
    let Some(hex) = text.strip_prefix("0x") else {
        return 0;
    };
    match run(hex, |byte| byte.is_ascii_hexdigit()) {
        digits @ 6.. => 2 + digits,
        _ => 0,
    }
}

/// `2026-01-31`, `12:59`, `12:59:59.123`, both with a `T` or a space between, `Jan 31`.
fn moment(text: &str) -> usize {
    if let Some(month) = MONTHS.iter().find(|month| text.starts_with(*month)) {
        let after = &text[month.len()..];
        let spaces = run(after, |byte| byte == b' ');
        let day = run(&after[spaces..], |byte| byte.is_ascii_digit());
        return match (spaces, day) {
            (1..=2, 1..=2) => month.len() + spaces + day,
            _ => 0,
        };
    }
    let date = shaped(text, &[4, 2, 2], b'-');
    let between = match text.as_bytes().get(date) {
        Some(b'T' | b' ') if date > 0 => 1,
        _ => 0,
    };
    let start = date + between;
    let clock = match shaped(&text[start..], &[2, 2, 2], b':') {
        0 => shaped(&text[start..], &[2, 2], b':'),
        clock => clock,
    };
    let mut end = start + clock;
    let follows = text[end..].chars().next();
    if clock == 0 || follows.is_some_and(|c| c.is_alphanumeric() && c != 'Z') {
        return date;
    }
    for mark in [b'.', b','] {
        if text.as_bytes().get(end) == Some(&mark) {
            let digits = run(&text[end + 1..], |byte| byte.is_ascii_digit());
            end += if digits > 0 { 1 + digits } else { 0 };
        }
    }
    end
}

/// Returns the length of groups of so many digits with a mark between them, or 0.
fn shaped(text: &str, groups: &[usize], mark: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    for (index, digits) in groups.iter().enumerate() {
        if index > 0 {
            if bytes.get(at) != Some(&mark) {
                return 0;
            }
            at += 1;
        }
        if run(&text[at..], |byte| byte.is_ascii_digit()) != *digits {
            return 0;
        }
        at += digits;
    }
    at
}

/// `0.12s`, `3 ms`, `1.5 seconds`: a number and a unit of time.
fn duration(text: &str) -> usize {
    let whole = run(text, |byte| byte.is_ascii_digit());
    if whole == 0 {
        return 0;
    }
    let part = match text.as_bytes().get(whole) {
        Some(b'.') => 1 + run(&text[whole + 1..], |byte| byte.is_ascii_digit()),
        _ => 0,
    };
    let number = whole + part;
    let space = usize::from(text.as_bytes().get(number) == Some(&b' '));
    let unit = &text[number + space..];
    let letters = unit
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(unit.len());
    match UNITS.contains(&&unit[..letters]) {
        true => number + space + letters,
        false => 0,
    }
}

fn run(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::{steady, steady_text};
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};
    use serde_json::json;

    #[test]
    fn hides_what_two_equal_runs_say_differently() {
        for (text, expected) in [
            ("3 passed in 0.12s", "3 passed in …"),
            ("took 1.5 seconds, 300 ms", "took …, …"),
            ("at 2026-01-31T12:59:59.123Z end", "at …Z end"),
            ("2026-01-31 12:59", "…"),
            (
                "-rw-r--r-- 1 u u 12 Nov 22 15:04 a.py",
                "-rw-r--r-- 1 u u 12 … … a.py",
            ),
            ("<object at 0x7f3a2b1c>", "<object at …>"),
            ("in /tmp/tmpa1b2_c/x.py", "in …/x.py"),
            ("in /tmp/tmp.Xy12ab/x", "in …/x"),
        ] {
            assert_eq!(steady_text(text), expected);
        }
    }

    #[test]
    fn leaves_everything_else() {
        for text in [
            "3 passed, 2 failed",
            "line 12: x",
            "a[1:2] 10:30x 1:2",
            "version 1.2.3",
            "12 files",
            "v2s x1s 0x10",
            "May be",
            "Marx 1",
            "/tmp/other /tmp/tmpdir",
            "1 sandwich",
        ] {
            assert_eq!(steady_text(text), text);
        }
        let value = json!({"12s": ["12s", 12, null]});
        assert_eq!(steady(&value), json!({"12s": ["…", 12, null]}));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn any_text_can_be_steadied(text in "([0-9]|:|-|s|ms| |0x|/tmp/tmp|Jan|é|.){0,30}") {
            prop_assert!(steady_text(&text).chars().count() <= text.chars().count());
        }
    }
}
