//! Why a task cannot be used, in the words of whoever wrote it.

use std::fmt;
use std::io;

/// Where in a task directory something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// File, relative to the task directory.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<usize>,
    /// Key, such as `agent.timeout_sec`; empty where the file as a whole is meant.
    pub key: String,
}

impl Spot {
    /// Returns the spot that means a whole file.
    pub(super) fn file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        Ok(())
    }
}

/// Why a task could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder could not be read.
    #[error("could not read `{file}`")]
    Read {
        /// Which, relative to the task directory.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something that every task has is not there.
    #[error("{what} is missing: {todo}")]
    Missing {
        /// What.
        what: &'static str,
        /// What to do.
        todo: &'static str,
    },
    /// Something is wrong in itself.
    #[error("{spot}: {why}")]
    Invalid {
        /// Where.
        spot: Spot,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// It is right, but this version cannot run it.
    #[error("{spot}: {what} is not supported: {todo}")]
    Unsupported {
        /// Where.
        spot: Spot,
        /// What the task wants.
        what: String,
        /// What to do.
        todo: &'static str,
    },
}

impl LoadError {
    /// Returns the error with its cause, in one line.
    pub fn sentence(&self) -> String {
        match self {
            Self::Read { source, .. } => format!("{self}: {source}"),
            Self::Missing { .. } | Self::Invalid { .. } | Self::Unsupported { .. } => {
                self.to_string()
            }
        }
    }
}
