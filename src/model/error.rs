//! Why a model gave no reply.

use super::error_object;
use serde_json::Value;
use std::time::Duration;

/// Why a model gave no reply. Whose doing it is decides what is done about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The request's fault: sent again it would be refused again.
    #[error("the model refused the request: {}", error_object::message(error))]
    Refused {
        /// HTTP status that says so, 400 to 499.
        status: u16,
        /// The error object in OpenAI's dialect: `message`, `type`, `code`, ….
        error: Value,
    },
    /// The provider asks for fewer calls.
    #[error("{what}")]
    Busy {
        /// What it said, for a reader.
        what: String,
        /// Whether it may have charged for what it had begun; mostly it has done nothing.
        may_be_charged: bool,
        /// How long it asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// The provider's fault.
    #[error("{what}")]
    Failed {
        /// What happened, for a reader.
        what: String,
        /// Whether another try may succeed.
        retryable: bool,
        /// Whether the provider may have done, and charged for, the work all the same.
        may_be_charged: bool,
        /// How long the provider asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// The fault of the settings, the key or the account: no call can succeed until somebody
    /// corrects them. Nothing was charged.
    #[error("{what}")]
    Unusable {
        /// What is wrong, and what to do about it.
        what: String,
    },
}

impl ModelError {
    /// Returns whether the request was longer than the model's context.
    pub fn is_context_overflow(&self) -> bool {
        match self {
            Self::Refused { error, .. } => error_object::is_context_overflow(error),
            Self::Busy { .. } | Self::Failed { .. } | Self::Unusable { .. } => false,
        }
    }
}
