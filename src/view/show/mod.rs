//! One variant, one attempt, one evaluation: where each number comes from.
//!
//! From a variant's score one reaches its evaluations, from an evaluation its log, patch and
//! model calls. What is stored is given in as values: nothing here opens the archive.

mod attempt;
mod evaluation;
mod json;
mod spend;
mod trajectory;
mod trajectory_json;
mod variant;

use crate::domain::{BlobId, Decision, JobId, Trajectory, VariantId};
use crate::lineage::Lineage;

/// A file that differs between two variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// What is shown, and how to name it in commands for the reader.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The archive.
    pub lineage: &'a Lineage,
    /// The variant, or the attempt without a child.
    pub id: VariantId,
    /// The archive's folder as it is typed; empty: the current one.
    pub dir: &'a str,
    /// Whether long texts are shown whole.
    pub full: bool,
}

impl Subject<'_> {
    /// Returns where a blob lies, as `docs/formats.md` has it: a reader can look with `zstdcat`.
    fn blob_path(&self, blob: &BlobId) -> String {
        let (shard, rest) = blob.as_str().split_at_checked(2).unwrap_or_default();
        match self.dir {
            "" => format!("blobs/{shard}/{rest}.zst"),
            dir => format!("{}/blobs/{shard}/{rest}.zst", dir.trim_end_matches('/')),
        }
    }

    /// Returns a command line that a reader can type.
    fn command(&self, verb: &str, rest: &str) -> String {
        match self.dir {
            "" => format!("dgm {verb} {rest}"),
            dir => format!("dgm {verb} {dir} {rest}"),
        }
    }
}

/// A stored text: its address, and its content where it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it is, such as `log`.
    pub name: &'static str,
    /// Where it is.
    pub blob: BlobId,
    /// Content as text; none where it is not to be shown.
    pub text: Option<String>,
}

/// What is kept of an attempt or an evaluation beside its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Texts.
    pub stored: Vec<Stored>,
    /// What the agent did, where that was recorded.
    pub trajectory: Option<Trajectory>,
}

/// Returns a variant as text; `change` is its difference to its parent.
pub fn variant_text(
    subject: Subject<'_>,
    change: &[FileChange],
    style: super::Style,
) -> Option<String> {
    variant::text(subject, change, style)
}

/// Returns a variant as `dgm.show/1`.
pub fn variant_json(subject: Subject<'_>, change: &[FileChange]) -> Option<String> {
    json::variant(subject, change)
}

/// Returns an attempt as text, with what is stored of it.
pub fn attempt_text(subject: Subject<'_>, kept: &Kept, style: super::Style) -> Option<String> {
    attempt::text(subject, kept, style)
}

/// Returns an attempt as `dgm.show/1`.
pub fn attempt_json(subject: Subject<'_>, kept: &Kept) -> Option<String> {
    json::attempt(subject, kept)
}

/// Returns an evaluation as text, with what is stored of it.
pub fn evaluation_text(
    subject: Subject<'_>,
    evaluation: &crate::domain::Evaluation,
    kept: &Kept,
    style: super::Style,
) -> String {
    evaluation::text(subject, evaluation, kept, style)
}

/// Returns an evaluation as `dgm.show/1`.
pub fn evaluation_json(
    subject: Subject<'_>,
    evaluation: &crate::domain::Evaluation,
    kept: &Kept,
) -> String {
    json::evaluation(subject, evaluation, kept)
}

/// Selection weights, highest first; the chosen parent is always among those shown.
fn weights(decision: &Decision, most: usize) -> Vec<(VariantId, f64)> {
    let mut weights = decision.candidates.clone();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let chosen = weights.iter().position(|(id, _)| *id == decision.parent);
    if let Some(chosen) = chosen
        && chosen >= most
        && most > 0
    {
        weights.swap(most - 1, chosen);
    }
    weights.truncate(most);
    weights
}

/// Whether a call or a fault belongs to a variant or attempt of that number.
fn belongs(subject: &JobId, id: VariantId) -> bool {
    subject.variant() == Some(id)
}

#[cfg(test)]
mod tests {
    use super::{Decision, VariantId, weights};
    use crate::domain::{Entry, RunId, TaskId};

    #[test]
    fn the_chosen_parent_is_among_the_weights() {
        let decision = Decision {
            attempt: VariantId(9),
            group: 1,
            parent: VariantId(3),
            entry: Entry::Task(TaskId::new("t")),
            policy: "dgm/random".to_owned(),
            candidates: [0.4, 0.3, 0.2, 0.1]
                .into_iter()
                .zip(0..)
                .map(|(weight, id)| (VariantId(id), weight))
                .collect(),
            why: String::new(),
            run: RunId(1),
            at_ms: 0,
        };
        let shown: Vec<u32> = weights(&decision, 2).iter().map(|(id, _)| id.0).collect();
        assert_eq!(shown, [0, 3]);
    }
}
