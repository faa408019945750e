//! Tasks that were not checked, and images that are made, listed and thrown away.

use super::world::World;
use crate::support::docker::docker;
use dgm::archive::Reader;
use dgm::domain::Fact;

/// Gives the task `hello` a reference solution.
fn solvable(world: &World) {
    world.put("bench/hello/solution/solve.sh", "echo yes >answer.txt\n");
}

#[test]
fn unchecked_tasks_are_left_out_where_that_is_wanted() {
    let world = World::new();
    solvable(&world);
    world.edit(
        "dgm.toml",
        "path = \"bench\"",
        "path = \"bench\"\nunchecked = \"skip\"",
    );
    let said = world.run("evolve demo --config dgm.toml --agent agent");
    assert_ne!(said.code, 0);
    assert!(
        said.err.contains("has not found them good as they are now"),
        "{}",
        said.err
    );
    let checked = world.done("bench check bench --sandbox local --thorough --json");
    let checked: serde_json::Value = serde_json::from_str(&checked).unwrap();
    assert_eq!(checked["tasks"][0]["times"], 2);
    assert_eq!(checked["ok"], true);
    let file = std::fs::read_to_string(world.path("bench/.dgm-checks.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["tasks"]["hello"]["ok"], true);
    let said = world.run("evolve demo --config dgm.toml --agent agent");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("left out"), "{}", said.err);
    // A task that has changed is unchecked again.
    world.put("bench/hello/tests/more.txt", "more\n");
    let said = world.run("evolve other --config dgm.toml --agent agent");
    assert!(
        said.err.contains("1 of 1 tasks are left out"),
        "{}",
        said.err
    );
}

#[test]
fn unchecked_tasks_are_said_where_a_model_costs_something() {
    let world = World::new();
    let said = world.run("evolve demo --config dgm.toml --agent agent");
    assert!(!said.err.contains("were not checked"), "{}", said.err);
    let text = std::fs::read_to_string(world.path("dgm.toml")).unwrap();
    world.put(
        "dgm.toml",
        &text.replacen("free = true", "price = { input = 1.0, output = 1.0 }", 1),
    );
    let said = world.run("evolve costly --config dgm.toml --agent agent");
    let warning = "1 of 1 tasks were not checked as they are now";
    assert!(said.err.contains(warning), "{}", said.err);
    assert_eq!(said.code, 0);
}

#[test]
fn images_are_made_listed_and_thrown_away() {
    let world = World::new();
    // Of this process alone, so that no other test meets it.
    let label = format!("t{}", std::process::id());
    let task = format!("tasks/{label}");
    world.put(
        &format!("{task}/task.toml"),
        "[environment]\nnetwork_mode = \"no-network\"\n",
    );
    world.put(&format!("{task}/instruction.md"), "Do.\n");
    world.put(
        &format!("{task}/tests/test.sh"),
        "echo 1 > /logs/verifier/reward.txt\n",
    );
    let recipe = format!("FROM debian:bookworm-slim\nLABEL of={label}\nWORKDIR /app\n");
    world.put(&format!("{task}/environment/Dockerfile"), &recipe);
    world.put(
        "tasks/none/task.toml",
        "[environment]\ndocker_image = \"localhost:1/none:1\"\n",
    );
    world.put("tasks/none/instruction.md", "Do.\n");
    world.put("tasks/none/tests/test.sh", "exit\n");
    let list = |world: &World| world.json("bench images list tasks --json")["images"].clone();
    let before = list(&world);
    assert_eq!(
        (&before[0]["id"], &before[0]["source"]),
        (&serde_json::Value::Null, &"task".into())
    );
    // One that cannot be had keeps no other from being made.
    let built = world.run("bench images build tasks");
    assert_eq!(built.code, 1, "{}", built.err);
    assert!(built.out.contains(": built\n"), "{}", built.out);
    assert!(
        built.out.contains("localhost:1/none:1: failed\n"),
        "{}",
        built.out
    );
    let after = list(&world);
    assert!(
        after[0]["size"]
            .as_u64()
            .is_some_and(|size| size > 1_000_000),
        "{after}"
    );
    let name = after[0]["name"].as_str().unwrap().to_owned();
    let again = world.run("bench images build tasks");
    assert!(
        again.out.contains(&format!("{name}: up to date\n")),
        "{}",
        again.out
    );
    let kept = world.done("bench images prune --dry-run --keep tasks");
    assert!(!kept.contains(&name), "{kept}");
    // What others built on it inherits its label and stays.
    let other = format!("mine-{label}");
    world.put("other/Dockerfile", &format!("FROM {name}\nLABEL mine=1\n"));
    let folder = world.path("other").to_string_lossy().into_owned();
    docker(&["build", "--quiet", "--tag", &other, &folder]);
    let dry = world.done("bench images prune --dry-run");
    assert!(
        dry.contains(&format!("{name}: would be removed\n")),
        "{dry}"
    );
    assert!(!dry.contains(&other), "{dry}");
    docker(&["rmi", &other]);
    docker(&["rmi", &name]);
}

/// Writes two tasks in images of their own, one of which cannot be built; `test` names who
/// asks, so that no other test meets the images.
fn one_broken_image(world: &World, test: &str) {
    let label = format!("{test}{}", std::process::id());
    for (name, run) in [("good", "true"), ("broken", "echo went-wrong-here; exit 3")] {
        let put = |file: &str, text: &str| world.put(&format!("tasks/{name}/{file}"), text);
        put(
            "task.toml",
            "[environment]\nnetwork_mode = \"no-network\"\nmemory_mb = 128\n",
        );
        put("instruction.md", "do: echo yes >answer.txt\n");
        put(
            "tests/test.sh",
            "if [ \"$(cat /app/answer.txt)\" = yes ]; then echo 1; else echo 0; fi \
             >/logs/verifier/reward.txt\n",
        );
        put("solution/solve.sh", "echo yes >/app/answer.txt\n");
        let recipe =
            format!("FROM debian:bookworm-slim\nLABEL of={label}\nWORKDIR /app\nRUN {run}\n");
        put("environment/Dockerfile", &recipe);
    }
}

/// Throws away the images that could be built.
fn throw_away(world: &World) {
    let images = world.json("bench images list tasks --json")["images"].clone();
    for image in images.as_array().unwrap() {
        if image["id"].is_string() {
            docker(&["rmi", image["name"].as_str().unwrap()]);
        }
    }
}

#[test]
fn an_image_that_cannot_be_built_fails_its_own_evaluations_once() {
    let world = World::new();
    one_broken_image(&world, "eval");
    world.edit("dgm.toml", "infra_retries = 0", "infra_retries = 3");
    let eval = "eval --agent agent --benchmark tasks --out found --config dgm.toml \
                --sandbox docker --json";
    let said = world.run(eval);
    assert_eq!(said.code, 1, "{}", said.err);
    for part in ["needed by the task `broken`", "went-wrong-here"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (
            &found["graded"],
            &found["missing"],
            &found["score"]["resolved"]
        ),
        (&1.into(), &1.into(), &1.into()),
        "{found}"
    );
    assert_eq!(found["causes"]["sandbox_failed"], 1, "{found}");
    let broken = &found["tasks"][0]["evaluations"][0];
    assert_eq!(broken["outcome"], "infra_error");
    let detail = broken["detail"].as_str().unwrap();
    assert!(detail.contains("went-wrong-here"), "{detail}");
    // Building it again a second later would not have helped: nothing was tried again.
    let facts = Reader::open(&world.path("found")).unwrap().facts().unwrap();
    let faults = facts.iter().filter(|fact| matches!(fact, Fact::Faulted(_)));
    assert_eq!(faults.count(), 0);
    // Where nothing else is left, nothing is begun.
    let said = world.run(&format!("{eval} --tasks broken"));
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    for part in [
        "went-wrong-here",
        "Hint: the task `broken` needs it; `dgm bench images build",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    // An evolution with such a task in a stage would measure nothing by it.
    world.edit("dgm.toml", "path = \"bench\"", "path = \"tasks\"");
    world.stage(&["good", "broken"]);
    let said = world.run("evolve demo --config dgm.toml --agent agent --sandbox docker");
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("the task `broken` needs it"),
        "{}",
        said.err
    );
    throw_away(&world);
}

#[test]
fn an_image_that_cannot_be_built_is_told_by_the_tasks_that_need_it() {
    let world = World::new();
    one_broken_image(&world, "check");
    let said = world.run("bench check tasks --json");
    assert_eq!(said.code, 1, "{}", said.err);
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let (broken, good) = (&found["tasks"][0], &found["tasks"][1]);
    assert_eq!((&good["task"], &good["ok"]), (&"good".into(), &true.into()));
    let detail = broken["detail"].as_str().unwrap();
    for part in ["went-wrong-here", "`dgm bench images build tasks`"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert!(!detail.contains("dgm bench build"), "{detail}");
    throw_away(&world);
}

#[test]
fn a_check_tells_of_no_task_that_was_not_asked_for() {
    let world = World::new();
    solvable(&world);
    world.put("bench/odd/task.toml", "[agent\n");
    let rows = |line: &str, code: i32| {
        let said = world.run(&format!("bench check bench --sandbox local --json{line}"));
        assert_eq!(said.code, code, "{line}: {}", said.err);
        let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let rows = found["tasks"].as_array().unwrap().iter();
        let names = rows.map(|row| row["task"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(rows(" --tasks hello", 0), ["hello"]);
    assert_eq!(rows("", 1), ["hello", "odd"]);
    assert_eq!(rows(" --tasks h* odd", 1), ["hello", "odd"]);
    assert_eq!(world.run("bench check bench --lint --tasks hello").code, 0);
    let all = world.run("bench check bench --lint");
    assert_eq!(all.code, 1);
    assert!(
        all.err.contains("odd: task.toml:1: unclosed"),
        "{}",
        all.err
    );
}

#[test]
fn tasks_that_name_variables_or_want_a_network_can_be_looked_at() {
    let world = World::new();
    world.edit(
        "bench/hello/task.toml",
        "[environment]\n",
        "[environment]\nenv = { WORD = \"${DGM_WORD}\" }\n",
    );
    world.put("bench/hello/solution/solve.sh", "echo $WORD >answer.txt\n");
    let run = |line: &str| {
        let mut command = world.command(line);
        command.env("DGM_WORD", "yes").env("DGM_TOKEN", "no");
        world.said(command)
    };
    let list = run("bench list bench");
    assert_eq!(list.code, 1, "{}", list.out);
    assert!(list.out.contains("`--env` for `dgm bench`"), "{}", list.out);
    assert_eq!(run("bench list bench --env DGM_WORD").code, 0);
    let check = run("bench check bench --sandbox local --env DGM_WORD");
    assert_eq!(check.code, 0, "{}", check.err);
    let images = run("bench images list bench --json --env DGM_WORD");
    assert!(images.out.contains("\"dgm-smoke\""), "{}", images.out);
    assert!(
        !run("bench images list bench --json")
            .out
            .contains("dgm-smoke")
    );
    for (name, why) in [
        (
            "DGM_TOKEN",
            "Error: `--env` names `DGM_TOKEN`, a secret by its name",
        ),
        (
            "DGM_NONE",
            "Error: `--env` names `DGM_NONE`, which is not set",
        ),
    ] {
        let said = run(&format!("bench list bench --env {name}"));
        assert_eq!(said.code, 2);
        assert!(said.err.starts_with(why), "{}", said.err);
    }
    world.put(
        "web/open/task.toml",
        "[environment]\ndocker_image = \"debian\"\nnetwork_mode = \"public\"\n",
    );
    world.put("web/open/instruction.md", "Do.\n");
    world.put("web/open/tests/test.sh", "exit\n");
    assert_eq!(run("bench list web").code, 1);
    assert_eq!(run("bench list web --network public").code, 0);
}

#[test]
fn what_reading_finds_is_said_without_running_anything() {
    let world = World::new();
    world.put(
        "tasks/web/task.toml",
        "[environment]\ndocker_image = \"debian\"\nworkdri = \"/x\"\n",
    );
    world.put("tasks/web/instruction.md", "Do.\n");
    world.put("tasks/web/tests/test.sh", "pip install pytest\n");
    insta::assert_snapshot!(world.done("bench check tasks --lint"));
}
