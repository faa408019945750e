//! Why exercises cannot be imported.

use super::language::Language;
use crate::benchmark::PublishError;
use std::io;
use std::path::PathBuf;

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
