//! The provider `anthropic` against a real server: what it sends, and what becomes of what
//! the server answers.

mod faults;
mod upstream;

use dgm::domain::{CallId, CallSettlement, CallStatus, JobId, Role, Usd, VariantId};
use dgm::model::{
    Allowance, Books, Denied, Intent, JobSubject, Metered, Model, ModelSettings, Price,
};
use dgm::sys::durable;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use upstream::{Answer, Upstream};

const KEY: &str = "sk-ant-test-0123456789";

/// Books that remember how calls ended.
#[derive(Default)]
struct Kept {
    intended: Mutex<u64>,
    settled: Mutex<Vec<CallSettlement>>,
}

impl Books for Kept {
    fn intend(&self, _intent: Intent) -> BoxFuture<'_, Result<CallId, Denied>> {
        Box::pin(async {
            let mut intended = self.intended.lock().unwrap();
            *intended += 1;
            Ok(CallId(*intended))
        })
    }

    fn settle(&self, settlement: CallSettlement) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.settled.lock().unwrap().push(settlement);
        })
    }
}

/// A model behind a server of the test's, in the hands of a job.
struct Bench {
    upstream: Upstream,
    metered: Arc<Metered>,
    books: Arc<Kept>,
    _folder: TempDir,
}

impl Bench {
    async fn new(answers: Vec<Answer>) -> Self {
        Self::with(answers, |_| {}).await
    }

    async fn with(answers: Vec<Answer>, change: impl FnOnce(&mut ModelSettings)) -> Self {
        let upstream = Upstream::start(answers).await;
        let folder = TempDir::new().unwrap();
        let mut settings = settings(&upstream.url, folder.path());
        change(&mut settings);
        let books = Arc::new(Kept::default());
        let job = JobSubject {
            subject: JobId::Attempt(VariantId(1)),
            execution: 1,
            role: Role::Solve,
        };
        let model = Arc::new(Model::new(settings).unwrap());
        let metered = Metered::new(model, books.clone(), job, Allowance::default());
        Self {
            upstream,
            metered: Arc::new(metered),
            books,
            _folder: folder,
        }
    }

    /// Returns how each call ended, once all have.
    async fn settled(&self) -> Vec<CallSettlement> {
        self.metered.settled().await;
        let settled = self.books.settled.lock().unwrap().clone();
        assert_eq!(settled.len() as u64, *self.books.intended.lock().unwrap());
        settled
    }

    /// Returns the one call there was.
    async fn only(&self) -> CallSettlement {
        let mut settled = self.settled().await;
        assert_eq!(settled.len(), 1, "{settled:?}");
        settled.remove(0)
    }
}

fn settings(url: &str, folder: &Path) -> ModelSettings {
    let key = folder.join("key");
    durable::write(&key, format!("{KEY}\n").as_bytes()).unwrap();
    let mut settings = ModelSettings::new("anthropic", "claude-opus-5");
    settings.base_url = Some(url.to_owned());
    settings.api_key_file = Some(key);
    settings.max_output_tokens = Some(4000);
    settings.price = Some(Price::Free);
    settings.timeout = Duration::from_secs(60);
    settings.retry.first_pause = Duration::from_millis(1);
    settings
}

fn whole(body: &Value) -> Answer {
    Answer::Whole(200, Vec::new(), body.to_string())
}

