//! What a request can use at most, before anybody has seen its answer.
//!
//! Invariant: no provider counts more input tokens than this says. No tokenizer makes more
//! tokens of a text than it has bytes; what providers add of their own, and what is not text,
//! is counted on top, generously: a bound that is too high waits for others, one that is too
//! low breaks a budget.

use serde_json::Value;
use std::io;

/// What frames a conversation and a message: roles, separators, the opening of the answer.
const PER_REQUEST: u64 = 64;
const PER_MESSAGE: u64 = 16;

/// What providers tell a model about tools beside what the request says of them. Anthropic
/// names up to some 700 tokens of system text.
const FOR_TOOLS: u64 = 1024;
const PER_TOOL: u64 = 64;

/// The most that a provider counts for one image: 8 tiles of `gpt-4o-mini` are 48,169 tokens;
/// others count a tenth of that.
const PER_IMAGE: u64 = 50_000;

/// A file, sound or video can have many pages or minutes in few bytes, or be named by an
/// address alone. It cannot be longer than a model's context.
const PER_FILE: u64 = 1_000_000;

/// Returns the most input tokens that a request can be charged for, in either dialect.
pub(super) fn input_at_most(request: &Value) -> u64 {
    let messages = request["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let tools = request["tools"].as_array().map_or(0, Vec::len) as u64;
    let mut media = Media::default();
    for message in messages {
        media.look_at(&message["content"]);
    }
    let text = json_len(request).saturating_sub(media.bytes);
    [
        text,
        PER_REQUEST,
        PER_MESSAGE.saturating_mul(messages.len() as u64),
        PER_TOOL.saturating_mul(tools),
        if tools > 0 { FOR_TOOLS } else { 0 },
        PER_IMAGE.saturating_mul(media.images),
        PER_FILE.saturating_mul(media.files),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// What is no text in a message.
#[derive(Default)]
struct Media {
    images: u64,
    files: u64,
    /// Bytes of encoded images, which are no text.
    bytes: u64,
}

impl Media {
    /// Looks at the parts of a content, and at the parts of tools' results in it.
    fn look_at(&mut self, content: &Value) {
        let Some(parts) = content.as_array() else {
            return;
        };
        for part in parts {
            match part["type"].as_str() {
                Some("image_url" | "image" | "input_image") => {
                    self.images += 1;
                    let encoded = [
                        &part["image_url"]["url"],
                        &part["image_url"],
                        &part["source"]["data"],
                    ];
                    let data = encoded.into_iter().find_map(Value::as_str);
                    self.bytes += data.map_or(0, |data| data.len() as u64);
                }
                Some("text" | "thinking" | "redacted_thinking" | "tool_use" | "refusal") => {}
                Some("tool_result") => self.look_at(&part["content"]),
                // Whatever it is, it is not known to be text.
                Some(_) | None => self.files += 1,
            }
        }
    }
}

/// Returns how many bytes a value has as JSON, without writing it anywhere.
fn json_len(value: &Value) -> u64 {
    struct BoundCount(u64);
    impl io::Write for BoundCount {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = BoundCount(0);
    serde_json::to_writer(&mut count, value).map_or(u64::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use super::{FOR_TOOLS, PER_FILE, PER_IMAGE, input_at_most};
    use serde_json::json;

    #[test]
    fn text_is_bounded_by_its_bytes_and_what_is_added() {
        let plain = json!({"messages": [{"role": "user", "content": "héllo"}]});
        let bytes = plain.to_string().len() as u64;
        assert_eq!(input_at_most(&plain), bytes + 64 + 16);
        let tools = json!({"messages": [], "tools": [{}, {}]});
        assert!(input_at_most(&tools) >= FOR_TOOLS + 128);
        assert_eq!(input_at_most(&json!(null)), 4 + 64);
    }

    #[test]
    fn an_image_counts_as_an_image_and_not_by_its_bytes() {
        let data = "A".repeat(1_000_000);
        for part in [
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
            json!({"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}),
            json!({"type": "image", "source": {"type": "base64", "data": data}}),
            json!({"type": "tool_result", "content": [
                {"type": "image", "source": {"type": "base64", "data": data}}]}),
        ] {
            let request = json!({"messages": [{"role": "user", "content": [part]}]});
            let bound = input_at_most(&request);
            assert!((PER_IMAGE..PER_IMAGE + 1000).contains(&bound), "{bound}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_much_as_a_context_holds() {
        for kind in ["file", "document", "input_audio", "video_url", "new"] {
            let request = json!({"messages": [{"role": "user", "content": [{"type": kind}]}]});
            assert!(input_at_most(&request) >= PER_FILE, "{kind}");
        }
    }
}
