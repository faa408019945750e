//! `POST /v1/chat/completions` and `POST /v1/messages`: requests that go to the model.

use super::events;
use super::gate::GatewayState;
use super::refusal::{Refusal, answer, failure};
use crate::model::Dialect;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Who can have written a message.
fn roles(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &[
            "system",
            "developer",
            "user",
            "assistant",
            "tool",
            "function",
        ],
        // Which models take the last one is their provider's to say.
        Dialect::Messages => &["user", "assistant", "system"],
    }
}

/// Answers a Chat Completions request. Dropped when the client goes away, which abandons
/// the call.
pub(super) async fn chat(State(gate): State<Arc<GatewayState>>, request: Request) -> Response {
    ask(&gate, request, Dialect::Chat).await
}

/// Answers a Messages request under the same rules.
pub(super) async fn messages(State(gate): State<Arc<GatewayState>>, request: Request) -> Response {
    ask(&gate, request, Dialect::Messages).await
}

async fn ask(gate: &GatewayState, request: Request, dialect: Dialect) -> Response {
    if !gate.metered.speaks(dialect) {
        // Known without its body. Asked all the same for the words, which the model has.
        let (head, body) = request.into_parts();
        gate.room.discard(&head.headers, body.into_data_stream());
        return whole(gate, &json!({}), dialect).await;
    }
    let (head, body) = request.into_parts();
    let (mut request, share) = match gate.room.read(&head.headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refusal.answer(dialect),
    };
    if dialect == Dialect::Messages {
        carry_headers(&head.headers, &mut request);
    }
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

async fn whole(gate: &GatewayState, request: &Value, dialect: Dialect) -> Response {
    let reply = match dialect {
        Dialect::Chat => gate.metered.complete(request).await,
        Dialect::Messages => gate.metered.messages(request).await,
    };
    match reply {
        Ok(reply) => answer(StatusCode::OK, &reply.body),
        Err(error) => failure(&error, dialect),
    }
}

/// Puts what a client of Messages says in headers into the fields that stand for them: which
/// version of the API it was written for, and which trial features it uses. Which of it the
/// provider gets to see is decided there.
fn carry_headers(headers: &HeaderMap, request: &mut Value) {
    let Some(fields) = request.as_object_mut() else {
        return;
    };
    let version = headers.get("anthropic-version");
    if let Some(version) = version.and_then(|version| version.to_str().ok()) {
        fields.insert("anthropic_version".to_owned(), json!(version));
    }
    let betas: Vec<&str> = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|betas| betas.to_str().ok())
        .flat_map(|betas| betas.split(','))
        .map(str::trim)
        .filter(|beta| !beta.is_empty())
        .collect();
    if !betas.is_empty() {
        fields.insert("anthropic_beta".to_owned(), json!(betas));
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
        let known = roles(dialect);
        if !known.contains(&role) {
            let role: String = role.chars().take(100).collect();
            let known: Vec<String> = known.iter().map(|role| format!("`{role}`")).collect();
            let known = known.join(", ");
            return Err(Refusal::bad(format!(
                "`messages[{index}]` has the unknown role `{role}`; known are {known}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{carry_headers, check};
    use crate::model::Dialect;
    use axum::http::{HeaderMap, HeaderValue};
    use serde_json::json;

    #[test]
    fn a_message_has_a_role_that_its_dialect_knows() {
        for (role, in_chat, in_messages) in [
            ("user", true, true),
            ("assistant", true, true),
            ("system", true, true),
            ("tool", true, false),
            ("developer", true, false),
            ("wizard", false, false),
            ("", false, false),
        ] {
            let request = json!({"messages": [{"role": role, "content": "hi"}]});
            for (dialect, is_known) in [(Dialect::Chat, in_chat), (Dialect::Messages, in_messages)]
            {
                let checked = check(&request, dialect);
                assert_eq!(checked.is_ok(), is_known, "{role} {dialect:?}");
                if let Err(refusal) = checked {
                    assert_eq!(refusal.status, 400);
                    assert!(refusal.message.contains(&format!("unknown role `{role}`")));
                }
            }
        }
    }

    #[test]
    fn what_clients_say_in_headers_goes_along() {
        let mut headers = HeaderMap::new();
        let mut carried = json!({"messages": []});
        carry_headers(&headers, &mut carried);
        assert_eq!(carried, json!({"messages": []}));
        for (name, value) in [
            ("anthropic-version", "2026-10-21"),
            ("anthropic-beta", "a-1, b-2,"),
            ("anthropic-beta", "c-3"),
            ("x-api-key", "none"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        carry_headers(&headers, &mut carried);
        assert_eq!(
            carried,
            json!({
                "messages": [], "anthropic_version": "2026-10-21",
                "anthropic_beta": ["a-1", "b-2", "c-3"],
            })
        );
    }
}
