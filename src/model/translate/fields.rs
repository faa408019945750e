//! A Chat Completions request to a Messages request: everything but the conversation.

use super::family::Family;
use super::{cache, refuse, tools, turns};
use crate::model::ModelError;
use serde_json::{Map, Value, json};

/// Least budget of thinking that is accepted.
const LEAST_THINKING: u64 = 1024;

/// What stands for `response_format` of type `json_object`, which the API does not know.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else.";

/// Fields that have no counterpart and change nothing that a caller relies on: they are
/// hints, or belong to whoever runs the model.
const IGNORED: [&str; 19] = [
    "model",
    "n",
    "stream",
    "stream_options",
    "seed",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "prediction",
    "verbosity",
    "frequency_penalty",
    "presence_penalty",
    "parallel_tool_calls",
    "max_tokens",
];

/// Fields that are translated.
const TAKEN: [&str; 13] = [
    "cache_control",
    "messages",
    "reasoning",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "max_completion_tokens",
    "reasoning_effort",
    "thinking",
];

/// Whom a request is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Target<'a> {
    /// Name of the model.
    pub(in crate::model) model: &'a str,
    /// Most tokens of an answer, where the request says nothing.
    pub(in crate::model) max_output_tokens: u64,
}

/// Returns a Chat Completions request as a Messages request that does not stream.
pub(in crate::model) fn request(chat: &Value, target: Target<'_>) -> Result<Value, ModelError> {
    let Value::Object(asked) = chat else {
        return Err(refuse("", "the request is no JSON object"));
    };
    refuse_unknown(asked)?;
    let family = Family::of(target.model);
    let mut conversation = turns::read(&chat["messages"])?;
    if chat["response_format"]["type"] == "json_object" {
        conversation
            .system
            .push(json!({"type": "text", "text": JSON_ONLY}));
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(target.model));
    let limit = ["max_completion_tokens", "max_tokens"]
        .iter()
        .find_map(|name| chat[name].as_u64())
        .unwrap_or(target.max_output_tokens)
        .max(1);
    body.insert("max_tokens".to_owned(), json!(limit));
    if !conversation.system.is_empty() {
        body.insert("system".to_owned(), Value::Array(conversation.system));
    }
    body.insert("messages".to_owned(), Value::Array(conversation.turns));
    tools::read(chat, &mut body)?;
    if let Some(stop) = stop_sequences(&chat["stop"])? {
        body.insert("stop_sequences".to_owned(), stop);
    }
    let mut output = Map::new();
    if let Some(format) = format(&chat["response_format"])? {
        output.insert("format".to_owned(), format);
    }
    let thinks = think(chat, family, limit, &mut body, &mut output)?;
    if !output.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(output));
    }
    if family.takes_sampling && !thinks {
        sampling(chat, &mut body);
    }
    if chat["cache_control"].is_object() {
        body.insert("cache_control".to_owned(), chat["cache_control"].clone());
    } else {
        cache::mark(&mut body);
    }
    Ok(Value::Object(body))
}

fn refuse_unknown(asked: &Map<String, Value>) -> Result<(), ModelError> {
    for (name, value) in asked {
        let is_nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(_) | Value::Bool(true) => false,
        };
        let is_known = TAKEN.contains(&name.as_str()) || IGNORED.contains(&name.as_str());
        let is_text_only = name == "modalities" && *value == json!(["text"]);
        if !is_known && !is_nothing && !is_text_only {
            let what = format!("`{name}` is not supported by this model's provider");
            return Err(refuse(name, what));
        }
    }
    Ok(())
}

