//! What the diagnosing model answered.

/// A proposal, with the field names of the published prompt's JSON answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What the evidence shows.
    pub log_summarization: String,
    /// What could be improved.
    pub potential_improvements: Vec<String>,
    /// The one improvement chosen.
    pub improvement_proposal: String,
    /// How to implement it.
    pub implementation_suggestion: String,
    /// The change as a problem statement for the agent.
    pub problem_description: String,
}

impl Proposal {
    /// Returns the first line of the problem description, cut to a title's length.
    pub fn title(&self) -> String {
        let line = self
            .problem_description
            .lines()
            .map(|line| line.trim_start_matches('#').trim())
            .find(|line| !line.is_empty())
            .unwrap_or("untitled proposal");
        line.chars().take(100).collect()
    }
}
