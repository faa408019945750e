//! What was sent to a provider and what came back, as it is kept: pure.
//!
//! A request is compared by its canonical JSON, in which keys are in order. It is stored
//! without the messages that the request before it has as well, because conversations grow
//! and would otherwise take room in the square of their length.
//!
//! Invariant: there is nothing here but bodies. Headers, and with them keys, never get here.

use super::wire::{Dialect, Event};
use super::{JobSubject, ModelError};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The digest of a piece of a request.
pub(super) type Piece = [u8; 32];

/// One request with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What it is written in.
    pub dialect: Dialect,
    /// Whether the answer was asked for as a stream.
    pub streamed: bool,
    rest: Vec<u8>,
    messages: Vec<Vec<u8>>,
    outline: Outline,
    /// Which try of its request it was, from 1.
    pub tried: u32,
    /// The answer as JSON, as far as it came; none: nothing came.
    pub answer: Option<Vec<u8>>,
}

/// What was said in one call of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Whose call it is.
    pub who: Arc<JobSubject>,
    /// What was said.
    pub exchange: Exchange,
}

/// What a request is known by: digests of its messages, and of everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub(super) rest: Piece,
    pub(super) messages: Vec<Piece>,
}

/// A request as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Messages that it shares with the request before it, and that are left out.
    pub kept: u64,
    /// The rest as JSON.
    pub bytes: Vec<u8>,
}

impl Exchange {
    /// Takes down a request.
    pub(super) fn new(dialect: Dialect, streamed: bool, body: &Value) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let messages: Vec<Vec<u8>> = messages.iter().map(canonical).collect();
        let rest = canonical(&without_messages(body));
        Self {
            dialect,
            streamed,
            outline: Outline {
                rest: piece(&rest),
                messages: messages.iter().map(|message| piece(message)).collect(),
            },
            rest,
            messages,
            tried: 1,
            answer: None,
        }
    }

    /// Returns what it is known by.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Returns the request as it is stored after another one of the same conversation.
    pub fn stored_after(&self, before: Option<&Outline>) -> Stored {
        // One that is nothing but messages would be taken for one whose rest is the same.
        let is_bare = self.rest == b"{}";
        let before = before.filter(|before| !is_bare || before.rest == self.outline.rest);
        let kept = before.map_or(0, |before| self.outline.common(before));
        let is_rest_known = kept > 0 && before.is_some_and(|it| it.rest == self.outline.rest);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(b"{\"messages\":[");
        for (index, message) in self.messages[kept..].iter().enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(message);
        }
        bytes.extend_from_slice(b"]");
        if !is_rest_known && !is_bare {
            // The rest is an object of its own: its braces are opened and closed here.
            bytes.push(b',');
            bytes.extend_from_slice(&self.rest[1..self.rest.len() - 1]);
        }
        bytes.push(b'}');
        Stored {
            kept: kept as u64,
            bytes,
        }
    }
}

impl Outline {
    /// Returns the digest of the whole request.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.rest);
        for message in &self.messages {
            hash.update(message);
        }
        let mut hex = String::with_capacity(64);
        for byte in hash.finalize() {
            let _infallible = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// Returns the number of messages.
    pub fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Returns whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns how many messages two requests begin with that are the same.
    pub(super) fn common(&self, other: &Self) -> usize {
        let pairs = self.messages.iter().zip(&other.messages);
        pairs.take_while(|(a, b)| a == b).count()
    }
}

/// Puts a stored request back together with the one before it.
pub(super) fn whole(stored: &[u8], before: Option<(Value, u64)>) -> Option<Value> {
    let mut body: Map<String, Value> = serde_json::from_slice(stored).ok()?;
    let Some((before, kept)) = before else {
        return Some(Value::Object(body));
    };
    let Value::Object(mut before) = before else {
        return None;
    };
    let Some(Value::Array(mut messages)) = before.shift_remove("messages") else {
        return None;
    };
    messages.truncate(usize::try_from(kept).ok()?);
    if let Some(Value::Array(more)) = body.shift_remove("messages") {
        messages.extend(more);
    }
    // Nothing else is stored where nothing else has changed.
    let mut whole = if body.is_empty() { before } else { body };
    whole.insert("messages".to_owned(), Value::Array(messages));
    Some(Value::Object(whole))
}

/// Returns a request without its messages.
pub(super) fn without_messages(body: &Value) -> Value {
    let mut rest = body.clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.shift_remove("messages");
    }
    rest
}

