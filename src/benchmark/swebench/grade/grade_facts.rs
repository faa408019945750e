//! What decides a grade: which tests count, and who reads the log.

use super::parser::Parser;

/// What decides whether a status is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalType {
    /// A test must have passed.
    PassAndFail,
    /// A test must not have failed: its runner prints failures only.
    FailOnly,
}

impl EvalType {
    /// Returns the type that a row names so.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "pass_and_fail" => Some(Self::PassAndFail),
            "fail_only" => Some(Self::FailOnly),
            _ => None,
        }
    }

    /// Returns its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::PassAndFail => "pass_and_fail",
            Self::FailOnly => "fail_only",
        }
    }
}

/// What a grader knows of an instance.
#[derive(Clone, Debug)]
pub struct GradeFacts {
    /// Its id.
    pub instance_id: String,
    /// Version of its repository.
    pub version: String,
    /// What reads its log.
    pub parser: Parser,
    /// What counts as success.
    pub eval_type: EvalType,
    /// Tests that a solution makes pass.
    pub fail_to_pass: Vec<String>,
    /// Tests that a solution must not break.
    pub pass_to_pass: Vec<String>,
}
