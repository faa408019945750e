//! Whether an execution that ended is the job's result, or is done again.
//!
//! Invariant: at most one result per job; an execution that does not count is a fault, which
//! is kept as well.

use crate::domain::{Cause, Fact, Fault, JobId, Judgement, Outcome, Redo};
use crate::evolve::record::Recorder;
use crate::sys::clock::now_ms;
use std::time::Duration;

/// What to do with an execution that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// It is the result.
    Final,
    /// Record the fault and try again after a while.
    Again(Duration),
    /// Leave it out: it was stopped by us and is planned again when the run goes on.
    Drop,
}

/// Decides about an execution that ended so, after `earlier` executions of the same job that
/// did not count with the same outcome.
fn retry(outcome: Outcome, earlier: usize, infra_retries: u32) -> RetryDecision {
    let earlier = u32::try_from(earlier).unwrap_or(u32::MAX);
    match outcome.redo() {
        Redo::Never => RetryDecision::Final,
        Redo::Always => RetryDecision::Drop,
        Redo::Once if earlier == 0 => RetryDecision::Again(Duration::ZERO),
        Redo::Bounded if earlier < infra_retries => RetryDecision::Again(backoff(earlier)),
        // Reported as what it is; it never counts in a score.
        Redo::Once | Redo::Bounded => RetryDecision::Final,
    }
}

/// Returns the pause after an execution that the provider's trouble ended. It is short: what
/// keeps the provider from being overrun is the pace of its calls.
fn excused_pause(earlier: usize) -> Duration {
    Duration::from_secs(1 << earlier.min(3))
}

/// One second, doubled with each try, at most a minute.
fn backoff(earlier: u32) -> Duration {
    Duration::from_secs(1 << earlier.min(6)).min(Duration::from_secs(60))
}

impl Recorder {
    /// Decides about an execution that ended so. One whose provider was in trouble is done
    /// again, as often as it takes, and does not count among those that failed.
    pub(super) fn retry(
        &mut self,
        job: &JobId,
        outcome: Outcome,
        is_excused: bool,
    ) -> RetryDecision {
        let excused = self.excused.get(job).copied().unwrap_or(0);
        if is_excused && outcome == Outcome::InfraError {
            self.excused.insert(job.clone(), excused + 1);
            return RetryDecision::Again(excused_pause(excused));
        }
        let earlier = self.earlier(job, outcome);
        let counted = if outcome == Outcome::InfraError {
            earlier.saturating_sub(excused)
        } else {
            earlier
        };
        retry(outcome, counted, self.infra_retries)
    }

    /// Returns how often the job ended so before without counting. A failure of the
    /// infrastructure is forgotten with the process: whoever starts again has mended it. A
    /// verifier without a reward is the task's doing and is not.
    fn earlier(&self, job: &JobId, outcome: Outcome) -> usize {
        let faults = self.lineage.faults_of(job, outcome);
        if outcome == Outcome::InfraError {
            faults.filter(|fault| fault.run == self.run).count()
        } else {
            faults.count()
        }
    }

    /// Records that an execution did not count.
    pub(super) fn fault(
        &mut self,
        job: JobId,
        how: &Judgement,
        execution: u32,
    ) -> anyhow::Result<()> {
        // A plain measurement is no fault; without a cause it could only be ours.
        let cause = how.cause.unwrap_or(Cause::SandboxFailed);
        self.record(vec![Fact::Faulted(Fault {
            subject: job,
            outcome: how.outcome,
            cause,
            detail: how.detail.clone(),
            run: self.run,
            execution,
            at_ms: now_ms(),
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::{RetryDecision, retry};
    use crate::domain::Outcome;
    use std::time::Duration;

    #[test]
    fn measurements_are_final_and_faults_are_redone_a_bounded_number_of_times() {
        assert_eq!(retry(Outcome::Unresolved, 0, 3), RetryDecision::Final);
        assert_eq!(retry(Outcome::Timeout, 5, 3), RetryDecision::Final);
        assert_eq!(retry(Outcome::Cancelled, 9, 3), RetryDecision::Drop);
        let again = |seconds| RetryDecision::Again(Duration::from_secs(seconds));
        assert_eq!(retry(Outcome::VerifierError, 0, 3), again(0));
        assert_eq!(retry(Outcome::VerifierError, 1, 3), RetryDecision::Final);
        let tries: Vec<_> = (0..5).map(|n| retry(Outcome::InfraError, n, 3)).collect();
        assert_eq!(
            tries,
            [
                again(1),
                again(2),
                again(4),
                RetryDecision::Final,
                RetryDecision::Final
            ]
        );
        assert_eq!(retry(Outcome::InfraError, 40, 100), again(60));
    }
}
