//! Reads tables of a TOML file with the line of every value at hand.
//!
//! Lenient as Harbor is: a key that nobody asked for is remembered as a warning, never an
//! error. A key with a wrong value is an error that names file, line and key.

use super::fault::{LoadError, Spot};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest time that a task may ask for.
const LONGEST: f64 = 30.0 * 24.0 * 3600.0;

/// The text of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// Its name, for messages.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// Parses the file.
    pub(super) fn parse(self) -> Result<Spanned<DeTable<'a>>, LoadError> {
        DeTable::parse(self.text).map_err(|error| LoadError::Invalid {
            spot: Spot {
                file: self.file.to_owned(),
                line: error.span().map(|span| self.line(&span)),
                key: String::new(),
            },
            why: error.message().to_owned(),
        })
    }

    fn line(self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }
}

/// One table; an absent table is an empty one.
#[derive(Debug)]
pub(super) struct Section<'a> {
    source: Source<'a>,
    name: String,
    table: Option<&'a DeTable<'a>>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// Returns the root table.
    pub(super) fn root(source: Source<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(source, String::new(), Some(table.get_ref()))
    }

    fn new(source: Source<'a>, name: String, table: Option<&'a DeTable<'a>>) -> Self {
        Self {
            source,
            name,
            table,
            asked: RefCell::default(),
        }
    }

    /// Returns whether the table is written in the file.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Returns the table at a key.
    pub(super) fn section(&self, key: &'static str) -> Result<Self, LoadError> {
        let table = match self.get(key) {
            None => None,
            Some(value) => Some(
                value
                    .get_ref()
                    .as_table()
                    .ok_or_else(|| self.wrong_type(key, "a table", value))?,
            ),
        };
        Ok(Self::new(self.source, self.path(key), table))
    }

    /// Returns a table of a list, by its place from 0.
    pub(super) fn section_of(&self, key: &str, index: usize, table: &'a DeTable<'a>) -> Self {
        let name = format!("{}[{}]", self.path(key), index + 1);
        Self::new(self.source, name, Some(table))
    }

    /// Returns the tables of a list of tables.
    pub(super) fn sections(&self, key: &'static str) -> Result<Vec<Self>, LoadError> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let list = value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type(key, "a list of tables", value))?;
        let section = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let table = item
                .get_ref()
                .as_table()
                .ok_or_else(|| self.wrong_type(key, "a list of tables", item))?;
            Ok(self.section_of(key, index, table))
        };
        list.iter().enumerate().map(section).collect()
    }

    /// Returns the table's own numbers by key.
    pub(super) fn numbers(&self) -> Result<Vec<(String, f64)>, LoadError> {
        let Some(table) = self.table else {
            return Ok(Vec::new());
        };
        let mut numbers = Vec::new();
        for (key, value) in table {
            let number = match value.get_ref() {
                DeValue::Integer(number) => whole(number).map(to_float),
                DeValue::Float(number) => number.as_str().parse().ok(),
                _ => None,
            };
            match number {
                Some(number) if number.is_finite() => {
                    numbers.push((key.get_ref().to_string(), number));
                }
                Some(_) | None => {
                    return Err(LoadError::Invalid {
                        spot: self.spot_at(key.get_ref(), value.span()),
                        why: format!("must be a finite number, but is {}", described(value)),
                    });
                }
            }
        }
        Ok(numbers)
    }

    /// Returns a text.
    pub(super) fn string(&self, key: &'static str) -> Result<Option<&'a str>, LoadError> {
        self.get(key)
            .map(|value| {
                value
                    .get_ref()
                    .as_str()
                    .ok_or_else(|| self.wrong_type(key, "a text", value))
            })
            .transpose()
    }

    /// Returns a switch.
    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, LoadError> {
        self.get(key)
            .map(|value| {
                value
                    .get_ref()
                    .as_bool()
                    .ok_or_else(|| self.wrong_type(key, "`true` or `false`", value))
            })
            .transpose()
    }

    /// Returns a finite number.
    pub(super) fn number(&self, key: &'static str) -> Result<Option<f64>, LoadError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => whole(number).map(to_float),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => return Err(self.wrong_type(key, "a number", value)),
        };
        match number {
            Some(number) if number.is_finite() => Ok(Some(number)),
            Some(_) | None => Err(self.wrong(key, "is not a finite number")),
        }
    }

    /// Returns a whole number that is not negative.
    pub(super) fn count(&self, key: &'static str) -> Result<Option<u64>, LoadError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(self.wrong_type(key, "a whole number", value));
        };
        match whole(number).map(u64::try_from) {
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) | None => Err(self.wrong(key, "is not a number from 0 up")),
        }
    }

    /// Returns a time in seconds.
    pub(super) fn seconds(&self, key: &'static str) -> Result<Option<Duration>, LoadError> {
        match self.number(key)? {
            None => Ok(None),
            Some(number) if number > 0.0 && number <= LONGEST => {
                Ok(Some(Duration::from_secs_f64(number)))
            }
            Some(_) => Err(self.wrong(key, "is not a time between 0 and 2592000 seconds")),
        }
    }

    /// Returns a list of texts.
    pub(super) fn strings(&self, key: &'static str) -> Result<Option<Vec<&'a str>>, LoadError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let list = value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type(key, "a list of texts", value))?;
        list.iter()
            .map(|item| {
                item.get_ref()
                    .as_str()
                    .ok_or_else(|| self.wrong_type(key, "a list of texts", item))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Returns a table of texts as pairs.
    pub(super) fn pairs(&self, key: &'static str) -> Result<Vec<(String, String)>, LoadError> {
        let section = self.section(key)?;
        let Some(table) = section.table else {
            return Ok(Vec::new());
        };
        table
            .iter()
            .map(|(name, value)| match value.get_ref().as_str() {
                Some(text) => Ok((name.get_ref().to_string(), text.to_owned())),
                None => Err(LoadError::Invalid {
                    spot: section.spot_at(name.get_ref(), value.span()),
                    why: format!(
                        "must be a text, but is {}; write it in quotes",
                        described(value)
                    ),
                }),
            })
            .collect()
    }

    /// Refuses a network that is asked for by name.
    pub(super) fn refuse_network(&self, todo: &'static str) -> Result<(), LoadError> {
        for (key, asks) in [
            (
                "network_mode",
                self.string("network_mode")? == Some("public"),
            ),
            (
                "allow_internet",
                self.boolean("allow_internet")? == Some(true),
            ),
        ] {
            if asks {
                return Err(self.unsupported(key, "a network", todo));
            }
        }
        Ok(())
    }

    /// Returns a time in seconds that may be none at all.
    pub(super) fn pause(&self, key: &'static str) -> Result<Option<Duration>, LoadError> {
        match self.number(key)? {
            None => Ok(None),
            Some(number) if (0.0..=LONGEST).contains(&number) => {
                Ok(Some(Duration::from_secs_f64(number)))
            }
            Some(_) => Err(self.wrong(key, "is not a time between 0 and 2592000 seconds")),
        }
    }

    /// Returns whether a key holds something: not absent, not an empty list or table.
    pub(super) fn has_content(&self, key: &'static str) -> bool {
        self.get(key).is_some_and(|value| match value.get_ref() {
            DeValue::Array(list) => !list.is_empty(),
            DeValue::Table(table) => !table.is_empty(),
            DeValue::Integer(number) => whole(number) != Some(0),
            DeValue::String(text) => !text.is_empty(),
            DeValue::Boolean(on) => *on,
            DeValue::Float(_) | DeValue::Datetime(_) => true,
        })
    }

    /// Returns the value at a key, and remembers that the key is known.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table?.get(key)
    }

    /// Remembers keys that are known but of no consequence here.
    pub(super) fn knows(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// Adds a warning for every key that nobody asked for.
    pub(super) fn warn_of_unknown(&self, warnings: &mut Vec<String>) {
        let Some(table) = self.table else { return };
        let asked = self.asked.borrow();
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !asked.contains(name) {
                let near = asked
                    .iter()
                    .find(|known| strsim::jaro_winkler(known, name) > 0.85);
                let hint = near.map_or_else(String::new, |near| format!(", did you mean `{near}`"));
                let spot = self.spot_at(name, key.span());
                warnings.push(format!("{spot}: unknown key, ignored{hint}"));
            }
        }
    }

    /// Returns the error that a key's value is wrong.
    pub(super) fn wrong(&self, key: &str, why: impl Into<String>) -> LoadError {
        LoadError::Invalid {
            spot: self.spot(key),
            why: why.into(),
        }
    }

    /// Returns the error that a key wants something which this version cannot do.
    pub(super) fn unsupported(
        &self,
        key: &str,
        what: impl Into<String>,
        todo: &'static str,
    ) -> LoadError {
        LoadError::Unsupported {
            spot: self.spot(key),
            what: what.into(),
            todo,
        }
    }

    /// Returns where a key stands.
    pub(super) fn spot(&self, key: &str) -> Spot {
        match self.table.and_then(|table| table.get_key_value(key)) {
            Some((name, _)) => self.spot_at(key, name.span()),
            None => Spot {
                file: self.source.file.to_owned(),
                line: None,
                key: self.path(key),
            },
        }
    }

    fn spot_at(&self, key: &str, span: Range<usize>) -> Spot {
        Spot {
            file: self.source.file.to_owned(),
            line: Some(self.source.line(&span)),
            key: self.path(key),
        }
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>) -> LoadError {
        self.wrong(
            key,
            format!("must be {wanted}, but is {}", described(value)),
        )
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}

fn whole(number: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "times and cores are far below 2^53"
)]
fn to_float(number: i64) -> f64 {
    number as f64
}

fn described(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
