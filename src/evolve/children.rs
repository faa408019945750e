//! Children of attempts as commits and facts: those that become variants at once, and those
//! that wait as drafts for the end of other attempts.
//!
//! Invariant: whether a child is new is decided when its policy says that it has its turn, and
//! from recorded facts alone.

use super::notes;
use super::record::Recorder;
use crate::domain::{
    AttemptEnd, ChildDraft, CommitId, Fact, Failure, FileTree, Gate, TreeId, Variant, VariantId,
};
use crate::policy::Policy;
use crate::sys::clock::commit_ms;
use anyhow::Context as _;

impl Recorder {
    /// Records the end of an attempt that came to a child: a variant if its source is new.
    pub(super) fn end_with_child(
        &mut self,
        end: AttemptEnd,
        files: &FileTree,
    ) -> anyhow::Result<()> {
        let tree = self.writer.tree_id(files)?;
        if let Some(failure) = self.not_new(&tree) {
            let failure = Some(failure);
            return self.record(vec![Fact::AttemptEnded(AttemptEnd { failure, ..end })]);
        }
        let id = end.attempt;
        let (parent, message) = self.parent_and_message(id)?;
        let created_ms = commit_ms();
        let (commit, tree) =
            self.writer
                .commit_variant(id, files, Some(&parent), &message, created_ms)?;
        let variant = self.variant(id, commit, tree, created_ms)?;
        self.record(vec![Fact::AttemptEnded(end), Fact::VariantMade(variant)])
    }

    /// Records the child of an attempt whose turn it is not.
    pub(super) fn draft(&mut self, end: AttemptEnd, files: &FileTree) -> anyhow::Result<()> {
        let (parent, message) = self.parent_and_message(end.attempt)?;
        let created_ms = commit_ms();
        let (commit, tree) =
            self.writer
                .commit_draft(end.attempt, files, &parent, &message, created_ms)?;
        self.record(vec![Fact::Drafted(ChildDraft {
            attempt: end.attempt,
            commit,
            tree,
            log: end.log,
            transcript: end.transcript,
            patch: end.patch,
            gate_log: end.gate_log,
            run: end.run,
            execution: end.execution,
            created_ms,
            at_ms: end.at_ms,
        })])
    }

    /// Ends the attempts with drafts that have their turn now, in order of number.
    pub(super) fn end_drafts(&mut self, policy: &dyn Policy) -> anyhow::Result<()> {
        while let Some(draft) = self.due(policy) {
            let failure = self.not_new(&draft.tree);
            let mut facts = vec![Fact::AttemptEnded(draft.end(failure.clone()))];
            if failure.is_none() {
                self.writer.adopt(&draft)?;
                let (commit, tree) = (draft.commit, draft.tree);
                let variant = self.variant(draft.attempt, commit, tree, draft.created_ms)?;
                facts.push(Fact::VariantMade(variant));
            }
            self.record(facts)?;
        }
        Ok(())
    }

    fn due(&self, policy: &dyn Policy) -> Option<ChildDraft> {
        let open = self.lineage.open_attempts();
        open.filter_map(|attempt| attempt.draft.as_ref())
            .find(|draft| policy.is_due(&self.lineage, draft.attempt))
            .cloned()
    }

    /// Returns why a child with this source is none, if a variant has it already.
    fn not_new(&self, tree: &TreeId) -> Option<(Failure, String)> {
        let twin = self.lineage.variants().find(|other| other.tree == *tree)?;
        let detail = format!("its source is the same as that of {}", twin.id);
        Some((Failure::Gate(Gate::New), detail))
    }

    /// Returns the commit of an attempt's parent, and the message of its child's.
    fn parent_and_message(&self, id: VariantId) -> anyhow::Result<(CommitId, String)> {
        let attempt = self
            .lineage
            .attempt(id)
            .context("an attempt ended that was not decided")?;
        let (proposal, _) = attempt
            .proposal
            .as_ref()
            .context("a child without a proposal")?;
        let parent = self.parent(id)?;
        let entry = attempt.decision.entry.encode();
        let message = notes::commit_message(&self.lineage, id, parent.id, &entry, proposal);
        Ok((parent.commit.clone(), message))
    }

    fn parent(&self, id: VariantId) -> anyhow::Result<&Variant> {
        let attempt = self.lineage.attempt(id);
        attempt
            .and_then(|attempt| self.lineage.variant(attempt.decision.parent))
            .context("the parent of an attempt is not in the archive")
    }

    fn variant(
        &self,
        id: VariantId,
        commit: CommitId,
        tree: TreeId,
        created_ms: i64,
    ) -> anyhow::Result<Variant> {
        let parent = self.parent(id)?;
        let proposal = self.lineage.attempt(id);
        let (proposal, _) = proposal
            .and_then(|attempt| attempt.proposal.as_ref())
            .context("a child without a proposal")?;
        Ok(Variant {
            id,
            commit,
            tree,
            parent: Some(parent.id),
            generation: parent.generation + 1,
            summary: proposal.title(),
            created_ms,
        })
    }
}
