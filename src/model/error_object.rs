//! Reads the error object that a provider answers with.

use serde_json::Value;

/// What a request is called that is longer than the model's context.
pub(super) const CONTEXT_OVERFLOW: &str = "context_length_exceeded";

/// What servers say of such a request, in lower case.
const OVERFLOWS: [&str; 15] = [
    // OpenAI, vLLM, DeepSeek, OpenRouter.
    "maximum context length",
    // Anthropic, Ollama.
    "prompt is too long",
    "prompt too long",
    // llama.cpp.
    "exceeds the available context size",
    "exceed context size",
    // LiteLLM.
    "contextwindowexceedederror",
    "context window",
    // OpenAI, of newer models.
    "context_length_exceeded",
    // SGLang, Ollama, LM Studio.
    "longer than the model's context length",
    "exceeds the context length",
    "model is loaded with context length",
    // xAI, Gemini, Bedrock, TGI.
    "maximum prompt length",
    "exceeds the maximum number of tokens",
    "input is too long",
    "`inputs` tokens + `max_new_tokens` must be",
];

/// Returns the message of an error object.
pub(super) fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap_or("no message")
}

/// Returns whether an error object says that the request was too long for the model.
pub(super) fn is_context_overflow(error: &Value) -> bool {
    let kinds = [&error["code"], &error["type"]];
    let text = message(error).to_lowercase();
    kinds
        .iter()
        .any(|kind| **kind == CONTEXT_OVERFLOW || **kind == "exceed_context_size_error")
        || OVERFLOWS.iter().any(|said| text.contains(said))
}
