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

#[cfg(test)]
mod tests {
    use super::Recorder;
    use crate::archive::Writer;
    use crate::domain::{
        AttemptEnd, Decision, Entry, Fact, Failure, FileTree, Gate, Proposal, RunId, RunStart,
        TaskId, TreePath, Variant, VariantId,
    };
    use crate::evolve::Budgets;
    use crate::policy::{Policy, PolicySettings, make};
    use std::path::Path;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    fn policy(barrier: bool) -> Arc<dyn Policy> {
        let settings = PolicySettings {
            name: "dgm".to_owned(),
            seed: 1,
            generations: 1,
            attempts: 3,
            barrier,
            workers: 3,
            selection: "random".to_owned(),
            admission: "keep_all".to_owned(),
            eval_noise: 0.0,
            stages: Vec::new(),
            repeats: 1,
        };
        make(&settings).unwrap()
    }

    fn files(text: &str) -> FileTree {
        let mut files = FileTree::new();
        let name = TreePath::new("agent.toml").unwrap();
        files.insert(name, text.as_bytes(), false);
        files
    }

    /// A process that opens the archive, which may have died before.
    fn open(dir: &Path) -> Recorder {
        begin(Writer::open(dir).unwrap())
    }

    fn begin(writer: Writer) -> Recorder {
        let lineage = writer.lineage().unwrap();
        let run = lineage.next_run();
        let (progress, _) = mpsc::unbounded_channel();
        let mut recorder = Recorder::new(writer, lineage, run, 0, &Budgets::default(), progress);
        let start = RunStart {
            run,
            command: String::new(),
            config: String::new(),
            version: String::new(),
            sandbox: "local".to_owned(),
            stages: Vec::new(),
            at_ms: 1,
        };
        recorder.record(vec![Fact::RunStarted(start)]).unwrap();
        recorder
    }

    /// An archive with a seed and three attempts of one group that have their proposals.
    fn make_archive(dir: &Path) -> Recorder {
        let writer = Writer::create(dir, "", 1).unwrap();
        let seed = VariantId::SEED;
        let made = writer.commit_variant(seed, &files("seed"), None, "seed", 1);
        let (commit, tree) = made.unwrap();
        let exchange = writer.put_blob(b"asked").unwrap();
        let mut recorder = begin(writer);
        let mut facts = vec![Fact::VariantMade(Variant {
            id: seed,
            commit,
            tree,
            parent: None,
            generation: 0,
            summary: String::new(),
            created_ms: 1,
        })];
        for attempt in (1..=3).map(VariantId) {
            facts.push(Fact::Decided(Decision {
                attempt,
                group: 1,
                parent: seed,
                entry: Entry::Task(TaskId::new("t")),
                policy: String::new(),
                candidates: Vec::new(),
                why: String::new(),
                run: RunId(1),
                at_ms: 1,
            }));
            facts.push(Fact::Proposed {
                attempt,
                proposal: Proposal {
                    log_summarization: String::new(),
                    potential_improvements: Vec::new(),
                    improvement_proposal: String::new(),
                    implementation_suggestion: String::new(),
                    problem_description: "Better".to_owned(),
                },
                exchange: exchange.clone(),
            });
        }
        recorder.record(facts).unwrap();
        recorder
    }

    fn end(recorder: &Recorder, attempt: u32) -> AttemptEnd {
        AttemptEnd {
            attempt: VariantId(attempt),
            failure: None,
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run: recorder.run,
            execution: 1,
            at_ms: 7,
        }
    }

    /// What became of each attempt.
    fn ends(recorder: &Recorder) -> Vec<String> {
        let attempts = recorder.lineage.attempts();
        let tell = |attempt: &crate::domain::Attempt| match (&attempt.end, &attempt.draft) {
            (None, None) => "open".to_owned(),
            (None, Some(_)) => "draft".to_owned(),
            (Some(AttemptEnd { failure: None, .. }), _) => "variant".to_owned(),
            (Some(end), _) => format!("{:?}", end.failure),
        };
        attempts.map(tell).collect()
    }

    #[test]
    fn which_of_two_equal_children_is_new_is_decided_from_facts_in_order_of_number() {
        let folder = tempfile::tempdir().unwrap();
        let policy = policy(true);
        let mut recorder = make_archive(folder.path());
        // The last comes first, and its process dies; then the second, with the same source.
        recorder.draft(end(&recorder, 3), &files("same")).unwrap();
        recorder.end_drafts(policy.as_ref()).unwrap();
        assert_eq!(ends(&recorder), ["open", "open", "draft"]);
        drop(recorder);
        let mut recorder = open(folder.path());
        recorder.draft(end(&recorder, 2), &files("same")).unwrap();
        recorder.end_drafts(policy.as_ref()).unwrap();
        assert_eq!(ends(&recorder), ["open", "draft", "draft"]);
        drop(recorder);
        // The first fails: the second has its turn, and then the third, which is not new.
        let mut recorder = open(folder.path());
        let failure = Some((Failure::Gate(Gate::Changed), String::new()));
        let first = AttemptEnd {
            failure: failure.clone(),
            ..end(&recorder, 1)
        };
        recorder.record(vec![Fact::AttemptEnded(first)]).unwrap();
        drop(recorder);
        let mut recorder = open(folder.path());
        recorder.end_drafts(policy.as_ref()).unwrap();
        let twin = "its source is the same as that of #2";
        let expected = [
            format!("{failure:?}"),
            "variant".to_owned(),
            format!("{:?}", Some((Failure::Gate(Gate::New), twin))),
        ];
        assert_eq!(ends(&recorder), expected);
        let ends_of = recorder.lineage.attempts().filter_map(|it| it.end.as_ref());
        let runs: Vec<u32> = ends_of.map(|end| end.run.0).collect();
        assert_eq!(
            runs,
            [3, 2, 1],
            "each end is that of the process that found it"
        );
        drop(recorder);
        assert_eq!(crate::archive::fsck(folder.path(), false).unwrap(), []);
    }

    #[test]
    fn a_draft_that_nobody_recorded_is_removed_and_one_that_lost_its_ref_gets_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = make_archive(folder.path());
        let files = files("child");
        let seed = recorder.lineage.variant(VariantId::SEED).unwrap().clone();
        let lost = VariantId(3);
        let writer = &recorder.writer;
        writer
            .commit_draft(lost, &files, &seed.commit, "lost", 1)
            .unwrap();
        recorder.draft(end(&recorder, 2), &files).unwrap();
        drop(recorder);
        let refs = folder.path().join("agents.git/refs/dgm/drafts");
        std::fs::remove_file(refs.join("2")).unwrap();
        let found = crate::archive::fsck(folder.path(), true).unwrap();
        let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "`refs/dgm/drafts/2` does not point at the draft of attempt #2",
                "`refs/dgm/drafts/3` belongs to no recorded draft",
            ]
        );
        assert_eq!(crate::archive::fsck(folder.path(), false).unwrap(), []);
    }
}
