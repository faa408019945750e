//! doctest's XML report, as `-s -r=xml` prints it.

use super::{About, Parsed, Unreadable};
use crate::benchmark::swebench::grade::status::{FAILED, PASSED, StatusMap};
use crate::benchmark::swebench::grade::text::{is_space, start_of};
use memchr::memmem;
use std::borrow::Cow;

const BROKEN: Unreadable = Unreadable("the report is no well-formed XML");

/// Deepest nesting of a report.
const DEEPEST: usize = 256;

/// `case > subcase`, failed if an expression in it is not true.
pub(super) fn parse<'a>(log: &'a str, _: About<'_>) -> Parsed<'a> {
    let mut tests = StatusMap::default();
    let Some(start) = log.find("<doctest") else {
        return Ok(tests);
    };
    let length = log[start..].find("</doctest>").ok_or(BROKEN)?;
    let document = &log[start..start + length + "</doctest>".len()];
    for found in DoctestReport::read(document)?.subcases {
        let status = if found.failed { FAILED } else { PASSED };
        for case in found.cases {
            tests.set([&case, " > ", &found.name].concat(), status);
        }
    }
    Ok(tests)
}

/// One `SubCase`.
struct Subcase {
    /// Names of the cases around it.
    cases: Vec<String>,
    name: String,
    failed: bool,
}

/// What is read of a report.
#[derive(Default)]
struct DoctestReport {
    subcases: Vec<Subcase>,
}

/// An element that is open.
struct OpenItem<'a> {
    tag: &'a str,
    kind: DoctestKind,
}

enum DoctestKind {
    Case(String),
    /// Its place among the subcases.
    Subcase(usize),
    Other,
}

impl DoctestReport {
    fn read(document: &str) -> Result<Self, Unreadable> {
        let mut report = Self::default();
        let mut open: Vec<OpenItem<'_>> = Vec::new();
        let mut rest = document;
        let mut done = false;
        while let Some(at) = rest.find('<') {
            check_text(&rest[..at], open.is_empty())?;
            rest = &rest[at..];
            if done {
                return Err(BROKEN);
            }
            if let Some(after) = skipped(rest)? {
                rest = after;
                continue;
            }
            let (tag, after) = tag(rest)?;
            rest = after;
            match tag {
                Tag::Close(name) => {
                    if open.pop().is_none_or(|element| element.tag != name) {
                        return Err(BROKEN);
                    }
                }
                Tag::Open(element) => {
                    let kind = report.enter(&element, &open);
                    if open.len() >= DEEPEST {
                        return Err(BROKEN);
                    }
                    if !element.empty {
                        open.push(OpenItem {
                            tag: element.name,
                            kind,
                        });
                    }
                }
            }
            done = open.is_empty();
        }
        check_text(rest, open.is_empty())?;
        if done { Ok(report) } else { Err(BROKEN) }
    }

    fn enter(&mut self, element: &Element<'_>, open: &[OpenItem<'_>]) -> DoctestKind {
        let name = || element.attribute("name").unwrap_or("None").to_owned();
        match element.name {
            // The root is no case, whatever its name.
            _ if open.is_empty() => DoctestKind::Other,
            "TestCase" => DoctestKind::Case(name()),
            "SubCase" => {
                let cases = open.iter().filter_map(|element| match &element.kind {
                    DoctestKind::Case(name) => Some(name.clone()),
                    DoctestKind::Subcase(_) | DoctestKind::Other => None,
                });
                self.subcases.push(Subcase {
                    cases: cases.collect(),
                    name: name(),
                    failed: false,
                });
                DoctestKind::Subcase(self.subcases.len() - 1)
            }
            "Expression" => {
                if element.attribute("success") != Some("true") {
                    for element in open {
                        if let DoctestKind::Subcase(index) = element.kind {
                            self.subcases[index].failed = true;
                        }
                    }
                }
                DoctestKind::Other
            }
            _ => DoctestKind::Other,
        }
    }
}

enum Tag<'a> {
    Open(Element<'a>),
    Close(&'a str),
}

struct Element<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
    empty: bool,
}

impl Element<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| &**value)
    }
}

