//! What the engine tells about its work; it knows no terminal.

use crate::domain::{Entry, EvaluationKey, Failure, Outcome, Role, Tally, Usd, VariantId, Verdict};
use std::time::Duration;

/// Something a person may want to see while a run goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Leftovers of dead processes were removed.
    Reaped(usize),
    /// A policy decided on an attempt.
    Decided {
        /// The attempt.
        attempt: VariantId,
        /// Where the policy stands, in its own words.
        why: String,
        /// Its parent.
        parent: VariantId,
        /// What it learns from.
        entry: Entry,
    },
    /// The diagnosing model answered.
    Proposed {
        /// The attempt.
        attempt: VariantId,
        /// Title of the proposal.
        title: String,
    },
    /// An attempt came to a child that waits for others.
    Waits {
        /// The attempt.
        attempt: VariantId,
    },
    /// An attempt made no child.
    Failed {
        /// The attempt.
        attempt: VariantId,
        /// Why.
        failure: Failure,
        /// Details.
        detail: String,
    },
    /// A child exists.
    Made {
        /// The child.
        variant: VariantId,
        /// What is new in it.
        summary: String,
    },
    /// An evaluation is settled.
    Evaluated {
        /// Which.
        key: EvaluationKey,
        /// How it ended.
        outcome: Outcome,
        /// Whether it counts as 1.
        passed: bool,
    },
    /// An evaluation's answer was judged again.
    Regraded {
        /// Which.
        key: EvaluationKey,
        /// How it had ended at first, and whether that counted as 1.
        before: Option<(Outcome, bool)>,
        /// How it would end now.
        outcome: Outcome,
        /// Whether that counts as 1.
        passed: bool,
    },
    /// A model call is settled.
    Spent {
        /// Its cost.
        cost: Usd,
        /// Its tokens.
        tokens: u64,
    },
    /// Admission decided.
    Judged {
        /// The variant.
        variant: VariantId,
        /// The decision.
        verdict: Verdict,
        /// Its score.
        score: Tally,
    },
    /// A job is tried again later.
    Retry {
        /// Which job.
        what: String,
        /// Why.
        why: String,
        /// When; none: when the provider, for which the run is paused, answers again.
        after: Option<Duration>,
    },
    /// Numbers of the moment.
    Status {
        /// Running jobs.
        running: usize,
        /// Ended evaluations of this process.
        evaluations: u64,
        /// Model calls of this process.
        calls: u64,
    },
    /// A provider answers nobody, or lets none in for a long time: nothing new is started, and
    /// calls wait.
    Paused {
        /// Role of the model.
        role: Role,
        /// What the last call failed with.
        what: String,
        /// Unix time in milliseconds of the first failure.
        since_ms: i64,
        /// When the next call may leave, in Unix time in milliseconds, where the provider said
        /// so.
        next_ms: Option<i64>,
        /// How long the run waits.
        limit: Duration,
    },
    /// The provider answers again.
    Resumed {
        /// How long the run was paused.
        after: Duration,
    },
    /// A provider asked for fewer calls, or no longer does.
    Slowed(Option<Slowdown>),
    /// Nothing new is started; running jobs may end within the grace period.
    Draining {
        /// Jobs that run.
        running: usize,
        /// The grace period.
        grace: Duration,
    },
}

/// A provider asked for fewer calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowdown {
    /// Role of the model.
    pub role: Role,
    /// What it said.
    pub what: String,
    /// When the next call may leave, in Unix time in milliseconds, where that is a while off
    /// and was not told yet.
    pub next_ms: Option<i64>,
}
