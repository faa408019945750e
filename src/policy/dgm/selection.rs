//! Which parent: the selection methods of the Darwin Gödel Machine.

use crate::domain::VariantId;
use crate::lineage::Lineage;
use crate::policy::settings::UnknownName;

/// A selection method (arXiv 2505.22954, section 3 and appendix; names of the published code).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// σ(10·(s − 0.5)) · 1/(1 + n): score, and few children.
    ScoreChildProp,
    /// σ(10·(s − 0.5)): score alone.
    ScoreProp,
    /// Uniform.
    Random,
    /// The highest scores, each once, before any is drawn again.
    Best,
}

impl Selection {
    /// All methods.
    const ALL: [Self; 4] = [
        Self::ScoreChildProp,
        Self::ScoreProp,
        Self::Random,
        Self::Best,
    ];

    /// Returns the name used in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ScoreChildProp => "score_child_prop",
            Self::ScoreProp => "score_prop",
            Self::Random => "random",
            Self::Best => "best",
        }
    }

    /// Returns the method of that name.
    pub(super) fn named(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|selection| selection.name() == name)
            .ok_or_else(|| UnknownName {
                key: "policy.selection",
                value: name.to_owned(),
                known: Self::ALL.map(Self::name).to_vec(),
            })
    }
}

/// Returns the probability of each eligible parent, in order of number, for the `slot`-th
/// draw (from 0) of a round of `slots` draws. Eligible is who is admitted.
pub(super) fn probabilities(
    lineage: &Lineage,
    selection: Selection,
    slot: usize,
    slots: usize,
) -> Vec<(VariantId, f64)> {
    let pool: Vec<VariantId> = lineage
        .variants()
        .map(|variant| variant.id)
        .filter(|id| lineage.is_admitted(*id))
        .collect();
    let weight = |id: VariantId| match selection {
        Selection::ScoreChildProp => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a variant has fewer than 2^53 children"
            )]
            let children = lineage.admitted_children(id) as f64;
            sigmoid(lineage.score(id).mean()) / (1.0 + children)
        }
        Selection::ScoreProp => sigmoid(lineage.score(id).mean()),
        Selection::Random | Selection::Best => 1.0,
    };
    let weights: Vec<f64> = if selection == Selection::Best {
        best_weights(lineage, &pool, slot, slots)
    } else {
        pool.iter().map(|id| weight(*id)).collect()
    };
    let total: f64 = weights.iter().sum();
    pool.into_iter()
        .zip(weights)
        .map(|(id, weight)| (id, if total > 0.0 { weight / total } else { 0.0 }))
        .collect()
}

/// `best`: draw `slot` takes the slot-th highest score; where the pool is smaller than the
/// round, the rest is drawn among the whole pool.
fn best_weights(lineage: &Lineage, pool: &[VariantId], slot: usize, slots: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.sort_by(|a, b| {
        lineage
            .score(pool[*b])
            .mean()
            .total_cmp(&lineage.score(pool[*a]).mean())
            .then(a.cmp(b))
    });
    order.truncate(slots);
    match order.get(slot) {
        Some(chosen) => (0..pool.len())
            .map(|i| f64::from(u8::from(i == *chosen)))
            .collect(),
        None => (0..pool.len())
            .map(|i| f64::from(u8::from(order.contains(&i))))
            .collect(),
    }
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-10.0 * (score - 0.5)).exp())
}
