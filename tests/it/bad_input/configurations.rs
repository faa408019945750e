//! Configurations that cannot be used: nothing is made from them, and an archive whose own
//! configuration is broken goes on once it is mended.

use super::world::World;
use insta::assert_snapshot;

/// Spoils the configuration, asks for a new archive, and returns what was said.
fn refused(from: &str, to: &str) -> String {
    let world = World::new();
    let good = std::fs::read_to_string(world.path("dgm.toml")).unwrap();
    world.edit("dgm.toml", from, to);
    let said = world.refused("evolve demo --config dgm.toml --agent agent");
    assert!(!world.path("demo").exists(), "an archive was made: {said}");
    assert_eq!(world.names(".demo"), [""; 0], "something was left");
    world.put("dgm.toml", &good);
    world.grow();
    world.goes_on("demo");
    said
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(refused("generations = 0", "generatons = 0"), @"");
    assert_snapshot!(refused("[sandbox]", "[sandbocks]"), @"");
}

#[test]
fn a_wrong_type() {
    assert_snapshot!(refused("workers = 1", "workers = \"many\""), @"");
    assert_snapshot!(refused("[benchmark]", "[benchmark"), @"");
}

#[test]
fn a_name_that_stands_for_nothing() {
    assert_snapshot!(refused("[policy]", "[policy]\nname = \"dmg\""), @"");
    assert_snapshot!(refused("\"score_child_prop\"", "\"score_child_pro\""), @"");
    assert_snapshot!(refused("backend = \"local\"", "backend = \"podman\""), @"");
    assert_snapshot!(refused("provider = \"command\"", "provider = \"comand\""), @"");
}

#[test]
fn a_model_without_a_price() {
    assert_snapshot!(refused("free = true\n", ""), @"");
    assert_snapshot!(refused("free = true\n", "price = { input = 3 }\n"), @"");
}

#[test]
fn a_stage_that_cannot_be() {
    assert_snapshot!(refused("tasks = [\"hello\"]", "tasks = [\"helo\"]"), @"");
    assert_snapshot!(refused("tasks = [\"hello\"]", "count = 7"), @"");
    assert_snapshot!(refused("tasks = [\"hello\"]", "tasks = []"), @"");
}

#[test]
fn a_number_that_cannot_be() {
    assert_snapshot!(refused("workers = 1", "workers = 0"), @"");
}

#[test]
fn a_configuration_that_is_not_there() {
    let world = World::new();
    assert_snapshot!(world.refused("evolve demo --config dmg.toml"), @"");
    assert!(!world.path("demo").exists());
}

#[test]
fn an_archive_whose_own_configuration_was_broken() {
    let world = World::new();
    world.grow();
    world.edit("demo/dgm.toml", "workers = 1", "wrkers = 1");
    assert_snapshot!(world.refused("evolve demo"), @"");
    world.edit("demo/dgm.toml", "wrkers = 1", "workers = 1");
    world.edit("demo/dgm.toml", "free = true", "free = false");
    assert_snapshot!(world.refused("evolve demo"), @"");
    world.edit("demo/dgm.toml", "free = false", "free = true");
    world.goes_on("demo");
}