/// Returns JSON whose keys are sorted by their bytes: the one form in which requests are
/// compared, digested and kept. What goes to a provider keeps its own order.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string().into_bytes()
}

pub(super) fn piece(bytes: &[u8]) -> Piece {
    Sha256::digest(bytes).into()
}

/// What a provider answered, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RecordedAnswer {
    /// One body.
    Whole(Value),
    /// Events, and how they ended.
    Events(Vec<Event>, Ending),
    /// An error.
    Error(ModelError),
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    /// In order.
    Complete,
    /// With an error of the provider.
    Broken(ModelError),
    /// The caller went away in the middle.
    Left,
}

impl RecordedAnswer {
    /// Returns the answer as JSON.
    pub(super) fn encode(&self) -> Vec<u8> {
        let value = match self {
            Self::Whole(body) => json!({"body": body}),
            Self::Error(error) => json!({"error": encode_error(error)}),
            Self::Events(events, ending) => {
                let events: Vec<Value> = events
                    .iter()
                    .map(|event| json!([event.name, event.data]))
                    .collect();
                match ending {
                    Ending::Complete => json!({"events": events}),
                    Ending::Broken(error) => {
                        json!({"events": events, "error": encode_error(error)})
                    }
                    Ending::Left => json!({"events": events, "left": true}),
                }
            }
        };
        value.to_string().into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        let error = match value.get("error") {
            Some(error) => Some(decode_error(error)?),
            None => None,
        };
        if let Some(body) = value.get_mut("body") {
            return Some(Self::Whole(body.take()));
        }
        let Some(events) = value["events"].as_array() else {
            return error.map(Self::Error);
        };
        let events = events.iter().map(|event| {
            Some(Event {
                name: event[0].as_str().map(str::to_owned),
                data: event[1].as_str()?.to_owned(),
            })
        });
        let ending = match error {
            Some(error) => Ending::Broken(error),
            None if value["left"] == true => Ending::Left,
            None => Ending::Complete,
        };
        Some(Self::Events(events.collect::<Option<_>>()?, ending))
    }
}

