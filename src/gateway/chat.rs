//! `POST /v1/chat/completions`.

use super::protocol::{BODY_LIMIT, answer, error};
use super::stream;
use crate::model::{CallError, Denied, Metered, ModelError};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers one request. Dropped when the client goes away, which abandons the call.
pub(super) async fn completions(
    State(metered): State<Arc<Metered>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match body.map_err(unread).and_then(|body| read(&body)) {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let is_stream = request["stream"] == true;
    let with_usage = request["stream_options"]["include_usage"] == true;
    match metered.complete(&request).await {
        Ok(reply) if is_stream => stream::answer(&reply.body, with_usage),
        Ok(reply) => answer(StatusCode::OK, &reply.body),
        Err(error) => refuse(&error),
    }
}

/// Reads a body as a request with messages.
fn read(body: &[u8]) -> Result<Value, Response> {
    let refuse = |message: &str| error(StatusCode::BAD_REQUEST, "invalid_request_error", message);
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| refuse(&format!("the body is no JSON: {error}")))?;
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .ok_or_else(|| refuse("the body has no list `messages`"))?;
    if messages.is_empty() {
        return Err(refuse("`messages` is empty"));
    }
    let odd = messages
        .iter()
        .position(|message| !message["role"].is_string());
    match odd {
        Some(index) => Err(refuse(&format!("`messages[{index}]` has no `role`"))),
        None => Ok(request),
    }
}

fn unread(rejection: BytesRejection) -> Response {
    let status = rejection.into_response().status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body is larger than {} MiB", BODY_LIMIT >> 20);
        return error(status, "invalid_request_error", &message);
    }
    error(
        StatusCode::BAD_REQUEST,
        "invalid_request_error",
        "the body could not be read",
    )
}

fn refuse(error: &CallError) -> Response {
    let status = match error {
        CallError::Denied(Denied::Budget { .. }) => StatusCode::PAYMENT_REQUIRED,
        CallError::Denied(Denied::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Model(ModelError::Refused { status, .. }) => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
        }
        CallError::Model(ModelError::Failed { .. }) => StatusCode::BAD_GATEWAY,
    };
    answer(status, &json!({"error": error.to_object()}))
}
