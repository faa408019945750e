//! Tools and the choice among them.

use super::refuse;
use crate::model::ModelError;
use serde_json::{Map, Value, json};

/// Puts the tools that a Chat Completions request offers into a Messages request.
pub(super) fn read(chat: &Value, body: &mut Map<String, Value>) -> Result<(), ModelError> {
    let offered = match &chat["tools"] {
        Value::Null => &[],
        Value::Array(list) => list.as_slice(),
        _ => return Err(refuse("tools", "`tools` must be a list")),
    };
    if offered.is_empty() {
        // A conversation with calls in it needs its tools declared, also when the caller
        // wants no more of them.
        let used = used(body.get("messages"));
        if !used.is_empty() {
            body.insert("tools".to_owned(), Value::Array(used));
            body.insert("tool_choice".to_owned(), json!({"type": "none"}));
        }
        return Ok(());
    }
    let mut tools = Vec::with_capacity(offered.len());
    for (index, tool) in offered.iter().enumerate() {
        tools.push(read_tool(tool, index)?);
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    if let Some(choice) = choice(&chat["tool_choice"], chat["parallel_tool_calls"] == false)? {
        body.insert("tool_choice".to_owned(), choice);
    }
    Ok(())
}

fn read_tool(tool: &Value, index: usize) -> Result<Value, ModelError> {
    let function = &tool["function"];
    let Some(name) = function["name"]
        .as_str()
        .filter(|_| tool["type"] == "function")
    else {
        let what = format!("`tools[{index}]` is no function with a `name`");
        return Err(refuse("tools", what));
    };
    let mut schema = match &function["parameters"] {
        Value::Null => json!({"properties": {}}),
        schema @ Value::Object(_) => schema.clone(),
        _ => {
            let what = format!("`tools[{index}].function.parameters` must be a JSON schema");
            return Err(refuse("tools", what));
        }
    };
    if schema["type"].is_null() {
        schema["type"] = json!("object");
    }
    let mut read = json!({"name": name, "input_schema": schema});
    if function["description"]
        .as_str()
        .is_some_and(|text| !text.is_empty())
    {
        read["description"] = function["description"].clone();
    }
    if function["strict"] == true {
        read["strict"] = json!(true);
    }
    for place in [tool, function] {
        if place["cache_control"].is_object() {
            read["cache_control"] = place["cache_control"].clone();
        }
    }
    Ok(read)
}

fn choice(choice: &Value, one_at_a_time: bool) -> Result<Option<Value>, ModelError> {
    let mut read = match (choice.as_str(), choice["type"].as_str()) {
        (None, None) if choice.is_null() => {
            if !one_at_a_time {
                return Ok(None);
            }
            json!({"type": "auto"})
        }
        (Some("none"), _) => return Ok(Some(json!({"type": "none"}))),
        (Some("auto"), _) => json!({"type": "auto"}),
        (Some("required"), _) => json!({"type": "any"}),
        (None, Some("function")) if choice["function"]["name"].is_string() => {
            json!({"type": "tool", "name": choice["function"]["name"]})
        }
        _ => {
            let what = "`tool_choice` must be `none`, `auto`, `required` or one function";
            return Err(refuse("tool_choice", what));
        }
    };
    if one_at_a_time {
        read["disable_parallel_tool_use"] = json!(true);
    }
    Ok(Some(read))
}

/// Returns declarations of the tools that were called so far.
fn used(turns: Option<&Value>) -> Vec<Value> {
    let turns = turns.and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<&str> = turns
        .filter_map(|turn| turn["content"].as_array())
        .flatten()
        .filter(|block| block["type"] == "tool_use")
        .filter_map(|block| block["name"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let declare = |name| json!({"name": name, "input_schema": {"type": "object"}});
    names.into_iter().map(declare).collect()
}

/// Returns a tool of a Messages request as one of Chat Completions; what is no function, such
/// as a tool that Anthropic defines, stays what it is.
pub(super) fn to_chat(tool: &Value) -> Value {
    if !tool["input_schema"].is_object() {
        return tool.clone();
    }
    let mut function = json!({"name": tool["name"], "parameters": tool["input_schema"]});
    for name in ["description", "strict"] {
        if !tool[name].is_null() {
            function[name] = tool[name].clone();
        }
    }
    json!({"type": "function", "function": function})
}

#[cfg(test)]
mod tests {
    use super::{read, to_chat};
    use serde_json::{Map, Value, json};

    fn offer(fields: &Value) -> Map<String, Value> {
        let mut chat = json!({"tools": [{"type": "function", "function": {
            "name": "bash", "description": "Runs.", "strict": true,
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
        }}]});
        for (name, value) in fields.as_object().expect("fields") {
            chat[name] = value.clone();
        }
        let mut body = Map::new();
        read(&chat, &mut body).expect("it is translated");
        body
    }

    #[test]
    fn tools_go_there_and_back() {
        let body = offer(&json!({}));
        assert_eq!(
            Value::Object(body.clone()),
            json!({"tools": [{
                "name": "bash", "description": "Runs.", "strict": true,
                "input_schema": {
                    "type": "object", "properties": {"command": {"type": "string"}}
                },
            }]})
        );
        assert_eq!(
            to_chat(&body["tools"][0])["function"]["parameters"]["properties"]["command"]["type"],
            "string"
        );
        let bare = offer(&json!({"tools": [{"type": "function", "function": {"name": "f"}}]}));
        assert_eq!(
            bare["tools"][0]["input_schema"],
            json!({"type": "object", "properties": {}})
        );
    }

    #[test]
    fn choices() {
        for (fields, expected) in [
            (json!({"tool_choice": "auto"}), json!({"type": "auto"})),
            (json!({"tool_choice": "required"}), json!({"type": "any"})),
            (json!({"tool_choice": "none"}), json!({"type": "none"})),
            (
                json!({"tool_choice": {"type": "function", "function": {"name": "bash"}}}),
                json!({"type": "tool", "name": "bash"}),
            ),
            (
                json!({"parallel_tool_calls": false}),
                json!({"type": "auto", "disable_parallel_tool_use": true}),
            ),
            (
                json!({"parallel_tool_calls": false, "tool_choice": "required"}),
                json!({"type": "any", "disable_parallel_tool_use": true}),
            ),
        ] {
            assert_eq!(offer(&fields)["tool_choice"], expected, "{fields}");
        }
        let choice = json!({"type": "allowed_tools"});
        let chat = json!({"tools": [{"type": "function", "function": {"name": "f"}}],
                          "tool_choice": choice});
        let error = read(&chat, &mut Map::new()).expect_err("it is refused");
        assert!(error.to_string().contains("`tool_choice`"), "{error}");
        let chat = json!({"tools": [{"type": "custom", "custom": {"name": "f"}}]});
        let error = read(&chat, &mut Map::new()).expect_err("it is refused");
        assert!(error.to_string().contains("`tools[0]`"), "{error}");
    }

    #[test]
    fn tools_that_were_called_stay_declared() {
        let mut body = Map::new();
        let call = json!({"type": "tool_use", "id": "a", "name": "bash", "input": {}});
        let turn = json!({"role": "assistant", "content": [call, call]});
        body.insert("messages".to_owned(), json!([turn]));
        read(&json!({}), &mut body).expect("it is translated");
        assert_eq!(
            body["tools"],
            json!([{"name": "bash", "input_schema": {"type": "object"}}])
        );
        assert_eq!(body["tool_choice"], json!({"type": "none"}));
    }
}
