//! `POST /v1/chat/completions`.

use super::protocol::{BODY_LIMIT, answer, error};
use super::stream;
use crate::model::{CallError, Dialect, Metered};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use std::sync::Arc;

/// Answers one request. Dropped when the client goes away, which abandons the call.
pub(super) async fn completions(State(metered): State<Arc<Metered>>, request: Request) -> Response {
    let request = match receive(request).await {
        Ok(request) => request,
        Err((status, message)) => return error(status, "invalid_request_error", &message),
    };
    let is_stream = request["stream"] == true;
    let with_usage = request["stream_options"]["include_usage"] == true;
    match metered.complete(&request).await {
        Ok(reply) if is_stream => stream::answer(&reply.body, with_usage),
        Ok(reply) => answer(StatusCode::OK, &reply.body),
        Err(error) => refuse(&error),
    }
}

async fn receive(request: Request) -> Result<Value, (StatusCode, String)> {
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
        // Known before the first byte of it has come.
        return Err(too_large());
    }
    let body = Bytes::from_request(request, &()).await.map_err(unread)?;
    read(&body)
}

/// Reads a body as a request with messages.
fn read(body: &[u8]) -> Result<Value, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the body is no JSON: {error}")))?;
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("the body has no list `messages`".to_owned()))?;
    if messages.is_empty() {
        return Err(bad("`messages` is empty".to_owned()));
    }
    let odd = messages
        .iter()
        .position(|message| !message["role"].is_string());
    match odd {
        Some(index) => Err(bad(format!("`messages[{index}]` has no `role`"))),
        None => Ok(request),
    }
}

fn unread(rejection: BytesRejection) -> (StatusCode, String) {
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    let message = "the body could not be read".to_owned();
    (StatusCode::BAD_REQUEST, message)
}

fn too_large() -> (StatusCode, String) {
    let message = format!("the body is larger than {} MiB", BODY_LIMIT >> 20);
    (StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn refuse(error: &CallError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    answer(status, &error.to_body(Dialect::Chat))
}
