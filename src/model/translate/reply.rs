//! What both a whole and a streamed reply need: reasons, usage, calls.

use serde_json::{Value, json};

/// Returns why a message ended, as Chat Completions says it.
pub(super) fn finish_reason(stop_reason: &str) -> &'static str {
    match stop_reason {
        "tool_use" => "tool_calls",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "refusal" => "content_filter",
        // Also `pause_turn`: the caller may send the answer back and have it go on.
        _ => "stop",
    }
}

/// Returns what Chat Completions has no word for beside the reason: the reason's own name,
/// and the stop sequence that was met.
pub(super) fn reasons(message: &Value) -> Option<Value> {
    let reason = message["stop_reason"].as_str()?;
    let mut said = json!({
        "finish_reason": finish_reason(reason),
        "native_finish_reason": reason,
    });
    if message["stop_sequence"].is_string() {
        said["stop_reason"] = message["stop_sequence"].clone();
    }
    Some(said)
}

/// Returns what the provider says about a refusal.
pub(super) fn refusal(message: &Value) -> Option<&str> {
    if message["stop_reason"] != "refusal" {
        return None;
    }
    let said = message["stop_details"]["explanation"].as_str();
    Some(said.unwrap_or("the model's provider stopped the answer"))
}

/// Returns usage as Chat Completions counts it: its prompt tokens are all tokens of the
/// prompt, those of Messages only what came from no cache and went into none.
pub(super) fn usage(usage: &Value) -> Option<Value> {
    let count = |name: &str| usage[name].as_u64();
    let cached = count("cache_read_input_tokens").unwrap_or(0);
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    let output = count("output_tokens")?;
    let input = count("input_tokens")?
        .saturating_add(cached)
        .saturating_add(written);
    let reasoning = usage["output_tokens_details"]["thinking_tokens"].as_u64();
    let mut prompt = json!({"cached_tokens": cached, "cache_write_tokens": written});
    // What is kept for longer costs more, and Chat Completions has no word for it.
    let long = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64();
    if let Some(long) = long.filter(|long| *long > 0) {
        prompt["cache_write_1h_tokens"] = json!(long);
    }
    Some(json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": reasoning.unwrap_or(0)},
    }))
}

/// Returns the arguments of a call as the text that Chat Completions has. An input that was
/// cut off in a stream is a text already.
pub(super) fn arguments(input: &Value) -> String {
    match input {
        Value::String(cut) => cut.clone(),
        Value::Null => "{}".to_owned(),
        input => input.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{reasons, refusal, usage};
    use serde_json::json;

    #[test]
    fn every_reason_has_a_word_and_keeps_its_own() {
        for (native, reason) in [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("pause_turn", "stop"),
            ("tool_use", "tool_calls"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("refusal", "content_filter"),
            ("something_new", "stop"),
        ] {
            assert_eq!(
                reasons(&json!({"stop_reason": native, "stop_sequence": null})),
                Some(json!({"finish_reason": reason, "native_finish_reason": native}))
            );
        }
        assert_eq!(reasons(&json!({"stop_reason": null})), None);
        let met = json!({"stop_reason": "stop_sequence", "stop_sequence": "END"});
        assert_eq!(reasons(&met).expect("reasons")["stop_reason"], "END");
    }

    #[test]
    fn a_refusal_is_explained() {
        let explained = json!({"stop_reason": "refusal", "stop_details": {
            "type": "refusal", "category": "cyber", "explanation": "No."
        }});
        assert_eq!(refusal(&explained), Some("No."));
        let bare = json!({"stop_reason": "refusal"});
        assert_eq!(
            refusal(&bare),
            Some("the model's provider stopped the answer")
        );
        assert_eq!(refusal(&json!({"stop_reason": "end_turn"})), None);
    }

    #[test]
    fn prompt_tokens_are_all_tokens_of_the_prompt() {
        assert_eq!(
            usage(&json!({
                "input_tokens": 10, "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 3000, "output_tokens": 40,
                "output_tokens_details": {"thinking_tokens": 30},
            })),
            Some(json!({
                "prompt_tokens": 3210, "completion_tokens": 40, "total_tokens": 3250,
                "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 3000},
                "completion_tokens_details": {"reasoning_tokens": 30},
            }))
        );
        let long = usage(&json!({
            "input_tokens": 1, "cache_creation_input_tokens": 30, "output_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        }));
        let long = long.expect("it can be counted");
        assert_eq!(long["prompt_tokens_details"]["cache_write_1h_tokens"], 20);
        assert_eq!(usage(&json!({"output_tokens": 1})), None);
        assert_eq!(
            usage(&json!({"input_tokens": -1, "output_tokens": 1})),
            None
        );
        assert_eq!(usage(&json!(null)), None);
    }
}
