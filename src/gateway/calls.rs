//! `POST /v1/chat/completions` and `POST /v1/messages`: requests that go to the model.

use super::events;
use super::protocol::{Gate, Refusal, answer, failure};
use crate::model::Dialect;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Who can have written a message in Chat Completions.
const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];

/// Answers a Chat Completions request. Dropped when the client goes away, which abandons
/// the call.
pub(super) async fn chat(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    ask(&gate, request, Dialect::Chat).await
}

/// Answers a Messages request under the same rules.
pub(super) async fn messages(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    ask(&gate, request, Dialect::Messages).await
}

async fn ask(gate: &Gate, request: Request, dialect: Dialect) -> Response {
    if !gate.metered.speaks(dialect) {
        // Known without its body. Asked all the same for the words, which the model has.
        return whole(gate, &json!({}), dialect).await;
    }
    let (head, body) = request.into_parts();
    let (request, share) = match gate.room.read(&head.headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refusal.answer(dialect),
    };
    if let Err(refusal) = check(&request, dialect) {
        return refusal.answer(dialect);
    }
    if request["stream"] != true {
        return whole(gate, &request, dialect).await;
    }
    let opened = match dialect {
        Dialect::Chat => gate.metered.stream(&request).await,
        Dialect::Messages => gate.metered.stream_messages(&request).await,
    };
    match opened {
        Ok(stream) => events::answer(stream, dialect, share),
        Err(error) => failure(&error, dialect),
    }
}

async fn whole(gate: &Gate, request: &Value, dialect: Dialect) -> Response {
    let reply = match dialect {
        Dialect::Chat => gate.metered.complete(request).await,
        Dialect::Messages => gate.metered.messages(request).await,
    };
    match reply {
        Ok(reply) => answer(StatusCode::OK, &reply.body),
        Err(error) => failure(&error, dialect),
    }
}

/// Refuses what no provider could answer, before anything is put on the books.
fn check(request: &Value, dialect: Dialect) -> Result<(), Refusal> {
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .ok_or_else(|| Refusal::bad("the body has no list `messages`"))?;
    if messages.is_empty() {
        return Err(Refusal::bad("`messages` is empty"));
    }
    for (index, message) in messages.iter().enumerate() {
        let Some(role) = message["role"].as_str() else {
            return Err(Refusal::bad(format!("`messages[{index}]` has no `role`")));
        };
        // What Messages knows beside these is its provider's to say.
        if dialect == Dialect::Chat && !ROLES.contains(&role) {
            let role: String = role.chars().take(100).collect();
            let known = ROLES.map(|role| format!("`{role}`")).join(", ");
            return Err(Refusal::bad(format!(
                "`messages[{index}]` has the unknown role `{role}`; known are {known}"
            )));
        }
    }
    Ok(())
}
