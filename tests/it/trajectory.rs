//! What agents did, as other tools read it: judged by Harbor's own validator.

use crate::support::{Grown, Plan, Program, World, names};
use dgm::archive::Writer;
use dgm::domain::{
    Evaluation, EvaluationKey, Fact, FileTree, Judgement, Outcome, Purpose, RunId, RunStart,
    TaskId, Timing, TreePath, Variant, VariantId,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One child, so that there are an attempt and evaluations of two variants.
const ONE: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// What Harbor's validator says about a file; empty where it accepts it.
fn complaints(file: &Path) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let packages = target.join("harbor");
    assert!(
        packages.join("wanted.txt").exists(),
        "{} is not there: `tests/bring harbor` makes it",
        packages.display()
    );
    let output = Command::new("/usr/bin/python3")
        .args(["-s", "-m", "harbor.utils.trajectory_validator"])
        .env_clear()
        .env("PYTHONPATH", packages)
        .arg(file)
        .output()
        .unwrap();
    if output.status.success() {
        return String::new();
    }
    String::from_utf8(output.stderr).unwrap()
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn steps<'a>(trajectory: &'a Value, source: &str) -> Vec<&'a Value> {
    let steps = trajectory["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["source"] == source).collect()
}

fn sum(trajectory: &Value, metric: &str) -> u64 {
    let steps = steps(trajectory, "agent");
    let counts = steps.iter().map(|step| step["metrics"][metric].as_u64());
    counts.map(|count| count.unwrap()).sum()
}

#[test]
fn a_run_can_be_exported_and_agrees_with_what_is_shown() {
    let world = World::new(&ONE);
    world.evolve("demo");
    for variant in ["0", "1"] {
        let folder = format!("atif-{variant}");
        world.done(&format!(
            "export demo {variant} --format atif --out {folder}"
        ));
        let found = names(&world.path(&folder));
        let task = "task-missing-rebate-0.json";
        match variant {
            "0" => assert_eq!(found, [task]),
            _ => assert_eq!(found, ["attempt.json", task]),
        }
        for name in found {
            let file = world.path(&folder).join(name);
            assert_eq!(complaints(&file), "", "{}", file.display());
            let exported = read(&file);
            let metrics = &exported["final_metrics"];
            assert_eq!(
                metrics["total_prompt_tokens"],
                sum(&exported, "prompt_tokens")
            );
            let calls = steps(&exported, "agent").len();
            assert_eq!(metrics["extra"]["calls"], calls);
            assert!(calls > 1, "the agent used tools");
            assert_eq!(exported.get("notes"), None, "nothing is missing");
        }
    }
    let json = |line: &str| serde_json::from_str::<Value>(&world.done(line).0).unwrap();
    let shown = json("show demo 1 missing-rebate --json");
    let exported = json("export demo 1 missing-rebate --format atif");
    let child = json("show demo 1 --json");
    assert_eq!(exported["agent"]["name"], "base");
    assert_eq!(exported["agent"]["version"], child["commit"]);
    assert_eq!(exported["agent"]["model_name"], "scripted");
    assert_eq!(exported["extra"]["outcome"], shown["evaluation"]["outcome"]);
    let told = &shown["trajectory"];
    assert_eq!(told["turns"], steps(&exported, "agent").len());
    let tools = exported["agent"]["tool_definitions"].as_array().unwrap();
    assert!(
        !tools.is_empty()
            && tools
                .iter()
                .all(|tool| tool["function"]["name"].is_string())
    );
    let observed = steps(&exported, "agent").into_iter().map(|step| {
        let results = step["observation"]["results"].as_array();
        results.map_or(0, Vec::len)
    });
    let called = told["tool_calls"].as_u64().unwrap();
    assert_eq!(
        observed.sum::<usize>() as u64,
        called,
        "each call has its result"
    );

    // Who acts in an attempt is the parent.
    let attempt = json("export demo 1 --attempt --format atif");
    let seed = json("show demo seed --json");
    assert_eq!(attempt["agent"]["version"], seed["commit"]);
    assert_eq!(attempt["extra"]["child_commit"], child["commit"]);
    assert_eq!(attempt["extra"]["role"], "modify");
    let (text, _) = world.done("show demo 1 --attempt");
    assert!(
        text.contains("\nTrajectory\n") && text.contains("\n  turn 1 "),
        "{text}"
    );
}

