//! Small lineages with declared truth, for tests of policies.

use crate::domain::{
    AttemptEnd, ChildDraft, CommitId, Decision, Entry, Evaluation, EvaluationKey, Fact, Failure,
    Gate, Judgement, Outcome, Purpose, RunId, TaskId, Timing, TreeId, Variant, VariantId, Verdict,
};
use crate::lineage::Lineage;

/// A lineage under construction.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) lineage: Lineage,
}

impl World {
    /// Adds a variant whose evaluations on stage 0 ended so, admitted.
    pub(crate) fn admitted(mut self, id: u32, parent: Option<u32>, outcomes: &[Outcome]) -> Self {
        self.make(id, parent);
        for (index, outcome) in outcomes.iter().enumerate() {
            self.evaluate(id, &format!("t{index}"), 0, *outcome);
        }
        self.judge(id);
        self
    }

    pub(crate) fn make(&mut self, id: u32, parent: Option<u32>) {
        let generation = parent
            .and_then(|parent| self.lineage.variant(VariantId(parent)))
            .map_or(0, |parent| parent.generation + 1);
        self.lineage.apply(&Fact::VariantMade(Variant {
            id: VariantId(id),
            commit: CommitId::new(format!("{id:040x}")),
            tree: TreeId::new(format!("{id:040x}")),
            parent: parent.map(VariantId),
            generation,
            summary: String::new(),
            created_ms: 0,
        }));
    }

    pub(crate) fn judge(&mut self, id: u32) {
        let variant = VariantId(id);
        self.lineage.apply(&Fact::Judged {
            variant,
            verdict: Verdict::Admitted,
            at_ms: 0,
        });
    }

    pub(crate) fn decide(&mut self, attempt: u32, round: u32, parent: u32) {
        self.lineage.apply(&Fact::Decided(Decision {
            attempt: VariantId(attempt),
            group: round,
            parent: VariantId(parent),
            entry: Entry::Task(TaskId::new("t0")),
            policy: "test".to_owned(),
            candidates: Vec::new(),
            why: String::new(),
            run: RunId(1),
            at_ms: 0,
        }));
    }

    /// Ends an attempt with a child that has this tree and waits for others.
    pub(crate) fn draft(&mut self, attempt: u32, tree: u32) {
        self.lineage.apply(&Fact::Drafted(ChildDraft {
            attempt: VariantId(attempt),
            commit: CommitId::new(format!("{attempt:040x}")),
            tree: TreeId::new(format!("{tree:040x}")),
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run: RunId(1),
            execution: 1,
            created_ms: 0,
            at_ms: 0,
        }));
    }

    /// Ends an attempt without a child.
    pub(crate) fn fail(&mut self, attempt: u32) {
        self.lineage.apply(&Fact::AttemptEnded(AttemptEnd {
            attempt: VariantId(attempt),
            failure: Some((Failure::Gate(Gate::Changed), String::new())),
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run: RunId(1),
            execution: 1,
            at_ms: 0,
        }));
    }

    pub(crate) fn evaluate(&mut self, id: u32, task: &str, stage: u32, outcome: Outcome) {
        let key = EvaluationKey {
            variant: VariantId(id),
            task: TaskId::new(task),
            repeat: 0,
        };
        self.lineage.apply(&Fact::Evaluated(evaluation(
            key,
            Purpose::Stage(stage),
            outcome,
        )));
    }
}

/// Returns an evaluation that ended so.
pub(crate) fn evaluation(key: EvaluationKey, purpose: Purpose, outcome: Outcome) -> Evaluation {
    let changed = !matches!(outcome, Outcome::Empty | Outcome::InfraError);
    Evaluation {
        key,
        purpose,
        judgement: Judgement::of(outcome),
        image: None,
        agent_log: None,
        verifier_log: None,
        patch: changed.then(|| crate::domain::BlobId::from_hex("00")),
        transcript: None,
        context_overflow: false,
        timing: Timing::default(),
        run: RunId(1),
        execution: 1,
        at_ms: 0,
    }
}

/// A seed that resolves 1 of 4 with two children, one that resolves 3 of 4, none of its own.
pub(crate) fn family() -> World {
    use Outcome::{Empty, Resolved, Unresolved};
    World::default()
        .admitted(0, None, &[Resolved, Unresolved, Unresolved, Empty])
        .admitted(1, Some(0), &[Resolved, Resolved, Resolved, Unresolved])
        .admitted(
            2,
            Some(0),
            &[Unresolved, Unresolved, Unresolved, Unresolved],
        )
}