/// Returns what follows a comment, an instruction or literal text, if one starts here.
fn skipped(rest: &str) -> Result<Option<&str>, Unreadable> {
    for (start, end) in [("<!--", "-->"), ("<?", "?>"), ("<![CDATA[", "]]>")] {
        if let Some(inside) = rest.strip_prefix(start) {
            let (_, after) = inside.split_once(end).ok_or(BROKEN)?;
            return Ok(Some(after));
        }
    }
    Ok(None)
}

fn tag(rest: &str) -> Result<(Tag<'_>, &str), Unreadable> {
    let rest = rest.strip_prefix('<').ok_or(BROKEN)?;
    if let Some(rest) = rest.strip_prefix('/') {
        let (name, rest) = name(rest)?;
        let after = rest.trim_start_matches(is_space).strip_prefix('>');
        return Ok((Tag::Close(name), after.ok_or(BROKEN)?));
    }
    let (tag, mut rest) = name(rest)?;
    let mut attributes: Vec<(&str, Cow<'_, str>)> = Vec::new();
    loop {
        let inner = rest.trim_start_matches(is_space);
        for (end, empty) in [(">", false), ("/>", true)] {
            if let Some(after) = inner.strip_prefix(end) {
                let element = Element {
                    name: tag,
                    attributes,
                    empty,
                };
                return Ok((Tag::Open(element), after));
            }
        }
        if inner.len() == rest.len() {
            return Err(BROKEN);
        }
        let (key, after) = name(inner)?;
        let after = after.trim_start_matches(is_space).strip_prefix('=');
        let value = after.ok_or(BROKEN)?.trim_start_matches(is_space);
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
        let (value, after) = value[1.min(value.len())..]
            .split_once(quote.ok_or(BROKEN)?)
            .ok_or(BROKEN)?;
        if value.contains('<') || attributes.iter().any(|(known, _)| *known == key) {
            return Err(BROKEN);
        }
        attributes.push((key, unescaped(value)?));
        rest = after;
    }
}

fn name(rest: &str) -> Result<(&str, &str), Unreadable> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
    let after = rest.trim_start_matches(is_name);
    let name = &rest[..rest.len() - after.len()];
    let starts = |c: char| c.is_alphabetic() || c == '_' || c == ':';
    if name.starts_with(starts) {
        Ok((name, after))
    } else {
        Err(BROKEN)
    }
}

fn check_text(text: &str, outside: bool) -> Result<(), Unreadable> {
    let stray = outside && text.contains(|c| !is_space(c));
    if stray || memmem::find(text.as_bytes(), b"]]>").is_some() {
        return Err(BROKEN);
    }
    // Text is only looked at, and most of it is on lines of its own.
    let plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b' '..=b'~') && byte != b'&';
    let from = start_of(text.as_bytes(), plain);
    if text.as_bytes()[from..].iter().all(|byte| plain(*byte)) {
        return Ok(());
    }
    unescaped(text).map(|_| ())
}

/// Returns the text with its entities replaced, and white space as attributes have it.
fn unescaped(text: &str) -> Result<Cow<'_, str>, Unreadable> {
    let plain = |byte| matches!(byte, b' '..=b'~') && byte != b'&';
    let rest = &text.as_bytes()[start_of(text.as_bytes(), plain)..];
    if rest.iter().all(|byte| plain(*byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
            || c > '\u{ffff}'
    };
    if !text.chars().all(allowed) {
        return Err(BROKEN);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, entity)) = rest.split_once('&') {
        plain.extend(before.chars().map(flat));
        let (entity, after) = entity.split_once(';').ok_or(BROKEN)?;
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#').ok_or(BROKEN)?;
                let number = match number.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                let c = number.ok().and_then(char::from_u32);
                c.filter(|c| allowed(*c)).ok_or(BROKEN)?
            }
        });
        rest = after;
    }
    plain.extend(rest.chars().map(flat));
    Ok(Cow::Owned(plain))
}

fn flat(c: char) -> char {
    if ['\t', '\n', '\r'].contains(&c) {
        ' '
    } else {
        c
    }
}