fn stop_sequences(stop: &Value) -> Result<Option<Value>, ModelError> {
    let list = match stop {
        Value::Null => return Ok(None),
        Value::String(_) => std::slice::from_ref(stop),
        Value::Array(list) => list.as_slice(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => &[Value::Null],
    };
    if list.iter().any(|text| !text.is_string()) {
        return Err(refuse("stop", "`stop` must be a text or a list of texts"));
    }
    let list: Vec<&Value> = list.iter().filter(|text| *text != "").collect();
    Ok((!list.is_empty()).then(|| json!(list)))
}

fn format(format: &Value) -> Result<Option<Value>, ModelError> {
    match format["type"].as_str() {
        // A sentence of the system's stands for the last one.
        None | Some("text" | "json_object") => Ok(None),
        Some("json_schema") => {
            let schema = &format["json_schema"]["schema"];
            if !schema.is_object() {
                let what = "`response_format.json_schema.schema` must be a JSON schema";
                return Err(refuse("response_format", what));
            }
            Ok(Some(json!({"type": "json_schema", "schema": schema})))
        }
        Some(other) => {
            let what = format!(
                "`response_format` of type `{other}` is not supported by this model's provider: \
                 use `json_schema`, or ask for JSON in the prompt"
            );
            Err(refuse("response_format", what))
        }
    }
}

/// Sets how the model thinks; returns whether it is known to.
fn think(
    chat: &Value,
    family: Family,
    limit: u64,
    body: &mut Map<String, Value>,
    output: &mut Map<String, Value>,
) -> Result<bool, ModelError> {
    let thinking = &chat["thinking"];
    let said = chat["reasoning_effort"].as_str();
    let effort = match said.or(chat["reasoning"]["effort"].as_str()) {
        None => None,
        Some("minimal") => Some("low"),
        Some(known @ ("none" | "low" | "medium" | "high" | "xhigh" | "max")) => Some(known),
        Some(other) => {
            let what = format!("`reasoning_effort` must not be `{other}`");
            return Err(refuse("reasoning_effort", what));
        }
    };
    if let Some(effort) = effort.filter(|effort| *effort != "none")
        && family.is_adaptive
    {
        output.insert("effort".to_owned(), json!(effort));
    }
    // What the caller says in the model's own words goes as it is.
    if thinking.is_object() {
        body.insert("thinking".to_owned(), thinking.clone());
        return Ok(thinking["type"] != "disabled");
    }
    // Thinking and the obligation to call a tool exclude each other.
    let is_forced = matches!(body.get("tool_choice"), Some(choice)
        if choice["type"] == "any" || choice["type"] == "tool");
    let thinking = match effort {
        None => return Ok(false),
        Some("none") => json!({"type": "disabled"}),
        Some(_) if is_forced => return Ok(false),
        Some(_) if family.is_adaptive => json!({"type": "adaptive"}),
        Some(effort) => {
            let share = match effort {
                "low" => 20,
                "medium" => 50,
                _ => 80,
            };
            let budget = (limit / 100 * share).max(LEAST_THINKING);
            if budget >= limit {
                return Ok(false);
            }
            json!({"type": "enabled", "budget_tokens": budget})
        }
    };
    let thinks = thinking["type"] != "disabled";
    body.insert("thinking".to_owned(), thinking);
    Ok(thinks)
}

/// Of the two ways to say the same, the API takes one.
fn sampling(chat: &Value, body: &mut Map<String, Value>) {
    if let Some(temperature) = chat["temperature"].as_f64() {
        // Chat Completions goes to 2, Messages to 1.
        body.insert("temperature".to_owned(), json!(temperature.clamp(0.0, 1.0)));
    } else if chat["top_p"].is_number() {
        body.insert("top_p".to_owned(), chat["top_p"].clone());
    }
    if chat["top_k"].is_number() {
        body.insert("top_k".to_owned(), chat["top_k"].clone());
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, request};
    use crate::model::ModelError;
    use serde_json::{Value, json};

    fn translated(model: &str, fields: &Value) -> Result<Value, ModelError> {
        let mut chat = json!({"messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in fields.as_object().expect("fields") {
            chat[name] = value.clone();
        }
        let target = Target {
            model,
            max_output_tokens: 5000,
        };
        request(&chat, target)
    }

    #[test]
    fn a_plain_request() {
        assert_eq!(
            translated(
                "claude-opus-4-5",
                &json!({"model": "gpt-9", "temperature": 1.5})
            )
            .expect("it is translated"),
            json!({
                "model": "claude-opus-4-5",
                "max_tokens": 5000,
                "temperature": 1.0,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            })
        );
    }

    const EARLY: &str = "claude-haiku-4-5";
    const LATE: &str = "claude-opus-5";

    /// Checks one field of each translation.
    fn check(cases: impl IntoIterator<Item = (&'static str, Value, &'static str, Value)>) {
        for (model, fields, name, expected) in cases {
            let body = translated(model, &fields).expect("it is translated");
            assert_eq!(body[name], expected, "{fields}");
        }
    }

    #[test]
    fn limits_and_sampling() {
        let none = || json!(null);
        check([
            (
                EARLY,
                json!({"max_completion_tokens": 7}),
                "max_tokens",
                json!(7),
            ),
            (EARLY, json!({"max_tokens": 8}), "max_tokens", json!(8)),
            (
                EARLY,
                json!({"stop": "END"}),
                "stop_sequences",
                json!(["END"]),
            ),
            (
                EARLY,
                json!({"stop": ["A", "", "B"]}),
                "stop_sequences",
                json!(["A", "B"]),
            ),
            (EARLY, json!({"stop": []}), "stop_sequences", none()),
            (EARLY, json!({"top_p": 0.5}), "top_p", json!(0.5)),
            (
                EARLY,
                json!({"top_p": 0.5, "temperature": 0}),
                "top_p",
                none(),
            ),
            (LATE, json!({"temperature": 0.0}), "temperature", none()),
            (LATE, json!({"top_k": 5}), "top_k", none()),
            (
                EARLY,
                json!({"reasoning_effort": "high", "temperature": 0.5}),
                "temperature",
                none(),
            ),
        ]);
    }

    #[test]
    fn thinking_is_led_in_the_models_own_way() {
        let effort = |effort: &str| json!({"reasoning_effort": effort});
        let own = json!({"type": "adaptive", "display": "summarized"});
        let forced = json!({
            "reasoning_effort": "high", "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}],
        });
        check([
            (
                LATE,
                effort("minimal"),
                "output_config",
                json!({"effort": "low"}),
            ),
            (
                LATE,
                effort("xhigh"),
                "thinking",
                json!({"type": "adaptive"}),
            ),
            (
                LATE,
                json!({"reasoning": {"effort": "max"}}),
                "output_config",
                json!({"effort": "max"}),
            ),
            (
                EARLY,
                effort("medium"),
                "thinking",
                json!({"type": "enabled", "budget_tokens": 2500}),
            ),
            (
                EARLY,
                json!({"reasoning_effort": "low", "max_tokens": 1024}),
                "thinking",
                json!(null),
            ),
            (
                EARLY,
                effort("none"),
                "thinking",
                json!({"type": "disabled"}),
            ),
            (LATE, json!({"thinking": own}), "thinking", own),
            (LATE, forced, "thinking", json!(null)),
        ]);
    }

    #[test]
    fn formats_and_breakpoints() {
        let schema = json!({"type": "object"});
        let asked = json!({"response_format": {"type": "json_schema", "json_schema": {
            "name": "answer", "strict": true, "schema": schema,
        }}});
        let format = json!({"format": {"type": "json_schema", "schema": schema}});
        let text = json!({"response_format": {"type": "text"}});
        let mark = json!({"type": "ephemeral"});
        let object = json!({"response_format": {"type": "json_object"}});
        let only = json!([{
            "type": "text", "text": "Answer with one JSON object and nothing else.",
        }]);
        check([
            (LATE, object.clone(), "output_config", json!(null)),
            (LATE, object, "system", only),
            (LATE, asked, "output_config", format),
            (LATE, text, "output_config", json!(null)),
            (LATE, json!({"cache_control": mark}), "cache_control", mark),
        ]);
    }

    #[test]
    fn what_has_no_counterpart_is_refused_by_name() {
        for (fields, param, said) in [
            (
                json!({"logit_bias": {"50256": -100}}),
                "logit_bias",
                "`logit_bias`",
            ),
            (json!({"logprobs": true}), "logprobs", "`logprobs`"),
            (
                json!({"functions": [{"name": "f"}]}),
                "functions",
                "`functions`",
            ),
            (
                json!({"web_search_options": {"a": 1}}),
                "web_search_options",
                "not supported",
            ),
            (
                json!({"modalities": ["text", "audio"]}),
                "modalities",
                "`modalities`",
            ),
            (
                json!({"response_format": {"type": "grammar"}}),
                "response_format",
                "json_schema",
            ),
            (
                json!({"response_format": {"type": "json_schema"}}),
                "response_format",
                "JSON schema",
            ),
            (
                json!({"reasoning_effort": "extreme"}),
                "reasoning_effort",
                "`extreme`",
            ),
            (json!({"stop": 7}), "stop", "list of texts"),
            (json!({"stop": ["a", 7]}), "stop", "list of texts"),
            (
                json!({"enable_magic": "yes"}),
                "enable_magic",
                "`enable_magic`",
            ),
        ] {
            let error = translated("claude-opus-5", &fields).expect_err("it is refused");
            let ModelError::Refused { status: 400, error } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(error["param"], param);
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains(said), "{message}");
        }
        // What says nothing is no reason to refuse.
        let nothing = json!({
            "logprobs": false, "top_logprobs": null, "logit_bias": {}, "functions": [],
            "modalities": ["text"], "seed": 7, "user": "me", "parallel_tool_calls": true,
        });
        translated("claude-opus-5", &nothing).expect("it is translated");
    }
}
