//! Exports, each read by the program that it is for: Harbor's viewer, SWE-bench's harness,
//! Python's `csv` and Arrow.
//!
//! The archive that is exported has one variant with real logs of real instances, and their
//! official grades.

use crate::support::{Program, names};
use dgm::archive::Writer;
use dgm::benchmark::Suite;
use dgm::benchmark::swebench::{Selection, import};
use dgm::domain::{
    CallId, CallIntent, CallSettlement, CallStatus, Cause, Evaluation, EvaluationKey, Fact, Fault,
    FileTree, JobId, Judgement, NoReward, Outcome, Purpose, Role, RunId, RunStart, TaskId, Timing,
    Tokens, TreePath, Usd, Variant, VariantId,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const NOW: i64 = 1_750_000_000_123;
const PATCH: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\u{2028}\n";

/// Instances, how they ended, and whose log of them is kept.
const ENDS: [(&str, Outcome, &str); 6] = [
    (
        "django__django-11815",
        Outcome::Resolved,
        "aorwall-liteGold-rc__django__django-11815",
    ),
    (
        "django__django-11848",
        Outcome::Unresolved,
        "aorwall-sweagentGpt4-rc__django__django-11848",
    ),
    ("django__django-11999", Outcome::AgentError, ""),
    ("django__django-12708", Outcome::Empty, ""),
    ("sphinx-doc__sphinx-7454", Outcome::InfraError, ""),
    (
        "sphinx-doc__sphinx-8056",
        Outcome::VerifierError,
        "gea-m__sphinx-doc__sphinx-8056",
    ),
];

/// An archive in `demo/` of a new folder, and its benchmark in `bench/`.
struct Answers {
    folder: tempfile::TempDir,
    suite: Suite,
}

fn shared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    assert!(
        path.exists(),
        "the shared data `{}` is not there",
        path.display()
    );
    path
}

