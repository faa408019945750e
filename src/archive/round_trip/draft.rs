//! What a fact is made from by chance, and the values in it.

use crate::archive::blob::digest;
use crate::domain::{BlobId, Cause, Judgement, NoReward, Outcome, Purpose, Rewards, VariantId};
use proptest::prelude::{Strategy, any};

/// What one fact is made from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: u8,
    pub(super) texts: [String; 5],
    pub(super) counts: [u64; 5],
    pub(super) small: [u32; 4],
    pub(super) time: i64,
    pub(super) real: f64,
    pub(super) flags: [bool; 5],
}

pub(super) fn draft() -> impl Strategy<Value = Draft> {
    let text = || "[\\x00-\\x7f]{0,6}.{0,6}";
    let count = || 0..=i64::MAX.unsigned_abs();
    let real = any::<f64>().prop_map(|real| if real.is_finite() { real + 0.0 } else { 0.5 });
    (
        0..17_u8,
        [text(), text(), text(), text(), text()],
        [count(), count(), count(), count(), count()],
        any::<[u32; 4]>(),
        any::<i64>(),
        real,
        any::<[bool; 5]>(),
    )
        .prop_map(|(kind, texts, counts, small, time, real, flags)| Draft {
            kind,
            texts,
            counts,
            small,
            time,
            real,
            flags,
        })
}

pub(super) fn purpose(draft: &Draft) -> Purpose {
    match (draft.flags[0], draft.flags[3]) {
        (true, _) => Purpose::Stage(draft.small[1]),
        (false, true) => Purpose::Holdout,
        (false, false) => Purpose::Extra,
    }
}

pub(super) fn candidates(draft: &Draft) -> Vec<(VariantId, f64)> {
    (0..draft.small[3] % 3)
        .map(|n| (VariantId(n), draft.real / f64::from(n + 1)))
        .collect()
}

pub(super) fn rewards(draft: &Draft) -> Rewards {
    let all = draft.texts.iter().map(|text| (text.clone(), draft.real));
    all.filter(|_| draft.flags[3]).collect()
}

pub(super) fn outcome(draft: &Draft) -> Outcome {
    Outcome::ALL[draft.small[3] as usize % Outcome::ALL.len()]
}

pub(super) fn judgement(draft: &Draft) -> Judgement {
    Judgement {
        passed: draft.flags[1],
        reward: draft.flags[2].then_some(draft.real),
        rewards: rewards(draft),
        cause: cause(draft, outcome(draft)),
        detail: draft.texts[1].clone(),
        task_digest: draft.texts[2].clone(),
        ..Judgement::of(outcome(draft))
    }
}

pub(super) fn cause(draft: &Draft, outcome: Outcome) -> Option<Cause> {
    let reason = NoReward::ALL[draft.small[0] as usize % NoReward::ALL.len()];
    match outcome {
        Outcome::VerifierError => Some(Cause::VerifierFailed(reason)),
        Outcome::InfraError if draft.flags[4] => Some(Cause::ModelProviderFailed),
        Outcome::Cancelled if draft.flags[4] => Some(Cause::RunExhaustedBudget),
        other => Cause::usual(other),
    }
}

pub(super) fn blob(draft: &Draft, which: u8) -> Option<BlobId> {
    draft.flags[usize::from(which)].then(|| digest(&[which]))
}
