//! Text as the official grader sees it.
//!
//! The parsers are defined by what Python's string functions and regular expressions do, so
//! what counts as white space, a digit or a word is what counts there: `\x1c` to `\x1f` are
//! white space for Python and not for Unicode's property, marks are no part of a word.

use memchr::memmem::{self, Finder};
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// A log, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log<'a>(Cow<'a, str>);

impl<'a> Log<'a> {
    /// Decodes the bytes of a log: what is not UTF-8 is replaced, and every line ends with
    /// `\n`, also where `\r\n` or a lone `\r` ended it.
    pub fn read(bytes: &'a [u8]) -> Self {
        // The check alone is several times as fast as the replacing.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        if memchr::memchr(b'\r', text.as_bytes()).is_none() {
            return Self(text);
        }
        let mut plain = String::with_capacity(text.len());
        let mut rest: &str = &text;
        while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
            plain.push_str(&rest[..at]);
            plain.push('\n');
            rest = &rest[at + 1..];
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        plain.push_str(rest);
        Self(Cow::Owned(plain))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether Python's `str.isspace` holds.
pub(super) fn is_space(c: char) -> bool {
    if c.is_ascii() {
        matches!(c, ' ' | '\t'..='\r' | '\x1c'..='\x1f')
    } else {
        c.is_whitespace()
    }
}

/// Returns whether Python's `\d` matches.
pub(super) fn is_digit(c: char) -> bool {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| python(r"^\d$"));
    if c.is_ascii() {
        c.is_ascii_digit()
    } else {
        c.is_numeric() && DECIMAL.is_match(c.encode_utf8(&mut [0; 4]))
    }
}

/// Returns whether Python's `\w` matches.
pub(super) fn is_word(c: char) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| python(r"^\w$"));
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '_'
    } else {
        WORD.is_match(c.encode_utf8(&mut [0; 4]))
    }
}

/// Returns the text without white space around it, as `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    match (text.as_bytes().first(), text.as_bytes().last()) {
        (Some(b'!'..=b'~'), Some(b'!'..=b'~')) => text,
        (_, _) => text.trim_matches(is_space),
    }
}

/// Returns the lines of a text, as `str.split("\n")`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memchr(b'\n', text.as_bytes()) {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(&text[..at])
            }
            None => rest.take(),
        }
    })
}

/// Returns whether a text holds another.
pub(super) fn holds(text: &str, part: &Finder<'_>) -> bool {
    part.find(text.as_bytes()).is_some()
}

/// Returns the words of a text, as `str.split`.
pub(super) fn words(text: &str) -> Words<'_> {
    Words(text)
}

/// Words from either end.
pub(super) struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = match self.0.as_bytes() {
            [b'!'..=b'~', ..] => self.0,
            [b' ', b'!'..=b'~', ..] => &self.0[1..],
            _ => self.0.trim_start_matches(is_space),
        };
        let (word, rest) = text.split_at(word_end(text));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

impl<'a> DoubleEndedIterator for Words<'a> {
    fn next_back(&mut self) -> Option<&'a str> {
        let text = self.0.trim_end_matches(is_space);
        let start = text.rfind(is_space).map_or(0, |at| {
            at + text[at..].chars().next().map_or(0, char::len_utf8)
        });
        self.0 = &text[..start];
        (start < text.len()).then_some(&text[start..])
    }
}

/// Returns where the first word of a text ends that starts with one: most text is ASCII, and
/// most time goes into this.
fn word_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = start_of(bytes, |byte| matches!(byte, b'!'..=b'~'));
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t'..=b'\r' | 0x1c..=0x1f => return at,
            0x80.. => {
                let c = text[at..].chars().next();
                match c {
                    Some(c) if !is_space(c) => at += c.len_utf8(),
                    _ => return at,
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// Returns how many bytes at the start are of a kind, or somewhat fewer: looked at many at
/// once, with wide instructions.
pub(super) fn start_of(bytes: &[u8], kind: impl Fn(u8) -> bool) -> usize {
    const WIDTH: usize = 16;
    let of_a_kind = |chunk: &&[u8]| chunk.iter().fold(true, |all, byte| all & kind(*byte));
    bytes.chunks_exact(WIDTH).take_while(of_a_kind).count() * WIDTH
}

/// Returns the words with one space between each two.
pub(super) fn joined<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    let single = |text: &str| {
        let plain = start_of(text.as_bytes(), |byte| matches!(byte, b'!'..=b'~'));
        let mut before = if plain > 0 { b'!' } else { b' ' };
        text.bytes().skip(plain).all(|byte| {
            let good = match byte {
                b' ' => before != b' ',
                b'!'..=b'~' => true,
                _ => false,
            };
            before = byte;
            good
        }) && before != b' '
    };
    if let Cow::Borrowed(text) = text {
        let text = strip(text);
        if single(text) {
            return Cow::Borrowed(text);
        }
    }
    let words: Vec<&str> = words(text).collect();
    Cow::Owned(words.join(" "))
}

/// Returns how many characters of white space a line starts with.
pub(super) fn indent(line: &str) -> usize {
    line.chars().take_while(|c| is_space(*c)).count()
}

/// Returns the text from the first `mark` on, without it, up to the next one: Python's
/// `text.split(mark)[1]`.
pub(super) fn second_part<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let at = memmem::find(text.as_bytes(), mark.as_bytes())?;
    Some(first_part(&text[at + mark.len()..], mark))
}

