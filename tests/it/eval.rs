//! `dgm eval`: any agent on any benchmark, on from where it stopped, and judged again.

use crate::support::{Plan, World};
use dgm::archive::Reader;
use dgm::domain::{Fact, Outcome, VariantId};
use dgm::sys::durable;
use serde_json::Value;
use std::process::Command;

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text", "unit-factors"]],
    generations: 1,
    attempts: 1,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// Evaluates the seed agent; the archive is made if it is not there.
const EVAL: &str = "eval --agent agent --benchmark tasks --out found --config config.toml";

fn world() -> World {
    let world = World::new(&PLAN);
    let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/base");
    let copied = Command::new("cp")
        .args(["-a", agent, "agent"])
        .current_dir(world.path("."))
        .status();
    assert!(copied.unwrap().success());
    world
}

fn json(world: &World, line: &str) -> Value {
    let (data, _) = world.done(&format!("{line} --json"));
    serde_json::from_str(&data).unwrap()
}

/// What a command line that does not succeed says, and its exit code.
fn refused(world: &World, line: &str) -> (String, Option<i32>) {
    let output = world.output(line);
    assert!(!output.status.success(), "{line}");
    let talk = String::from_utf8(output.stderr).unwrap();
    (talk, output.status.code())
}

#[test]
fn an_agent_that_is_in_no_archive_is_evaluated_and_what_is_done_stays_done() {
    let world = world();
    let (data, talk) = world.done(&format!("{EVAL} -k 2 --tasks *-* --exclude unit*"));
    assert!(talk.contains("made the archive `found`"), "{talk}");
    assert!(talk.contains("4/4  "), "a line for each: {talk}");
    for part in [
        "missing-rebate",
        "2 resolved",
        "over graded",
        "over tasks",
        "pass@2",
    ] {
        assert!(data.contains(part), "{part}: {data}");
    }
    assert!(!data.contains("unit-factors"), "{data}");
    let asked = world.asked("found");
    // The same again runs nothing, and more runs what is missing.
    let (again, talk) = world.done(&format!("{EVAL} -k 2 --tasks *-* --exclude unit*"));
    assert_eq!(again, data);
    assert!(talk.contains("nothing is missing"), "{talk}");
    assert_eq!(world.asked("found"), asked);
    let found = json(&world, &format!("{EVAL} -k 3 --tasks slug-text"));
    assert_eq!(found["schema"], "dgm.eval/1");
    assert_eq!(found["planned"], 3);
    assert_eq!(found["missing"], 0);
    let repeats: Vec<u64> = found["tasks"][0]["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|evaluation| evaluation["repeat"].as_u64().unwrap())
        .collect();
    assert_eq!(repeats, [1000, 1001, 1002]);
    assert!(world.asked("found") > asked);
    // It is an archive like any other.
    let (last, _) = world.done("show found seed slug-text --repeat 1002");
    let (first, _) = world.done("show found seed slug-text --repeat 1000");
    assert_ne!(first, last);
    // What needs no word is the first of those that there are.
    let (shown, _) = world.done("show found 0 slug-text");
    assert_eq!(shown, first);
    let trajectory = |rest: &str| {
        let line = format!("export found seed slug-text --format atif{rest}");
        world.done(&line).0
    };
    assert_eq!(trajectory(""), trajectory(" --repeat 1000"));
    world.done("tree found");
    world.done("cost found");
    world.done("fsck found");
    world.assert_nothing_is_left();
}

#[test]
fn what_is_found_of_two_agents_or_benchmarks_is_never_mixed() {
    let world = world();
    world.done(&format!("{EVAL} --tasks slug-text"));
    world.add_task("word-count", "other");
    let line = EVAL.replace("--benchmark tasks", "--benchmark other");
    let (talk, code) = refused(&world, &line);
    assert!(talk.contains("Error: `found` is about `"), "{talk}");
    assert_eq!(code, Some(2));
    durable::write(&world.path("agent/new.txt"), b"another one").unwrap();
    let (talk, code) = refused(&world, EVAL);
    assert!(talk.contains("`found` evaluates another agent"), "{talk}");
    assert_eq!(code, Some(2));
    let (talk, code) = refused(&world, "eval --agent agent --benchmark tasks --out new");
    assert!(talk.contains("an agent needs a model"), "{talk}");
    assert_eq!(code, Some(2));
    let (talk, _) = refused(&world, "eval --agent agent --out new --model openai/x");
    assert!(talk.contains("an agent is tried on a benchmark"), "{talk}");
    let line = "eval --agent agent --benchmark tasks --out new --model x";
    let (talk, _) = refused(&world, line);
    assert!(talk.contains("`x` names no provider"), "{talk}");
    assert!(!world.path("new").exists());
}

#[test]
fn an_interrupted_evaluation_goes_on_and_a_budget_ends_one() {
    let world = world();
    world.done(&format!("{EVAL} --tasks slug-text"));
    world.hold("found", true);
    let before = world.asked("found");
    let mut running = world.start(&format!("{EVAL} -n 1"));
    running.wait_until("a call", |_| world.asked("found") > before);
    running.interrupt();
    running.wait_until("the first Ctrl-C", |running| {
        running.talk().contains("stopping:")
    });
    running.interrupt();
    assert_eq!(running.code(), Some(130));
    assert!(running.talk().contains("go on with the same command"));
    world.hold("found", false);
    // One call is what is left to make.
    let used = world.asked("found");
    let output = world.output(&format!("{EVAL} --budget-calls {}", used + 1));
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    let found = json(&world, EVAL);
    assert_eq!(
        (&found["planned"], &found["missing"]),
        (&3.into(), &0.into())
    );
    let evaluations = |found: &Value| -> usize {
        let tasks = found["tasks"].as_array().unwrap();
        tasks
            .iter()
            .map(|task| task["evaluations"].as_array().unwrap().len())
            .sum()
    };
    assert_eq!(evaluations(&found), 3, "each counts once: {found}");
    world.assert_nothing_is_left();
}

#[test]
fn a_configuration_for_evaluations_alone_needs_no_stages() {
    let world = world();
    let config = world.path("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let from = text.find("[[stages]]").unwrap();
    let to = text.find("[evolve]").unwrap();
    let text = format!("{}{}", &text[..from], &text[to..]);
    durable::write(&config, text.as_bytes()).unwrap();
    let found = json(&world, &format!("{EVAL} --tasks slug-text"));
    assert_eq!(found["score"]["resolved"], 1, "{found}");
    let (talk, code) = refused(&world, "evolve demo --config config.toml");
    let why = "`stages` has no stage: nothing would be evaluated; begin one with `[[stages]]`";
    assert!(talk.contains(why), "{talk}");
    assert_eq!(code, Some(2));
    assert!(!world.path("demo").exists());
}

#[test]
fn tasks_that_cannot_run_are_named_and_missing() {
    let world = world();
    for task in ["shut-in", "odd-one"] {
        world.add_task("slug-text", "more");
        std::fs::rename(world.path("more/slug-text"), world.path("tasks").join(task)).unwrap();
    }
    let manifest = world.path("tasks/shut-in/task.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = text.replace(
        "network_mode = \"no-network\"",
        "network_mode = \"allowlist\"\nallowed_hosts = [\"a.org\"]",
    );
    durable::write(&manifest, text.as_bytes()).unwrap();
    durable::write(&world.path("tasks/odd-one/task.toml"), b"[agent\n").unwrap();
    let line = format!("{EVAL} -k 2 --tasks s* odd* --exclude odd*");
    let output = world.output(&format!("{line} --json"));
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    let warning = "task `shut-in` cannot run: ";
    assert!(talk.contains(warning), "{talk}");
    assert!(talk.contains("without a measurement: 2"), "{talk}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["refused"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["refused"][0]["task"], "shut-in");
    let why = found["refused"][0]["why"].as_str().unwrap();
    assert!(why.contains("allowlist"), "{why}");
    assert_eq!(
        (&found["planned"], &found["graded"], &found["missing"]),
        (&4.into(), &2.into(), &2.into())
    );
    assert_eq!(found["mean_over_graded"], 1.0);
    assert_eq!(found["mean_missing_as_zero"], 0.5);
    // As text, and also where nothing else is left to do.
    let output = world.output(&line);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("2 tasks of tasks"), "{text}");
    assert!(text.contains("Cannot run"), "{text}");
    assert!(text.contains("shut-in"), "{text}");
    let found = world.output(&format!("{EVAL} --exclude odd-one shut-in --json"));
    assert_eq!(found.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["refused"], Value::Array(Vec::new()));
    // A pattern that only means what cannot run says so.
    let (talk, code) = refused(&world, &format!("{EVAL} --tasks shut*"));
    assert!(
        talk.contains("Error: task `shut-in` cannot run: "),
        "{talk}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn what_has_no_measurement_is_told_apart_until_its_verifier_works() {
    let world = world();
    let test = world.path("tasks/missing-rebate/tests/test.sh");
    let good = std::fs::read(&test).unwrap();
    durable::write(&test, b"echo 'no grade today'\n").unwrap();
    let output = world.output(&format!("{EVAL} --tasks slug-text missing-rebate --json"));
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(
        talk.contains("evaluations without a measurement: 1;"),
        "{talk}"
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["graded"], &found["missing"]),
        (&1.into(), &1.into())
    );
    assert_eq!(found["mean_over_graded"], 1.0);
    assert_eq!(found["mean_missing_as_zero"], 0.5);
    assert_eq!(found["causes"]["verifier_failed"], 1, "{found}");
    // The answer is kept: it needs no agent to be judged once there is a verifier that works.
    let asked = world.asked("found");
    durable::write(&test, &good).unwrap();
    let line = format!("{EVAL} --tasks slug-text missing-rebate");
    let found = json(&world, &format!("{line} --regrade"));
    assert_eq!(found["regrade"]["judged"], 1, "{found}");
    let found = json(&world, &line);
    assert_eq!(
        (&found["graded"], &found["missing"]),
        (&2.into(), &0.into())
    );
    assert_eq!(world.asked("found"), asked);
}

#[test]
fn kept_answers_are_judged_again_without_any_agent_and_nothing_is_overwritten() {
    let world = world();
    world.done(&format!("{EVAL} -k 2"));
    let asked = world.asked("found");
    let (_, talk) = world.done(&format!("{EVAL} -k 2 --regrade"));
    assert!(talk.contains("nothing is to be judged again"), "{talk}");
    let again = json(&world, &format!("{EVAL} -k 2 --regrade=all"));
    assert_eq!(
        again["regrade"]["judged"], 4,
        "two changed nothing: {again}"
    );
    assert_eq!(again["regrade"]["changed"], Value::Array(Vec::new()));
    // A verifier that takes nothing. It seals no reward, so its task has to say so.
    let test = "tasks/slug-text/tests/test.sh";
    durable::write(&world.path(test), b"echo 0 >/logs/verifier/reward.txt\n").unwrap();
    world.edit("tasks/slug-text/task.toml", "sealed = true\n", "");
    let (talk, code) = refused(&world, &format!("{EVAL} -k 3"));
    assert!(talk.contains("`--regrade` judges kept answers"), "{talk}");
    assert_eq!(code, Some(2));
    let (text, _) = world.done(&format!("{EVAL} -k 2 --regrade"));
    assert!(
        text.contains("2 answers: 2/2 before, 0/2 now; 2 judged otherwise"),
        "{text}"
    );
    assert_eq!(world.asked("found"), asked, "no model is asked");
    // Then the new verdicts count, so that what is missing may stand beside them.
    let found = json(&world, &format!("{EVAL} -k 3"));
    assert_eq!(found["missing"], 0);
    assert_eq!(found["score"]["resolved"], 0, "{found}");
    let reader = Reader::open(&world.path("found")).unwrap();
    let facts = reader.facts().unwrap();
    let first = facts.iter().filter(|fact| {
        matches!(fact, Fact::Evaluated(found)
            if found.key.task.as_str() == "slug-text" && found.judgement.outcome == Outcome::Resolved)
    });
    assert_eq!(first.count(), 2, "the first judgements are still there");
    let regrades = facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Regraded(_)));
    assert_eq!(regrades.count(), 6);
    let lineage = reader.lineage().unwrap();
    assert_eq!(lineage.extra_score(VariantId::SEED).resolved, 0);
    let (shown, _) = world.done("show found seed");
    assert!(shown.contains("resolved, now unresolved"), "{shown}");
    // Who changed nothing did so whatever the verifier: the others may stand beside it.
    world.edit("tasks/unit-factors/tests/test.sh", "\n", "\n# better\n");
    world.done(&format!("{EVAL} -k 3 --regrade"));
    let found = json(&world, &format!("{EVAL} -k 4 --tasks unit-factors"));
    assert_eq!(found["outcomes"]["empty"], 4, "{found}");
    world.done("fsck found");
    world.assert_nothing_is_left();
}

