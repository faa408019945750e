//! Identifiers as types, so that a task can never stand where a variant is meant.

use std::fmt;

/// Number of a variant, and of the attempt that made it.
///
/// The seed is 0. Attempts are numbered from 1 in the order in which they were decided, and
/// a child carries the number of its attempt: numbers do not depend on which of two
/// concurrent jobs ends first, and a number without a variant is a failed attempt that
/// `dgm show` can still explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariantId(pub u32);

impl VariantId {
    /// The variant that everything descends from.
    pub const SEED: Self = Self(0);
}

impl fmt::Display for VariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Ordinal of one `dgm` process that wrote to the archive, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u32);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Name of a task: the name of its directory inside the benchmark.
    TaskId
}
text_id! {
    /// Hexadecimal id of a git commit in the archive's repository.
    CommitId
}
text_id! {
    /// Hexadecimal id of a git tree in the archive's repository.
    TreeId
}

impl CommitId {
    /// Returns the first ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}
