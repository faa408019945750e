//! How a task fared in a check: with nothing done, and with its reference solution.

/// What one check of a task gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// The verifier's reward.
    Reward(f64),
    /// The verifier gave none.
    NoReward(String),
    /// It was not run, or could not be.
    NotRun(String),
}

impl Checked {
    /// Returns the reward.
    pub fn reward(&self) -> Option<f64> {
        match self {
            Self::Reward(reward) => Some(*reward),
            Self::NoReward(_) | Self::NotRun(_) => None,
        }
    }
}

/// How one task fared.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// The task.
    pub task: String,
    /// With nothing done.
    pub nothing_done: Checked,
    /// With the reference solution.
    pub reference: Checked,
    /// Whether the task can be used to measure anything.
    pub ok: bool,
    /// What is wrong, for a reader; empty where all is well.
    pub detail: String,
    /// The end of what the verifier printed where something is wrong.
    pub log: String,
    /// Wall time.
    pub seconds: f64,
}
