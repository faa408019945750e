//! Properties of the translation as a whole.

use super::{Chunks, Target, reply_to_chat, request, request_to_chat};
use crate::model::assemble::Fold;
use crate::model::{Dialect, Event};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::{Map, Value, json};

const MODELS: [&str; 3] = ["claude-opus-4-5", "claude-opus-5", "other"];

fn target(model: &str) -> Target<'_> {
    Target {
        model,
        max_output_tokens: 4000,
    }
}

/// Text with something to see in it.
fn text() -> impl Strategy<Value = String> {
    "[a-zäß😀\"\\\\{}]{1,12}( [a-z\n]{0,6}[a-z])?"
}

fn id() -> impl Strategy<Value = String> {
    "toolu_[A-Za-z0-9]{6}"
}

fn input() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-z]{1,5}", text(), 0..3).prop_map(|fields| json!(fields))
}

/// A block as the provider answers it.
fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        (id(), "[a-z_]{1,8}", input()).prop_map(
            |(id, name, input)| json!({"type": "tool_use", "id": id, "name": name, "input": input})
        ),
        ("[a-z ]{0,9}", "[A-Za-z0-9+/]{4,20}").prop_map(|(thinking, signature)| json!({
            "type": "thinking", "thinking": thinking, "signature": signature,
        })),
        "[A-Za-z0-9+/]{4,20}".prop_map(|data| json!({"type": "redacted_thinking", "data": data})),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let count = || 0_u64..1_000_000;
    let reason = prop_oneof![
        Just("end_turn"),
        Just("tool_use"),
        Just("max_tokens"),
        Just("refusal"),
        Just("pause_turn"),
        Just("model_context_window_exceeded"),
    ];
    let blocks = proptest::collection::vec(block(), 0..7);
    (blocks, reason, [count(), count(), count(), count()]).prop_map(|(content, reason, counts)| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": content, "stop_reason": reason, "stop_sequence": null,
            "usage": {
                "input_tokens": counts[0], "cache_read_input_tokens": counts[1],
                "cache_creation_input_tokens": counts[2], "output_tokens": counts[3],
                "output_tokens_details": {"thinking_tokens": counts[3] / 2},
            },
        })
    })
}

/// What the provider sends of a message when it streams it, in pieces of so many characters.
fn streamed(message: &Value, piece: usize) -> Vec<Event> {
    let mut head = message.clone();
    head["content"] = json!([]);
    head["stop_reason"] = Value::Null;
    head["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({"type": "message_start", "message": head})];
    let blocks = message["content"].as_array().expect("blocks");
    for (index, block) in blocks.iter().enumerate() {
        let mut begin = block.clone();
        let mut deltas = Vec::new();
        let pieces = |text: &str| -> Vec<String> {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(piece).map(String::from_iter).collect()
        };
        match block["type"].as_str() {
            Some("text") => {
                begin["text"] = json!("");
                for text in pieces(block["text"].as_str().expect("text")) {
                    deltas.push(json!({"type": "text_delta", "text": text}));
                }
            }
            Some("tool_use") => {
                begin["input"] = json!({});
                for json in pieces(&block["input"].to_string()) {
                    deltas.push(json!({"type": "input_json_delta", "partial_json": json}));
                }
            }
            Some("thinking") => {
                (begin["thinking"], begin["signature"]) = (json!(""), json!(""));
                for text in pieces(block["thinking"].as_str().expect("text")) {
                    deltas.push(json!({"type": "thinking_delta", "thinking": text}));
                }
                let signature = &block["signature"];
                deltas.push(json!({"type": "signature_delta", "signature": signature}));
            }
            _ => {}
        }
        events.push(json!({"type": "content_block_start", "index": index,
                           "content_block": begin}));
        events.push(json!({"type": "ping"}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": null},
        "usage": message["usage"],
    }));
    events.push(json!({"type": "message_stop"}));
    let event =
        |data: &Value| Event::named(data["type"].as_str().expect("a type"), data.to_string());
    events.iter().map(event).collect()
}

/// Texts that touch are one, and Messages takes none that is blank.
fn joined(content: &Value) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for block in content.as_array().expect("blocks") {
        match (blocks.last_mut(), block["text"].as_str()) {
            (Some(last), Some(more)) if last["type"] == "text" => {
                let so_far = last["text"].as_str().expect("text").to_owned();
                last["text"] = json!(so_far + more);
            }
            _ => blocks.push(block.clone()),
        }
    }
    blocks
}

