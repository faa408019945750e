//! Names between texts that a log is searched for, such as Karma's lines of what failed: a
//! browser, where it ran, a name and `FAILED`.
//!
//! Invariant: each is what a regular expression of the official parser finds, which stands
//! beside it; white space in one of these may be the end of a line. However often a line names
//! a browser, it is read a fixed number of times.

use crate::benchmark::swebench::grade::status::{FAILED, StatusMap};
use crate::benchmark::swebench::grade::text::{is_digit, is_space};
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// A test, and the place behind what was read.
type FoundStatus<'a> = Option<(&'a str, usize)>;

/// The tests that were found, in their order.
pub(super) struct Reading<'a> {
    log: &'a str,
    pub(super) tests: Vec<&'a str>,
}

impl<'a> Reading<'a> {
    /// Starts with none.
    pub(super) fn of(log: &'a str) -> Self {
        Self {
            log,
            tests: Vec::new(),
        }
    }

    /// Adds what a rule reads behind each place where a text begins that it speaks of.
    pub(super) fn take(
        &mut self,
        start: &str,
        mut rule: impl FnMut(&mut Text<'a>, usize) -> FoundStatus<'a>,
    ) {
        let mut text = Text::of(self.log);
        let mut from = 0;
        for at in memmem::find_iter(self.log.as_bytes(), start) {
            if at >= from
                && let Some((test, end)) = rule(&mut text, at + start.len())
            {
                self.tests.push(test);
                from = end;
            }
        }
    }

    /// Returns them as tests that failed, with their names as they are to be.
    pub(super) fn failed(self, name: impl Fn(&'a str) -> Cow<'a, str>) -> StatusMap<'a> {
        let mut tests = StatusMap::default();
        for test in self.tests {
            tests.set(name(test), FAILED);
        }
        tests
    }
}

/// A log, and what is known of it. Each step takes a place and returns the one behind what it
/// speaks of, if that is there.
pub(super) struct Text<'a> {
    pub(super) all: &'a str,
    line_end: Ahead,
    close: Ahead,
    /// The end of a line, and the last mark of Linux on it behind which a test failed.
    linux: Option<(usize, Option<usize>)>,
}

/// The first place of something from a place on.
#[derive(Clone, Copy, Default)]
struct Ahead(Option<(usize, Option<usize>)>);

impl Ahead {
    /// Returns it; looked for again only where what is known does not tell.
    fn from(&mut self, from: usize, find: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        match self.0 {
            Some((known, found)) if known <= from && found.is_none_or(|found| from <= found) => {
                found
            }
            Some(_) | None => {
                let found = find(from);
                self.0 = Some((from, found));
                found
            }
        }
    }
}

impl<'a> Text<'a> {
    fn of(all: &'a str) -> Self {
        Self {
            all,
            line_end: Ahead::default(),
            close: Ahead::default(),
            linux: None,
        }
    }

    fn place(&self, rest: &str) -> usize {
        self.all.len() - rest.len()
    }

    /// `\s`
    pub(super) fn space(&self, at: usize) -> Option<usize> {
        let rest = self.all[at..].strip_prefix(is_space)?;
        Some(self.place(rest))
    }

    /// `[^\S\r\n]`
    pub(super) fn blank(&self, at: usize) -> Option<usize> {
        let is_blank = |c| is_space(c) && c != '\r' && c != '\n';
        let rest = self.all[at..].strip_prefix(is_blank)?;
        Some(self.place(rest))
    }

    /// `[\d\.]+`
    pub(super) fn version(&self, at: usize) -> Option<usize> {
        let rest = self.all[at..].trim_start_matches(|c| c == '.' || is_digit(c));
        let end = self.place(rest);
        (end > at).then_some(end)
    }

    /// The text itself.
    pub(super) fn literal(&self, at: usize, text: &str) -> Option<usize> {
        let rest = self.all[at..].strip_prefix(text)?;
        Some(self.place(rest))
    }

    /// `\(Linux\s…\)`, with a version where no place is named.
    pub(super) fn linux(&self, at: usize, place: &str) -> Option<usize> {
        let at = self.space(self.literal(at, "(Linux")?)?;
        let at = match place {
            "" => self.version(at)?,
            place => self.literal(at, place)?,
        };
        self.literal(at, ")")
    }

