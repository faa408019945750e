//! The archive as an immutable value: the fold of its facts, light enough to keep in memory.
//!
//! Invariant: `fold(prefix)` then `fold(rest)` equals `fold(all)`; the order of facts that do
//! not depend on each other does not matter. Standings, scores and totals are computed here
//! and stored nowhere on disk.

mod judgement;
mod spend;
mod tallies;
mod tree;

pub use judgement::newest_judgement;
pub use spend::{Spend, SubjectSpend};
pub use tree::{Row, walk};

use crate::domain::{
    Attempt, BlobId, Evaluation, EvaluationDecision, EvaluationKey, Fact, Fault, JobId, Judgement,
    Outcome, Regrade, Replay, RunEnd, RunId, RunStart, Standing, Tally, TaskId, Variant, VariantId,
    Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tallies::Tallies;

/// Everything a decision can depend on.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    variants: BTreeMap<VariantId, Variant>,
    verdicts: BTreeMap<VariantId, Verdict>,
    attempts: BTreeMap<VariantId, Attempt>,
    disclosed: BTreeSet<VariantId>,
    decided_evaluations: BTreeMap<EvaluationKey, EvaluationDecision>,
    evaluations: BTreeMap<EvaluationKey, Evaluation>,
    answers: BTreeMap<EvaluationKey, BlobId>,
    /// The newest of each; a process judges an answer once.
    regrades: BTreeMap<EvaluationKey, Regrade>,
    faults: Vec<Fault>,
    runs: Vec<(RunStart, Option<RunEnd>)>,
    replays: BTreeMap<RunId, Replay>,
    /// The last moment of each process that any of its facts tells.
    last_seen: BTreeMap<RunId, i64>,
    spend: Spend,
    tallies: Tallies,
}

impl Lineage {
    /// Returns the fold of the facts.
    pub fn from_facts(facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut lineage = Self::default();
        for fact in facts {
            lineage.apply(&fact);
        }
        lineage
    }

