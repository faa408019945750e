//! What every handler of a connection knows.

use super::body::BodyRoom;
use crate::model::{Dialect, Metered};
use axum::http::{HeaderMap, Uri};
use std::sync::Arc;

/// What one job's socket leads to.
#[derive(Debug)]
pub(super) struct GatewayState {
    pub(super) metered: Arc<Metered>,
    pub(super) room: BodyRoom,
}

/// Returns the dialect in which a request without a body is written.
pub(super) fn spoken(uri: &Uri, headers: &HeaderMap) -> Dialect {
    if uri.path().starts_with("/v1/messages") || headers.contains_key("anthropic-version") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
}