/// An archive with one evaluation for each transcript.
fn archive(folder: &Path, transcripts: &[(&str, Vec<Value>)]) -> PathBuf {
    let dir = folder.join("demo");
    let mut writer = Writer::create(&dir, "", 0).unwrap();
    let mut files = FileTree::new();
    let text = "[agent]\nname = \"odd\"\nprotocol = 1\ncommand = [\"x\"]\n";
    files.insert(TreePath::new("agent.toml").unwrap(), text.as_bytes(), false);
    let made = writer.commit_variant(VariantId(0), &files, None, "seed", 0);
    let (commit, tree) = made.unwrap();
    let mut facts = vec![
        Fact::RunStarted(RunStart {
            run: RunId(1),
            command: String::new(),
            config: String::new(),
            version: String::new(),
            sandbox: String::new(),
            stages: Vec::new(),
            at_ms: 0,
        }),
        Fact::VariantMade(Variant {
            id: VariantId(0),
            commit,
            tree,
            parent: None,
            generation: 0,
            summary: String::new(),
            created_ms: 0,
        }),
    ];
    for (task, lines) in transcripts {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let transcript = writer.put_blob(lines.join("\n").as_bytes()).unwrap();
        facts.push(Fact::Evaluated(Evaluation {
            key: EvaluationKey {
                variant: VariantId(0),
                task: TaskId::new(*task),
                repeat: 0,
            },
            purpose: Purpose::Extra,
            judgement: Judgement::of(Outcome::Unresolved),
            image: None,
            agent_log: None,
            verifier_log: None,
            patch: None,
            transcript: Some(transcript),
            context_overflow: false,
            timing: Timing::default(),
            run: RunId(1),
            execution: 1,
            at_ms: 0,
        }));
    }
    writer.record(&facts).unwrap();
    dir
}

/// Transcripts that a model, an agent or time has made odd.
fn odd() -> Vec<(&'static str, Vec<Value>)> {
    let call = |id: &str, arguments: &str| json!({"id": id, "function": {"name": "f", "arguments": arguments}});
    let reply = |calls: Value| json!({"role": "assistant", "content": null, "tool_calls": calls});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "out"});
    let line = |n: u64, messages: Value, reply: Value| {
        json!({"n": n, "new_messages": messages, "reply": reply, "finish": "stop",
            "tokens": {"input": 3, "output": 1}, "ended_ms": 1_750_000_000_123_u64})
    };
    vec![
        (
            "arguments",
            vec![line(
                1,
                json!([{"role": "user", "content": "go"}]),
                reply(json!([
                    call("a", "[1]"),
                    call("b", "{\"cut"),
                    call("c", "{}")
                ])),
            )],
        ),
        (
            "same-ids",
            vec![
                line(1, json!([]), reply(json!([call("", "{}"), call("", "{}")]))),
                line(
                    2,
                    json!([result(""), result(""), result("")]),
                    reply(json!([])),
                ),
            ],
        ),
        (
            "rewritten",
            vec![
                line(
                    1,
                    json!([{"role": "user", "content": "go"}]),
                    reply(json!([call("a", "{}")])),
                ),
                json!({"n": 2, "kept": 0, "dropped": 2, "new_messages": [
                    {"role": "user", "content": "go"}, reply(json!([call("a", "{}")])), result("a"),
                    result("never-called")], "error": {"type": "abandoned"}}),
            ],
        ),
        (
            "cut",
            vec![
                json!({"cut": {"calls": 7, "bytes": 999}}),
                json!({"n": 8, "tools": ["f"], "tool_definitions": [7, {"name": "f"}],
                    "reply": {"content": [{"type": "text", "text": "x"}, {"type": "image_url"}],
                    "reasoning_content": "hm"}, "finish": "length"}),
            ],
        ),
        ("nothing-known", vec![json!({}), json!(7), json!(null)]),
    ]
}