#[test]
fn all_rewards_of_a_verifier_are_kept_and_shown() {
    let world = world();
    let test =
        "#!/bin/sh\necho '{\"accuracy\": true, \"speed\": 0.5}' >/logs/verifier/reward.json\n";
    durable::write(
        &world.path("tasks/slug-text/tests/test.sh"),
        test.as_bytes(),
    )
    .unwrap();
    world.edit("tasks/slug-text/task.toml", "sealed = true\n", "");
    let eval = format!("{EVAL} --tasks slug-text");
    let found = json(&world, &eval);
    assert_eq!(
        found["outcomes"]["unresolved"], 1,
        "the least counts: {found}"
    );
    let manifest = "reward_key = \"accuracy\"\nlocal = true\n";
    world.edit("tasks/slug-text/task.toml", "local = true\n", manifest);
    let (text, _) = world.done(&format!("{eval} --regrade"));
    assert!(text.contains("0/1 before, 1/1 now"), "{text}");
    let repeat = Reader::open(&world.path("found")).unwrap().facts().unwrap();
    let repeat = repeat.iter().find_map(|fact| match fact {
        Fact::Evaluated(found) => Some(found.key.repeat),
        _ => None,
    });
    let show = format!("show found seed slug-text --repeat {}", repeat.unwrap());
    let shown = json(&world, &show);
    let rewards = serde_json::json!({"accuracy": 1.0, "speed": 0.5});
    for judged in [&shown["evaluation"], &shown["evaluation"]["regrade"]] {
        assert_eq!(judged["rewards"], rewards, "{shown}");
    }
    assert_eq!(shown["evaluation"]["reward"], 0.5);
    assert_eq!(shown["evaluation"]["regrade"]["reward"], 1.0);
    let (text, _) = world.done(&show);
    assert!(text.contains("accuracy 1, speed 0.5"), "{text}");
    let (csv, _) = world.done("export found --format csv");
    let last = csv.lines().last().unwrap();
    let head = csv.lines().next().unwrap();
    assert!(head.ends_with(",rewards,evidence"), "{csv}");
    assert!(
        last.ends_with(r#","{""accuracy"":1.0,""speed"":0.5}",visible"#),
        "{csv}"
    );
}

#[test]
fn a_regrade_leaves_the_score_that_guides_an_evolution_as_it_was() {
    let world = world();
    let archive = world.evolve("demo");
    let score = |dir| {
        let lineage = Reader::open(dir).unwrap().lineage().unwrap();
        lineage.score(VariantId::SEED)
    };
    let before = score(&archive);
    let task = "tasks/slug-text/tests/test.sh";
    durable::write(&world.path(task), b"echo 0 >/logs/verifier/reward.txt\n").unwrap();
    world.edit("tasks/slug-text/task.toml", "sealed = true\n", "");
    let (text, _) = world.done("eval demo seed --regrade");
    assert!(text.contains("1 judged otherwise"), "{text}");
    assert_eq!(score(&archive), before);
    let (talk, code) = refused(&world, "evolve demo --generations 2");
    assert!(talk.contains("task `slug-text` has changed"), "{talk}");
    assert_eq!(code, Some(2));
}
