//! What the gateway answers where there is no reply.

use crate::model::{CallError, Dialect};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What both official libraries obey. Whatever can be tried again was tried again before
/// an error is passed on; their own tries would only multiply the calls.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request was not passed on.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// Returns a JSON answer.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let json_type = HeaderValue::from_static("application/json");
    let mut answer = (status, body.to_string()).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, json_type);
    if !status.is_success() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    answer
}

/// Returns the answer to a call that has none.
pub(super) fn failure(error: &CallError, dialect: Dialect) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    answer(status, &error.to_body(dialect))
}

impl Refusal {
    /// Returns a refusal of something that is wrong in itself.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: message.into(),
        }
    }

    /// Returns a refusal of something that is not here.
    pub(super) fn missing(dialect: Dialect, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            kind: match dialect {
                Dialect::Chat => "invalid_request_error",
                Dialect::Messages => "not_found_error",
            },
            message: message.into(),
        }
    }

    /// Returns it as an answer.
    pub(super) fn answer(&self, dialect: Dialect) -> Response {
        let Self {
            status,
            kind,
            message,
        } = self;
        let body = match dialect {
            Dialect::Chat => json!({
                "error": {"message": message, "type": kind, "param": null, "code": null},
            }),
            Dialect::Messages => json!({
                "type": "error", "error": {"type": kind, "message": message},
            }),
        };
        answer(*status, &body)
    }
}