/// A message with thinking, text and two calls.
fn message() -> Value {
    json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-opus-5",
        "content": [
            {"type": "thinking", "thinking": "Let me look.", "signature": "EqQBCgIYAhIM"},
            {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
            {"type": "text", "text": "I look at both."},
            {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
            {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {"command": "cat a"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 20, "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 4000, "output_tokens": 70,
            "output_tokens_details": {"thinking_tokens": 30}, "service_tier": "standard",
        },
    })
}

/// The same message as the server streams it.
fn events() -> Vec<Value> {
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let call = |index: u64, id: &str, pieces: [&str; 2]| {
        vec![
            start(
                index,
                json!({"type": "tool_use", "id": id, "name": "bash", "input": {}}),
            ),
            delta(
                index,
                json!({"type": "input_json_delta", "partial_json": ""}),
            ),
            delta(
                index,
                json!({"type": "input_json_delta", "partial_json": pieces[0]}),
            ),
            delta(
                index,
                json!({"type": "input_json_delta", "partial_json": pieces[1]}),
            ),
            stop(index),
        ]
    };
    let mut head = message();
    head["content"] = json!([]);
    head["stop_reason"] = Value::Null;
    head["usage"]["output_tokens"] = json!(1);
    let mut events = vec![
        json!({"type": "message_start", "message": head}),
        start(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        json!({"type": "ping"}),
        delta(0, json!({"type": "thinking_delta", "thinking": "Let me "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "look."})),
        delta(
            0,
            json!({"type": "signature_delta", "signature": "EqQBCgIYAhIM"}),
        ),
        stop(0),
        start(1, message()["content"][1].clone()),
        stop(1),
        start(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "I look "})),
        delta(2, json!({"type": "text_delta", "text": "at both."})),
        stop(2),
    ];
    events.extend(call(3, "toolu_1", ["{\"command\":", "\"ls\"}"]));
    events.extend(call(4, "toolu_2", ["{\"command\":\"c", "at a\"}"]));
    events.push(json!({
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": null},
        "usage": message()["usage"],
    }));
    events.push(json!({"type": "message_stop"}));
    events
}

fn tools() -> Value {
    json!([{"type": "function", "function": {
        "name": "bash", "description": "Runs a command.".repeat(200),
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
    }}])
}

fn opening() -> Vec<Value> {
    vec![
        json!({"role": "system", "content": "You fix bugs."}),
        json!({"role": "user", "content": "Fix it."}),
    ]
}

fn mark() -> Value {
    json!({"type": "ephemeral"})
}

fn is_counted(settlement: &CallSettlement) {
    let tokens = settlement.tokens;
    assert_eq!(settlement.status, CallStatus::Answered);
    assert_eq!((tokens.input, tokens.cached), (4320, 4000));
    assert_eq!((tokens.cache_written, tokens.output), (300, 70));
    assert_eq!(tokens.reasoning, 30);
    assert_eq!(settlement.cost, Usd(0));
}

#[tokio::test]
async fn a_tool_loop_in_chat_completions() {
    let mut end = message();
    end["content"] = json!([{"type": "text", "text": "Done."}]);
    end["stop_reason"] = json!("end_turn");
    let bench = Bench::new(vec![whole(&message()), whole(&end)]).await;
    let mut messages = opening();
    let request = |messages: &[Value]| {
        json!({"model": "gpt-9", "messages": messages, "tools": tools(), "temperature": 0,
               "max_tokens": 90_000})
    };
    let reply = bench.metered.complete(&request(&messages)).await.unwrap();
    assert_eq!(reply.text(), "I look at both.");
    assert_eq!(reply.finish_reason(), "tool_calls");
    assert!(reply.body["created"].is_number());

    // The agent sends back what it got, and the answers of its tools.
    let answer = reply.message().unwrap();
    let ids: Vec<&str> = answer["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["toolu_1", "toolu_2"]);
    messages.push(answer.clone());
    for (id, content) in ids.iter().zip(["a", "text of a"]) {
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }
    let reply = bench.metered.complete(&request(&messages)).await.unwrap();
    assert_eq!(
        (reply.text(), reply.finish_reason()),
        ("Done.".to_owned(), "stop")
    );

    let asked = bench.upstream.asked();
    let [first, second] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(first.path, "/v1/messages");
    assert_eq!(first.header("x-api-key"), KEY);
    assert_eq!(first.header("anthropic-version"), "2023-06-01");
    assert_eq!(first.header("authorization"), "");
    let function = &tools()[0]["function"];
    let user = |content: Value| json!({"role": "user", "content": content});
    let mut expected = json!({
        "model": "claude-opus-5",
        "max_tokens": 4000,
        "system": [{"type": "text", "text": "You fix bugs.", "cache_control": mark()}],
        "tools": [{
            "name": "bash", "description": function["description"],
            "input_schema": function["parameters"],
        }],
        "messages": [user(json!([{"type": "text", "text": "Fix it.", "cache_control": mark()}]))],
    });
    assert_eq!(first.body, expected);
    let result = |id: &str, content: &str| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    let mut last = result("toolu_2", "text of a");
    last["cache_control"] = mark();
    expected["messages"] = json!([
        user(json!([{"type": "text", "text": "Fix it.", "cache_control": mark()}])),
        {"role": "assistant", "content": message()["content"]},
        user(json!([result("toolu_1", "a"), last])),
    ]);
    assert_eq!(second.body, expected);
    let settled = bench.settled().await;
    assert_eq!(settled.len(), 2);
    settled.iter().for_each(is_counted);
}

#[tokio::test]
async fn a_stream_passes_chunk_by_chunk() {
    let (send, receive) = unbounded_channel();
    let bench = Bench::new(vec![Answer::Paced(receive)]).await;
    let request = json!({
        "messages": opening(), "stream": true, "stream_options": {"include_usage": true},
    });
    let mut events = events().into_iter();
    // A stream has begun when something of it has come.
    send.send(events.next()).unwrap();
    let mut stream = bench.metered.stream(&request).await.unwrap();
    let mut chunks: Vec<Value> = Vec::new();
    let mut is_done = false;
    let mut expected = 1;
    loop {
        // Everything that came of the last event is here before the next one is sent.
        while chunks.len() < expected && !is_done {
            let event = stream.next().await.unwrap().unwrap();
            match event.data.as_str() {
                "[DONE]" => is_done = true,
                data => chunks.push(serde_json::from_str(data).unwrap()),
            }
        }
        let Some(event) = events.next() else { break };
        let delta = &event["delta"];
        expected += match event["type"].as_str().unwrap() {
            "content_block_start" if event["content_block"]["type"] == "thinking" => 0,
            "content_block_start" if event["content_block"]["type"] == "redacted_thinking" => 0,
            "content_block_start" => 1,
            "content_block_delta" if delta["type"] == "signature_delta" => 0,
            "content_block_delta" if delta["partial_json"] == "" => 0,
            "content_block_delta" => 1,
            "content_block_stop" if event["index"].as_u64() < Some(2) => 1,
            "message_delta" => 2,
            _ => 0,
        };
        send.send(Some(event)).unwrap();
    }
    drop(send);
    if !is_done {
        assert_eq!(stream.next().await.unwrap().unwrap().data, "[DONE]");
    }
    assert!(stream.next().await.is_none());
    drop(stream);

    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "I look at both.");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 4320);
    assert_eq!(bench.upstream.only().body["stream"], true);
    is_counted(&bench.only().await);
}

