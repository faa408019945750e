//! From the events of a stream to the reply that they make: what the books, the transcript
//! and a recording keep of a streamed call.
//!
//! Invariants: folding never fails, whatever came; what was not understood is left out, and
//! what is there after half of a stream is what came until then.

mod append;
mod chat;
mod messages;

use super::{Dialect, Event};
use chat::Chat;
use messages::Messages;
use serde_json::{Map, Value};

/// A reply in the making.
#[derive(Debug)]
pub(super) struct Fold {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Chat(Chat),
    Messages(Messages),
}

impl Fold {
    /// Begins a reply in a dialect.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            form: match dialect {
                Dialect::Chat => Form::Chat(Chat::default()),
                Dialect::Messages => Form::Messages(Messages::default()),
            },
        }
    }

    /// Takes in one event; what is no JSON object, such as `[DONE]`, adds nothing.
    pub(super) fn push(&mut self, event: &Event) {
        if let Ok(Value::Object(data)) = serde_json::from_str(&event.data) {
            self.push_data(data);
        }
    }

    /// Takes in the data of one event.
    pub(super) fn push_data(&mut self, data: Map<String, Value>) {
        match &mut self.form {
            Form::Chat(chat) => chat.push(data),
            Form::Messages(messages) => messages.push(data),
        }
    }

    /// Returns whether the model said that, and why, it ended.
    pub(super) fn is_complete(&self) -> bool {
        match &self.form {
            Form::Chat(chat) => chat.is_complete(),
            Form::Messages(messages) => messages.is_complete(),
        }
    }

    /// Returns the reply so far, in the shape of one that was not streamed.
    pub(super) fn finish(self) -> Value {
        match self.form {
            Form::Chat(chat) => chat.finish(),
            Form::Messages(messages) => messages.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fold;
    use crate::model::{Dialect, Event};
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
    use serde_json::{Value, json};

    /// Values that look like events, more or less.
    fn odd() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("message_start"),
            Just("content_block_start"),
            Just("content_block_delta"),
            Just("content_block_stop"),
            Just("message_delta"),
            Just("input_json_delta"),
            Just("text"),
            Just("tool_use"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            Just(json!(1)),
            word.prop_map(Value::from),
            ".{0,5}".prop_map(Value::from),
        ];
        let name = prop_oneof![
            Just("type"),
            Just("index"),
            Just("choices"),
            Just("delta"),
            Just("content"),
            Just("tool_calls"),
            Just("function"),
            Just("arguments"),
            Just("usage"),
            Just("message"),
            Just("content_block"),
            Just("partial_json"),
            Just("logprobs"),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn whatever_comes_is_folded(values in proptest::collection::vec(odd(), 0..6)) {
            for dialect in [Dialect::Chat, Dialect::Messages] {
                let mut fold = Fold::new(dialect);
                for value in &values {
                    fold.push(&Event::unnamed(value.to_string()));
                }
                fold.finish();
            }
        }
    }
}
