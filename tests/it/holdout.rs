//! Tasks that are held out: evaluated on request, shown beside the score that guided the
//! evolution, and never seen by anything that an evolution asks a model.

use crate::support::{Plan, World, names};
use dgm::archive::Reader;
use dgm::domain::{Fact, Purpose, VariantId};
use dgm::sys::durable;
use serde_json::Value;
use std::collections::BTreeSet;

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text"]],
    generations: 1,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// What nothing but the held-out tasks hold.
const MARKS: [&str; 4] = [
    "marker-of-an-instruction-71c4",
    "marker-of-a-workspace-0be2",
    "marker-of-a-hidden-test-9d3a",
    "marker-of-a-solution-55f8",
];

/// The held-out tasks.
const HELD_OUT: [&str; 2] = ["kelvin-scale", "word-count"];

/// A world with two held-out tasks that are marked wherever something can be read, and a model
/// that keeps what it is asked. The configuration is the most talkative one: diagnoses are
/// shown hidden tests and solutions, of what they may see.
fn marked(folder: &str, holdout: &str) -> World {
    let world = World::new(&PLAN);
    for task in HELD_OUT {
        world.add_task(task, "plain-tasks");
        world.add_task(task, folder);
        let place = world.path(folder).join(task);
        let instruction = place.join("instruction.md");
        let text = std::fs::read_to_string(&instruction).unwrap();
        durable::write(&instruction, format!("{text}\n{}\n", MARKS[0]).as_bytes()).unwrap();
        for (file, mark) in [
            ("environment/workspace/notes.txt", MARKS[1]),
            ("tests/notes.txt", MARKS[2]),
            ("solution/notes.txt", MARKS[3]),
        ] {
            durable::write(&place.join(file), mark.as_bytes()).unwrap();
        }
        // What a verifier prints is kept, too.
        let script = format!("{folder}/{task}/tests/test.sh");
        world.edit(&script, "\n", &format!("\necho {}\n", MARKS[2]));
    }
    for task in ["missing-rebate", "slug-text"] {
        world.add_task(task, "plain-tasks");
    }
    world.edit(
        "model.sh",
        "--tasks \"$here/tasks\"",
        "--tasks \"$here/plain-tasks\"",
    );
    world.edit(
        "model.sh",
        "exec /usr/bin/python3",
        "mkdir -p \"$here/requests-$name\"\nrequest=$(mktemp \"$here/requests-$name/XXXXXX\")\n\
         cat >\"$request\"\nexec <\"$request\"\nexec /usr/bin/python3",
    );
    world.configure("[sandbox]", "evidence = \"paper\"\n[sandbox]");
    world.configure("[[stages]]", &format!("{holdout}\n[[stages]]"));
    world
}

/// Returns the marks in what the model was asked since it was last looked at, and how often it
/// was asked.
fn asked(world: &World) -> (Vec<&'static str>, usize) {
    let folder = world.path("requests-demo");
    let mut requests = Vec::new();
    for name in names(&folder) {
        requests.push(std::fs::read_to_string(folder.join(&name)).unwrap());
        std::fs::remove_file(folder.join(&name)).unwrap();
    }
    (marks(&requests.join("\n")), requests.len())
}

fn marks(text: &str) -> Vec<&'static str> {
    MARKS
        .into_iter()
        .filter(|mark| text.contains(mark))
        .collect()
}

/// Every text that the archive keeps of its evolution, everything but what was asked for on
/// held-out tasks: prompts, conversations, logs, patches, proposals, sources.
fn evolution(world: &World) -> String {
    let reader = Reader::open(&world.path("demo")).unwrap();
    let mut texts = Vec::new();
    let mut blobs = BTreeSet::new();
    for fact in reader.facts().unwrap() {
        match fact {
            Fact::Evaluated(found) if found.purpose == Purpose::Holdout => {
                assert!(HELD_OUT.contains(&found.key.task.as_str()));
            }
            Fact::Evaluated(found) => {
                assert!(!HELD_OUT.contains(&found.key.task.as_str()), "{found:?}");
                blobs.extend(found.agent_log);
                blobs.extend(found.verifier_log);
                blobs.extend(found.patch);
                blobs.extend(found.transcript);
            }
            Fact::Proposed {
                exchange, proposal, ..
            } => {
                blobs.insert(exchange);
                texts.push(format!("{proposal:?}"));
            }
            Fact::AttemptEnded(end) => {
                blobs.extend(end.log);
                blobs.extend(end.transcript);
                blobs.extend(end.patch);
                blobs.extend(end.gate_log);
            }
            Fact::VariantMade(variant) => {
                for (path, file) in reader.files(&variant.commit).unwrap().iter() {
                    texts.push(format!("{path}\n{}", String::from_utf8_lossy(&file.bytes)));
                }
                texts.push(format!("{:?}", reader.note(&variant.commit).unwrap()));
            }
            Fact::Decided(decision) => texts.push(format!("{decision:?}")),
            _ => {}
        }
    }
    assert!(blobs.len() > 8, "there is something to look at");
    for blob in blobs {
        texts.push(String::from_utf8_lossy(&reader.blob(&blob).unwrap()).into_owned());
    }
    texts.join("\n")
}

