//! What an agent hears of a call that failed: about its request, never about the host.

use super::{CHAT, KEY, Line, MESSAGES, Say, ask};
use serde_json::{Value, json};

const REQUEST: &str = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
const STREAMED: &str = r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#;

/// Returns the error of an answer, whole or in a stream.
fn error(body: &str) -> Value {
    let mut event = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let last = event.next_back().unwrap_or(body);
    serde_json::from_str::<Value>(last).unwrap()["error"].clone()
}

/// Asserts that an answer names nothing of the host.
fn assert_discreet(body: &str) {
    for part in [
        KEY,
        &KEY[..9],
        "127.0.0.1",
        "http:",
        "/tmp/",
        "org-",
        "key file",
        "curl",
    ] {
        assert!(!body.contains(part), "{part}: {body}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_no_matter_of_the_agents() {
    for (provider, path) in [
        ("openai", CHAT),
        ("anthropic", CHAT),
        ("anthropic", MESSAGES),
    ] {
        for request in [REQUEST, STREAMED] {
            let line = Line::to(provider).await;
            let body = json!({"error": {
                "type": "authentication_error",
                "message": format!("Incorrect key {KEY} of org-Ab12Cd34, see http://127.0.0.1/keys"),
            }});
            let (_, heard) = line
                .ask(path, request, Say::Whole(401, body.to_string()))
                .await;
            assert_eq!(heard.status, 401);
            assert_discreet(&heard.body);
            let error = error(&heard.body);
            assert_eq!(error["type"], "authentication_error");
            assert_eq!(
                error["message"],
                "the model cannot be asked; the run's log says why"
            );
            // The host knows it all, but for the key.
            let known = line.metered.provider_failure().unwrap();
            for part in ["http://127.0.0.1:", "answers 401", "org-Ab12Cd34", "/key"] {
                assert!(known.contains(part), "{part}: {known}");
            }
            assert!(!known.contains(KEY));
            let transcript = String::from_utf8(line.metered.transcript_bytes()).unwrap();
            assert!(transcript.contains("answers 401"), "{transcript}");
            // It is not asked again, and the agent hears the same.
            let again = ask(line.gateway.path(), path, request).await;
            assert_eq!((again.status, &again.body), (401, &heard.body));
        }
    }
}

#[tokio::test]
async fn a_missing_key_does_not_show_where_it_should_be() {
    let missing = |settings: &mut dgm::model::ModelSettings| {
        settings.api_key_file = Some("/tmp/no/such/key file".into());
    };
    let line = Line::with("openai", missing).await;
    let heard = ask(line.gateway.path(), CHAT, REQUEST).await;
    assert_eq!(heard.status, 401);
    assert_discreet(&heard.body);
    let known = line.metered.provider_failure().unwrap();
    assert!(known.contains("/tmp/no/such/key file"), "{known}");
}

#[tokio::test]
async fn a_refusal_is_passed_on_without_what_is_not_the_agents() {
    for (provider, path) in [
        ("openai", CHAT),
        ("anthropic", CHAT),
        ("anthropic", MESSAGES),
    ] {
        let line = Line::to(provider).await;
        let body = json!({"type": "error", "request_id": "req_1", "error": {
            "type": "invalid_request_error", "code": "context_length_exceeded", "param": "messages",
            "message": "prompt is too long: 210000 tokens > 200000 maximum, org-Ab12Cd34 at http://127.0.0.1/x",
            "metadata": {"raw": "http://127.0.0.1/raw"},
        }});
        let (_, heard) = line
            .ask(path, REQUEST, Say::Whole(400, body.to_string()))
            .await;
        assert_eq!(heard.status, 400);
        assert_discreet(&heard.body);
        let error = error(&heard.body);
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(
            error["message"],
            "prompt is too long: 210000 tokens > 200000 maximum, […] at […]"
        );
        if path == CHAT {
            assert_eq!(error["code"], "context_length_exceeded");
            assert_eq!(error["param"], "messages");
            assert_eq!(error.as_object().unwrap().len(), 4);
        }
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_stream_says_no_more() {
    let line = Line::to("openai").await;
    let chunk = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"he"}}]}"#;
    let fault = json!({"error": {
        "type": "server_error", "message": "worker at http://127.0.0.1:1 of org-Ab12Cd34 died",
    }});
    let say = Say::Events(format!("data: {chunk}\n\ndata: {fault}\n\n"));
    let (_, heard) = line.ask(CHAT, STREAMED, say).await;
    assert_eq!(heard.status, 200);
    assert_discreet(&heard.body);
    assert_eq!(
        error(&heard.body)["message"],
        "the model's provider failed; the run's log says how"
    );
    let known = line.metered.provider_failure().unwrap();
    assert!(known.contains("org-Ab12Cd34 died"), "{known}");
}
