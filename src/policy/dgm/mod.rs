//! The Darwin Gödel Machine's loop (arXiv 2505.22954): rounds of self-modification with
//! open-ended selection, staged evaluation of each child, admission.

mod admission;
mod entry;
mod remaining;
mod selection;
mod stages;

#[cfg(test)]
mod tests;

use self::admission::{Admission, admit};
use self::entry::choose_entry;
use self::remaining::{Rounds, remaining};
use self::selection::{Selection, probabilities};
use self::stages::{NextStep, Stages};
use super::generator::generator;
use super::interface::{Action, Assignment, Choice, Expansion, Policy, Snapshot};
use super::settings::{PolicySettings, UnknownName};
use crate::domain::{Remaining, TaskId, VariantId, Verdict};
use crate::lineage::Lineage;
use crate::stats::weighted_index;
use std::sync::Arc;

/// The policy `dgm`.
#[derive(Clone, Debug)]
struct Dgm {
    /// Seed of all draws.
    seed: u64,
    /// Rounds in all (DGM's generations), over all runs of the archive.
    rounds: u32,
    /// Attempts per round (DGM: 2).
    attempts: u32,
    /// Whether a round waits for the end of the one before it, as DGM's generations do.
    barrier: bool,
    /// Attempts that may be open at once without a barrier.
    width: u32,
    /// How parents are drawn.
    selection: Selection,
    /// Who becomes a parent.
    admission: Admission,
    /// How far variants are evaluated.
    stages: Stages,
}

/// Makes the policy of its settings.
pub(super) fn make(settings: &PolicySettings) -> Result<Arc<dyn Policy>, UnknownName> {
    Ok(Arc::new(Dgm::new(settings)?))
}

/// How many attempts are decided and where the current round stands.
struct Position {
    next: VariantId,
    round: u32,
    in_round: u32,
}

impl Dgm {
    /// Returns the policy with these settings.
    fn new(settings: &PolicySettings) -> Result<Self, UnknownName> {
        Ok(Self {
            seed: settings.seed,
            rounds: settings.generations,
            attempts: settings.attempts,
            barrier: settings.barrier,
            width: settings.workers,
            selection: Selection::named(&settings.selection)?,
            admission: Admission::named(&settings.admission, settings.eval_noise)?,
            stages: Stages {
                stages: settings.stages.clone(),
                repeats: settings.repeats,
            },
        })
    }

    fn position(&self, lineage: &Lineage) -> Position {
        let last = lineage.attempts().next_back();
        let round = last.map_or(0, |attempt| attempt.decision.group);
        let in_round = lineage
            .attempts()
            .rev()
            .take_while(|attempt| attempt.decision.group == round)
            .count();
        let in_round = u32::try_from(in_round).unwrap_or(u32::MAX);
        let next = VariantId(last.map_or(1, |attempt| attempt.decision.attempt.0 + 1));
        if round == 0 || in_round >= self.attempts {
            Position {
                next,
                round: round + 1,
                in_round: 0,
            }
        } else {
            Position {
                next,
                round,
                in_round,
            }
        }
    }

    fn expand(&self, lineage: &Lineage) -> Action {
        let position = self.position(lineage);
        if position.round > self.rounds {
            return Action::Stop(format!("all {} rounds are done", self.rounds));
        }
        let slots = self.attempts;
        let last = if self.barrier {
            slots
        } else {
            position.in_round + 1
        };
        let mut choices = Vec::new();
        for slot in position.in_round..last {
            let attempt = VariantId(position.next.0 + (slot - position.in_round));
            let mut rng = generator(self.seed, u64::from(attempt.0));
            let weights = probabilities(lineage, self.selection, slot as usize, slots as usize);
            let chances: Vec<f64> = weights.iter().map(|(_, weight)| *weight).collect();
            let Some(index) = weighted_index(&chances, &mut rng) else {
                return Action::Stop("no variant can be a parent".to_owned());
            };
            let parent = weights[index].0;
            let Some(entry) = choose_entry(lineage, parent, &mut rng) else {
                return Action::Stop(format!("{parent} has no evaluation to learn from"));
            };
            choices.push(Choice::Attempt(Expansion {
                attempt,
                group: position.round,
                parent,
                entry,
                candidates: weights,
                why: format!("round {}/{}", position.round, self.rounds),
            }));
        }
        Action::Decide(choices)
    }
}

impl Policy for Dgm {
    fn name(&self) -> String {
        format!("dgm/{}", self.selection.name())
    }

    fn decide(&self, snapshot: &Snapshot<'_>) -> Action {
        let lineage = snapshot.lineage;
        if let Some(decided) = snapshot.decided() {
            return Action::Start(decided);
        }
        let mut waiting = false;
        for variant in lineage.evaluating() {
            match self.stages.next(lineage, variant) {
                NextStep::Missing(missing) => {
                    let missing = missing.into_iter();
                    if let Some(free) = missing
                        .map(|(key, purpose)| Assignment::Evaluate(key, purpose))
                        .find(|assignment| snapshot.is_free(&assignment.job()))
                    {
                        return Action::Start(free);
                    }
                    waiting = true;
                }
                // Its verdict is about to be recorded.
                NextStep::Finished => waiting = true,
            }
        }
        let open = lineage.open_attempts().count();
        let seed_known = lineage.is_admitted(VariantId::SEED);
        let barred = self.barrier && (waiting || open > 0);
        if !seed_known || barred || open >= self.width as usize {
            return Action::Wait;
        }
        match self.expand(lineage) {
            Action::Stop(_) if waiting || open > 0 => Action::Wait,
            action => action,
        }
    }

    fn verdict(&self, lineage: &Lineage, variant: VariantId) -> Option<Verdict> {
        match self.stages.next(lineage, variant) {
            NextStep::Missing(_) => None,
            NextStep::Finished => Some(admit(lineage, &self.stages, self.admission, variant)),
        }
    }

    /// With a barrier, children of a round are compared in order of number, so that which of
    /// two equal ones is the new one does not depend on timing.
    fn is_due(&self, lineage: &Lineage, attempt: VariantId) -> bool {
        let Some(own) = lineage.attempt(attempt) else {
            return false;
        };
        !self.barrier
            || lineage.open_attempts().all(|other| {
                other.decision.group != own.decision.group || other.decision.attempt >= attempt
            })
    }

    fn guiding_tasks(&self) -> Vec<Vec<TaskId>> {
        let stages = self.stages.stages.iter();
        stages.map(|stage| stage.tasks.clone()).collect()
    }

    fn remaining(&self, lineage: &Lineage) -> Remaining {
        let position = self.position(lineage);
        let plan = Rounds {
            rounds: self.rounds,
            // Of a round that has begun, the rest; else nothing yet.
            begun: match position.in_round {
                0 => position.round - 1,
                _ => position.round,
            },
            undecided: match position.in_round {
                0 => 0,
                decided => self.attempts.saturating_sub(decided),
            },
            attempts: self.attempts,
        };
        remaining(lineage, plan, &self.stages)
    }
}
