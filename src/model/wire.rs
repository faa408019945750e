//! What goes to a provider and comes back: two dialects, whole answers and streams of
//! server-sent events. Nothing here interprets a body.

use super::ModelError;
use futures_util::stream::BoxStream;
use serde_json::Value;
use std::fmt;

/// What a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Chat Completions, as OpenAI defined it.
    Chat,
    /// Messages, as Anthropic defined it.
    Messages,
}

impl Dialect {
    /// Returns the name used in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
        }
    }

    /// Returns the dialect of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Chat, Self::Messages]
            .into_iter()
            .find(|dialect| dialect.name() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "Chat Completions",
            Self::Messages => "Messages",
        })
    }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The line `event:`, which Messages has and Chat Completions has not.
    pub name: Option<String>,
    /// The lines `data:`.
    pub data: String,
}

impl Event {
    /// Returns an event without a name.
    pub fn unnamed(data: impl Into<String>) -> Self {
        Self {
            name: None,
            data: data.into(),
        }
    }

    /// Returns an event with a name.
    pub fn named(name: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            data: data.into(),
        }
    }
}

/// What a provider answered.
pub(super) enum ProviderAnswer {
    /// One body.
    Whole(Value),
    /// Events as they come; nothing follows an error.
    Stream(BoxStream<'static, Result<Event, ModelError>>),
}

impl fmt::Debug for ProviderAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(body) => f.debug_tuple("Whole").field(body).finish(),
            Self::Stream(_) => f.write_str("Stream(…)"),
        }
    }
}