impl Answers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = folder.path().join("bench");
        import(
            &shared("swebench-rows.jsonl"),
            &bench,
            &Selection::default(),
        )
        .unwrap();
        let suite = Suite::load(&bench).unwrap();
        let answers = Self { folder, suite };
        answers.grow();
        answers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dgm(&self) -> Program {
        Program::new(self.folder.path())
    }

    fn grow(&self) {
        let models = ["diagnose", "modify", "solve"].map(|role| {
            format!(
                "[models.{role}]\nprovider = \"command\"\nmodel = \"m\"\nfree = true\n\
                 command = [\"/bin/false\"]\n"
            )
        });
        let config = format!(
            "[benchmark]\npath = {:?}\n[[stages]]\ncount = 6\n{}",
            self.path("bench"),
            models.concat()
        );
        let mut writer = Writer::create(&self.path("demo"), &config, NOW).unwrap();
        let mut files = FileTree::new();
        let text = "[agent]\nname = \"odd one\"\nprotocol = 1\ncommand = [\"x\"]\n";
        files.insert(TreePath::new("agent.toml").unwrap(), text.as_bytes(), false);
        let id = VariantId(0);
        let made = writer
            .commit_variant(id, &files, None, "seed", NOW)
            .unwrap();
        let mut facts = vec![
            Fact::RunStarted(RunStart {
                run: RunId(1),
                command: String::new(),
                config: String::new(),
                version: String::new(),
                sandbox: "docker".to_owned(),
                stages: Vec::new(),
                at_ms: NOW,
            }),
            Fact::VariantMade(Variant {
                id,
                commit: made.0,
                tree: made.1,
                parent: None,
                generation: 0,
                summary: String::new(),
                created_ms: NOW,
            }),
        ];
        for (number, (task, outcome, case)) in ENDS.iter().enumerate() {
            let number = u64::try_from(number).unwrap();
            facts.extend(self.evaluation(&writer, task, 0, *outcome, case));
            facts.extend(call(2 * number + 1, task, 1, 100 + number));
        }
        // A second try at an instance, which is in tables and in no prediction; its first
        // execution did not count, and cost something.
        let (task, case) = (ENDS[0].0, "aorwall-sweagentGpt4-rc__django__django-11815");
        facts.extend(self.evaluation(&writer, task, 1, Outcome::Unresolved, case));
        let subject = JobId::Evaluation(EvaluationKey {
            variant: id,
            task: TaskId::new(ENDS[1].0),
            repeat: 0,
        });
        facts.push(Fact::Faulted(Fault {
            subject,
            outcome: Outcome::InfraError,
            cause: Cause::ModelProviderFailed,
            detail: "the provider answered 529".to_owned(),
            run: RunId(1),
            execution: 9,
            at_ms: NOW,
        }));
        facts.extend(call(100, ENDS[1].0, 9, 1));
        writer.record(&facts).unwrap();
    }

    fn evaluation(
        &self,
        writer: &Writer,
        task: &str,
        repeat: u32,
        outcome: Outcome,
        case: &str,
    ) -> Vec<Fact> {
        let log = match (outcome, case) {
            (Outcome::AgentError, _) => Some(b">>>>> Patch Apply Failed\n".to_vec()),
            (_, "") => None,
            _ => {
                let file = shared("swebench-parity").join(case).join("test_output.txt");
                Some(std::fs::read(file).unwrap())
            }
        };
        let put = |text: &[u8]| Some(writer.put_blob(text).unwrap());
        let is_patched = !matches!(outcome, Outcome::Empty | Outcome::InfraError);
        let transcript = json!({"n": 1, "new_messages": [{"role": "user", "content": "Fix."}],
            "reply": {"content": "Done."}, "finish": "stop", "tokens": {"input": 3, "output": 1}});
        vec![Fact::Evaluated(Evaluation {
            key: EvaluationKey {
                variant: VariantId(0),
                task: TaskId::new(task),
                repeat,
            },
            purpose: if repeat == 0 {
                Purpose::Stage(0)
            } else {
                Purpose::Extra
            },
            judgement: Judgement {
                reward: match outcome {
                    Outcome::Resolved => Some(1.0),
                    Outcome::Unresolved => Some(0.0),
                    _ => None,
                },
                rewards: match (outcome, repeat) {
                    // One that counts, and another.
                    (Outcome::Unresolved, 0) => [("reward", 0.0), ("speed", 2.5)]
                        .map(|(key, reward)| (key.to_owned(), reward))
                        .into(),
                    _ => dgm::domain::Rewards::new(),
                },
                detail: "a \"sentence\",\nwith a line".to_owned(),
                task_digest: self.suite.get(&TaskId::new(task)).unwrap().digest.clone(),
                ..Judgement::of(outcome)
            },
            image: None,
            agent_log: put(b"agent\n"),
            verifier_log: log.and_then(|log| put(&log)),
            patch: if is_patched {
                put(PATCH.as_bytes())
            } else {
                None
            },
            transcript: put(transcript.to_string().as_bytes()),
            context_overflow: false,
            timing: Timing {
                agent_ms: 4_250,
                verifier_ms: 900,
            },
            run: RunId(1),
            execution: 1,
            at_ms: NOW,
        })]
    }

    /// Runs a script of this folder with packages that `tests/bring` brought.
    fn python(&self, script: &str, packages: &str, arguments: &[&str]) -> Value {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let packages = target.join(packages);
        assert!(
            packages.join("wanted.txt").exists(),
            "{} is not there: `tests/bring harbor exports` makes it",
            packages.display()
        );
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exports");
        let output = Command::new("/usr/bin/python3")
            .args(["-s", "-B"])
            .arg(here.join(script))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PYTHONPATH", packages)
            .output()
            .unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{talk}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn call(id: u64, task: &str, execution: u32, input: u64) -> [Fact; 2] {
    let id = CallId(id);
    let intent = CallIntent {
        id,
        run: RunId(1),
        execution,
        subject: JobId::Evaluation(EvaluationKey {
            variant: VariantId(0),
            task: TaskId::new(task),
            repeat: 0,
        }),
        role: Role::Solve,
        model: "vendor/m-1".to_owned(),
        at_most: Usd(10_000),
        at_most_tokens: 4_000,
        at_ms: NOW,
    };
    let settlement = CallSettlement {
        id,
        status: CallStatus::Answered,
        tokens: Tokens {
            input,
            cached: 7,
            cache_written: 5,
            output: 11,
            reasoning: 2,
            ..Tokens::default()
        },
        estimated: false,
        cost: Usd(1_501),
        latency_ms: 800,
    };
    [Fact::CallIntended(intent), Fact::CallSettled(settlement)]
}

#[test]
fn tables_are_read_by_csv_and_arrow_and_say_what_the_books_say() {
    let answers = Answers::new();
    let dgm = answers.dgm();
    let text = dgm.data("export demo --format csv");
    dgm::sys::durable::write(&answers.path("all.csv"), text.as_bytes()).unwrap();
    assert_eq!(
        dgm.data("export demo --format parquet --out all.parquet"),
        ""
    );
    let rows = answers.python("read_table.py", "exports", &["all.csv", "all.parquet"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 7);
    let row = &rows[0];
    let expected = json!({
        "variant": 0, "parent": null, "generation": 0, "task": "django__django-11815",
        "repeat": 0, "stage": 0, "outcome": "resolved", "counts": true, "passed": true,
        "reward": 1.0, "detail": "a \"sentence\",\nwith a line", "models": "vendor/m-1",
        "calls": 1, "input_tokens": 100, "cached_tokens": 7, "cache_written_tokens": 5,
        "output_tokens": 11, "reasoning_tokens": 2, "cost_usd_micros": 1501, "agent_ms": 4250,
        "verifier_ms": 900, "settled": "2025-06-15T15:06:40.123Z", "faults": 0,
        "faults_cost_usd_micros": 0,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&row[key], value, "{key}");
    }
    assert_eq!(
        (&rows[1]["repeat"], &rows[1]["stage"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(
        (&rows[2]["faults"], &rows[2]["faults_cost_usd_micros"]),
        (&json!(1), &json!(1501))
    );
    assert_eq!(
        rows[2]["cost_usd_micros"], 1501,
        "what did not count is apart"
    );

    // A selection has the same rows.
    let some = dgm.data("export demo seed --format csv --tasks sphinx-* *-12708 --repeat 0");
    let of = |text: &str| {
        text.lines()
            .filter(|line| line.contains("with a line"))
            .count()
    };
    assert_eq!((of(&text), of(&some)), (7, 3));
}

#[test]
fn the_official_harness_reads_predictions_and_sums_up_the_same_reports() {
    let answers = Answers::new();
    let dgm = answers.dgm();
    assert_eq!(
        dgm.data("export demo 0 --format predictions --out p.jsonl"),
        ""
    );
    assert_eq!(
        dgm.data("export demo 0 --format preds --out preds.json"),
        ""
    );
    let talk = dgm.output("export demo 0 --format swebench-report --out reports");
    let talk = String::from_utf8(talk.stderr).unwrap();
    assert_eq!(talk, "wrote 5 reports to `reports`\n");
    let instances: Vec<&str> = answers
        .suite
        .tasks
        .iter()
        .map(|task| task.id.as_str())
        .collect();
    let arguments = |file| [vec!["reports", file], instances.clone()].concat();
    let report = answers.python("read_swebench.py", "exports", &arguments("p.jsonl"));
    let same = answers.python("read_swebench.py", "exports", &arguments("preds.json"));
    assert_eq!(report, same);
    let expected = json!({
        "total_instances": instances.len(), "submitted_instances": 5, "completed_instances": 3,
        "resolved_ids": [ENDS[0].0], "unresolved_ids": [ENDS[1].0, ENDS[5].0],
        "error_ids": [ENDS[2].0], "empty_patch_ids": [ENDS[3].0],
        "failure_reasons": {ENDS[5].0: "missing_module"}, "schema_version": 2,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&report[key], value, "{key}");
    }
    let preds: Value =
        serde_json::from_slice(&std::fs::read(answers.path("preds.json")).unwrap()).unwrap();
    assert_eq!(preds[ENDS[0].0]["model_patch"], PATCH);
    assert_eq!(preds[ENDS[3].0]["model_patch"], "");

    // The reports of instances hold the grades that the official harness gave these logs.
    let logs = answers.path("reports/logs/run_evaluation");
    let run = logs.join(&names(&logs)[0]);
    let model = run.join(&names(&run)[0]);
    for (id, _, case) in ENDS.iter().filter(|(_, _, case)| !case.is_empty()) {
        let read = |path: PathBuf| -> Value {
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let official = read(shared("swebench-parity").join(case).join("expected.json"));
        let own = &read(model.join(id).join("report.json"))[id];
        for key in ["patch_successfully_applied", "resolved", "infra_failure"] {
            assert_eq!(own[key], official[key], "{id}: {key}");
        }
        for list in ["FAIL_TO_PASS", "PASS_TO_PASS"] {
            assert_eq!(
                own["tests_status"][list], official["tests_status"][list],
                "{id}: {list}"
            );
        }
        assert_eq!(
            own.get("infra_failure_reason").unwrap_or(&Value::Null),
            &official["infra_failure_reason"]
        );
    }
}

#[test]
fn harbor_reads_a_job_and_sums_it_up_the_same() {
    let answers = Answers::new();
    let dgm = answers.dgm();
    let talk = dgm.output("export demo --format harbor --out jobs/first");
    assert_eq!(
        String::from_utf8(talk.stderr).unwrap(),
        "wrote 7 trials to `jobs/first`\n"
    );
    let read = answers.python("read_harbor.py", "harbor", &["jobs"]);
    assert_eq!(
        (&read["job"], &read["retries"]),
        (&json!("first"), &json!(1))
    );
    let trials = &read["trials"];
    assert_eq!(
        trials[ENDS[1].0],
        json!(["odd one-0", {"reward": 0.0, "speed": 2.5}, null, 101])
    );
    assert_eq!(trials[ENDS[3].0], json!(["odd one-0", null, null, 103]));
    assert_eq!(
        trials[ENDS[5].0],
        json!(["odd one-0", null, "verifier_failed", 105])
    );
    let all = names(&answers.path("jobs/first"));
    let trial = all
        .iter()
        .find(|name| name.starts_with("django__django-11848__"))
        .unwrap();
    let trial = answers.path("jobs/first").join(trial);
    for name in [
        "agent/trajectory.json",
        "agent/patch.diff",
        "verifier/reward.json",
    ] {
        assert!(trial.join(name).is_file(), "{name}");
    }
    let log = std::fs::read(trial.join("verifier/test-stdout.txt")).unwrap();
    let official = shared("swebench-parity")
        .join(ENDS[1].2)
        .join("test_output.txt");
    assert_eq!(log, std::fs::read(official).unwrap());
}

#[test]
fn harbor_finds_the_same_chances_and_kinds_of_failure() {
    let answers = Answers::new();
    let mut writer = Writer::open(&answers.path("demo")).unwrap();
    let failures = [
        NoReward::TimedOut,
        NoReward::Empty,
        NoReward::Unreadable,
        NoReward::Missing,
    ];
    let mut facts = Vec::new();
    for (repeat, why) in (1..).zip(failures) {
        let solved = match repeat {
            1 => Outcome::Resolved,
            _ => Outcome::Unresolved,
        };
        facts.extend(answers.evaluation(&writer, ENDS[3].0, repeat, solved, ""));
        let failed = answers.evaluation(&writer, ENDS[5].0, repeat, Outcome::VerifierError, "");
        facts.extend(failed.into_iter().map(|fact| match fact {
            Fact::Evaluated(evaluation) => Fact::Evaluated(dgm::domain::Evaluation {
                // The sentence says nothing: it is for people.
                judgement: Judgement {
                    cause: Some(Cause::VerifierFailed(why)),
                    detail: "it did not end within 2 s".to_owned(),
                    ..evaluation.judgement
                },
                ..evaluation
            }),
            other => other,
        }));
    }
    writer.record(&facts).unwrap();
    drop(writer);
    let tasks = format!("{} {}", ENDS[3].0, ENDS[5].0);
    let line = format!("export demo --format harbor --out jobs/often --tasks {tasks}");
    let talk = answers.dgm().output(&line);
    let talk = String::from_utf8(talk.stderr).unwrap();
    assert_eq!(talk, "wrote 10 trials to `jobs/often`\n");
    let read = answers.python("read_harbor.py", "harbor", &["jobs"]);
    // One of five passed of one task, none of the other.
    let chances = read["pass_at_k"].as_object().unwrap().values().next();
    let chances = chances.and_then(Value::as_object).unwrap();
    let chances: Vec<(&str, String)> = chances
        .iter()
        .map(|(k, chance)| (k.as_str(), format!("{:.3}", chance.as_f64().unwrap())))
        .collect();
    let expected = [("2", "0.200"), ("4", "0.400"), ("5", "0.500")];
    assert_eq!(chances, expected.map(|(k, chance)| (k, chance.to_owned())));
    let kinds: std::collections::BTreeSet<&str> = read["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let expected = [
        "RewardFileEmptyError",
        "RewardFileNotFoundError",
        "VerifierOutputParseError",
        "VerifierTimeoutError",
    ];
    assert_eq!(Vec::from_iter(kinds), expected);
}

#[test]
fn what_cannot_be_exported_is_said_and_nothing_is_written_over() {
    let answers = Answers::new();
    let dgm = answers.dgm();
    insta::assert_snapshot!(dgm.said("export demo --format predictions"), @r"
    --- stderr
    Error: too few words for `dgm export`
    Hint: type `dgm export demo VARIANT`
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 0 --format swebench-report"), @r"
    --- stderr
    Error: reports are a folder
    Hint: name a new one with `--out`, such as `reports`
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 0 --format swebench-report --out bench"), @r"
    --- stderr
    Error: `bench` is not empty
    Hint: name a new or an empty folder
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo --format harbor"), @r"
    --- stderr
    Error: a job of Harbor is a folder
    Hint: name a new one with `--out`, such as `jobs/demo`; `harbor view jobs` shows it
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo --format harbor --out demo"), @r"
    --- stderr
    Error: `demo` is not empty
    Hint: name a new or an empty folder
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo --format csv --tasks flask-*"), @r"
    --- stderr
    Error: no evaluation is of a task `flask-*`
    Hint: `dgm show` lists the evaluations of a variant
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo --format csv --repeat 5"), @r"
    --- stderr
    Error: no such evaluation is recorded
    Hint: `dgm tree` shows what was evaluated, `dgm show` what of a variant
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo --format csv --out demo/dgm.toml"), @r"
    --- stderr
    Error: `demo/dgm.toml` is there already
    Hint: name another file, or write over it with `--force`
    --- exit 2
    ");
    insta::assert_snapshot!(dgm.said("export demo 0 --format csv --attempt"), @r"
    --- stderr
    Error: `--attempt` is for trajectories
    Hint: say `--format atif`, or leave it out
    --- exit 2
    ");

    // The same task as it is outside of SWE-bench.
    let task = answers.path("bench").join(ENDS[0].0);
    std::fs::remove_dir_all(&task).unwrap();
    let said = dgm.said("export demo 0 --format predictions --tasks *-11815");
    let said = said.replace(answers.folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(said, @r"
    --- stderr
    Error: task `django__django-11815` is not in `FOLDER/bench`
    Hint: put the benchmark back as it was when the variant was evaluated
    --- exit 2
    ");
    let smoke = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/smoke/missing-rebate");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(smoke)
        .arg(&task)
        .status()
        .unwrap();
    assert!(copied.success());
    insta::assert_snapshot!(dgm.said("export demo 0 --format predictions --tasks *-11815"), @r"
    --- stderr
    Error: task `django__django-11815` is no instance of SWE-bench
    Hint: this format is for benchmarks that `dgm bench import swebench` made; the other formats are for all
    --- exit 2
    ");
}
