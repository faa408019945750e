//! Benchmarks that cannot be used, and benchmarks that have changed.

use super::world::World;
use insta::assert_snapshot;

const NEW: &str = "evolve demo --config dgm.toml --agent agent";

#[test]
fn a_task_without_tests() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("bench/hello/tests")).unwrap();
    assert_snapshot!(world.refused(NEW), @"
    Error: no task of `bench` can run; `hello`: `tests/test.sh` is missing: write a script that leaves a number in `/logs/verifier/reward.txt`; without it the task cannot be graded
    Hint: `dgm bench list` shows what is wrong with each
    exit 2
    ");
    let list = world.run("bench list bench");
    assert_snapshot!(list.out, @"
      task
      hello  cannot run

    hello: `tests/test.sh` is missing: write a script that leaves a number in `/logs/verifier/reward.txt`; without it the task cannot be graded

    1 task, 1 cannot run
    ");
    assert_eq!((list.code, list.err.as_str()), (1, ""));
    world.task("other", "echo yes >answer.txt");
    // One that no stage names disturbs nobody; one that is named is not passed over.
    assert_snapshot!(world.refused(NEW), @"
    Error: `dgm.toml` is no usable configuration: `stages[0]` names `hello`, which cannot run: `tests/test.sh` is missing: write a script that leaves a number in `/logs/verifier/reward.txt`; without it the task cannot be graded
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert!(!world.path("demo").exists());
    world.stage(&["other"]);
    let said = world.run("evolve demo --config dgm.toml --agent agent --quiet");
    assert_snapshot!(said.err, @"Warning: task `hello` cannot run and is left out; `dgm bench list FOLDER/bench` says why");
    assert_eq!(said.code, 0);
    world.goes_on("demo");
}

#[test]
fn a_malformed_task() {
    let world = World::new();
    world.edit(
        "bench/hello/task.toml",
        "timeout_sec = 60",
        "timeout_sec = \"long\"",
    );
    assert_snapshot!(world.refused(NEW), @"
    Error: no task of `bench` can run; `hello`: task.toml:12: `agent.timeout_sec`: must be a number, but is a text
    Hint: `dgm bench list` shows what is wrong with each
    exit 2
    ");
    world.edit(
        "bench/hello/task.toml",
        "timeout_sec = \"long\"",
        "timeout_sec =",
    );
    assert_snapshot!(world.refused(NEW), @"
    Error: no task of `bench` can run; `hello`: task.toml:12: string values must be quoted, expected literal string
    Hint: `dgm bench list` shows what is wrong with each
    exit 2
    ");
    world.edit("bench/hello/task.toml", "timeout_sec =", "timeout_sec = 60");
    world.grow();
    world.goes_on("demo");
}

#[test]
fn a_folder_without_tasks() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("bench/hello")).unwrap();
    assert_snapshot!(world.refused(NEW), @"
    Error: `bench` holds no task: it has no folder with a `task.toml`
    Hint: a benchmark is a folder of Harbor task directories; `dgm bench import` makes one
    exit 2
    ");
    std::fs::remove_dir_all(world.path("bench")).unwrap();
    assert_snapshot!(world.refused(NEW), @"
    Error: could not read the benchmark `bench`
    Caused by: No such file or directory (os error 2)
    Hint: a benchmark is a folder of Harbor task directories; `dgm bench import` makes one
    exit 2
    ");
    assert_snapshot!(world.refused("bench check bench --sandbox local"), @"
    Error: could not read the benchmark `bench`
    Caused by: No such file or directory (os error 2)
    Hint: a benchmark is a folder of Harbor task directories; `dgm bench import` makes one
    exit 2
    ");
}

#[test]
fn a_task_that_needs_its_own_image() {
    let world = World::new();
    world.edit("bench/hello/task.toml", "local = true\n", "");
    assert_snapshot!(world.refused(NEW), @"
    made the archive `demo`
    Error: these tasks need an image of their own: `hello`
    Hint: the local sandbox has no images: run them with `--sandbox docker`
    exit 2
    ");
    world.edit(
        "bench/hello/task.toml",
        "workspace =",
        "local = true\nworkspace =",
    );
    world.grow();
    world.goes_on("demo");
}

#[test]
fn a_task_that_has_changed() {
    let world = World::new();
    world.grow();
    let before = world.done("show demo seed --json");
    world.edit("bench/hello/instruction.md", "yes", "perhaps");
    assert_snapshot!(world.refused("evolve demo --generations 1"), @"
    Error: task `hello` has changed since variants of this archive were evaluated on it (then `sha256:DIGEST`, now `sha256:DIGEST`): new results could not be compared with the old ones
    Hint: put it back as it was to go on, or make a new archive for what has changed
    exit 2
    ");
    assert_snapshot!(world.refused("eval demo seed"), @"
    Error: task `hello` has changed since variants of this archive were evaluated on it (then `sha256:DIGEST`, now `sha256:DIGEST`): new results could not be compared with the old ones
    Hint: put it back as it was to go on, or make a new archive for what has changed; `--regrade` judges kept answers with the task as it is now
    exit 2
    ");
    assert_eq!(world.done("show demo seed --json"), before);
    world.edit("bench/hello/instruction.md", "perhaps", "yes");
    world.goes_on("demo");
}

#[test]
fn stages_that_have_changed() {
    let world = World::new();
    world.task("other", "echo yes >answer.txt");
    world.grow();
    let before = world.done("show demo seed --json");
    world.edit("demo/dgm.toml", "\"hello\"", "\"hello\", \"other\"");
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: the stages have changed since run 1 (then stage 1 with `hello`; now stage 1 with `hello`, `other`): scores of old and new variants could not be compared
    Hint: put it back as it was to go on, or make a new archive for what has changed
    exit 2
    ");
    assert_eq!(world.done("show demo seed --json"), before);
    world.edit("demo/dgm.toml", "\"hello\", \"other\"", "\"hello\"");
    world.goes_on("demo");
}

#[test]
fn an_unknown_task_to_evaluate_on() {
    let world = World::new();
    world.grow();
    assert_snapshot!(world.refused("eval demo seed --tasks helo"), @"
    Error: there is no task `helo`; did you mean `hello`?
    Hint: `dgm bench list FOLDER/bench` lists them
    exit 2
    ");
    assert_snapshot!(world.refused("eval demo 7"), @"
    Error: there is no variant #7
    Hint: there is only #0, the seed, so far
    exit 2
    ");
    world.goes_on("demo");
}