fn encode_error(error: &ModelError) -> Value {
    match error {
        ModelError::Refused { status, error } => {
            json!({"kind": "refused", "status": status, "error": error})
        }
        ModelError::Failed {
            what,
            retryable,
            may_be_charged,
            retry_after,
        } => json!({
            "kind": "failed",
            "what": what,
            "retryable": retryable,
            "may_be_charged": may_be_charged,
            "retry_after_ms": retry_after.map(millis),
        }),
        ModelError::Busy {
            what,
            may_be_charged,
            retry_after,
        } => json!({
            "kind": "busy",
            "what": what,
            "may_be_charged": may_be_charged,
            "retry_after_ms": retry_after.map(millis),
        }),
        ModelError::Unusable { what } => json!({"kind": "unusable", "what": what}),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn decode_error(value: &Value) -> Option<ModelError> {
    let what = || value["what"].as_str().map(str::to_owned);
    let retry_after = value["retry_after_ms"].as_u64().map(Duration::from_millis);
    Some(match value["kind"].as_str()? {
        "refused" => ModelError::Refused {
            status: u16::try_from(value["status"].as_u64()?).ok()?,
            error: value["error"].clone(),
        },
        "failed" => ModelError::Failed {
            what: what()?,
            retryable: value["retryable"].as_bool()?,
            may_be_charged: value["may_be_charged"].as_bool()?,
            retry_after,
        },
        "busy" => ModelError::Busy {
            what: what()?,
            // Left out by those who knew none that may be.
            may_be_charged: value["may_be_charged"] == true,
            retry_after,
        },
        "unusable" => ModelError::Unusable { what: what()? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Ending, Exchange, Outline, RecordedAnswer, canonical, whole};
    use crate::model::ModelError;
    use crate::model::wire::{Dialect, Event};
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn outline(body: &Value) -> Outline {
        Exchange::new(Dialect::Chat, false, body).outline
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let a: Value =
            serde_json::from_str(r#"{"messages":[{"b":1,"a":[2,{"d":3,"c":4}]}],"x":null}"#)
                .unwrap();
        let b: Value =
            serde_json::from_str(r#"{"x":null,"messages":[{"a":[2,{"c":4,"d":3}],"b":1}]}"#)
                .unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(outline(&a).digest(), outline(&b).digest());
        // As `docs/formats.md` has it; archives hold digests that were made so.
        let sorted = r#"{"a":[2,{"c":4,"d":3}],"b":1}"#;
        assert_eq!(canonical(&a["messages"][0]), sorted.as_bytes());
        assert_eq!(
            outline(&a).digest(),
            "31878beb71eccf92ba7648cc57454745ce0e98a2b55f81bc3ad7e528e04b2327"
        );
        for other in [
            json!({"messages": [{"b": 1, "a": [2, {"d": 3, "c": 4}]}]}),
            json!({"messages": [{"b": 1, "a": [{"d": 3, "c": 4}, 2]}], "x": null}),
            json!({"messages": [], "x": null}),
        ] {
            assert_ne!(outline(&a).digest(), outline(&other).digest(), "{other}");
        }
    }

    #[test]
    fn answers_are_read_back() {
        let failed = ModelError::Failed {
            what: "gone".to_owned(),
            retryable: true,
            may_be_charged: false,
            retry_after: Some(Duration::from_millis(1500)),
        };
        let busy = |may_be_charged| ModelError::Busy {
            what: "slow down".to_owned(),
            may_be_charged,
            retry_after: None,
        };
        let refused = ModelError::Refused {
            status: 413,
            error: json!({"message": "too long"}),
        };
        let unusable = ModelError::Unusable {
            what: "no such key".to_owned(),
        };
        let events = vec![Event::named("ping", "{}"), Event::unnamed("[DONE]")];
        for heard in [
            RecordedAnswer::Whole(json!({"choices": []})),
            RecordedAnswer::Whole(json!({"error": {"type": "server_error"}})),
            RecordedAnswer::Error(failed.clone()),
            RecordedAnswer::Error(refused),
            RecordedAnswer::Error(busy(false)),
            RecordedAnswer::Events(events.clone(), Ending::Broken(busy(true))),
            RecordedAnswer::Error(unusable),
            RecordedAnswer::Events(events.clone(), Ending::Complete),
            RecordedAnswer::Events(events.clone(), Ending::Left),
            RecordedAnswer::Events(events, Ending::Broken(failed)),
        ] {
            assert_eq!(RecordedAnswer::decode(&heard.encode()), Some(heard));
        }
        for odd in [
            "",
            "{}",
            "7",
            r#"{"events":[7]}"#,
            r#"{"error":{"kind":"odd"}}"#,
        ] {
            assert_eq!(RecordedAnswer::decode(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever two requests have in common, the second comes back whole.
        #[test]
        fn a_request_is_put_together_again(
            before in vec("[ab]{0,1}", 0..6),
            after in vec("[ab]{0,1}", 0..6),
            rests in ("[xy]", "[xy]"),
        ) {
            let body = |messages: &[String], rest: &str| match rest {
                "x" => json!({"messages": messages, "model": "m", "tools": [1]}),
                _ => json!({"messages": messages}),
            };
            let (first, second) = (body(&before, &rests.0), body(&after, &rests.1));
            let one = Exchange::new(Dialect::Chat, false, &first);
            let two = Exchange::new(Dialect::Chat, false, &second);
            let alone = one.stored_after(None);
            prop_assert_eq!(alone.kept, 0);
            prop_assert_eq!(whole(&alone.bytes, None), Some(first.clone()));
            let stored = two.stored_after(Some(one.outline()));
            let base = (stored.kept > 0).then_some((first, stored.kept));
            prop_assert_eq!(whole(&stored.bytes, base), Some(second));
        }
    }
}
