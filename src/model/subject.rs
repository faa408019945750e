//! Whose calls they are.

use crate::domain::{CallSubject, Role};

/// Whose calls these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobSubject {
    /// What they are for.
    pub subject: CallSubject,
    /// Execution of the job within this process.
    pub execution: u32,
    /// Role of the model.
    pub role: Role,
}
