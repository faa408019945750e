//! The Polyglot exercises as Harbor task directories.
//!
//! Turns a checkout of the public repository (or an archive of one) into a benchmark that
//! runs without network: stubs and instructions where an agent sees them, tests and reference
//! solutions where it does not. A language is one file of [`Rules`] beside this one, and a
//! folder with what its tests' runner must know.
//!
//! Invariant: no test, reference solution or published approach is in what an agent gets.
//! The result appears under its name whole or not at all, and nothing that this module did
//! not make is ever replaced.

mod cpp;
mod exercise;
mod go;
mod java;
mod javascript;
mod mode;
mod python;
mod render;
mod rules;
mod rust;
mod source;

pub use mode::Mode;

use super::publish::{PublishError, Target};
use crate::domain::TaskId;
use exercise::Exercise;
use rules::Rules;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The languages of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// C++.
    Cpp,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript.
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 6] = [
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Python,
        Self::Rust,
    ];

    /// Returns the language's name, which is also its folder in the repository.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }

    /// Returns the language of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    fn rules(self) -> &'static Rules {
        match self {
            Self::Cpp => &cpp::RULES,
            Self::Go => &go::RULES,
            Self::Java => &java::RULES,
            Self::JavaScript => &javascript::RULES,
            Self::Python => &python::RULES,
            Self::Rust => &rust::RULES,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Name of the dataset, such as `polyglot/python-full`.
    pub dataset: String,
    /// The tasks, in order of name.
    pub tasks: Vec<TaskId>,
    /// Images that the tasks run in.
    pub images: Vec<String>,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No language was asked for.
    #[error("no language is named; name one, such as `--language python`")]
    NoLanguage,
    /// The checkout cannot be read.
    #[error("could not read `{path}`")]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The checkout is none of the Polyglot repository.
    #[error(
        "`{path}` is no checkout of the Polyglot repository: it has no \
         `{language}/exercises/practice`"
    )]
    NotPolyglot {
        /// What was given.
        path: PathBuf,
        /// The language that was looked for.
        language: Language,
    },
    /// An exercise is not as it should be.
    #[error("exercise `{language}/{slug}`: {why}")]
    Exercise {
        /// Its language.
        language: Language,
        /// Its name.
        slug: String,
        /// What is wrong.
        why: String,
    },
    /// The target cannot be used.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Makes a benchmark of the exercises of some languages. `checkout` is the repository's
/// folder or a `.tar.gz` of it; `out` is made, or replaced if an import made it.
pub fn import(
    checkout: &Path,
    out: &Path,
    languages: &[Language],
    mode: Mode,
) -> Result<Imported, ImportError> {
    let mut languages = languages.to_vec();
    languages.sort_unstable();
    languages.dedup();
    if languages.is_empty() {
        return Err(ImportError::NoLanguage);
    }
    let target = Target::check(out, "polyglot")?;
    let mut tasks = BTreeMap::new();
    let mut images = Vec::new();
    for language in &languages {
        let language = *language;
        let rules = language.rules();
        images.push(rules.image.to_owned());
        let files = source::read(checkout, language)?;
        for (slug, files) in source::exercises(&files) {
            let exercise = Exercise::read(language, &slug, &files, mode)?;
            let name = format!("{language}__{slug}");
            tasks.insert(name, render::task(&exercise, rules, mode));
        }
    }
    let dataset = dataset_name(&languages, mode);
    let manifest = render::dataset(&dataset, &languages, mode, &tasks);
    target.publish(&tasks, &manifest)?;
    Ok(Imported {
        dataset,
        tasks: tasks.into_keys().map(TaskId::new).collect(),
        images,
    })
}

/// Returns the dataset's name. The mode is part of it: results of different modes are not
/// comparable.
fn dataset_name(languages: &[Language], mode: Mode) -> String {
    if languages.len() == Language::ALL.len() {
        return format!("polyglot/{mode}");
    }
    let names: Vec<&str> = languages.iter().map(|language| language.name()).collect();
    format!("polyglot/{}-{mode}", names.join("-"))
}

#[cfg(test)]
mod tests;
