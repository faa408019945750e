//! Paths, limits and errors: what the gateway says when it is not passing on an answer.

use super::chat;
use crate::model::Metered;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most bytes of a request.
pub(super) const BODY_LIMIT: usize = 32 << 20;

/// Returns everything the gateway answers.
pub(super) fn routes(metered: Arc<Metered>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/models", get(models))
        .route("/v1/messages", post(messages))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(metered)
}

/// Returns a JSON answer.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let json_type: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
    (status, json_type, body.to_string()).into_response()
}

/// Returns an error in OpenAI's dialect.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let error = json!({"message": message, "type": kind, "param": null, "code": null});
    answer(status, &json!({"error": error}))
}

async fn models(State(metered): State<Arc<Metered>>) -> Response {
    let model = json!({
        "id": metered.model().name(), "object": "model", "created": 0, "owned_by": "dgm",
    });
    answer(StatusCode::OK, &json!({"object": "list", "data": [model]}))
}

/// Says in Anthropic's dialect that nobody here speaks it.
async fn messages() -> Response {
    let message = "this role's model is not served by Anthropic: \
                   use `POST /v1/chat/completions`, which works with every provider";
    let error = json!({"type": "not_found_error", "message": message});
    answer(
        StatusCode::NOT_FOUND,
        &json!({"type": "error", "error": error}),
    )
}

async fn not_found(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!(
        "there is no `{method} {path}`; there are `POST /v1/chat/completions` and `GET /v1/models`"
    );
    error(StatusCode::NOT_FOUND, "invalid_request_error", &message)
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("`{}` does not take `{method}`", uri.path());
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request_error",
        &message,
    )
}
