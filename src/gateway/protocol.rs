//! Paths, dialects and errors: what the gateway says when it is not passing on an answer.

use super::body::BodyRoom;
use super::gate::{GatewayState, spoken};
use super::limits::Limits;
use super::refusal::Refusal;
use super::{calls, models};
use crate::model::{Dialect, Metered};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;

/// Returns everything the gateway answers.
pub(super) fn routes(metered: Arc<Metered>, limits: Limits) -> Router {
    let room = BodyRoom::new(limits);
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
        .with_state(Arc::new(GatewayState { metered, room }))
}

async fn count_tokens(
    State(gate): State<Arc<GatewayState>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    gate.room.discard(&headers, body.into_data_stream());
    let message = "tokens cannot be counted ahead here; the `usage` of every answer counts them";
    Refusal::missing(Dialect::Messages, message).answer(Dialect::Messages)
}

async fn not_found(
    State(gate): State<Arc<GatewayState>>,
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
    State(gate): State<Arc<GatewayState>>,
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