    /// `\(Linux\s[\d\._\S]+\)` before white space.
    pub(super) fn any_linux(&self, at: usize) -> Option<usize> {
        let at = self.space(self.literal(at, "(Linux")?)?;
        let rest = self.all[at..].trim_start_matches(|c| !is_space(c));
        let end = self.place(rest);
        let inside = self.all[at..end].strip_suffix(')')?;
        (!inside.is_empty()).then_some(end)
    }

    /// Returns where the line ends that a place lies on.
    fn line_end(&mut self, at: usize) -> Option<usize> {
        let all = self.all.as_bytes();
        let find = |from| memchr(b'\n', &all[from..]).map(|end| from + end);
        self.line_end.from(at, find)
    }

    /// `(?P<test>.*)FAILED\n`
    pub(super) fn failed(&mut self, at: usize) -> FoundStatus<'a> {
        let end = self.line_end(at)?;
        Some((self.all[at..end].strip_suffix(FAILED)?, end + 1))
    }

    /// `"(?P<test>.*)",\n`
    pub(super) fn quoted(&mut self, at: usize) -> FoundStatus<'a> {
        let at = self.literal(at, "\"")?;
        let end = self.line_end(at)?;
        Some((self.all[at..end].strip_suffix("\",")?, end + 1))
    }

    /// `(?P<test>.*)\sFAILED\n`
    pub(super) fn failed_behind_space(&mut self, at: usize) -> FoundStatus<'a> {
        let end = self.line_end(at)?;
        if let Some(end_of_next) = self.literal(end + 1, "FAILED\n") {
            return Some((&self.all[at..end], end_of_next));
        }
        let test = self.all[at..end].strip_suffix(FAILED)?;
        Some((test.strip_suffix(is_space)?, end + 1))
    }

    /// `.+?\)[^\S\r\n](?P<test>.*)FAILED$`
    pub(super) fn failed_in_place(&mut self, at: usize) -> FoundStatus<'a> {
        let end = self.line_end(at).unwrap_or(self.all.len());
        let most = self.all[at..end].strip_suffix(FAILED)?.len() + at;
        let first = self.all[at..end].chars().next()?.len_utf8();
        let mut close = self.close;
        let found = close.from(at + first, |from| {
            let mut closes = memchr::memchr_iter(b')', &self.all.as_bytes()[from..]);
            closes.find_map(|close| self.blank(from + close + 1).map(|_| from + close))
        });
        self.close = close;
        let start = self.blank(found? + 1)?;
        (start <= most).then(|| (&self.all[start..most], end))
    }

    /// `\sHeadless\s.*\s\(Linux\sx86_64\)\s(?P<test>.*)FAILED\n`
    pub(super) fn any_headless(&mut self, at: usize) -> FoundStatus<'a> {
        let at = self.space(self.literal(self.space(at)?, "Headless")?)?;
        let end = self.line_end(at).unwrap_or(self.all.len());
        // What is longest comes first: the next line may begin with the mark.
        if end < self.all.len()
            && let Some(found) = self.behind_linux(end + 1)
        {
            return Some(found);
        }
        let last = match self.linux {
            Some((known, last)) if known == end => last,
            Some(_) | None => {
                let mut marks = memmem::rfind_iter(&self.all.as_bytes()[at..end], "(Linux");
                let last = marks.find_map(|mark| {
                    let mark = at + mark;
                    let is_behind_space = self.all[at..mark].ends_with(is_space);
                    self.behind_linux(mark).filter(|_| is_behind_space)?;
                    Some(mark)
                });
                self.linux = Some((end, last));
                last
            }
        };
        let mark = last.filter(|mark| *mark > at)?;
        self.behind_linux(mark)
    }

    fn behind_linux(&mut self, at: usize) -> FoundStatus<'a> {
        let at = self.space(self.linux(at, "x86_64")?)?;
        self.failed(at)
    }

    /// `(?P<test>.*):\smismatch`
    pub(super) fn mismatch(&mut self, at: usize) -> FoundStatus<'a> {
        const MISMATCH: &str = "mismatch";
        let end = self.line_end(at).unwrap_or(self.all.len());
        let line = &self.all[at..end];
        if end < self.all.len()
            && let Some(test) = line.strip_suffix(':')
            && let Some(end) = self.literal(end + 1, MISMATCH)
        {
            return Some((test, end));
        }
        memmem::rfind_iter(line.as_bytes(), MISMATCH).find_map(|mark| {
            let test = line[..mark].strip_suffix(is_space)?.strip_suffix(':')?;
            Some((test, at + mark + MISMATCH.len()))
        })
    }
}