fn json(world: &World, line: &str) -> Value {
    let (data, _) = world.done(line);
    serde_json::from_str(&data).unwrap()
}

/// Evolves, evaluates on what is held out, and evolves on.
fn nothing_reaches_a_model(world: &World) {
    world.done("evolve demo --config config.toml");
    let (seen, calls) = asked(world);
    assert!(calls > 10, "{calls}");
    assert_eq!(seen, [""; 0]);

    let (text, _) = world.done("eval demo best --holdout");
    assert!(text.contains("2 held-out tasks"), "{text}");
    assert!(text.contains("gap between training and hold-out"), "{text}");
    // The marks would have been seen: an agent that works on these tasks is told of them.
    assert!(asked(world).0.contains(&MARKS[0]));
    world.done("eval demo seed --holdout -k 2");
    assert!(asked(world).0.contains(&MARKS[0]));

    world.done("evolve demo --generations 3");
    let (seen, calls) = asked(world);
    assert!(calls > 10, "{calls}");
    assert_eq!(seen, [""; 0]);
    assert_eq!(marks(&evolution(world)), [""; 0]);
    let lineage = Reader::open(&world.path("demo"))
        .unwrap()
        .lineage()
        .unwrap();
    let calls = lineage
        .spend()
        .calls()
        .filter_map(|(intent, _)| intent.subject.evaluation())
        .filter(|key| HELD_OUT.contains(&key.task.as_str()) && key.repeat < 1000);
    assert_eq!(calls.count(), 0);
}

