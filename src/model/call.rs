//! Why a call gave no reply, and how that is said to whoever made it.

use super::wire::Dialect;
use super::{Denied, ModelError, discreet};
use serde_json::{Value, json};

/// Why a call gave no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// It never left.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The model gave none.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl CallError {
    /// Returns the error as the host writes it down, as an object in OpenAI's dialect:
    /// `message`, `type`, `param`, `code`, and what else a provider said.
    pub fn to_object(&self) -> Value {
        let kind = match self {
            Self::Denied(Denied::Budget { .. }) => "budget_exceeded",
            Self::Denied(Denied::Stopping) => "stopping",
            Self::Model(ModelError::Refused { error, .. }) => return error.clone(),
            Self::Model(ModelError::Busy { .. }) => "rate_limit_error",
            Self::Model(ModelError::Unusable { .. }) => "authentication_error",
            Self::Model(ModelError::Failed { .. }) => "server_error",
        };
        json!({"message": self.to_string(), "type": kind, "param": null, "code": null})
    }

    /// Returns the body of an answer that says the error in a dialect to an agent, which is
    /// told nothing of the host.
    pub fn to_body(&self, dialect: Dialect) -> Value {
        let mut told = match self {
            Self::Denied(_) => self.to_object(),
            Self::Model(error) => discreet::object(error),
        };
        match dialect {
            Dialect::Chat => json!({"error": told}),
            Dialect::Messages => {
                let kind = self.messages_type(&told["type"]);
                let error = json!({"type": kind, "message": told["message"].take()});
                json!({"type": "error", "error": error})
            }
        }
    }

    /// Returns the HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Denied(Denied::Budget { .. }) => 402,
            Self::Denied(Denied::Stopping) => 503,
            Self::Model(ModelError::Refused { status, .. }) => *status,
            Self::Model(ModelError::Busy { .. }) => 429,
            // Most of all a wrong key. Clients know that trying again does not help.
            Self::Model(ModelError::Unusable { .. }) => 401,
            Self::Model(ModelError::Failed { .. }) => 502,
        }
    }

    /// Returns the `type` of Anthropic's dialect: one of its own, whatever the provider spoke.
    fn messages_type<'a>(&self, told: &'a Value) -> &'a str {
        let told = told.as_str().unwrap_or_default();
        match self {
            Self::Model(ModelError::Refused { status, .. }) => match (status, told) {
                (_, told) if told.ends_with("_error") => told,
                (404, _) => "not_found_error",
                (413, _) => "request_too_large",
                _ => "invalid_request_error",
            },
            Self::Model(ModelError::Failed { .. }) => "api_error",
            Self::Model(_) | Self::Denied(_) => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CallError;
    use crate::model::wire::Dialect;
    use crate::model::{Denied, ModelError, Scope};
    use serde_json::json;

    #[test]
    fn says_it_in_both_dialects() {
        let what = "no more".to_owned();
        let error = CallError::Denied(Denied::Budget {
            scope: Scope::Job,
            what,
        });
        assert_eq!(error.status(), 402);
        assert_eq!(
            error.to_body(Dialect::Messages),
            json!({"type": "error", "error": {"type": "budget_exceeded", "message": "no more"}})
        );
        assert_eq!(
            error.to_body(Dialect::Chat)["error"]["type"],
            "budget_exceeded"
        );
        let what = "gone".to_owned();
        let error = CallError::Model(ModelError::Unusable { what });
        assert_eq!(error.status(), 401);
        assert_eq!(
            error.to_body(Dialect::Messages)["error"],
            json!({
                "type": "authentication_error",
                "message": "the model cannot be asked; the run's log says why",
            })
        );
        assert_eq!(error.to_object()["message"], "gone");
        assert_eq!(
            error.to_body(Dialect::Chat)["error"]["type"],
            "authentication_error"
        );
        for (status, said, expected) in [
            (404, json!("model_not_found"), "not_found_error"),
            (400, json!(null), "invalid_request_error"),
            (403, json!("permission_error"), "permission_error"),
            (413, json!(7), "request_too_large"),
        ] {
            let error = json!({"type": said, "message": "no"});
            let error = CallError::Model(ModelError::Refused { status, error });
            assert_eq!(error.status(), status);
            let body = error.to_body(Dialect::Messages);
            assert_eq!(
                body["error"],
                json!({"type": expected, "message": "no"}),
                "{status}"
            );
        }
    }
}
