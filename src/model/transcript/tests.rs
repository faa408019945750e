//! Recording and rendering together.

use super::record::TranscriptRecorder;
use super::{read, render};
use crate::domain::{Speaker, Step, Tokens, Trajectory, TurnEnd, Usd};
use crate::model::{CallError, Denied, ModelError, Reply, Scope};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use std::time::Duration;

fn reply(message: Value, finish: &str) -> Result<Reply, CallError> {
    Ok(Reply {
        body: json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}),
        tokens: Tokens {
            input: 100,
            output: 20,
            ..Tokens::default()
        },
        estimated: false,
        cost: Usd(15),
        latency: Duration::from_millis(5),
    })
}

fn overflow() -> Result<Reply, CallError> {
    Err(CallError::Model(ModelError::Refused {
        status: 400,
        error: json!({"message": "too long", "type": "x", "code": "context_length_exceeded"}),
    }))
}

fn record(recorder: &mut TranscriptRecorder, request: &Value, result: &Result<Reply, CallError>) {
    recorder.record(request, Some(result), Duration::from_millis(7), 1);
}

fn lines(recorder: &TranscriptRecorder) -> Vec<Value> {
    let bytes = recorder.to_bytes();
    let text = String::from_utf8(bytes).expect("a transcript is text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

/// A tool loop of three calls; clients repeat a reply without its nulls and extras.
fn tool_loop(recorder: &mut TranscriptRecorder) {
    let call = json!([{
        "id": "c1", "type": "function",
        "function": {"name": "bash", "arguments": "{ \"command\": \"ls\\n-l\" }"}
    }]);
    let answered = json!({
        "role": "assistant", "content": null, "refusal": null, "tool_calls": call
    });
    let repeated = json!({"role": "assistant", "content": "", "tool_calls": call});
    let mut messages = vec![
        json!({"role": "system", "content": "You are an agent."}),
        json!({"role": "user", "content": "Do it.\n[call 9] error=forged"}),
    ];
    let tools = json!([{"type": "function", "function": {"name": "bash"}}]);
    record(
        recorder,
        &json!({"messages": messages, "tools": tools}),
        &reply(answered, "tool_calls"),
    );
    messages.push(repeated);
    messages.push(json!({"role": "tool", "tool_call_id": "c1", "content": "a\nb\n"}));
    record(
        recorder,
        &json!({"messages": messages, "tools": tools}),
        &overflow(),
    );
    messages.truncate(2);
    record(
        recorder,
        &json!({"messages": messages, "tools": tools}),
        &reply(
            json!({"role": "assistant", "content": "half an ans"}),
            "length",
        ),
    );
}

#[test]
fn a_line_holds_what_is_new() {
    let mut recorder = TranscriptRecorder::default();
    tool_loop(&mut recorder);
    let lines = lines(&recorder);
    assert_eq!(lines[0]["tools"], json!(["bash"]));
    assert_eq!(lines[0]["new_messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(lines[0]["finish"], "tool_calls");
    assert_eq!(lines[0]["tokens"]["input"], 100);
    assert_eq!(
        lines[1],
        json!({
            "n": 2,
            "ended_ms": lines[1]["ended_ms"],
            "new_messages": [{"role": "tool", "tool_call_id": "c1", "content": "a\nb\n"}],
            "error": {"message": "too long", "type": "x", "code": "context_length_exceeded"},
            "latency_ms": 7,
        })
    );
    assert_eq!(
        (&lines[2]["kept"], &lines[2]["dropped"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(lines[2]["new_messages"], json!([]));
    // Definitions are written once, and again where they change.
    let definitions = lines.iter().map(|line| line.get("tool_definitions"));
    assert_eq!(
        definitions.collect::<Vec<_>>(),
        [
            Some(&json!([{"type": "function", "function": {"name": "bash"}}])),
            None,
            None
        ]
    );
}

/// One line for each step.
fn told(trajectory: &Trajectory) -> Vec<String> {
    let calls = |calls: &[crate::domain::ToolCall]| {
        let calls = calls.iter().map(|call| {
            format!(
                " {}={}({}) -> {:?}",
                call.id, call.name, call.arguments, call.result
            )
        });
        calls.collect::<String>()
    };
    let steps = trajectory.steps.iter().map(|step| match step {
        Step::Said(said) => format!(
            "{:?}{}: {}{}",
            said.speaker,
            if said.is_copy { " again" } else { "" },
            said.text,
            calls(&said.calls)
        ),
        Step::Turn(turn) => match &turn.end {
            TurnEnd::Answered(answer) => format!(
                "turn {} -{} {}: ({}) {}{}",
                turn.number,
                turn.dropped,
                answer.finish,
                answer.reasoning,
                answer.text,
                calls(&answer.calls)
            ),
            TurnEnd::Failed { kind, message } => {
                format!("turn {} -{} {kind}: {message}", turn.number, turn.dropped)
            }
        },
        Step::Cut { calls, bytes } => format!("cut {calls} {bytes}"),
    });
    steps.collect()
}

#[test]
fn is_read_with_results_beside_their_calls() {
    let mut recorder = TranscriptRecorder::default();
    tool_loop(&mut recorder);
    let trajectory = read(&recorder.to_bytes());
    assert_eq!(
        told(&trajectory),
        [
            "System: You are an agent.",
            "User: Do it.\n[call 9] error=forged",
            "turn 1 -0 tool_calls: ()  c1=bash({ \"command\": \"ls\\n-l\" }) -> Some(\"a\\nb\\n\")",
            "turn 2 -0 context_length_exceeded: too long",
            "turn 3 -2 length: () half an ans",
        ]
    );
    assert_eq!(
        trajectory.tools,
        [r#"{"type":"function","function":{"name":"bash"}}"#]
    );
    let turn = trajectory.turns().next().expect("there are turns");
    assert_eq!((turn.latency_ms, turn.tries), (7, 1));
    let answer = turn.answer().expect("it was answered");
    assert_eq!((answer.tokens.input, answer.tokens.output), (100, 20));
    assert_eq!((answer.cost, answer.is_estimated), (Some(Usd(15)), false));
    assert!(turn.ended_ms.is_some_and(|at| at > 0));
}

#[test]
fn a_rewritten_history_is_told_from_what_is_new() {
    let call = |id: &str| json!([{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let asked = |id: &str| json!({"role": "assistant", "content": "", "tool_calls": call(id)});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "out"});
    let user = |text: &str| json!({"role": "user", "content": text});
    let mut recorder = TranscriptRecorder::default();
    let mut say = |messages: Value, message: Value| {
        let request = json!({"messages": messages});
        record(&mut recorder, &request, &reply(message, "stop"));
    };
    say(json!([user("go")]), asked("c1"));
    say(json!([user("go"), asked("c1"), result("c1")]), asked("c2"));
    // The middle is summed up; the last call stays.
    say(
        json!([
            user("sum"),
            user("go"),
            asked("c2"),
            result("c2"),
            result("lost")
        ]),
        json!({"content": "done", "reasoning_content": "hm"}),
    );
    let trajectory = read(&recorder.to_bytes());
    assert_eq!(
        told(&trajectory),
        [
            "User: go",
            "turn 1 -0 stop: ()  c1=f({}) -> Some(\"out\")",
            "turn 2 -0 stop: ()  c2=f({}) -> None",
            "User: sum",
            "User again: go",
            "Model again:  c2=f({}) -> Some(\"out\")",
            "Tool { call: \"lost\" }: out",
            "turn 3 -4 stop: (hm) done",
        ]
    );
    let Step::Said(lost) = &trajectory.steps[6] else {
        panic!("{:?}", trajectory.steps[6])
    };
    let call = "lost".to_owned();
    assert_eq!(lost.speaker, Speaker::Tool { call });
}

#[test]
fn the_other_dialect_is_read_as_well() {
    let lines = concat!(
        r#"{"n":1,"new_messages":[{"role":"user","content":[{"type":"text","text":"go"}]}],"#,
        r#""reply":{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},"#,
        r#"{"type":"text","text":"look"},{"type":"tool_use","id":"t","name":"ls","input":{"a":1}}]},"#,
        r#""finish":"tool_use","latency_ms":1}"#,
        "\n",
        r#"{"n":2,"new_messages":[{"role":"user","content":[{"type":"tool_result","#,
        r#""tool_use_id":"t","content":[{"type":"text","text":"x"},{"type":"image"}]}]}],"#,
        r#""reply":{"content":"ok"},"finish":"end_turn"}"#,
    );
    assert_eq!(
        told(&read(lines.as_bytes())),
        [
            "User: go",
            "turn 1 -0 tool_use: (hm) look t=ls({\"a\":1}) -> Some(\"x[image]\")",
            "turn 2 -0 end_turn: () ok",
        ]
    );
}

#[test]
fn is_rendered_in_order_of_time() {
    let mut recorder = TranscriptRecorder::default();
    tool_loop(&mut recorder);
    insta::assert_snapshot!(render(&recorder.to_bytes(), 10_000), @r#"
    system: You are an agent.
    user: Do it.
      [call 9] error=forged
    [call 1] finish=tool_calls tokens=100/20
    tool_call bash {"command":"ls\n-l"}
    tool_result: a
      b
    [call 2] error=context_length_exceeded
    error: too long
    [history: 2 kept, 2 dropped]
    [call 3] finish=length tokens=100/20
    assistant: half an ans
    "#);
}

#[test]
fn every_kind_of_end_has_a_name() {
    let mut recorder = TranscriptRecorder::default();
    let request = json!({"messages": []});
    for error in [
        CallError::Denied(Denied::Stopping),
        CallError::Denied(Denied::Budget {
            scope: Scope::Job,
            what: "no more".to_owned(),
        }),
        CallError::Model(ModelError::Failed {
            what: "broken".to_owned(),
            retryable: false,
            may_be_charged: false,
            retry_after: None,
        }),
        CallError::Model(ModelError::Refused {
            status: 400,
            error: json!({"type": "two words"}),
        }),
    ] {
        record(&mut recorder, &request, &Err(error));
    }
    recorder.record(&request, None, Duration::ZERO, 2);
    insta::assert_snapshot!(render(&recorder.to_bytes(), 10_000), @r"
    [call 1] error=stopping
    error: the run is stopping
    [call 2] error=budget_exceeded
    error: no more
    [call 3] error=server_error
    error: broken
    [call 4] error=two_words
    [call 5] error=abandoned tries=2
    error: the caller went away
    ");
}

#[test]
fn a_long_transcript_keeps_head_and_tail_and_says_so() {
    let mut recorder = TranscriptRecorder::with_half(1000);
    for n in 0..200 {
        let request = json!({"messages": [{"role": "user", "content": format!("message {n}")}]});
        record(
            &mut recorder,
            &request,
            &reply(json!({"content": "yes"}), "stop"),
        );
    }
    let bytes = recorder.to_bytes();
    assert!(bytes.len() < 2100, "{}", bytes.len());
    let lines = lines(&recorder);
    assert_eq!(lines[0]["n"], 1);
    let last = lines.last().expect("there are lines");
    assert_eq!(last["n"], 200);
    let cut = lines
        .iter()
        .find_map(|line| line.get("cut"))
        .expect("the cut is marked");
    let shown = lines.len() as u64 - 1;
    assert_eq!(cut["calls"].as_u64(), Some(200 - shown));
    let trajectory = read(&bytes);
    assert_eq!(trajectory.turns().count() as u64, shown);
    assert_eq!(trajectory.calls_cut(), 200 - shown);
    let text = render(&bytes, 10_000);
    assert!(
        text.contains("calls, ") && text.contains("bytes cut …]"),
        "{text}"
    );
}

#[test]
fn a_huge_message_is_shortened_and_says_so() {
    let mut recorder = TranscriptRecorder::default();
    let huge = "x".repeat(1 << 20);
    record(
        &mut recorder,
        &json!({"messages": [{"role": "user", "content": huge}]}),
        &reply(json!({"content": "yes"}), "stop"),
    );
    // Nothing but very many short ones.
    let many: Vec<Value> = (0..20_000)
        .map(|n| json!({"role": "user", "content": n.to_string()}))
        .collect();
    record(
        &mut recorder,
        &json!({"messages": many}),
        &reply(json!({"content": "yes"}), "stop"),
    );
    let lines = lines(&recorder);
    let content = lines[0]["new_messages"][0]["content"].as_str();
    let content = content.expect("the message is there");
    assert!(content.len() < 70_000 && content.contains("characters cut"));
    assert_eq!(lines[0]["reply"]["content"], "yes");
    let content = lines[1]["new_messages"][0]["content"].as_str();
    assert!(content.is_some_and(|content| content.contains("bytes cut")));
    assert_eq!(
        (&lines[1]["n"], &lines[1]["finish"]),
        (&json!(2), &json!("stop"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_can_be_rendered(bytes in any::<Vec<u8>>(), max in 48_usize..300) {
        prop_assert!(render(&bytes, max).chars().count() <= max);
        read(&bytes);
    }

    /// Whatever is said, the lines that begin a call are ours.
    #[test]
    fn no_text_can_pose_as_a_line_of_ours(
        said in "(\\[call 1\\] error=x|\n|\r|tool_call x|\u{2028}|a| ){0,12}",
        role in "user|assistant|tool|system",
    ) {
        let mut recorder = TranscriptRecorder::default();
        let call = json!({"id": "c", "function": {"name": said, "arguments": said}});
        let messages = json!([
            {"role": role, "content": said, "tool_calls": [call]},
            {"role": role, "content": [{"type": "text", "text": said}]},
        ]);
        record(
            &mut recorder,
            &json!({"messages": messages}),
            &reply(json!({"content": said, "tool_calls": [call]}), "stop"),
        );
        let text = render(&recorder.to_bytes(), 100_000);
        let ours = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        prop_assert_eq!(ours("[call"), 1, "{}", text);
        prop_assert_eq!(ours("tool_call "), 2, "{}", text);
    }
}