#[test]
fn odd_transcripts_are_exported_as_valid_trajectories() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), &odd());
    let dgm = Program::new(folder.path());
    dgm.said("export demo seed --format atif --out atif");
    let files = names(&folder.path().join("atif"));
    assert_eq!(files.len(), odd().len());
    for name in files {
        let file = folder.path().join("atif").join(&name);
        assert_eq!(complaints(&file), "", "{name}");
    }
    let file = |task: &str| read(&folder.path().join(format!("atif/task-{task}-0.json")));
    let arguments = file("arguments");
    let calls = &arguments["steps"][1]["tool_calls"];
    assert_eq!(calls[1]["extra"]["unparsed"], "{\"cut");
    assert_eq!(calls[2]["arguments"], json!({}));
    assert_eq!(
        arguments["steps"][1]["timestamp"],
        "2025-06-15T15:06:40.123Z"
    );
    let rewritten = file("rewritten");
    assert_eq!(rewritten["steps"][2]["is_copied_context"], true);
    assert_eq!(
        rewritten["steps"][4]["extra"]["tool_call_id"],
        "never-called"
    );
    let cut = file("cut");
    assert_eq!(cut["steps"][0]["extra"]["cut"]["calls"], 7);
    assert_eq!(cut["steps"][1]["reasoning_content"], "hm");
    assert_eq!(cut["agent"]["tool_definitions"], json!([{"name": "f"}]));

    // The validator does look: one key too many, or a result that has lost its call.
    for (path, value) in [
        ("/extra_key", json!(1)),
        ("/steps/0/tool_calls", json!([])),
        ("/steps/0/step_id", json!(2)),
    ] {
        let mut broken = file("cut");
        let (parent, key) = path.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap()[key] = value;
        let place = folder.path().join("broken.json");
        dgm::sys::durable::write(&place, broken.to_string().as_bytes()).unwrap();
        assert_ne!(complaints(&place), "", "{path}");
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    insta::assert_snapshot!(dgm.said("export demo 1 --format atif"), @r"
    --- stderr
    Error: a variant has several trajectories
    Hint: name a task, or a folder for all of them with `--out`
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 2 --format atif"), @r"
    --- stderr
    Error: no model call of it is recorded
    Hint: only what asked its model has a trajectory
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo seed --attempt --format atif"), @r"
    --- stderr
    Error: no attempt made variant #0
    Hint: the seed was given, not made
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 1 red-test --attempt --format atif"), @r"
    --- stderr
    Error: `--attempt` exports no task
    Hint: leave out one of the two
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 1 red-test"), @r"
    --- stderr
    error: the following required arguments were not provided:
      --format <FORMAT>

    Usage: dgm export [OPTIONS] --format atif [DIR] VARIANT [TASK]
           dgm export [OPTIONS] --format csv|parquet|harbor [DIR] [VARIANT]...
           dgm export [OPTIONS] --format predictions|preds|swebench-report [DIR] VARIANT

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 1 red-test --format atif --out demo"), @r"
    --- stderr
    Error: `demo` is a folder
    Hint: this is one file: name that
    --- exit 2
    ");
    assert_eq!(
        dgm.said("export demo 1 red-test --format atif --out a.json"),
        ""
    );
    assert_eq!(complaints(&grown.folder().join("a.json")), "");
    insta::assert_snapshot!(dgm.said("export demo 1 red-test --format atif --out a.json"), @r"
    --- stderr
    Error: `a.json` is there already
    Hint: name another file, or write over it with `--force`
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 1 --format atif --out demo"), @r"
    --- stderr
    Error: `demo` is not empty
    Hint: name a new or an empty folder
    --- exit 2
    ");
}