#[tokio::test]
async fn a_messages_request_passes_verbatim() {
    let bench = Bench::new(vec![whole(&message())]).await;
    let request = json!({
        "model": "claude-haiku-4-5", "max_tokens": 90_000, "stream": false,
        "anthropic_version": "2026-10-21",
        "anthropic_beta": ["interleaved-thinking-2025-05-14", "code-execution-2025-08-25"],
        "system": [{"type": "text", "text": "s", "cache_control": mark()}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "bash", "input_schema": {"type": "object"}}],
    });
    let reply = bench.metered.messages(&request).await.unwrap();
    assert_eq!(reply.body, message());
    let asked = bench.upstream.only();
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!(asked.header("x-api-key"), KEY);
    assert_eq!(asked.header("anthropic-version"), "2026-10-21");
    assert_eq!(
        asked.header("anthropic-beta"),
        "interleaved-thinking-2025-05-14"
    );
    let mut expected = request;
    let fields = expected.as_object_mut().unwrap();
    for name in ["anthropic_version", "anthropic_beta", "stream"] {
        fields.shift_remove(name);
    }
    expected["model"] = json!("claude-opus-5");
    expected["max_tokens"] = json!(4000);
    assert_eq!(asked.body, expected);
    is_counted(&bench.only().await);
}

#[tokio::test]
async fn a_messages_stream_passes_verbatim() {
    let bench = Bench::new(vec![Answer::Events(events())]).await;
    let request = json!({
        "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": "hi"}],
    });
    let stream = bench.metered.stream_messages(&request).await.unwrap();
    let passed: Vec<Value> = stream
        .map(|event| {
            let event = event.unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(event.name.as_deref(), data["type"].as_str());
            data
        })
        .collect()
        .await;
    assert_eq!(passed, events());
    let mut expected = request;
    expected["model"] = json!("claude-opus-5");
    assert_eq!(bench.upstream.only().body, expected);
    is_counted(&bench.only().await);
}

#[tokio::test]
async fn a_long_answer_is_asked_for_as_a_stream() {
    let answers = vec![
        Answer::Events(events()),
        Answer::Events(events()),
        Answer::Events(events()),
    ];
    let bench = Bench::with(answers, |settings| {
        settings.max_output_tokens = Some(64_000);
        settings
            .extra_body
            .insert("inference_geo".to_owned(), json!("us"));
    })
    .await;
    let messages = opening();
    let chat = bench
        .metered
        .complete(&json!({"messages": messages}))
        .await
        .unwrap();
    assert_eq!(
        chat.message().unwrap()["thinking_blocks"][0]["signature"],
        "EqQBCgIYAhIM"
    );
    assert_eq!(chat.finish_reason(), "tool_calls");
    let request = json!({"max_tokens": 64_000, "messages": [{"role": "user", "content": "hi"}]});
    let own = bench.metered.messages(&request).await.unwrap();
    assert_eq!(own.body, message());
    for asked in bench.upstream.asked() {
        assert_eq!(asked.body["stream"], true);
        assert_eq!(asked.body["max_tokens"], 64_000);
        assert_eq!(asked.body["inference_geo"], "us");
    }
    bench.settled().await.iter().for_each(is_counted);
}

#[tokio::test]
async fn what_cannot_be_translated_never_leaves() {
    let bench = Bench::new(Vec::new()).await;
    let mut request = json!({"messages": opening()});
    request["logit_bias"] = json!({"7": 1});
    let error = bench.metered.complete(&request).await.unwrap_err();
    let object = error.to_object();
    assert_eq!(object["param"], "logit_bias");
    assert_eq!(object["type"], "invalid_request_error");
    assert!(bench.upstream.asked().is_empty());
}
