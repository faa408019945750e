//! Where the provider shall keep the prefix of a request, so that a growing tool loop pays
//! for it once.
//!
//! A breakpoint says: all up to here may come again. One stands behind tools and system text,
//! which every call of a job shares, and one behind each of the last two turns of the user:
//! the earlier of them is the end of the previous request, where its prefix is found again,
//! the later one is where the next request will look. Writing costs a quarter more than not
//! writing, so a request that nothing can follow gets none.

use super::thinking::is_thinking;
use serde_json::{Map, Value, json};

/// No model keeps a prefix of fewer tokens than some 500; shorter ones than this have fewer.
const LEAST_BYTES: usize = 2048;

/// Turns of the user that get a breakpoint. With the one behind tools and system text they
/// stay below the four that the API allows.
const TURNS: usize = 2;

/// Sets the breakpoints of a request, unless its caller has set some.
pub(super) fn mark(body: &mut Map<String, Value>) {
    if is_marked(body) || !is_loop(body) {
        return;
    }
    let mut size: usize = ["tools", "system"]
        .iter()
        .filter_map(|name| body.get(*name))
        .map(|part| part.to_string().len())
        .sum();
    if size >= LEAST_BYTES {
        // Tools come first in the prefix: the end of the system text is the end of both.
        let last = ["system", "tools"].iter().find_map(|name| {
            let list = body.get(*name)?.as_array()?;
            (!list.is_empty()).then_some(*name)
        });
        if let Some(list) = last.and_then(|name| body.get_mut(name))
            && let Some(block) = list.as_array_mut().and_then(|list| list.last_mut())
        {
            set(block);
        }
    }
    let Some(Value::Array(turns)) = body.get_mut("messages") else {
        return;
    };
    // From this turn on a prefix is long enough.
    let first = turns.iter().position(|turn| {
        if size < LEAST_BYTES {
            size += turn.to_string().len();
        }
        size >= LEAST_BYTES
    });
    let Some(first) = first else { return };
    let users = turns[first..].iter_mut().rev();
    let users = users.filter(|turn| turn["role"] == "user");
    for turn in users.take(TURNS) {
        let blocks = turn["content"].as_array_mut().into_iter().flatten();
        if let Some(block) = blocks.rev().find(|block| !is_thinking(block)) {
            set(block);
        }
    }
}

fn set(block: &mut Value) {
    if let Some(fields) = block.as_object_mut() {
        fields.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
    }
}

/// Returns whether further requests with this prefix are to be expected: tools were offered,
/// or the conversation has gone on already.
fn is_loop(body: &Map<String, Value>) -> bool {
    let turns = body.get("messages").and_then(Value::as_array);
    body.contains_key("tools") || turns.is_some_and(|turns| turns.len() > 1)
}

/// Returns whether the caller set breakpoints, in whatever part of the request.
fn is_marked(body: &Map<String, Value>) -> bool {
    fn holds(value: &Value, depth: usize) -> bool {
        match value {
            Value::Array(list) => list.iter().any(|value| holds(value, depth)),
            Value::Object(fields) => {
                fields.contains_key("cache_control")
                    || depth > 0
                        && fields
                            .get("content")
                            .is_some_and(|content| holds(content, depth - 1))
            }
            _ => false,
        }
    }
    ["tools", "system", "messages"]
        .iter()
        .any(|name| body.get(*name).is_some_and(|part| holds(part, 2)))
}

#[cfg(test)]
mod tests {
    use super::mark;
    use serde_json::{Map, Value, json};

    fn body(system: &str, turns: usize, tools: bool) -> Map<String, Value> {
        let mut body = Map::new();
        if !system.is_empty() {
            body.insert(
                "system".to_owned(),
                json!([{"type": "text", "text": system}]),
            );
        }
        if tools {
            body.insert("tools".to_owned(), json!([{"name": "a"}, {"name": "b"}]));
        }
        let turns: Vec<Value> = (0..turns)
            .map(|turn| {
                if turn % 2 == 0 {
                    json!({"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "x", "content": "y"},
                        {"type": "text", "text": "z"},
                    ]})
                } else {
                    json!({"role": "assistant", "content": [
                        {"type": "thinking", "thinking": "", "signature": "s"},
                    ]})
                }
            })
            .collect();
        body.insert("messages".to_owned(), Value::Array(turns));
        body
    }

    /// Returns where breakpoints are.
    fn marks(body: &Map<String, Value>) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["tools", "system"] {
            let list = body
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for (index, block) in list.enumerate() {
                if block["cache_control"] == json!({"type": "ephemeral"}) {
                    found.push(format!("{name} {index}"));
                }
            }
        }
        let turns = body["messages"].as_array().expect("turns");
        for (turn, blocks) in turns.iter().enumerate() {
            for (index, block) in blocks["content"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
            {
                if !block["cache_control"].is_null() {
                    assert_ne!(block["type"], "thinking");
                    found.push(format!("{turn} {index}"));
                }
            }
        }
        found
    }

    #[test]
    fn a_growing_loop_finds_its_prefix_again() {
        let long = "x".repeat(4000);
        for (turns, expected) in [
            (1, vec!["system 0", "0 1"]),
            (3, vec!["system 0", "0 1", "2 1"]),
            (5, vec!["system 0", "2 1", "4 1"]),
        ] {
            let mut body = body(&long, turns, true);
            mark(&mut body);
            assert_eq!(marks(&body), expected, "{turns}");
        }
        let mut without_system = body("", 3, true);
        without_system["tools"][0]["description"] = json!(long);
        mark(&mut without_system);
        assert_eq!(marks(&without_system), ["tools 1", "0 1", "2 1"]);
    }

    #[test]
    fn what_cannot_pay_gets_none() {
        let long = "x".repeat(4000);
        // One question, no tools: nothing follows.
        let mut single = body(&long, 1, false);
        mark(&mut single);
        assert_eq!(marks(&single), [""; 0]);
        // Shorter than what any model keeps.
        let mut short = body("short", 3, true);
        mark(&mut short);
        assert_eq!(marks(&short), [""; 0]);
        // Long by what was said last, so only that is worth it.
        let mut grown = body("short", 5, true);
        grown["messages"][4]["content"][1]["text"] = json!(long);
        mark(&mut grown);
        assert_eq!(marks(&grown), ["4 1"]);
    }

    #[test]
    fn the_callers_own_breakpoints_are_left_alone() {
        let long = "x".repeat(4000);
        for place in ["/system/0", "/tools/0", "/messages/0/content/1"] {
            let mut whole = Value::Object(body(&long, 3, true));
            whole.pointer_mut(place).expect("it is there")["cache_control"] = json!({"ttl": "1h"});
            let mut own = whole.as_object().expect("an object").clone();
            mark(&mut own);
            assert_eq!(Value::Object(own), whole);
        }
    }
}
