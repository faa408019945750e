//! Which archive a command line means.
//!
//! `dgm show demo 7` and, inside the archive, `dgm show 7` are both natural. The rule: the
//! first word is the folder if it is one that holds an archive and enough words follow;
//! otherwise the current directory must hold one.

use super::error::usage;
use crate::archive::{self, ArchiveError, Layout};
use crate::domain::Variant;
use crate::lineage::Lineage;
use std::path::{Path, PathBuf};

/// An archive's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// The folder as it was typed; empty: the current one.
    pub(crate) typed: String,
}

impl Place {
    /// Returns the folder that a `[DIR]` argument names, or the current one.
    pub(crate) fn of(dir: Option<&Path>) -> anyhow::Result<Self> {
        match dir {
            Some(dir) => Ok(Self::named(dir)),
            None if holds_archive(Path::new(".")) => Ok(Self::current()),
            None => usage(
                "the current directory holds no archive",
                "name the folder of one, or make one with `dgm evolve DIR`",
            ),
        }
    }

    fn named(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            typed: dir.display().to_string(),
        }
    }

    fn current() -> Self {
        Self {
            dir: PathBuf::from("."),
            typed: String::new(),
        }
    }
}

/// What follows `[DIR]` on a command's line.
pub(crate) struct Shape {
    /// The command.
    pub(crate) verb: &'static str,
    /// What follows, as in its help.
    pub(crate) rest: &'static str,
    /// Words that must follow.
    pub(crate) least: usize,
    /// Words that may follow.
    pub(crate) most: usize,
}

/// Splits a command's words into the archive's folder and what follows it.
pub(crate) fn split<'a>(
    words: &'a [String],
    shape: &Shape,
) -> anyhow::Result<(Place, &'a [String])> {
    split_with(words, shape, &holds_archive)
}

fn split_with<'a>(
    words: &'a [String],
    shape: &Shape,
    holds_archive: &dyn Fn(&Path) -> bool,
) -> anyhow::Result<(Place, &'a [String])> {
    let here = holds_archive(Path::new("."));
    let Shape { verb, rest, .. } = shape;
    let Some((first, after)) = words.split_first() else {
        if shape.least == 0 && here {
            return Ok((Place::current(), words));
        }
        return usage("too few words", format!("type `dgm {verb} DIR {rest}`"));
    };
    let first_is_archive = holds_archive(Path::new(first));
    if first_is_archive && (shape.least..=shape.most).contains(&after.len()) {
        return Ok((Place::named(Path::new(first)), after));
    }
    if here && (shape.least..=shape.most).contains(&words.len()) {
        return Ok((Place::current(), words));
    }
    if first_is_archive || (here && words.len() < shape.least) {
        let few = if words.len() > shape.most {
            "many"
        } else {
            "few"
        };
        let dir = if first_is_archive { first.as_str() } else { "" };
        let command = format!("dgm {verb} {dir} {rest}").replace("  ", " ");
        return usage(
            format!("too {few} words for `dgm {verb}`"),
            format!("type `{command}`"),
        );
    }
    let hint = format!("type `dgm {verb} DIR {rest}`, or change into an archive's folder");
    if words.len() > shape.least {
        return usage(format!("`{first}` holds no archive"), hint);
    }
    usage("the current directory holds no archive", hint)
}

/// Returns the variant that a name stands for.
pub(crate) fn find_variant<'a>(lineage: &'a Lineage, name: &str) -> anyhow::Result<&'a Variant> {
    let id = archive::resolve(lineage, name)?;
    let variant = lineage.variant(id);
    Ok(variant.ok_or_else(|| ArchiveError::Damaged(format!("variant {id} is missing")))?)
}

fn holds_archive(dir: &Path) -> bool {
    Layout::new(dir).database().is_file()
}

#[cfg(test)]
mod tests {
    use super::{Shape, split_with};
    use std::path::Path;

    const SHOW: Shape = Shape {
        verb: "show",
        rest: "VARIANT [TASK]",
        least: 1,
        most: 2,
    };

    /// Splits with these folders as archives; `Ok("DIR: words")`, or the error.
    fn split(line: &str, archives: &[&str]) -> Result<String, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let holds = |dir: &Path| archives.iter().any(|archive| Path::new(archive) == dir);
        match split_with(&words, &SHOW, &holds) {
            Ok((place, rest)) => Ok(format!("{}: {}", place.typed, rest.join(" "))),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_first_word_is_the_folder_if_it_holds_an_archive() {
        assert_eq!(split("demo 7", &["demo"]), Ok("demo: 7".to_owned()));
        assert_eq!(
            split("demo 7 task", &["demo"]),
            Ok("demo: 7 task".to_owned())
        );
        assert_eq!(split("demo 7", &["demo", "."]), Ok("demo: 7".to_owned()));
    }

    #[test]
    fn otherwise_the_current_directory_is() {
        assert_eq!(split("7", &["."]), Ok(": 7".to_owned()));
        assert_eq!(split("7 task", &["."]), Ok(": 7 task".to_owned()));
        // A folder named like a variant does not hide the variant.
        assert_eq!(split("7", &["7", "."]), Ok(": 7".to_owned()));
    }

    #[test]
    fn says_what_is_missing() {
        let error = |line, archives| split(line, archives).expect_err("it is one");
        assert_eq!(error("demo", &["demo"]), "too few words for `dgm show`");
        assert_eq!(
            error("demo 7 t x", &["demo"]),
            "too many words for `dgm show`"
        );
        assert_eq!(error("typo 7", &[]), "`typo` holds no archive");
        assert_eq!(error("7", &[]), "the current directory holds no archive");
    }
}
