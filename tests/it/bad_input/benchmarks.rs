//! Benchmarks that cannot be used, and benchmarks that have changed.

use super::world::World;
use insta::assert_snapshot;

const NEW: &str = "evolve demo --config dgm.toml --agent agent";

#[test]
fn a_task_without_tests() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("bench/hello/tests")).unwrap();
    assert_snapshot!(world.refused(NEW), @"");
    assert_snapshot!(world.done("bench list bench"), @"");
    world.task("other", "echo yes >answer.txt");
    // One that no stage names disturbs nobody; one that is named is not passed over.
    assert_snapshot!(world.refused(NEW), @"");
    assert!(!world.path("demo").exists());
    world.stage(&["other"]);
    world.grow();
    world.goes_on("demo");
}

#[test]
fn a_malformed_task() {
    let world = World::new();
    world.edit("bench/hello/task.toml", "timeout_sec = 60", "timeout_sec = \"long\"");
    assert_snapshot!(world.refused(NEW), @"");
    world.edit("bench/hello/task.toml", "timeout_sec = \"long\"", "timeout_sec =");
    assert_snapshot!(world.refused(NEW), @"");
    world.edit("bench/hello/task.toml", "timeout_sec =", "timeout_sec = 60");
    world.grow();
    world.goes_on("demo");
}

#[test]
fn a_folder_without_tasks() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("bench/hello")).unwrap();
    assert_snapshot!(world.refused(NEW), @"");
    std::fs::remove_dir_all(world.path("bench")).unwrap();
    assert_snapshot!(world.refused(NEW), @"");
    assert_snapshot!(world.refused("bench check bench --sandbox local"), @"");
}

#[test]
fn a_task_that_needs_its_own_image() {
    let world = World::new();
    world.edit("bench/hello/task.toml", "local = true\n", "");
    assert_snapshot!(world.refused(NEW), @"");
    world.edit("bench/hello/task.toml", "workspace =", "local = true\nworkspace =");
    world.grow();
    world.goes_on("demo");
}

#[test]
fn a_task_that_has_changed() {
    let world = World::new();
    world.grow();
    let before = world.done("show demo seed --json");
    world.edit("bench/hello/instruction.md", "yes", "perhaps");
    assert_snapshot!(world.refused("evolve demo --generations 1"), @"");
    assert_snapshot!(world.refused("eval demo seed"), @"");
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
    assert_snapshot!(world.refused("evolve demo"), @"");
    assert_eq!(world.done("show demo seed --json"), before);
    world.edit("demo/dgm.toml", "\"hello\", \"other\"", "\"hello\"");
    world.goes_on("demo");
}

#[test]
fn an_unknown_task_to_evaluate_on() {
    let world = World::new();
    world.grow();
    assert_snapshot!(world.refused("eval demo seed --tasks helo"), @"");
    assert_snapshot!(world.refused("eval demo 7"), @"");
    world.goes_on("demo");
}