#[test]
fn nothing_that_is_held_out_of_a_benchmark_reaches_a_model_of_an_evolution() {
    let world = marked(
        "tasks",
        "[benchmark.holdout]\ntasks = [\"kelvin*\", \"word-count\"]",
    );
    nothing_reaches_a_model(&world);
    let lineage = Reader::open(&world.path("demo"))
        .unwrap()
        .lineage()
        .unwrap();
    let seed = VariantId::SEED;
    assert_eq!(lineage.holdout_score(seed).counted, 4);
    assert_eq!(
        lineage.score(seed).counted,
        2,
        "the score that guides is another"
    );
    // Shown beside each other, with the gap.
    let tree = json(&world, "tree demo --json");
    let holdout = &tree["variants"][0]["holdout"];
    assert_eq!(holdout["counted"], 4);
    let gap = &holdout["gap"];
    let of = |value: &Value| value.as_f64().unwrap();
    let mean = of(&tree["variants"][0]["score"]["mean"]) - of(&holdout["mean"]);
    assert!((of(&gap["mean"]) - mean).abs() < 1e-6, "{gap}");
    assert!(of(&gap["low"]) < mean && mean < of(&gap["high"]), "{gap}");
    assert_eq!(json(&world, "show demo seed --json")["holdout"], *holdout);
    let (text, _) = world.done("tree demo");
    assert!(text.contains("hold-out"), "{text}");
    let (text, _) = world.done("show demo seed");
    assert!(text.contains("gap between training and hold-out"), "{text}");
    // Without being asked for, nothing of it is evaluated.
    let found = json(&world, "eval demo seed --json");
    assert_eq!(found["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(found["holdout_score"]["counted"], 4);
    let output = world.output("eval demo seed --tasks word-count");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("`word-count` is held out"), "{talk}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn nothing_of_another_benchmark_that_is_held_out_reaches_a_model_of_an_evolution() {
    let world = marked("fresh", "[bench.holdout]\npath = \"fresh\"");
    nothing_reaches_a_model(&world);
}

#[test]
fn what_guides_is_not_held_out_and_what_is_held_out_does_not_guide() {
    let world = World::new(&PLAN);
    for task in HELD_OUT {
        world.add_task(task, "tasks");
    }
    world.add_task("word-count", "fresh");
    let copy = world.path("copy");
    for task in ["word-count", "slug-text"] {
        world.add_task(task, "copy");
    }
    std::fs::rename(copy.join("slug-text"), copy.join("another-name")).unwrap();
    let refused = |holdout: &str| {
        let plain = std::fs::read_to_string(world.path("config.toml")).unwrap();
        world.configure("[[stages]]", &format!("{holdout}\n[[stages]]"));
        let output = world.output("init demo --config config.toml");
        durable::write(&world.path("config.toml"), plain.as_bytes()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{holdout}");
        let talk = String::from_utf8(output.stderr).unwrap();
        let line = talk.lines().next().unwrap_or_default();
        line.replace("Error: `config.toml` is no usable configuration: ", "")
    };
    let said: Vec<String> = [
        "[benchmark.holdout]",
        "[benchmark.holdout]\ntasks = []",
        "[benchmark.holdout]\ntasks = [\"slug-text\"]",
        "[benchmark.holdout]\ntasks = [\"slug*\"]",
        "[benchmark.holdout]\ntasks = [\"no-such-*\"]",
        "[benchmark.holdout]\ncount = 3",
        "[benchmark.holdout]\ncount = 1\nsubset = \"polyglot-small\"",
        "[benchmark.holdout]\nsubset = \"nobody-knows\"",
        "[benchmark.holdout]\npath = \"fresh\"",
        "[benchmark.holdout]\npath = \"copy\"\ntasks = [\"another-name\"]",
        "[benchmark.holdout]\ncount = 1\n[bench.holdout]\ncount = 1",
    ]
    .map(refused)
    .to_vec();
    insta::assert_snapshot!(said.join("\n"), @r"
    `benchmark.holdout` needs `tasks` (names or patterns), `subset` (a published list), `count`, or `path` (another benchmark)
    `benchmark.holdout` names no task
    `benchmark.holdout` holds out `slug-text`, which `stages[0]` names
    `benchmark.holdout` holds out `slug-text`, which `stages[0]` names
    `benchmark.holdout` cannot be had: no task matches `no-such-*`
    `benchmark.holdout` wants 3 tasks, but there are 2 to hold out
    `benchmark.holdout` has more than one of `tasks`, `subset` and `count`
    `benchmark.holdout.subset` is `nobody-knows`; known are `polyglot-small`, `polyglot-medium`, `swebench-small`, `swebench-medium`, `swebench-big`
    `benchmark.holdout` holds out `word-count`, a name that the benchmark has as well
    `benchmark.holdout` holds out `another-name`, which is the same task as `slug-text`
    `bench.holdout` stands there twice: also as `[benchmark.holdout]`
    ");
}

#[test]
fn a_count_is_drawn_from_what_no_stage_names_and_what_has_guided_is_not_held_out() {
    let world = World::new(&PLAN);
    for task in HELD_OUT {
        world.add_task(task, "tasks");
    }
    world.configure("[[stages]]", "[bench.holdout]\ncount = 2\n[[stages]]");
    world.evolve("demo");
    let (text, _) = world.done("eval demo seed --holdout");
    assert!(HELD_OUT.iter().all(|task| text.contains(task)), "{text}");
    // Later neither can become the other. The archive's configuration is the user's.
    let config = world.path("demo/dgm.toml");
    let written = std::fs::read_to_string(&config).unwrap();
    let said = |stage: &str, holdout: &str, line: &str| {
        let mut table: toml::Table = written.parse().unwrap();
        let names = |name: &str| toml::Value::from(vec![name.to_owned()]);
        let stages = table["stages"].as_array_mut().unwrap();
        stages[0]
            .as_table_mut()
            .unwrap()
            .insert("tasks".to_owned(), names(stage));
        let benchmark = table["benchmark"].as_table_mut().unwrap();
        let held_out = toml::Table::from_iter([("tasks".to_owned(), names(holdout))]);
        benchmark.insert("holdout".to_owned(), held_out.into());
        durable::write(&config, toml::to_string(&table).unwrap().as_bytes()).unwrap();
        let output = world.output(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        String::from_utf8(output.stderr).unwrap()
    };
    let talk = said("missing-rebate", "slug-text", "evolve demo --generations 2");
    assert!(
        talk.contains("task `slug-text` is held out, but it has guided"),
        "{talk}"
    );
    let talk = said("missing-rebate", "slug-text", "eval demo seed --holdout");
    assert!(
        talk.contains("task `slug-text` is held out, but it has guided"),
        "{talk}"
    );
    let talk = said("word-count", "kelvin-scale", "evolve demo --generations 2");
    assert!(talk.contains("the stages have changed"), "{talk}");
}

#[test]
fn what_was_held_out_does_not_guide_later() {
    let world = World::new(&PLAN);
    world.add_task("word-count", "tasks");
    world.configure(
        "[[stages]]",
        "[benchmark.holdout]\ntasks = [\"slug-text\"]\n[[stages]]",
    );
    world.configure("\"missing-rebate\", \"slug-text\"", "\"missing-rebate\"");
    world.done("init demo --config config.toml");
    world.done("eval demo seed --holdout");
    world.edit("demo/dgm.toml", "\"slug-text\"", "\"word-count\"");
    world.edit("demo/dgm.toml", "\"missing-rebate\"", "\"slug-text\"");
    let output = world.output("evolve demo");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(
        talk.contains("task `slug-text` is in a stage, but it was held out"),
        "{talk}"
    );
    assert_eq!(output.status.code(), Some(2));
}
