//! Whose calls they are.

use crate::domain::{JobId, Role};

/// Whose calls these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobSubject {
    /// What they are for.
    pub subject: JobId,
    /// Execution of the job within this process.
    pub execution: u32,
    /// Role of the model.
    pub role: Role,
}
