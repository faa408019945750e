//! The parts of a message's content, and what they are in the other dialect.

use super::{is_blank, refuse};
use crate::model::ModelError;
use serde_json::{Value, json};

/// Returns the content of a user's message or of a tool's answer as blocks. Text without a
/// visible character, which Messages refuses, is left out.
pub(super) fn to_blocks(content: &Value, place: &str) -> Result<Vec<Value>, ModelError> {
    let mut blocks = Vec::new();
    match content {
        Value::Null => {}
        Value::String(text) => blocks.extend(text_block(text)),
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                let block = to_block(part, &format!("{place}[{index}]"))?;
                blocks.extend(block.map(|block| with_mark(block, part)));
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(refuse(place, format!("`{place}` is no text and no list")));
        }
    }
    Ok(blocks)
}

/// Returns text as a block, if there is any to see.
pub(super) fn text_block(text: &str) -> Option<Value> {
    (!is_blank(text)).then(|| json!({"type": "text", "text": text}))
}

fn to_block(part: &Value, place: &str) -> Result<Option<Value>, ModelError> {
    match part["type"].as_str() {
        Some("text") => match part["text"].as_str() {
            Some(text) => Ok(text_block(text)),
            None => Err(refuse(place, format!("`{place}` has no `text`"))),
        },
        Some("image_url") => {
            let url = &part["image_url"];
            let url = url.as_str().or_else(|| url["url"].as_str());
            let Some(source) = url.and_then(image_source) else {
                let what =
                    format!("`{place}` is no image: `image_url.url` must be a data or HTTP URL");
                return Err(refuse(place, what));
            };
            Ok(Some(json!({"type": "image", "source": source})))
        }
        Some(other) => {
            let what = format!(
                "`{place}` is of type `{other}`, which is not supported by this model's provider"
            );
            Err(refuse(place, what))
        }
        None => Err(refuse(place, format!("`{place}` has no `type`"))),
    }
}

/// Breakpoints that the caller set itself, as several clients do, stay where they are.
fn with_mark(mut block: Value, part: &Value) -> Value {
    if part["cache_control"].is_object() {
        block["cache_control"] = part["cache_control"].clone();
    }
    block
}

fn image_source(url: &str) -> Option<Value> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Some(json!({"type": "url", "url": url}));
    }
    let (kind, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    // Parameters such as `charset` may stand behind the type.
    let kind = kind.split(';').next().unwrap_or(kind);
    Some(json!({"type": "base64", "media_type": kind, "data": data}))
}

/// Returns blocks as a content: a plain string where it is one text, else a list of parts.
/// What Chat Completions has no part for is named in a text.
pub(super) fn to_content(blocks: &[&Value]) -> Value {
    if let [only] = blocks
        && let Some(text) = only["text"].as_str()
    {
        return json!(text);
    }
    blocks.iter().map(|block| to_part(block)).collect()
}

fn to_part(block: &Value) -> Value {
    let source = &block["source"];
    let url = match (block["type"].as_str(), source["type"].as_str()) {
        (Some("text"), _) => return json!({"type": "text", "text": block["text"]}),
        (Some("image"), Some("url")) => source["url"].as_str().map(str::to_owned),
        (Some("image"), Some("base64")) => {
            let text = |name: &str| source[name].as_str().unwrap_or_default();
            Some(format!(
                "data:{};base64,{}",
                text("media_type"),
                text("data")
            ))
        }
        _ => None,
    };
    match url {
        Some(url) => json!({"type": "image_url", "image_url": {"url": url}}),
        None => {
            let kind = block["type"].as_str().unwrap_or("unknown block");
            json!({"type": "text", "text": format!("[{kind}]")})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{to_blocks, to_content};
    use serde_json::json;

    #[test]
    fn images_go_there_and_back() {
        let content = json!([
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ]);
        let blocks = to_blocks(&content, "c").expect("it is translated");
        assert_eq!(
            blocks,
            [
                json!({"type": "text", "text": "see"}),
                json!({"type": "image", "source": {
                    "type": "base64", "media_type": "image/png", "data": "iVBO"
                }}),
                json!({"type": "image", "source": {
                    "type": "url", "url": "https://example.org/a.png"
                }}),
            ]
        );
        assert_eq!(to_content(&blocks.iter().collect::<Vec<_>>()), content);
    }

    #[test]
    fn marks_of_the_caller_stay_and_blank_text_goes() {
        let mark = json!({"type": "ephemeral"});
        let content = json!([
            {"type": "text", "text": " \n"},
            {"type": "text", "text": "a", "cache_control": mark},
        ]);
        assert_eq!(
            to_blocks(&content, "c").expect("it is translated"),
            [json!({"type": "text", "text": "a", "cache_control": mark})]
        );
        let nothing = to_blocks(&json!(""), "c").expect("it is translated");
        assert!(nothing.is_empty());
    }

    #[test]
    fn other_parts_are_refused_by_their_place() {
        for (content, said) in [
            (
                json!([{"type": "input_audio", "input_audio": {}}]),
                "`input_audio`",
            ),
            (
                json!([{"type": "text", "text": "a"}, {}]),
                "`c[1]` has no `type`",
            ),
            (json!([{"type": "text"}]), "`c[0]` has no `text`"),
            (
                json!([{"type": "image_url", "image_url": "file:///a.png"}]),
                "HTTP URL",
            ),
            (json!(7), "no text and no list"),
        ] {
            let error = to_blocks(&content, "c").expect_err("it is refused");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
