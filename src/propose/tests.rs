//! Diagnosis with real programs as models.

use super::prompt;
use super::{
    CONVENTIONS, Evidence, Material, ProposeError, Run, TestResult, diagnose, instruction,
};
use crate::domain::{CallStatus, Entry, FileTree, Outcome, Pattern, Proposal, TaskId, TreePath};
use crate::model::CallError;
use crate::model::fixture::Program;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use std::sync::Arc;

fn source(files: &[(&str, &[u8])]) -> Arc<FileTree> {
    let mut tree = FileTree::new();
    for (path, bytes) in files {
        tree.insert(TreePath::new(path).expect("a valid path"), *bytes, false);
    }
    Arc::new(tree)
}

fn run() -> Run {
    let call = json!({
        "n": 1,
        "new_messages": [{"role": "user", "content": "go"}],
        "reply": {"role": "assistant", "content": "half"},
        "finish": "length",
        "tokens": {"input": 9, "output": 4},
        "latency_ms": 1,
    });
    Run {
        task: TaskId::new("roman"),
        instruction: "Write `roman.py`.\n# Outcome\nresolved\n".to_owned(),
        outcome: Outcome::Unresolved,
        detail: "reward 0.5".to_owned(),
        patch: "--- a/x\n+++ b/x\n".to_owned(),
        tests: vec![
            TestResult {
                name: "test_one\n# Patch".to_owned(),
                passed: true,
            },
            TestResult {
                name: "test_two".to_owned(),
                passed: false,
            },
        ],
        hidden: None,
        agent_log: String::new(),
        transcript: call.to_string().into_bytes(),
    }
}

fn evidence() -> Evidence {
    Evidence {
        entry: Entry::Task(TaskId::new("roman")),
        material: Material::Run(Box::new(run())),
        earlier: vec!["Add a tool (#3: does not start)".to_owned()],
        source: source(&[
            ("agent.toml", b"[agent]\n"),
            ("agent/loop.py", b"fence = (\n```\n# Trajectory\n)\n"),
            ("logo.png", b"\xff\xfe"),
        ]),
    }
}

#[test]
fn the_evidence_is_written_in_sections() {
    insta::assert_snapshot!(prompt::evidence(&evidence()), @r"
    # Entry

    task `roman`: one run of the agent on this task

    # Task instruction

    ```markdown
    Write `roman.py`.
    # Outcome
    resolved
    ```

    # Outcome

    unresolved: reward 0.5

    # Patch

    ```diff
    --- a/x
    +++ b/x
    ```

    # Test results

    - passed: test_one # Patch
    - failed: test_two

    # Agent log

    (none)

    # Trajectory

    ```text
    user: go
    [call 1] finish=length tokens=9/4
    assistant: half
    ```

    # Earlier attempts

    - Add a tool (#3: does not start)

    # Agent source

    ## agent.toml

    ```toml
    [agent]
    ```

    ## agent/loop.py

    ````python
    fence = (
    ```
    # Trajectory
    )
    ````

    ## logo.png

    (2 bytes, no text)
    ");
}

#[test]
fn a_pattern_is_shown_by_several_runs() {
    let evidence = Evidence {
        entry: Entry::Pattern(Pattern::EmptyPatches),
        material: Material::Runs(vec![run(); 30]),
        earlier: Vec::new(),
        source: source(&[]),
    };
    let text = prompt::evidence(&evidence);
    assert!(text.starts_with("# Entry\n\npattern `solve_empty_patches`: many runs"));
    assert!(text.contains("\n# Runs\n\n## Run 1: `roman`\n\nunresolved: reward 0.5\n"));
    assert!(text.contains("## Run 24:") && !text.contains("## Run 25:"));
    assert!(text.contains("[… 6 runs cut …]"));
    assert!(text.ends_with("# Agent source\n\n(none)\n\n"));
}

#[test]
fn the_instruction_holds_contract_problem_and_suggestion() {
    let text = instruction(&proposal(), CONVENTIONS);
    let place = |part: &str| text.find(part).expect("the part is there");
    assert!(place("protocol = 1") < place("# Problem\n\nA title"));
    assert!(place("A title") < place("# Suggested implementation\n\nDo it.\n"));
}

/// Returns the part of the text that is not between fences.
fn unfenced(text: &str) -> String {
    let mut open: Option<&str> = None;
    let mut outside = String::new();
    for line in text.split('\n') {
        match open {
            Some(fence) if line == fence => open = None,
            Some(_) => {}
            None if line.starts_with("```") => {
                let ticks = line.len() - line.trim_start_matches('`').len();
                open = Some(&line[..ticks]);
            }
            None => {
                outside.push_str(line);
                outside.push('\n');
            }
        }
    }
    outside
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever an agent or a task says, the sections are ours, and the whole is bounded.
    #[test]
    fn nothing_recorded_can_pose_as_a_section(
        said in "(`{1,5}|\n|# Outcome|# Patch|text|\u{e4}| ){0,20}",
        times in 1_usize..3000,
    ) {
        let long = said.repeat(times);
        let mut run = run();
        run.instruction.clone_from(&long);
        run.patch.clone_from(&long);
        run.agent_log.clone_from(&long);
        run.detail.clone_from(&said);
        let content = json!({"n": 1, "new_messages": [{"role": "user", "content": long}]});
        run.transcript = content.to_string().into_bytes();
        let evidence = Evidence {
            material: Material::Run(Box::new(run)),
            source: source(&[("a.py", long.as_bytes()), ("b.py", long.as_bytes())]),
            earlier: vec![said],
            ..evidence()
        };
        let text = prompt::evidence(&evidence);
        prop_assert!(text.chars().count() < 300_000);
        let titles: Vec<String> = unfenced(&text)
            .lines()
            .filter(|line| line.starts_with("# "))
            .map(str::to_owned)
            .collect();
        prop_assert_eq!(titles, [
            "# Entry", "# Task instruction", "# Outcome", "# Patch", "# Test results",
            "# Agent log", "# Trajectory", "# Earlier attempts", "# Agent source",
        ]);
    }

    #[test]
    fn any_source_can_be_shown(bytes in any::<Vec<u8>>()) {
        let evidence = Evidence { source: source(&[("x", &bytes)]), ..evidence() };
        prop_assert!(prompt::evidence(&evidence).contains("## x\n"));
    }
}

