//! The order in which keys are written means something to models: it stays.

use super::{CHAT, Line, MESSAGES, Say};
use dgm::model::ModelSettings;
use serde_json::Value;

/// Properties in no order that a program would put them into, and every kind of number.
const SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"reason":{"type":"string","description":"é"},"#,
    r#""answer":{"maximum":18446744073709551615,"minimum":-9223372036854775808,"#,
    r#""multipleOf":0.1,"type":"number","default":1.0,"examples":[1e-7,-0.5,3.25e+40]},"#,
    r#""b":{"enum":["z","a"]},"a":{},"10":{},"9":{}},"#,
    r#""required":["reason","answer"],"additionalProperties":false}"#
);
/// Arguments of a call, as a model wrote them.
const ARGUMENTS: &str = r#"{"path":"a.py","line":7,"edit":{"old":"x","new":"y","all":true}}"#;

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A request in Chat Completions, but for what the host says in it.
fn chat() -> String {
    let arguments = quoted(ARGUMENTS);
    format!(r#"{{"tools":[{{"type":"function","function":{{"name":"f","parameters":{SCHEMA}}}}}],"#)
        + &format!(
            r#""response_format":{{"type":"json_schema","json_schema":{{"strict":true,"name":"n","schema":{SCHEMA}}}}},"#
        )
        + &format!(
            r#""messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}},{{"role":"tool","tool_call_id":"c","content":"done"}}],"seed":7"#
        )
}

/// The same in Messages.
fn messages() -> String {
    format!(r#"{{"tools":[{{"name":"f","input_schema":{SCHEMA},"description":"d"}}],"system":"s","#)
        + &format!(
            r#""messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"c","name":"f","input":{ARGUMENTS}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c","content":"done"}}]}}]"#
        )
}

fn ended(body: &str, more: &str) -> String {
    format!("{body}{more}}}")
}

/// A message with a call, as Anthropic's server writes it.
fn message() -> String {
    format!(
        r#"{{"model":"served","id":"m","type":"message","role":"assistant","content":[{{"type":"text","text":"{{\"b\":1,\"a\":2}}"}},{{"type":"tool_use","id":"d","name":"f","input":{ARGUMENTS},"caller":{{"type":"direct","id":1}}}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{{"input_tokens":3,"output_tokens":4,"zeta":0,"alpha":1}}}}"#
    )
}

/// The same as events; its call's input comes whole, or in two pieces.
fn events(in_pieces: bool) -> String {
    let (first, second) = ARGUMENTS.split_at(20);
    let input = if in_pieces { "{}" } else { ARGUMENTS };
    let mut events = vec![
        r#"{"type":"message_start","message":{"model":"served","id":"m","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"output_tokens":1,"input_tokens":3}}}"#.to_owned(),
        format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"d","name":"f","input":{input}}}}}"#
        ),
    ];
    for piece in [first, second].into_iter().filter(|_| in_pieces) {
        let piece = quoted(piece);
        events.push(format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":{piece}}}}}"#
        ));
    }
    events.extend(
        [
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_sequence":null,"stop_reason":"tool_use"},"usage":{"output_tokens":4}}"#,
            r#"{"type":"message_stop"}"#,
        ]
        .map(str::to_owned),
    );
    let name = |event: &str| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["type"].as_str().unwrap().to_owned()
    };
    let events = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", name(event)));
    events.collect()
}

/// A completion with a call, as a server may write it.
fn completion() -> String {
    let arguments = quoted(ARGUMENTS);
    format!(
        r#"{{"model":"served","id":"x","object":"chat.completion","created":5,"choices":[{{"finish_reason":"tool_calls","index":0,"message":{{"role":"assistant","reasoning":{{"z":1,"a":2}},"content":null,"tool_calls":[{{"type":"function","id":"d","function":{{"name":"f","arguments":{arguments}}}}}]}}}}],"usage":{{"total_tokens":7,"prompt_tokens":3,"completion_tokens":4}}}}"#
    )
}

