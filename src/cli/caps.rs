//! Limits that no call fits into, said before anything starts.

use super::error::usage;
use super::ui::Ui;
use crate::config::Settings;
use crate::domain::{Remaining, Role};
use crate::evolve::{TooSmall, too_small, too_small_for};
use crate::model::{Allowance, Limit, ModelSettings};

/// What a run asks models for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Attempts are made, and variants evaluated.
    Attempts,
    /// Variants are evaluated.
    Evaluations,
}

impl Asked {
    /// Returns what a run asks for in which this is left.
    pub(super) fn of(remaining: &Remaining) -> Self {
        match remaining.attempts.most {
            0 => Self::Evaluations,
            _ => Self::Attempts,
        }
    }
}

/// Fails where the host's own calls can never be made; returns what is to be said of those of
/// agents, who may ask for less.
pub(super) fn check(settings: &Settings, asked: Asked) -> anyhow::Result<Vec<String>> {
    let mut said = Vec::new();
    for (role, model) in Role::ALL.iter().zip(&settings.models) {
        let mut budgets = settings.engine.budgets;
        if asked == Asked::Evaluations {
            if *role != Role::Solve {
                continue;
            }
            // Evaluations belong to no attempt.
            budgets.attempt = Allowance::default();
        }
        for found in too_small(*role, model, &budgets) {
            if found.is_final() {
                return usage(found.to_string(), found.advice());
            }
            said.push(line(&found));
        }
    }
    Ok(said)
}

/// Says which limits of calls by hand are too small for one.
pub(super) fn warn_by_hand(ui: Ui, role: Role, model: &ModelSettings, allowance: Allowance) {
    let key = |limit: Limit| format!("--allowance-{}", limit.name());
    for found in too_small_for(role, model, allowance, key) {
        ui.warn(&line(&found));
    }
}

fn line(found: &TooSmall) -> String {
    format!("{found}; {}", found.advice())
}