    /// Adds one fact.
    pub fn apply(&mut self, fact: &Fact) {
        if let Some((run, at_ms)) = stamp(fact) {
            let last = self.last_seen.entry(run).or_insert(at_ms);
            *last = at_ms.max(*last);
        }
        match fact {
            Fact::RunStarted(start) => self.runs.push((start.clone(), None)),
            Fact::RunEnded(end) => {
                if let Some(run) = self.runs.iter_mut().find(|(start, _)| start.run == end.run) {
                    run.1 = Some(end.clone());
                }
            }
            Fact::Decided(decision) => {
                let attempt = Attempt {
                    decision: decision.clone(),
                    proposal: None,
                    draft: None,
                    end: None,
                };
                self.attempts.insert(decision.attempt, attempt);
                self.tallies.open.insert(decision.attempt);
            }
            Fact::EvaluationDecided(decision) => {
                let key = decision.key.clone();
                if !self.evaluations.contains_key(&key) {
                    self.tallies.open_evaluations.insert(key.clone());
                }
                self.decided_evaluations.insert(key, decision.clone());
            }
            Fact::Drafted(draft) => {
                if let Some(attempt) = self.attempts.get_mut(&draft.attempt) {
                    attempt.draft = Some(draft.clone());
                }
            }
            Fact::Disclosed { attempt, .. } => {
                self.disclosed.insert(*attempt);
            }
            Fact::Proposed {
                attempt,
                proposal,
                exchange,
            } => {
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.proposal = Some((proposal.clone(), exchange.clone()));
                }
            }
            Fact::AttemptEnded(end) => {
                if let Some(attempt) = self.attempts.get_mut(&end.attempt) {
                    attempt.end = Some(end.clone());
                    self.tallies.open.remove(&end.attempt);
                }
            }
            Fact::VariantMade(variant) => self.made(variant),
            Fact::Evaluated(evaluation) => self.evaluated(evaluation),
            Fact::AnswerKept { key, answer } => {
                self.answers.insert(key.clone(), answer.clone());
            }
            Fact::Regraded(regrade) => self.regraded(regrade),
            Fact::Faulted(fault) => self.faults.push(fault.clone()),
            Fact::Judged {
                variant, verdict, ..
            } => {
                let before = self.parent_in_pool(*variant);
                self.verdicts.insert(*variant, verdict.clone());
                self.tallies.evaluating.remove(variant);
                let after = self.parent_in_pool(*variant);
                self.tallies.moved(before, after);
            }
            Fact::CallIntended(intent) => self.spend.intend(intent),
            Fact::CallSettled(settlement) => self.spend.settle(settlement),
            Fact::Recorded(_) => {}
            Fact::Replays(replay) => {
                self.replays.insert(replay.run, replay.clone());
            }
        }
    }

    fn made(&mut self, variant: &Variant) {
        let before = self.parent_in_pool(variant.id);
        self.variants.insert(variant.id, variant.clone());
        if !self.verdicts.contains_key(&variant.id) {
            self.tallies.evaluating.insert(variant.id);
        }
        let after = self.parent_in_pool(variant.id);
        self.tallies.moved(before, after);
    }

    fn evaluated(&mut self, evaluation: &Evaluation) {
        let key = evaluation.key.clone();
        let id = key.variant;
        let judged = judgement::counting(evaluation, self.regrades.get(&key)).tally();
        self.tallies.open_evaluations.remove(&key);
        if self.evaluations.insert(key, evaluation.clone()).is_none() {
            self.tallies.evaluated(id, evaluation.purpose, judged);
            return;
        }
        self.recount(id);
    }

    fn regraded(&mut self, regrade: &Regrade) {
        let key = &regrade.key;
        let newest = self.regrades.get(key).map(|known| known.run);
        if newest > Some(regrade.run) {
            return;
        }
        self.regrades.insert(key.clone(), regrade.clone());
        self.recount(key.variant);
    }

    fn recount(&mut self, id: VariantId) {
        let mut tallies = std::mem::take(&mut self.tallies);
        let judged = self.evaluations_of(id).map(|evaluation| {
            let regrade = self.regrades.get(&evaluation.key);
            let judged = judgement::counting(evaluation, regrade);
            (evaluation.purpose, judged.tally())
        });
        tallies.recount(id, judged);
        self.tallies = tallies;
    }

    /// Returns what was judged in an evaluation, where it is kept.
    pub fn answer(&self, key: &EvaluationKey) -> Option<&BlobId> {
        self.answers.get(key)
    }

    /// Returns the newest judgement of an evaluation's kept answer, if it was judged again.
    pub fn regrade(&self, key: &EvaluationKey) -> Option<&Regrade> {
        self.regrades.get(key)
    }

    /// Returns the judgement that counts for an evaluation: the first where it guides an
    /// evolution, else the newest.
    pub fn judgement<'a>(&'a self, evaluation: &'a Evaluation) -> &'a Judgement {
        judgement::counting(evaluation, self.regrades.get(&evaluation.key))
    }

    /// Returns whether hidden tests and reference solutions were shown to the diagnosing model
    /// for the attempt of that number.
    pub fn is_disclosed(&self, id: VariantId) -> bool {
        self.disclosed.contains(&id)
    }

    /// Returns the attempts for which they were shown, in order of number.
    pub fn disclosed(&self) -> impl Iterator<Item = VariantId> {
        self.disclosed.iter().copied()
    }

    /// Returns the nearest of a variant and its ancestors for which they were shown: what was
    /// learned from them may be in its source.
    pub fn disclosed_ancestor(&self, id: VariantId) -> Option<VariantId> {
        let parent = |id: &VariantId| match self.variants.get(id) {
            Some(variant) => variant.parent,
            None => self.attempts.get(id).map(|attempt| attempt.decision.parent),
        };
        std::iter::successors(Some(id), parent).find(|id| self.is_disclosed(*id))
    }

    /// Returns the parent of a variant that is in the pool of parents itself.
    fn parent_in_pool(&self, id: VariantId) -> Option<VariantId> {
        self.variants
            .get(&id)
            .filter(|_| self.is_admitted(id))
            .and_then(|variant| variant.parent)
    }

    /// Returns the variant of that number.
    pub fn variant(&self, id: VariantId) -> Option<&Variant> {
        self.variants.get(&id)
    }

    /// Returns all variants in order of number.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.variants.values()
    }

    /// Returns the variants without a verdict in order of number.
    pub fn evaluating(&self) -> impl Iterator<Item = VariantId> {
        self.tallies.evaluating.iter().copied()
    }

    /// Returns where a variant stands.
    pub fn standing(&self, id: VariantId) -> Standing {
        match self.verdicts.get(&id) {
            Some(verdict) => Standing::Judged(verdict.clone()),
            None => Standing::Evaluating,
        }
    }

    /// Returns whether a variant is in the pool of parents.
    pub fn is_admitted(&self, id: VariantId) -> bool {
        self.verdicts.get(&id) == Some(&Verdict::Admitted)
    }

    /// Returns the attempt of that number.
    pub fn attempt(&self, id: VariantId) -> Option<&Attempt> {
        self.attempts.get(&id)
    }

    /// Returns all attempts in order of number.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.values()
    }

    /// Returns the attempts that have not ended in order of number.
    pub fn open_attempts(&self) -> impl Iterator<Item = &Attempt> {
        let open = self.tallies.open.iter();
        open.filter_map(|id| self.attempts.get(id))
    }

    /// Returns the decisions on evaluations in order of their keys.
    pub fn decided_evaluations(&self) -> impl Iterator<Item = &EvaluationDecision> {
        self.decided_evaluations.values()
    }

    /// Returns the decisions on evaluations that have no result yet in order of their keys.
    pub fn open_evaluations(&self) -> impl Iterator<Item = &EvaluationDecision> {
        let open = self.tallies.open_evaluations.iter();
        open.filter_map(|key| self.decided_evaluations.get(key))
    }

    /// Returns the attempts that had this variant as parent.
    pub fn attempts_of(&self, parent: VariantId) -> impl Iterator<Item = &Attempt> {
        self.attempts
            .values()
            .filter(move |attempt| attempt.decision.parent == parent)
    }

    /// Returns the number of a variant's children that are in the pool of parents.
    pub fn admitted_children(&self, parent: VariantId) -> usize {
        self.tallies.admitted_children(parent)
    }

    /// Returns the settled evaluation of that key.
    pub fn evaluation(&self, key: &EvaluationKey) -> Option<&Evaluation> {
        self.evaluations.get(key)
    }

    /// Returns a variant's settled evaluations in order of task and repeat.
    pub fn evaluations_of(&self, id: VariantId) -> impl Iterator<Item = &Evaluation> {
        let first = EvaluationKey {
            variant: id,
            task: TaskId::new(""),
            repeat: 0,
        };
        self.evaluations
            .range(first..)
            .take_while(move |(key, _)| key.variant == id)
            .map(|(_, evaluation)| evaluation)
    }

    /// Returns all settled evaluations.
    pub fn evaluations(&self) -> impl Iterator<Item = &Evaluation> {
        self.evaluations.values()
    }

    /// Returns the score that guides selection: resolved of counted over all stages.
    pub fn score(&self, id: VariantId) -> Tally {
        self.tallies.score(id)
    }

    /// Returns the score on one stage.
    pub fn stage_score(&self, id: VariantId, stage: u32) -> Tally {
        self.tallies.stage_score(id, stage)
    }

    /// Returns the score over further evaluations, which never guide selection.
    pub fn extra_score(&self, id: VariantId) -> Tally {
        self.tallies.extra_score(id)
    }

    /// Returns the score on tasks that are held out, which nothing of an evolution sees.
    pub fn holdout_score(&self, id: VariantId) -> Tally {
        self.tallies.holdout_score(id)
    }

    /// Returns the executions of a subject that ended with this outcome without counting.
    pub fn faults_of(&self, subject: &JobId, outcome: Outcome) -> impl Iterator<Item = &Fault> {
        self.faults
            .iter()
            .filter(move |fault| fault.subject == *subject && fault.outcome == outcome)
    }

    /// Returns all executions that did not count.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Returns the processes that wrote, in order, with how each ended.
    pub fn runs(&self) -> &[(RunStart, Option<RunEnd>)] {
        &self.runs
    }

    /// Returns the ordinal of the next process that writes.
    pub fn next_run(&self) -> RunId {
        RunId(self.runs.last().map_or(1, |(start, _)| start.run.0 + 1))
    }

    /// Returns the runs that took their answers from recordings, so that nothing of them was
    /// charged, in order.
    pub fn replays(&self) -> impl Iterator<Item = &Replay> {
        self.replays.values()
    }

    /// Returns what calls of such runs cost when they were recorded.
    pub fn replayed(&self) -> SubjectSpend {
        let is_replayed = |run: &RunId| self.replays.contains_key(run);
        self.spend.total(|intent| is_replayed(&intent.run))
    }

    /// Returns how long the processes that wrote were at work together. One that died is
    /// taken to have ended with the last fact that it recorded.
    pub fn run_time(&self) -> Duration {
        let times = self.runs.iter().map(|(start, end)| {
            let last = self.last_seen.get(&start.run).copied();
            let end = end.as_ref().map(|end| end.at_ms).or(last);
            end.unwrap_or(start.at_ms).saturating_sub(start.at_ms)
        });
        let total: u64 = times.map(|time| u64::try_from(time).unwrap_or(0)).sum();
        Duration::from_millis(total)
    }

    /// Returns the books.
    pub fn spend(&self) -> &Spend {
        &self.spend
    }

    /// Returns the admitted variant with the highest score: by mean, then by more counted
    /// evaluations, then the older one.
    pub fn best(&self) -> Option<VariantId> {
        self.variants
            .keys()
            .copied()
            .filter(|id| self.is_admitted(*id))
            .max_by(|a, b| {
                let (x, y) = (self.score(*a), self.score(*b));
                x.mean()
                    .total_cmp(&y.mean())
                    .then(x.counted.cmp(&y.counted))
                    .then(b.cmp(a))
            })
    }
}

/// Returns which process recorded a fact and when, where the fact tells.
fn stamp(fact: &Fact) -> Option<(RunId, i64)> {
    Some(match fact {
        Fact::RunStarted(start) => (start.run, start.at_ms),
        Fact::RunEnded(end) => (end.run, end.at_ms),
        Fact::Decided(decision) => (decision.run, decision.at_ms),
        Fact::EvaluationDecided(decision) => (decision.run, decision.at_ms),
        Fact::Drafted(draft) => (draft.run, draft.at_ms),
        Fact::Disclosed { run, at_ms, .. } => (*run, *at_ms),
        Fact::AttemptEnded(end) => (end.run, end.at_ms),
        Fact::Evaluated(evaluation) => (evaluation.run, evaluation.at_ms),
        Fact::Regraded(regrade) => (regrade.run, regrade.at_ms),
        Fact::Faulted(fault) => (fault.run, fault.at_ms),
        Fact::CallIntended(intent) => (intent.run, intent.at_ms),
        Fact::Proposed { .. }
        | Fact::AnswerKept { .. }
        | Fact::VariantMade(_)
        | Fact::Judged { .. }
        | Fact::CallSettled(_)
        | Fact::Recorded(_)
        | Fact::Replays(_) => return None,
    })
}