#[tokio::test]
async fn chat_completions_pass_in_their_order() {
    let line = Line::to("openai").await;
    let say = Say::Whole(200, completion());
    let request = ended(&chat(), r#","model":"any","max_tokens":100"#);
    let (asked, heard) = line.ask(CHAT, &request, say).await;
    let own = r#","model":"served","max_completion_tokens":100"#;
    assert_eq!(asked, ended(&chat(), own));
    assert_eq!((heard.status, heard.body), (200, completion()));
}

#[tokio::test]
async fn streamed_chat_completions_pass_in_their_order() {
    let line = Line::to("openai").await;
    let arguments = quoted(ARGUMENTS);
    let chunks = format!(
        "data: {{\"model\":\"served\",\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":\
         [{{\"index\":0,\"id\":\"d\",\"function\":{{\"name\":\"f\",\"arguments\":{arguments}}}}}]}}}}]}}\n\n\
         data: {{\"id\":\"x\",\"choices\":[{{\"finish_reason\":\"tool_calls\",\"delta\":{{}},\"index\":0}}]}}\n\n\
         data: [DONE]\n\n"
    );
    let request = ended(&chat(), r#","stream":true,"max_tokens":100"#);
    let (asked, heard) = line.ask(CHAT, &request, Say::Events(chunks.clone())).await;
    let own = r#","model":"served","max_completion_tokens":100,"stream":true,"stream_options":{"include_usage":true}"#;
    assert_eq!(asked, ended(&chat(), own));
    assert_eq!((heard.status, heard.body), (200, chunks));
}

#[tokio::test]
async fn messages_pass_verbatim() {
    let line = Line::to("anthropic").await;
    // Fields that stand for headers leave no trace in the order of the others.
    let version = r#","anthropic_version":"2023-06-01","top_k":5,"max_tokens":100"#;
    let own = r#","top_k":5,"max_tokens":100,"model":"served""#;
    let request = ended(&messages(), version);
    let (asked, heard) = line
        .ask(MESSAGES, &request, Say::Whole(200, message()))
        .await;
    assert_eq!(asked, ended(&messages(), own));
    assert_eq!((heard.status, heard.body), (200, message()));

    let request = ended(&messages(), &format!("{version},\"stream\":true"));
    let (asked, heard) = line
        .ask(MESSAGES, &request, Say::Events(events(true)))
        .await;
    assert_eq!(asked, ended(&messages(), &format!("{own},\"stream\":true")));
    assert_eq!((heard.status, heard.body), (200, events(true)));
}

#[tokio::test]
async fn translated_requests_and_replies_keep_the_order_within() {
    let line = Line::to("anthropic").await;
    let assert_asked = |asked: &str| {
        assert!(
            asked.contains(&format!(r#""input_schema":{SCHEMA}"#)),
            "{asked}"
        );
        assert!(asked.contains(&format!(r#""schema":{SCHEMA}"#)), "{asked}");
        assert!(
            asked.contains(&format!(r#""input":{ARGUMENTS}"#)),
            "{asked}"
        );
    };
    let request = ended(&chat(), "");
    let (asked, heard) = line.ask(CHAT, &request, Say::Whole(200, message())).await;
    assert_asked(&asked);
    let arguments = format!(r#""arguments":{}"#, quoted(ARGUMENTS));
    assert!(heard.body.contains(&arguments), "{}", heard.body);

    let request = ended(&chat(), r#","stream":true"#);
    for in_pieces in [true, false] {
        let say = Say::Events(events(in_pieces));
        let (asked, heard) = line.ask(CHAT, &request, say).await;
        assert_asked(&asked);
        let chunks = heard.body.split("\n\n").filter_map(|event| {
            let chunk: Value = serde_json::from_str(event.strip_prefix("data: ")?).ok()?;
            let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
            Some(call["function"]["arguments"].as_str()?.to_owned())
        });
        assert_eq!(chunks.collect::<String>(), ARGUMENTS, "{in_pieces}");
    }
    // Answers that may be too long to be asked for whole are put together from events.
    let long = |settings: &mut ModelSettings| settings.max_output_tokens = Some(30_000);
    let line = Line::with("anthropic", long).await;
    let request = ended(&chat(), "");
    let (_, heard) = line.ask(CHAT, &request, Say::Events(events(true))).await;
    assert!(heard.body.contains(&arguments), "{}", heard.body);
}

#[tokio::test]
async fn what_json_leaves_open_is_settled_as_ever() {
    let line = Line::to("openai").await;
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    // Of a key that is there twice the last value counts; whole numbers beyond 64 bits are
    // floating ones.
    let odd = r#""metadata":{"b":1,"a":2,"b":100000000000000000000}"#;
    let settled = r#""metadata":{"b":1e+20,"a":2}"#;
    let request = format!("{{{messages},{odd}}}");
    let (asked, _) = line
        .ask(CHAT, &request, Say::Whole(200, completion()))
        .await;
    let own = r#""model":"served""#;
    let limit = r#""max_completion_tokens":4000"#;
    assert_eq!(asked, format!("{{{messages},{settled},{own},{limit}}}"));
}
