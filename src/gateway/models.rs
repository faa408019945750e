//! `GET /v1/models`: the one model that the role has.

use super::gate::{GatewayState, spoken};
use super::refusal::{Refusal, answer};
use crate::model::Dialect;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lists it.
pub(super) async fn list(
    State(gate): State<Arc<GatewayState>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let name = gate.metered.model().name();
    let dialect = spoken(&uri, &headers);
    let model = describe(name, dialect);
    let list = match dialect {
        Dialect::Chat => json!({"object": "list", "data": [model]}),
        Dialect::Messages => {
            json!({"data": [model], "has_more": false, "first_id": name, "last_id": name})
        }
    };
    answer(StatusCode::OK, &list)
}

/// Describes it, under its own name only.
pub(super) async fn one(
    State(gate): State<Arc<GatewayState>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let name = gate.metered.model().name();
    let dialect = spoken(&uri, &headers);
    if id == name {
        return answer(StatusCode::OK, &describe(name, dialect));
    }
    let id: String = id.chars().take(200).collect();
    let message = format!("there is no model `{id}` here; the role's model is `{name}`");
    Refusal::missing(dialect, message).answer(dialect)
}

fn describe(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Chat => {
            json!({"id": name, "object": "model", "created": 0, "owned_by": "dgm"})
        }
        Dialect::Messages => json!({
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
        }),
    }
}
