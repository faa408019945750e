//! A variant: one coding agent, one commit.

use super::{CommitId, TreeId, VariantId};

/// One coding agent of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its number; also that of the attempt that made it.
    pub id: VariantId,
    /// The commit whose tree is its complete source.
    pub commit: CommitId,
    /// That tree; two variants never share one.
    pub tree: TreeId,
    /// The variant it was made from; none for the seed.
    pub parent: Option<VariantId>,
    /// Length of the path from the seed: seed 0, its children 1, …
    pub generation: u32,
    /// One line that says what is new in it.
    pub summary: String,
    /// Unix time in milliseconds.
    pub created_ms: i64,
}

/// What admission decided; recorded once per variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the pool of parents.
    Admitted,
    /// It is kept, but is no parent; with the reason.
    Rejected(String),
}

/// Where a variant stands: a fold of the recorded facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its evaluation is not finished.
    Evaluating,
    /// Admission has decided.
    Judged(Verdict),
}

impl Standing {
    /// Returns the name used in JSON: `evaluating`, `admitted` or `rejected`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Evaluating => "evaluating",
            Self::Judged(Verdict::Admitted) => "admitted",
            Self::Judged(Verdict::Rejected(_)) => "rejected",
        }
    }

    /// Returns why it was rejected.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Evaluating | Self::Judged(Verdict::Admitted) => None,
            Self::Judged(Verdict::Rejected(reason)) => Some(reason),
        }
    }
}
