//! What is heard of a try, and what is advised after it.

use std::time::Duration;

/// What was heard of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The provider answered, be it that it refused this request.
    Answer,
    /// It asks for fewer calls.
    SlowDown {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// What it said.
        what: String,
    },
    /// It failed.
    Failure {
        /// How.
        what: String,
    },
    /// Key, account or settings are wrong.
    Barred {
        /// What it said.
        what: String,
    },
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Only this call is known to have failed: its own patience decides.
    Own,
    /// It is not this call alone: ask for another turn at once, which comes when it is time.
    Wait,
}
