//! Thinking blocks on their way through a dialect that has none.
//!
//! A reply carries them in `thinking_blocks` of its message, as several gateways do: blocks of
//! type `thinking` with their signature, or `redacted_thinking`. The provider takes them back
//! only unchanged and in their place, so one that does not stand in front of everything
//! carries its place in a further field, `position`: how many characters of the text and how
//! many calls were there before it.

use super::parts::text_block;
use serde_json::{Value, json};

/// What of a message was there before a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ThinkingPlace {
    /// Characters of text.
    pub(super) chars: usize,
    /// Tool calls.
    pub(super) calls: usize,
}

/// Returns whether a block is thought and not said.
pub(super) fn is_thinking(block: &Value) -> bool {
    matches!(
        block["type"].as_str(),
        Some("thinking" | "redacted_thinking")
    )
}

/// Returns a block as it leaves in a message.
pub(super) fn carry(block: &Value, place: ThinkingPlace) -> Value {
    let mut block = block.clone();
    if place != ThinkingPlace::default() {
        block["position"] = json!({"text": place.chars, "tool_calls": place.calls});
    }
    block
}

/// Returns the blocks that a message brought back, as they were, with their places. What was
/// not made here, or lost its signature, is left out: it would be refused.
pub(super) fn brought(message: &Value) -> Vec<(ThinkingPlace, Value)> {
    let blocks = message["thinking_blocks"].as_array().into_iter().flatten();
    let is_whole = |block: &&Value| match block["type"].as_str() {
        Some("thinking") => block["signature"].is_string() && block["thinking"].is_string(),
        Some("redacted_thinking") => block["data"].is_string(),
        _ => false,
    };
    blocks
        .filter(is_whole)
        .map(|block| {
            let count = |name: &str| {
                let count = block["position"][name].as_u64().unwrap_or(0);
                usize::try_from(count).unwrap_or(usize::MAX)
            };
            let place = ThinkingPlace {
                chars: count("text"),
                calls: count("tool_calls"),
            };
            let mut block = block.clone();
            if let Some(fields) = block.as_object_mut() {
                fields.shift_remove("position");
            }
            (place, block)
        })
        .collect()
}

/// Puts thinking blocks into their places among the text and the calls of a message.
pub(super) fn weave(
    thinking: Vec<(ThinkingPlace, Value)>,
    text: Vec<Value>,
    calls: Vec<Value>,
) -> Vec<Value> {
    let is_in_front = thinking
        .iter()
        .all(|(place, _)| *place == ThinkingPlace::default());
    let mut woven = Vec::new();
    if is_in_front {
        woven.extend(thinking.into_iter().map(|(_, block)| block));
        woven.extend(text);
        woven.extend(calls);
        return woven;
    }
    let whole: String = text
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    let mut rest = whole.as_str();
    let mut said = 0;
    let mut calls = calls.into_iter();
    let mut called = 0;
    for (place, block) in thinking {
        let (before, after) = split(rest, place.chars.saturating_sub(said));
        woven.extend(text_block(before));
        rest = after;
        said = said.max(place.chars);
        let due = place.calls.saturating_sub(called);
        woven.extend(calls.by_ref().take(due));
        called = called.max(place.calls);
        woven.push(block);
    }
    woven.extend(text_block(rest));
    woven.extend(calls);
    woven
}

/// Splits a text behind so many characters, or at its end.
fn split(text: &str, chars: usize) -> (&str, &str) {
    let at = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::{ThinkingPlace, brought, carry, weave};
    use serde_json::{Value, json};

    fn thought(signature: &str) -> Value {
        json!({"type": "thinking", "thinking": "hm", "signature": signature})
    }

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    #[test]
    fn blocks_come_back_as_they_were() {
        let place = ThinkingPlace { chars: 3, calls: 1 };
        let first = json!({"type": "redacted_thinking", "data": "EmwK"});
        let message = json!({"thinking_blocks": [
            carry(&first, ThinkingPlace::default()),
            carry(&thought("a"), place),
            {"type": "thinking", "thinking": "forged"},
            {"type": "text", "text": "no"},
            7,
        ]});
        assert_eq!(message["thinking_blocks"][0], first);
        assert_eq!(
            brought(&message),
            [(ThinkingPlace::default(), first), (place, thought("a"))]
        );
        assert_eq!(brought(&json!({})), []);
    }

    #[test]
    fn each_finds_its_place() {
        let at = |chars, calls| ThinkingPlace { chars, calls };
        let call = json!({"type": "tool_use", "id": "c"});
        assert_eq!(
            weave(
                vec![
                    (at(0, 0), thought("a")),
                    (at(3, 0), thought("b")),
                    (at(3, 1), thought("c"))
                ],
                vec![text("äöüxyz")],
                vec![call.clone(), call.clone()],
            ),
            [
                thought("a"),
                text("äöü"),
                thought("b"),
                call.clone(),
                thought("c"),
                text("xyz"),
                call.clone(),
            ]
        );
        // A caller may have cut the text and the calls.
        assert_eq!(
            weave(
                vec![(at(9, 9), thought("a"))],
                vec![text("x")],
                vec![call.clone()]
            ),
            [text("x"), call, thought("a")]
        );
    }
}
