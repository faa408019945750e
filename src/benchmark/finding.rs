//! What a lint finds in a task.

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: &'static str,
    /// File, and line where there is one.
    pub place: String,
    /// What is wrong with it, in one sentence.
    pub what: String,
}
