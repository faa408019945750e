//! What an answer used: what the provider counted, or a guess on the high side.

use super::wire::Dialect;
use crate::domain::Tokens;
use serde_json::{Value, json};

/// A count of tokens beyond this is nonsense, not usage.
const MOST_TOKENS: u64 = 1_000_000_000;

/// Returns what a provider counted, if it did.
pub(super) fn counted(dialect: Dialect, body: &Value) -> Option<Tokens> {
    let usage = body.get("usage")?;
    let count = |path: &str| {
        let count = usage.pointer(path)?.as_u64()?;
        (count <= MOST_TOKENS).then_some(count)
    };
    // Compatible servers differ in where they put a part.
    let part = |paths: &[&str], whole: u64| {
        let first = paths.iter().find_map(|path| count(path));
        first.unwrap_or(0).min(whole)
    };
    match dialect {
        Dialect::Chat => {
            let (input, output) = (count("/prompt_tokens")?, count("/completion_tokens")?);
            let cached = part(
                &[
                    "/prompt_tokens_details/cached_tokens",
                    "/prompt_cache_hit_tokens",
                ],
                input,
            );
            let cache_written = part(
                &[
                    "/prompt_tokens_details/cache_write_tokens",
                    "/prompt_tokens_details/cache_creation_tokens",
                    "/cache_creation_input_tokens",
                ],
                input - cached,
            );
            Some(Tokens {
                input,
                cached,
                cache_written,
                cache_written_long: part(
                    &["/prompt_tokens_details/cache_write_1h_tokens"],
                    cache_written,
                ),
                output,
                reasoning: part(&["/completion_tokens_details/reasoning_tokens"], output),
            })
        }
        // Here the counted input is what no cache had to do with.
        Dialect::Messages => {
            let (fresh, output) = (count("/input_tokens")?, count("/output_tokens")?);
            let cached = count("/cache_read_input_tokens").unwrap_or(0);
            let cache_written = count("/cache_creation_input_tokens").unwrap_or(0);
            Some(Tokens {
                input: fresh + cached + cache_written,
                cached,
                cache_written,
                cache_written_long: part(
                    &["/cache_creation/ephemeral_1h_input_tokens"],
                    cache_written,
                ),
                output,
                reasoning: part(&["/output_tokens_details/thinking_tokens"], output),
            })
        }
    }
}

/// Returns a guess at what a request and its answer used: more than any common tokenizer
/// makes of ordinary text and source code.
pub(super) fn estimate(request: &Value, body: &Value) -> Tokens {
    let of = |value: &Value, names: &[&str]| -> u64 {
        let parts = names.iter().filter_map(|name| value.get(*name));
        parts.map(tokens).sum()
    };
    Tokens {
        input: of(request, &["system", "messages", "tools", "functions"]),
        output: of(body, &["choices", "content"]),
        ..Tokens::default()
    }
}

/// Half of the ASCII characters, and two for each other one.
fn tokens(value: &Value) -> u64 {
    let text = value.to_string();
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let others = text.chars().filter(|c| !c.is_ascii()).count() as u64;
    ascii.div_ceil(2) + 2 * others
}

/// Returns tokens as an answer says them.
pub(super) fn written(dialect: Dialect, tokens: Tokens) -> Value {
    match dialect {
        Dialect::Chat => json!({
            "prompt_tokens": tokens.input,
            "completion_tokens": tokens.output,
            "total_tokens": tokens.total(),
        }),
        Dialect::Messages => json!({
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{counted, estimate, written};
    use crate::domain::Tokens;
    use crate::model::wire::Dialect;
    use serde_json::json;

    #[test]
    fn counts_are_taken_with_their_parts() {
        let chat = json!({"usage": {
            "prompt_tokens": 100, "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 70},
            "completion_tokens_details": {"reasoning_tokens": 400},
        }});
        let tokens = counted(Dialect::Chat, &chat).expect("counts");
        assert_eq!((tokens.input, tokens.output), (100, 10));
        // No part is more than its whole.
        assert_eq!((tokens.cached, tokens.cache_written), (60, 40));
        assert_eq!(tokens.reasoning, 10);
        let message = json!({"usage": {
            "input_tokens": 3, "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 1000, "output_tokens": 40,
        }});
        let tokens = counted(Dialect::Messages, &message).expect("counts");
        assert_eq!((tokens.input, tokens.output), (1203, 40));
        assert_eq!((tokens.cached, tokens.cache_written), (200, 1000));
        for odd in [
            json!({}),
            json!({"usage": null}),
            json!({"usage": {"prompt_tokens": 1}}),
            json!({"usage": {"prompt_tokens": -1, "completion_tokens": 2}}),
            json!({"usage": {"prompt_tokens": u64::MAX, "completion_tokens": 2}}),
        ] {
            assert_eq!(counted(Dialect::Chat, &odd), None, "{odd}");
        }
    }

    #[test]
    fn an_estimate_is_on_the_high_side_and_reads_as_usage() {
        let request = json!({"messages": [{"role": "user", "content": "Gr\u{fc}\u{df}e"}]});
        let body = json!({"choices": [{"message": {"content": "hello"}}]});
        let tokens = estimate(&request, &body);
        assert!(tokens.input > 15 && tokens.output > 15, "{tokens:?}");
        for dialect in [Dialect::Chat, Dialect::Messages] {
            let body = json!({"usage": written(dialect, tokens)});
            assert_eq!(counted(dialect, &body), Some(tokens));
        }
        assert_eq!(estimate(&json!({}), &json!({})), Tokens::default());
    }
}