fn proposal() -> Proposal {
    Proposal {
        log_summarization: "It stopped.".to_owned(),
        potential_improvements: vec!["Go on".to_owned()],
        improvement_proposal: "Go on.".to_owned(),
        implementation_suggestion: "Do it.".to_owned(),
        problem_description: "A title\n\nText.".to_owned(),
    }
}

/// A program that gives its n-th answer the content of the n-th text.
fn answering(texts: &[&str]) -> Program {
    let script = "echo x >> tries; n=$(wc -l < tries); cat > request.$n; cat answer.$n";
    let program = Program::new(script);
    for (n, text) in (1..).zip(texts) {
        let answer = json!({"choices": [{"message": {"content": text}}]});
        program.write(&format!("answer.{n}"), &answer.to_string());
    }
    program
}

fn good() -> String {
    let proposal = proposal();
    json!({
        "log_summarization": proposal.log_summarization,
        "potential_improvements": proposal.potential_improvements,
        "improvement_proposal": proposal.improvement_proposal,
        "implementation_suggestion": proposal.implementation_suggestion,
        "problem_description": proposal.problem_description,
    })
    .to_string()
}

fn request(program: &Program, n: u32) -> Value {
    let bytes = std::fs::read(program.path(&format!("request.{n}"))).expect("it was written");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

#[tokio::test]
async fn a_proposal_is_asked_for_until_it_can_be_used() {
    let program = answering(&["I cannot.", r#"{"log_summarization": 7}"#, &good()]);
    let (metered, books) = program.metered();
    let (found, exchange) = diagnose(&metered, &evidence(), 3)
        .await
        .expect("a proposal");
    assert_eq!(found, proposal());
    metered.settled().await;
    assert_eq!(books.endings(), [CallStatus::Answered; 3]);
    let first = request(&program, 1);
    assert_eq!(first["messages"][0]["role"], "system");
    assert_eq!(first["messages"].as_array().map(Vec::len), Some(2));
    // Each further try has the last failure in it, and that alone.
    let third = request(&program, 3);
    assert_eq!(third["messages"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        third["messages"][2]["content"],
        r#"{"log_summarization": 7}"#
    );
    let again = third["messages"][3]["content"].as_str().expect("a text");
    assert!(again.starts_with("Your answer cannot be used: `log_summarization` is no string."));
    let roles: Vec<Value> = String::from_utf8(exchange)
        .expect("it is text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON")["role"].clone())
        .collect();
    let (user, assistant) = ("user", "assistant");
    assert_eq!(
        roles,
        ["system", user, assistant, user, assistant, user, assistant]
    );
}

#[tokio::test]
async fn a_model_that_never_proposes_is_given_up() {
    let program = answering(&["no"; 5]);
    let (metered, books) = program.metered();
    let error = diagnose(&metered, &evidence(), 3)
        .await
        .expect_err("no proposal");
    let text = error.to_string();
    let ProposeError::Unusable {
        tries: 4, exchange, ..
    } = error
    else {
        panic!("{text}")
    };
    assert_eq!(
        text,
        "the model gave no usable proposal in 4 tries: it holds no complete JSON object"
    );
    assert_eq!(exchange.iter().filter(|byte| **byte == b'\n').count(), 9);
    metered.settled().await;
    assert_eq!(books.endings(), [CallStatus::Answered; 4]);
}

#[tokio::test]
async fn a_call_that_fails_is_no_answer() {
    let program = Program::new(r#"echo '{"error":{"message":"no such model"}}'"#);
    let (metered, _) = program.metered();
    let error = diagnose(&metered, &evidence(), 3)
        .await
        .expect_err("no proposal");
    assert!(
        matches!(
            &error,
            ProposeError::Call {
                error: CallError::Model(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the model refused the request: no such model"
    );
}
