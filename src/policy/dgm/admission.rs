//! Who enters the pool of parents.

use super::stages::Stages;
use crate::domain::{VariantId, Verdict};
use crate::lineage::Lineage;
use crate::policy::settings::UnknownName;

/// An admission rule (arXiv 2505.22954; names of the published code).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Admission {
    /// Every working child.
    KeepAll,
    /// Every working child whose score is at least the seed's less this noise.
    KeepBetter {
        /// Tolerated loss.
        noise: f64,
    },
}

impl Admission {
    /// Returns the rule of that name, with the loss that it tolerates.
    pub(super) fn named(name: &str, noise: f64) -> Result<Self, UnknownName> {
        match name {
            "keep_all" => Ok(Self::KeepAll),
            "keep_better" => Ok(Self::KeepBetter { noise }),
            other => Err(UnknownName {
                key: "policy.admission",
                value: other.to_owned(),
                known: vec!["keep_all", "keep_better"],
            }),
        }
    }
}

/// Judges a variant whose evaluation is finished. Working is who was measured on the whole
/// first stage and changed something at least once. The seed is always admitted: without a
/// parent there is no run.
pub(super) fn admit(
    lineage: &Lineage,
    stages: &Stages,
    admission: Admission,
    variant: VariantId,
) -> Verdict {
    if variant == VariantId::SEED {
        return Verdict::Admitted;
    }
    let unmeasured = stages.unmeasured(lineage, variant);
    if unmeasured > 0 {
        return Verdict::Rejected(format!(
            "{unmeasured} evaluations of the first stage gave no measurement"
        ));
    }
    if !stages.changed_something(lineage, variant) {
        return Verdict::Rejected("it changed nothing on any task".to_owned());
    }
    match admission {
        Admission::KeepAll => Verdict::Admitted,
        Admission::KeepBetter { noise } => {
            let own = lineage.score(variant).mean();
            let floor = lineage.score(VariantId::SEED).mean() - noise;
            if own + 1e-9 >= floor {
                Verdict::Admitted
            } else {
                Verdict::Rejected(format!(
                    "its score {own:.3} is below the seed's less the noise, {floor:.3}"
                ))
            }
        }
    }
}
