//! Limits of attempts and jobs that are too small for a single call: pure.
//!
//! A call leaves only where the most that it can use fits. A limit below that of the smallest
//! call there can be lets none leave, ever, and a whole run would find that out anew with each
//! job: it is said before anything starts.

use super::{BudgetKey, Budgets};
use crate::domain::{Amount, Role, Usd};
use crate::model::{Allowance, Limit, ModelSettings, Scope};
use std::fmt;

/// A limit that no call of a role fits into, as long as it may use all that its model may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// The role.
    pub role: Role,
    /// Where the limit is set.
    pub key: String,
    /// The limit.
    pub limit: Limit,
    /// What is reserved for a call with an empty prompt.
    pub least: Limit,
}

impl TooSmall {
    /// Returns whether nobody but the host makes the role's calls: then none is smaller.
    pub fn is_final(&self) -> bool {
        self.role == Role::Diagnose
    }

    /// Returns what to do about it.
    pub fn advice(&self) -> String {
        let Self { role, least, .. } = self;
        format!(
            "{least} is the least that would do, and a prompt needs more: raise the limit, or \
             lower `models.{role}.max_output_tokens`"
        )
    }
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            key,
            limit,
            least,
        } = self;
        write!(
            f,
            "`{key}` is {limit}, and a call of the role `{role}` reserves {least} even with an \
             empty prompt"
        )?;
        if self.is_final() {
            f.write_str(": no attempt could begin")
        } else {
            f.write_str(
                ": agents are refused every call for which they want no fewer output tokens",
            )
        }
    }
}

/// Returns the limits of attempts and jobs that are too small for calls of this role.
pub fn too_small(role: Role, model: &ModelSettings, budgets: &Budgets) -> Vec<TooSmall> {
    let least = model.least_call();
    let scopes = [(budgets.attempt, Scope::Attempt), (budgets.job, Scope::Job)];
    let found = scopes.into_iter().flat_map(|(allowance, scope)| {
        below(role, allowance, least, move |limit| {
            BudgetKey::of(scope, limit).to_string()
        })
    });
    found.collect()
}

/// Returns the limits of one allowance that are too small for calls of this role; `key` says
/// where each is set.
pub fn too_small_for(
    role: Role,
    model: &ModelSettings,
    allowance: Allowance,
    key: impl Fn(Limit) -> String,
) -> Vec<TooSmall> {
    below(role, allowance, model.least_call(), key).collect()
}

fn below(
    role: Role,
    allowance: Allowance,
    least: Amount,
    key: impl Fn(Limit) -> String,
) -> impl Iterator<Item = TooSmall> {
    // Shown with four digits, which must not be fewer than are needed.
    let shown = Amount {
        cost: Usd((least.cost.0.saturating_add(99) / 100).saturating_mul(100)),
        ..least
    };
    allowance.all_exceeded(least).map(move |limit| TooSmall {
        role,
        key: key(limit),
        limit,
        least: limit.of(shown),
    })
}

#[cfg(test)]
mod tests {
    use super::too_small;
    use crate::domain::{Role, Usd};
    use crate::evolve::Budgets;
    use crate::model::{Allowance, ModelSettings, Price};

    fn model() -> ModelSettings {
        ModelSettings {
            // A dollar for a million input tokens, ten for as many of output.
            price: Some(Price::plain(Usd(1_000_000), Usd(10_000_000))),
            max_output_tokens: Some(1000),
            ..ModelSettings::new("openai", "m")
        }
    }

    #[test]
    fn what_no_call_fits_into_is_found_and_nothing_else() {
        let least = model().least_call();
        assert!((10_000..10_400).contains(&least.cost.0), "{least:?}");
        assert!((1000..1400).contains(&least.tokens), "{least:?}");
        let found = |budgets: &Budgets| -> Vec<String> {
            let found = too_small(Role::Diagnose, &model(), budgets);
            found.into_iter().map(|it| it.key).collect()
        };
        let exact = Allowance {
            calls: Some(1),
            tokens: Some(least.tokens),
            cost: Some(least.cost),
        };
        let enough = Budgets {
            attempt: exact,
            job: exact,
            // The archive's own ends a run by itself.
            run: Allowance {
                cost: Some(Usd(1)),
                ..Allowance::default()
            },
            ..Budgets::default()
        };
        assert_eq!(found(&enough), [""; 0]);
        assert_eq!(found(&Budgets::default()), [""; 0]);
        let little = Allowance {
            calls: Some(1),
            tokens: Some(least.tokens - 1),
            cost: Some(Usd(least.cost.0 - 1)),
        };
        let attempt = Budgets {
            attempt: little,
            ..enough
        };
        assert_eq!(
            found(&attempt),
            ["budget.tokens_per_attempt", "budget.usd_per_attempt"]
        );
        let job = Budgets {
            job: little,
            ..enough
        };
        assert_eq!(found(&job), ["budget.tokens_per_job", "budget.usd_per_job"]);
    }

    #[test]
    fn the_figure_that_is_said_is_enough() {
        let budgets = Budgets {
            job: Allowance {
                cost: Some(Usd(9000)),
                ..Allowance::default()
            },
            ..Budgets::default()
        };
        let least = model().least_call();
        for (role, end) in [
            (Role::Diagnose, "no attempt could begin"),
            (Role::Solve, "want no fewer output tokens"),
        ] {
            let found = too_small(role, &model(), &budgets);
            let [found] = found.as_slice() else {
                panic!("{found:?}")
            };
            let said = found.to_string();
            let start = format!("`budget.usd_per_job` is $0.0090, and a call of the role `{role}`");
            assert!(said.starts_with(&start) && said.ends_with(end), "{said}");
            let figure = found.least.to_string();
            assert!(said.contains(&figure), "{said}");
            let figure: f64 = figure.trim_start_matches('$').parse().unwrap();
            assert!(figure >= least.cost.dollars(), "{figure} {least:?}");
        }
    }
}
