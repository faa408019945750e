//! Paths, dialects and errors: what the gateway says when it is not passing on an answer.

use super::body::Room;
use super::limits::Limits;
use super::{calls, models};
use crate::model::{CallError, Dialect, Metered};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

/// What both official libraries obey. Whatever can be tried again was tried again before
/// an error is passed on; their own tries would only multiply the calls.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What one job's socket leads to.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) metered: Arc<Metered>,
    pub(super) room: Room,
}

/// Why a request was not passed on.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// Returns everything the gateway answers.
pub(super) fn routes(metered: Arc<Metered>, limits: Limits) -> Router {
    let room = Room::new(limits);
    Router::new()
        .route("/v1/chat/completions", post(calls::chat))
        .route("/v1/messages", post(calls::messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        // Bodies are counted in `body`, as they come.
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(Gate { metered, room }))
}

/// Returns the dialect in which a request without a body is written.
pub(super) fn spoken(uri: &Uri, headers: &HeaderMap) -> Dialect {
    if uri.path().starts_with("/v1/messages") || headers.contains_key("anthropic-version") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
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

async fn count_tokens(State(gate): State<Arc<Gate>>, headers: HeaderMap, body: Body) -> Response {
    gate.room.discard(&headers, body.into_data_stream());
    let message = "tokens cannot be counted ahead here; the `usage` of every answer counts them";
    Refusal::missing(Dialect::Messages, message).answer(Dialect::Messages)
}

async fn not_found(
    State(gate): State<Arc<Gate>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    gate.room.discard(&headers, body.into_data_stream());
    let path: String = uri.path().chars().take(200).collect();
    let message = format!(
        "there is no `{method} {path}`; there are `POST /v1/chat/completions`, \
         `POST /v1/messages` and `GET /v1/models`"
    );
    let dialect = spoken(&uri, &headers);
    Refusal::missing(dialect, message).answer(dialect)
}

async fn not_allowed(
    State(gate): State<Arc<Gate>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    gate.room.discard(&headers, body.into_data_stream());
    let path: String = uri.path().chars().take(200).collect();
    let refusal = Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        ..Refusal::bad(format!("`{path}` does not take `{method}`"))
    };
    refusal.answer(spoken(&uri, &headers))
}
