//! What the end of a job means: pure functions from an end to facts.

use crate::domain::{Outcome, Redo};
use std::time::Duration;

/// What to do with an execution that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// It is the result.
    Final,
    /// Record the fault and try again after a while.
    Again(Duration),
    /// Leave it out: it was stopped by us and is planned again when the run goes on.
    Drop,
}

/// Decides about an execution that ended so, after `earlier` executions of the same job that
/// did not count with the same outcome.
pub(super) fn settlement(outcome: Outcome, earlier: usize, infra_retries: u32) -> Settlement {
    let earlier = u32::try_from(earlier).unwrap_or(u32::MAX);
    match outcome.redo() {
        Redo::Never => Settlement::Final,
        Redo::Always => Settlement::Drop,
        Redo::Once if earlier == 0 => Settlement::Again(Duration::ZERO),
        Redo::Bounded if earlier < infra_retries => Settlement::Again(backoff(earlier)),
        // Reported as what it is; it never counts in a score.
        Redo::Once | Redo::Bounded => Settlement::Final,
    }
}

/// Returns the pause after an execution that the provider's trouble ended. It is short: what
/// keeps the provider from being overrun is the pace of its calls.
pub(super) fn excused_pause(earlier: usize) -> Duration {
    Duration::from_secs(1 << earlier.min(3))
}

/// One second, doubled with each try, at most a minute.
fn backoff(earlier: u32) -> Duration {
    Duration::from_secs(1 << earlier.min(6)).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::{Settlement, settlement};
    use crate::domain::Outcome;
    use std::time::Duration;

    #[test]
    fn measurements_are_final_and_faults_are_redone_a_bounded_number_of_times() {
        assert_eq!(settlement(Outcome::Unresolved, 0, 3), Settlement::Final);
        assert_eq!(settlement(Outcome::Timeout, 5, 3), Settlement::Final);
        assert_eq!(settlement(Outcome::Cancelled, 9, 3), Settlement::Drop);
        let again = |seconds| Settlement::Again(Duration::from_secs(seconds));
        assert_eq!(settlement(Outcome::VerifierError, 0, 3), again(0));
        assert_eq!(settlement(Outcome::VerifierError, 1, 3), Settlement::Final);
        let tries: Vec<_> = (0..5)
            .map(|n| settlement(Outcome::InfraError, n, 3))
            .collect();
        assert_eq!(
            tries,
            [
                again(1),
                again(2),
                again(4),
                Settlement::Final,
                Settlement::Final
            ]
        );
        assert_eq!(settlement(Outcome::InfraError, 40, 100), again(60));
    }
}
