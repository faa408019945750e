//! What the rewards of several steps come to. A step that gives no reward under a key is below
//! every gate of that key, and counts as 0 in its mean.

use super::manifest::Strategy;
use crate::domain::Rewards;

/// Returns whether a step's rewards end the trial; a missing one is below every gate.
pub(crate) fn below_gate(rewards: &Rewards, gates: &[(String, f64)]) -> bool {
    gates.iter().any(|(key, least)| {
        let reward = rewards.get(key.as_str());
        reward.is_none_or(|reward| reward < least)
    })
}

/// Returns the task's rewards from those of the steps that ran.
pub(crate) fn total(given: &[Rewards], strategy: Strategy) -> Rewards {
    match (strategy, given) {
        (_, []) => Rewards::new(),
        (_, [only]) => only.clone(),
        (Strategy::Final, [.., last]) => last.clone(),
        (Strategy::Mean, several) => {
            let mut sums = Rewards::new();
            for (key, reward) in several.iter().flatten() {
                *sums.entry(key.clone()).or_insert(0.0) += reward;
            }
            #[expect(clippy::cast_precision_loss, reason = "steps are few")]
            let count = several.len() as f64;
            sums.into_iter()
                .map(|(key, sum)| (key, sum / count))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rewards, below_gate, total};
    use crate::benchmark::manifest::Strategy;

    fn rewards(pairs: &[(&str, f64)]) -> Rewards {
        let pair = |(key, reward): &(&str, f64)| ((*key).to_owned(), *reward);
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_total_follows_the_strategy() {
        let steps = [rewards(&[("reward", 1.0)]), rewards(&[("reward", 0.25)])];
        assert_eq!(total(&steps, Strategy::Mean), rewards(&[("reward", 0.625)]));
        assert_eq!(total(&steps, Strategy::Final), rewards(&[("reward", 0.25)]));
        assert_eq!(total(&steps[..1], Strategy::Final), steps[0]);
        // A key that a step does not give counts as 0 there.
        let steps = [
            rewards(&[("reward", 1.0), ("speed", 4.0)]),
            rewards(&[("reward", 0.0)]),
        ];
        assert_eq!(
            total(&steps, Strategy::Mean),
            rewards(&[("reward", 0.5), ("speed", 2.0)])
        );
        let odd = [rewards(&[("a", 1.0)]), rewards(&[("b", 1.0)])];
        assert_eq!(
            total(&odd, Strategy::Mean),
            rewards(&[("a", 0.5), ("b", 0.5)])
        );
        assert_eq!(total(&[], Strategy::Mean), Rewards::new());
    }

    #[test]
    fn a_gate_wants_every_key() {
        let gates = [("reward".to_owned(), 0.5), ("speed".to_owned(), 2.0)];
        assert!(!below_gate(
            &rewards(&[("reward", 0.5), ("speed", 2.0)]),
            &gates
        ));
        assert!(below_gate(&rewards(&[("reward", 0.5)]), &gates));
        assert!(below_gate(
            &rewards(&[("reward", 0.4), ("speed", 2.0)]),
            &gates
        ));
        assert!(!below_gate(&rewards(&[]), &[]));
    }
}