/// Returns the text before the first `mark`, or all: Python's `text.split(mark)[0]`.
pub(super) fn first_part<'a>(text: &'a str, mark: &str) -> &'a str {
    memmem::find(text.as_bytes(), mark.as_bytes()).map_or(text, |at| &text[..at])
}

/// Returns the text after the last `mark`, or all: Python's `text.split(mark)[-1]`.
pub(super) fn last_part<'a>(text: &'a str, mark: &str) -> &'a str {
    let at = memmem::rfind(text.as_bytes(), mark.as_bytes());
    at.map_or(text, |at| &text[at + mark.len()..])
}

/// Returns the text before the last `mark`, or all: Python's `text.rsplit(mark, 1)[0]`.
pub(super) fn before_last<'a>(text: &'a str, mark: &str) -> &'a str {
    memmem::rfind(text.as_bytes(), mark.as_bytes()).map_or(text, |at| &text[..at])
}

/// Compiles a pattern whose classes mean what they mean in Python.
pub(super) fn python(pattern: &str) -> Regex {
    let mut meant = String::with_capacity(pattern.len() * 2);
    let mut escaped = false;
    for c in pattern.chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, 's') => meant.push_str(r"[\s\x1c-\x1f]"),
            (true, 'S') => meant.push_str(r"[^\s\x1c-\x1f]"),
            (true, 'w') => meant.push_str(r"[\p{L}\p{N}_]"),
            (true, other) => {
                meant.push('\\');
                meant.push(other);
            }
            (false, other) => meant.push(other),
        }
        escaped = false;
    }
    Regex::new(&meant).expect("invariant: patterns are constants that a test compiles")
}

/// Returns the text without the escape codes of terminals.
pub(super) fn without_ansi(text: &str) -> Cow<'_, str> {
    static ANSI: LazyLock<Regex> =
        LazyLock::new(|| python(r"\x1B(?:[@-Z\\-_]|\[[0-?]*[ -/]*[@-~])"));
    if memchr::memchr(0x1b, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    ANSI.replace_all(text, "")
}

#[cfg(test)]
mod tests {
    use super::{Log, is_digit, is_space, is_word, joined, python, strip, without_ansi, words};
    use std::borrow::Cow;

    #[test]
    fn ends_every_line_alike() {
        for (bytes, text) in [
            (&b"a\r\nb\rc\nd"[..], "a\nb\nc\nd"),
            (b"\r\r\n\n", "\n\n\n"),
            (b"a\xff\xfe\xe2\x82b", "a\u{fffd}\u{fffd}\u{fffd}b"),
            (b"", ""),
        ] {
            assert_eq!(Log::read(bytes).as_str(), text);
        }
    }

    #[test]
    fn classes_are_those_of_python() {
        for c in ['\x1c', '\x1f', '\u{85}', '\u{a0}', '\u{2028}', '\u{3000}'] {
            assert!(is_space(c), "{c:?}");
            assert!(python(r"^\s$").is_match(&c.to_string()), "{c:?}");
        }
        for c in ['\u{200b}', '\u{feff}', '\u{1b}', '\u{180e}'] {
            assert!(!is_space(c), "{c:?}");
            assert!(python(r"^\S$").is_match(&c.to_string()), "{c:?}");
        }
        assert!(is_digit('٣') && !is_digit('½') && !is_digit('²'));
        assert!(is_word('é') && is_word('²') && !is_word('\u{301}') && !is_word('‿'));
        assert_eq!(strip("\x1c a\u{a0}b \u{85}"), "a\u{a0}b");
        let split: Vec<&str> = words("a\x1db\u{a0}c").collect();
        assert_eq!(split, ["a", "b", "c"]);
        let back: Vec<&str> = words(" a é\u{2028}c\x1c").rev().collect();
        assert_eq!(back, ["c", "é", "a"]);
        assert_eq!(words(" \t").next(), None);
        assert_eq!(words(" \t").next_back(), None);
    }

    #[test]
    fn joins_words_with_single_spaces() {
        for (text, want) in [
            ("a b", "a b"),
            (" a  b\tc ", "a b c"),
            ("", ""),
            ("a\u{a0}b", "a b"),
        ] {
            assert_eq!(joined(&Cow::Borrowed(text)), want);
            assert_eq!(joined(&Cow::Owned(text.to_owned())), want);
        }
    }

    #[test]
    fn takes_escape_codes_away() {
        assert_eq!(without_ansi("\x1b[31mred\x1b[0m \x1bM!"), "red !");
        assert_eq!(without_ansi("plain"), "plain");
    }
}
