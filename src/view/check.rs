//! One thing that was looked at, and how it is.

use super::style::Ink;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// In order.
    Ok,
    /// Works, but something is worth doing.
    Warn,
    /// Not there, or broken.
    Missing,
}

impl CheckState {
    /// Returns the name used in JSON and terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Missing => "missing",
        }
    }

    pub(super) fn ink(self) -> Ink {
        match self {
            Self::Ok => Ink::Good,
            Self::Warn => Ink::Warn,
            Self::Missing => Ink::Bad,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Check {
    /// Returns a finding that needs nothing done.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: CheckState::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// Returns a finding that works, but could be better.
    pub fn warn(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            state: CheckState::Warn,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// Returns a finding that something is not there.
    pub fn missing(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            state: CheckState::Missing,
            ..Self::warn(name, found, advice)
        }
    }
}
