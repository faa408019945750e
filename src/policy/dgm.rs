//! The Darwin Gödel Machine's loop (arXiv 2505.22954): rounds of self-modification with
//! open-ended selection, staged evaluation of each child, admission.

use super::{
    Action, Admission, Expansion, Next, Policy, Seen, Selection, Stages, choose_entry, generator,
    probabilities,
};
use crate::domain::VariantId;
use crate::lineage::Lineage;
use crate::stats::weighted_index;

/// Settings of [`Dgm`].
#[derive(Clone, Debug, PartialEq)]
pub struct DgmSettings {
    /// Seed of all draws.
    pub seed: u64,
    /// Rounds in all (DGM's generations), over all runs of the archive.
    pub rounds: u32,
    /// Attempts per round (DGM: 2).
    pub attempts: u32,
    /// Whether a round waits for the end of the one before it, as DGM's generations do.
    pub barrier: bool,
    /// Attempts that may be open at once without a barrier.
    pub width: u32,
    /// How parents are drawn.
    pub selection: Selection,
    /// Who becomes a parent.
    pub admission: Admission,
    /// How far variants are evaluated.
    pub stages: Stages,
}

/// The policy `dgm`.
#[derive(Clone, Debug)]
pub struct Dgm {
    settings: DgmSettings,
}

/// How many attempts are decided and where the current round stands.
struct Position {
    next: VariantId,
    round: u32,
    in_round: u32,
}

impl Dgm {
    /// Returns the policy with these settings.
    pub fn new(settings: DgmSettings) -> Self {
        Self { settings }
    }

    fn position(&self, lineage: &Lineage) -> Position {
        let last = lineage.attempts().next_back();
        let round = last.map_or(0, |attempt| attempt.decision.round);
        let in_round = lineage
            .attempts()
            .rev()
            .take_while(|attempt| attempt.decision.round == round)
            .count();
        let in_round = u32::try_from(in_round).unwrap_or(u32::MAX);
        let next = VariantId(last.map_or(1, |attempt| attempt.decision.attempt.0 + 1));
        if round == 0 || in_round >= self.settings.attempts {
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
        if position.round > self.settings.rounds {
            return Action::Stop(format!("all {} rounds are done", self.settings.rounds));
        }
        let slots = self.settings.attempts;
        let last = if self.settings.barrier {
            slots
        } else {
            position.in_round + 1
        };
        let mut expansions = Vec::new();
        for slot in position.in_round..last {
            let attempt = VariantId(position.next.0 + (slot - position.in_round));
            let mut rng = generator(self.settings.seed, attempt);
            let weights = probabilities(
                lineage,
                self.settings.selection,
                slot as usize,
                slots as usize,
            );
            let chances: Vec<f64> = weights.iter().map(|(_, weight)| *weight).collect();
            let Some(index) = weighted_index(&chances, &mut rng) else {
                return Action::Stop("no variant can be a parent".to_owned());
            };
            let parent = weights[index].0;
            let Some(entry) = choose_entry(lineage, parent, &mut rng) else {
                return Action::Stop(format!("{parent} has no evaluation to learn from"));
            };
            expansions.push(Expansion {
                attempt,
                round: position.round,
                parent,
                entry,
                weights,
            });
        }
        Action::Expand(expansions)
    }
}

impl Policy for Dgm {
    fn name(&self) -> String {
        format!("dgm/{}", self.settings.selection.name())
    }

    fn decide(&self, seen: &Seen<'_>) -> Action {
        let mut waiting = false;
        for variant in seen.lineage.evaluating() {
            match self.settings.stages.next(seen.lineage, variant) {
                Next::Missing(missing) => {
                    if let Some((key, purpose)) = missing
                        .into_iter()
                        .find(|(key, _)| !seen.busy.contains(key))
                    {
                        return Action::Evaluate(key, purpose);
                    }
                    waiting = true;
                }
                // Its verdict is about to be recorded.
                Next::Finished => waiting = true,
            }
        }
        let open = seen.lineage.open_attempts().count();
        let seed_known = seen.lineage.is_admitted(VariantId::SEED);
        let barred = self.settings.barrier && (waiting || open > 0);
        if !seed_known || barred || open >= self.settings.width as usize {
            return Action::Wait;
        }
        match self.expand(seen.lineage) {
            Action::Stop(_) if waiting || open > 0 => Action::Wait,
            action => action,
        }
    }

    fn stages(&self) -> Option<&Stages> {
        Some(&self.settings.stages)
    }

    fn orders_rounds(&self) -> bool {
        self.settings.barrier
    }

    fn admission(&self) -> Option<&Admission> {
        Some(&self.settings.admission)
    }
}