fn of_type<'a>(blocks: &'a [Value], kind: &str) -> Vec<&'a Value> {
    blocks
        .iter()
        .filter(|block| block["type"] == kind)
        .collect()
}

/// A message of a caller's tool loop.
fn chat_message() -> impl Strategy<Value = Value> {
    let call = (id(), "[a-z_]{1,8}", input()).prop_map(|(id, name, input)| {
        json!({"id": id, "type": "function",
               "function": {"name": name, "arguments": input.to_string()}})
    });
    prop_oneof![
        text().prop_map(|text| json!({"role": "user", "content": text})),
        (text(), any::<bool>(), id()).prop_map(|(text, failed, id)| {
            let mut message = json!({"role": "tool", "tool_call_id": id, "content": text});
            if failed {
                message["is_error"] = json!(true);
            }
            message
        }),
        (text(), proptest::collection::vec(call, 1..4)).prop_map(|(text, calls)| {
            json!({"role": "assistant", "content": text, "tool_calls": calls})
        }),
    ]
}

/// Values that look like requests, more or less.
fn odd() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("user"),
        Just("assistant"),
        Just("tool"),
        Just("system"),
        Just("text"),
        Just("function"),
        Just("image_url"),
        Just("thinking"),
        Just("tool_use"),
        Just("tool_result"),
        Just("message_start"),
        Just("content_block_start"),
        Just("content_block_delta"),
        Just("content_block_stop"),
        Just("input_json_delta"),
        Just("thinking_delta"),
        Just("high"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(0)),
        word.prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    const NAMES: [&str; 28] = [
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "function",
        "arguments",
        "name",
        "id",
        "tool_call_id",
        "image_url",
        "url",
        "thinking_blocks",
        "position",
        "signature",
        "thinking",
        "tools",
        "tool_choice",
        "stop",
        "response_format",
        "usage",
        "input",
        "index",
        "delta",
        "content_block",
        "message",
        "system",
        "tool_calls",
    ];
    let name = proptest::sample::select(NAMES.to_vec());
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..5).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect::<Map<String, Value>>())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_reply_that_the_caller_sends_back_is_what_it_was(message in message()) {
        let chat = reply_to_chat(&message);
        let answer = &chat["choices"][0]["message"];
        let sent = json!({"messages": [
            {"role": "user", "content": "go"}, answer, {"role": "user", "content": "on"},
        ]});
        let body = request(&sent, target("claude-opus-5")).expect("it is translated");
        let before = joined(&message["content"]);
        if before.is_empty() {
            // Of a refusal there may be a word.
            return Ok(());
        }
        let after = joined(&body["messages"][1]["content"]);
        // Thinking is as it was, to the byte, and calls are all there, in their order.
        for kind in ["thinking", "redacted_thinking", "tool_use"] {
            prop_assert_eq!(of_type(&after, kind), of_type(&before, kind));
        }
        let said = |blocks: &[Value]| -> String {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect()
        };
        prop_assert_eq!(said(&after), said(&before));
        // Where text and calls do not take turns, all is in its place.
        let last_text = before.iter().rposition(|block| block["type"] == "text");
        let first_call = before.iter().position(|block| block["type"] == "tool_use");
        if last_text.is_none() || first_call.is_none() || last_text < first_call {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn a_stream_folded_is_the_reply_translated(message in message(), piece in 1_usize..6) {
        let mut chunks = Chunks::new(0);
        let mut chat = Fold::new(Dialect::Chat);
        let mut whole = Fold::new(Dialect::Messages);
        for event in streamed(&message, piece) {
            whole.push(&event);
            for chunk in chunks.push(&event).expect("it is understood") {
                chat.push(&chunk);
            }
        }
        prop_assert!(chat.is_complete() && whole.is_complete());
        prop_assert_eq!(&whole.finish(), &message);
        let mut chat = chat.finish();
        let fields = chat.as_object_mut().expect("an object");
        fields.shift_remove("created");
        prop_assert_eq!(chat, reply_to_chat(&message));
    }

    #[test]
    fn usage_and_reasons_are_kept(message in message()) {
        let chat = reply_to_chat(&message);
        let (theirs, ours) = (&message["usage"], &chat["usage"]);
        let count = |name: &str| theirs[name].as_u64().expect("a count");
        prop_assert_eq!(
            &ours["prompt_tokens"],
            &json!(count("input_tokens") + count("cache_read_input_tokens")
                + count("cache_creation_input_tokens"))
        );
        let details = &ours["prompt_tokens_details"];
        prop_assert_eq!(&details["cached_tokens"], &theirs["cache_read_input_tokens"]);
        prop_assert_eq!(&details["cache_write_tokens"], &theirs["cache_creation_input_tokens"]);
        prop_assert_eq!(&ours["completion_tokens"], &theirs["output_tokens"]);
        prop_assert_eq!(
            &ours["completion_tokens_details"]["reasoning_tokens"],
            &theirs["output_tokens_details"]["thinking_tokens"]
        );
        let choice = &chat["choices"][0];
        prop_assert_eq!(&choice["native_finish_reason"], &message["stop_reason"]);
        prop_assert!(choice["finish_reason"].is_string());
    }

    #[test]
    fn a_request_there_and_back_has_lost_nothing(
        system in proptest::collection::vec(text(), 0..3),
        messages in proptest::collection::vec(chat_message(), 1..8),
    ) {
        let system: Vec<Value> = system
            .iter()
            .map(|text| json!({"role": "system", "content": text}))
            .collect();
        let sent: Vec<Value> = system.iter().chain(&messages).cloned().collect();
        let body = request(&json!({"messages": sent}), target("claude-opus-5"));
        let body = body.expect("it is translated");
        let turns = body["messages"].as_array().expect("turns");
        prop_assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]));
        let back = request_to_chat(&body);
        let back = back["messages"].as_array().expect("messages");
        let of = |messages: &[Value], role: &str, field: &str| -> Vec<Value> {
            let said = messages.iter().filter(|message| message["role"] == role);
            said.map(|message| message[field].clone()).collect()
        };
        for (role, field) in [
            ("system", "content"),
            ("tool", "tool_call_id"),
            ("tool", "content"),
            ("tool", "is_error"),
        ] {
            prop_assert_eq!(of(back, role, field), of(&sent, role, field));
        }
        let calls = |messages: &[Value]| -> Vec<Value> {
            let lists = of(messages, "assistant", "tool_calls");
            lists.iter().filter_map(Value::as_array).flatten().cloned().collect()
        };
        prop_assert_eq!(calls(back), calls(&sent));
        let said = |messages: &[Value], role: &str| -> String {
            of(messages, role, "content").iter().flat_map(super::texts).collect()
        };
        // The last turn of an assistant must not end in white space.
        let (before, after) = (said(&sent, "assistant"), said(back, "assistant"));
        prop_assert_eq!(after.trim_end(), before.trim_end());
        prop_assert_eq!(said(back, "user"), said(&sent, "user"));
    }

    #[test]
    fn nothing_makes_it_panic(value in odd()) {
        for model in MODELS {
            for request_body in [
                value.clone(),
                json!({"messages": value}),
                json!({"messages": [{"role": "user", "content": "x"}], "tools": value,
                       "tool_choice": value, "thinking": value, "stop": value}),
                json!({"messages": [{"role": "assistant", "content": "x",
                                     "thinking_blocks": value, "tool_calls": value}]}),
            ] {
                if let Ok(body) = request(&request_body, target(model)) {
                    request_to_chat(&body);
                }
            }
        }
        request_to_chat(&value);
        request_to_chat(&json!({"messages": [{"role": "user", "content": value}]}));
        reply_to_chat(&value);
        reply_to_chat(&json!({"content": value, "usage": value, "stop_reason": "refusal"}));
        let mut chunks = Chunks::new(0);
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        for data in values {
            if let Ok(events) = chunks.push(&Event::unnamed(data.to_string())) {
                prop_assert!(events.len() <= 3);
            }
        }
    }

    #[test]
    fn breakpoints_are_few_and_never_on_thinking(
        messages in proptest::collection::vec(message(), 1..6),
        filler in 0_usize..6000,
    ) {
        let mut sent = vec![json!({"role": "system", "content": "x".repeat(filler + 1)})];
        for message in &messages {
            sent.push(json!({"role": "user", "content": "go"}));
            sent.push(reply_to_chat(message)["choices"][0]["message"].clone());
        }
        let body = request(&json!({"messages": sent}), target("claude-opus-5"));
        let body = body.expect("it is translated");
        let mut marks = 0;
        let turns = body["messages"].as_array().expect("turns");
        let blocks = turns.iter().filter_map(|turn| turn["content"].as_array()).flatten();
        for block in blocks.chain(body["system"].as_array().into_iter().flatten()) {
            if !block["cache_control"].is_null() {
                marks += 1;
                prop_assert!(!super::thinking::is_thinking(block));
            }
        }
        prop_assert!(marks <= 4);
        if filler >= 2048 && turns.len() > 1 {
            prop_assert!(marks >= 2);
        }
    }
}
