//! Who interrupted an agent: one table for evaluations of every kind of task, for gates and for
//! self-modification.

use crate::model::{CallsEnd, Metered};
use crate::sandbox::Exit;
use std::time::Duration;

/// An agent that ran out of time had too little if it waited for more than one in so many
/// seconds of it.
const WAITED_SHARE: u32 = 10;

/// Why an agent did not end by itself, and whose doing that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The run's budget ran out: what the agent did without it says nothing about it.
    RunBudget,
    /// The model's provider failed, or kept it waiting until its time was over: nobody's doing.
    Provider(String),
    /// The allowance of its job ran out: its own doing.
    Allowance(String),
    /// Its time was over: its own doing.
    Time,
    /// It ran out of memory: its own doing.
    Memory,
    /// It wrote more than it may: its own doing.
    Disk,
    /// It ended with this code, which is not 0: its own doing.
    Crash(i32),
}

impl Interruption {
    /// Decides about an agent that ended so within its time; none: it ended well by itself.
    /// The first row that holds decides: what was nobody's doing comes before what was the
    /// agent's, and a call that was not let go before what came of that.
    pub fn of(exit: Exit, metered: &Metered, deadline: Duration) -> Option<Self> {
        Self::decide(exit, metered.calls_end(), metered.waited(), deadline)
    }

    fn decide(
        exit: Exit,
        calls: Option<CallsEnd>,
        waited: Duration,
        deadline: Duration,
    ) -> Option<Self> {
        let starved = exit == Exit::TimedOut && waited * WAITED_SHARE >= deadline;
        match (calls, exit) {
            (Some(CallsEnd::RunBudget), _) => Some(Self::RunBudget),
            (Some(CallsEnd::Provider(what)), _) => Some(Self::Provider(what)),
            _ if starved => Some(Self::Provider(format!(
                "the agent's calls waited for the model's provider for {} s of its {} s",
                waited.as_secs(),
                deadline.as_secs()
            ))),
            (Some(CallsEnd::Allowance(what)), _) => Some(Self::Allowance(what)),
            (None, Exit::TimedOut) => Some(Self::Time),
            (None, Exit::OutOfMemory) => Some(Self::Memory),
            (None, Exit::OutOfDisk) => Some(Self::Disk),
            (None, Exit::Code(0)) => None,
            (None, Exit::Code(code)) => Some(Self::Crash(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CallsEnd, Exit, Interruption};
    use std::time::Duration;

    #[test]
    fn the_first_row_that_holds_decides() {
        let provider = || Some(CallsEnd::Provider("503".to_owned()));
        let allowance = || Some(CallsEnd::Allowance("2 calls".to_owned()));
        let run = || Some(CallsEnd::RunBudget);
        let failed = || Some(Interruption::Provider("503".to_owned()));
        let out = || Some(Interruption::Allowance("2 calls".to_owned()));
        let starved = Interruption::Provider(
            "the agent's calls waited for the model's provider for 6 s of its 60 s".to_owned(),
        );
        for (exit, calls, waited, expected) in [
            (Exit::Code(0), None, 59, None),
            (Exit::Code(3), None, 59, Some(Interruption::Crash(3))),
            (Exit::TimedOut, None, 5, Some(Interruption::Time)),
            (Exit::TimedOut, None, 6, Some(starved.clone())),
            (Exit::OutOfMemory, None, 59, Some(Interruption::Memory)),
            (Exit::OutOfDisk, None, 59, Some(Interruption::Disk)),
            (Exit::Code(0), run(), 0, Some(Interruption::RunBudget)),
            (Exit::TimedOut, run(), 59, Some(Interruption::RunBudget)),
            (Exit::Code(0), provider(), 0, failed()),
            (Exit::Code(1), provider(), 0, failed()),
            (Exit::TimedOut, provider(), 59, failed()),
            (Exit::OutOfMemory, provider(), 0, failed()),
            (Exit::Code(0), allowance(), 0, out()),
            (Exit::Code(1), allowance(), 0, out()),
            (Exit::TimedOut, allowance(), 5, out()),
            (Exit::TimedOut, allowance(), 6, Some(starved)),
            (Exit::OutOfMemory, allowance(), 0, out()),
        ] {
            let (waited, time) = (Duration::from_secs(waited), Duration::from_secs(60));
            let decided = Interruption::decide(exit, calls.clone(), waited, time);
            assert_eq!(decided, expected, "{exit:?} {calls:?} {waited:?}");
        }
    }
}
