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
    assert_snapshot!(refused("generations = 0", "generatons = 0"), @"
    Error: `dgm.toml` is no usable configuration: TOML parse error at line 8, column 1
      |
    8 | generatons = 0
      | ^^^^^^^^^^
    unknown field `generatons`, expected one of `random_seed`, `generations`, `attempts_per_generation`, `barrier`, `workers`, `repeats`, `modify_timeout_sec`, `agent_timeout_sec`, `grace_sec`, `infra_retries`, `evidence`
    Hint: did you mean `generations`?
    exit 2
    ");
    assert_snapshot!(refused("[sandbox]", "[sandbocks]"), @"
    Error: `dgm.toml` is no usable configuration: TOML parse error at line 18, column 2
       |
    18 | [sandbocks]
       |  ^^^^^^^^^
    unknown field `sandbocks`, expected one of `seed_agent`, `benchmark`, `bench`, `stages`, `evolve`, `policy`, `sandbox`, `budget`, `models`
    Hint: did you mean `sandbox`?
    exit 2
    ");
}

#[test]
fn a_wrong_type() {
    assert_snapshot!(refused("workers = 1", "workers = \"many\""), @r#"
    Error: `dgm.toml` is no usable configuration: TOML parse error at line 9, column 11
      |
    9 | workers = "many"
      |           ^^^^^^
    invalid type: string "many", expected usize
    Hint: docs/configuration.md lists every key
    exit 2
    "#);
    assert_snapshot!(refused("[benchmark]", "[benchmark"), @"
    Error: `dgm.toml` is no usable configuration: TOML parse error at line 1, column 11
      |
    1 | [benchmark
      |           ^
    unclosed table, expected `]`
    Hint: docs/configuration.md lists every key
    exit 2
    ");
}

#[test]
fn a_name_that_stands_for_nothing() {
    assert_snapshot!(refused("[policy]", "[policy]\nname = \"dmg\""), @"
    Error: `dgm.toml` is no usable configuration: `policy.name` is `dmg`; known are `dgm`
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("\"score_child_prop\"", "\"score_child_pro\""), @"
    Error: `dgm.toml` is no usable configuration: `policy.selection` is `score_child_pro`; known are `score_child_prop`, `score_prop`, `random`, `best`
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("backend = \"local\"", "backend = \"podman\""), @"
    Error: `dgm.toml` is no usable configuration: `sandbox.backend` is `podman`; known are `docker`, `local`
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("provider = \"command\"", "provider = \"comand\""), @"
    Error: `dgm.toml` is no usable configuration: `models.diagnose` makes no model: unknown provider `comand`; known are `openai`, `anthropic`, `command`; did you mean `command`?
    Hint: docs/configuration.md lists every key
    exit 2
    ");
}

#[test]
fn a_model_without_a_price() {
    assert_snapshot!(refused("free = true\n", ""), @"
    Error: `dgm.toml` is no usable configuration: `models.diagnose` makes no model: the price of model `told` is not known: set `price = { input = …, output = … }` (US dollars per million tokens), or `free = true` if calls cost nothing; `dgm cost --prices` lists the models whose price is known, each at its provider's server
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("free = true\n", "price = { input = 3 }\n"), @"
    Error: `dgm.toml` is no usable configuration: TOML parse error at line 27, column 9
       |
    27 | price = { input = 3 }
       |         ^^^^^^^^^^^^^
    missing field `output`
    Hint: docs/configuration.md lists every key
    exit 2
    ");
}

#[test]
fn a_stage_that_cannot_be() {
    assert_snapshot!(refused("tasks = [\"hello\"]", "tasks = [\"helo\"]"), @"
    Error: `dgm.toml` is no usable configuration: `stages[0]` names `helo`, which the benchmark lacks; did you mean `hello`?
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("tasks = [\"hello\"]", "count = 7"), @"
    Error: `dgm.toml` is no usable configuration: `stages[0]` wants 7 tasks, but the benchmark has 1 left
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    assert_snapshot!(refused("tasks = [\"hello\"]", "tasks = []"), @"
    Error: `dgm.toml` is no usable configuration: `stages[0]` has no task
    Hint: docs/configuration.md lists every key
    exit 2
    ");
}

#[test]
fn a_number_that_cannot_be() {
    assert_snapshot!(refused("workers = 1", "workers = 0"), @"
    Error: `dgm.toml` is no usable configuration: `evolve.workers` is 0, but must be at least 1
    Hint: docs/configuration.md lists every key
    exit 2
    ");
}

#[test]
fn a_configuration_that_is_not_there() {
    let world = World::new();
    assert_snapshot!(world.refused("evolve demo --config dmg.toml"), @"
    Error: could not read the configuration `dmg.toml`
    Caused by: No such file or directory (os error 2)
    Hint: name a `dgm.toml`; `benchmarks/presets/smoke.toml` is an example
    exit 2
    ");
    assert!(!world.path("demo").exists());
}

#[test]
fn an_archive_whose_own_configuration_was_broken() {
    let world = World::new();
    world.grow();
    world.edit("demo/dgm.toml", "workers = 1", "wrkers = 1");
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: `demo/dgm.toml` is no usable configuration: TOML parse error at line 14, column 1
       |
    14 | wrkers = 1
       | ^^^^^^
    unknown field `wrkers`, expected one of `random_seed`, `generations`, `attempts_per_generation`, `barrier`, `workers`, `repeats`, `modify_timeout_sec`, `agent_timeout_sec`, `grace_sec`, `infra_retries`, `evidence`
    Hint: did you mean `workers`?
    exit 2
    ");
    world.edit("demo/dgm.toml", "wrkers = 1", "workers = 1");
    world.edit("demo/dgm.toml", "free = true", "free = false");
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: `demo/dgm.toml` is no usable configuration: `models.diagnose` makes no model: the price of model `told` is not known: set `price = { input = …, output = … }` (US dollars per million tokens), or `free = true` if calls cost nothing; `dgm cost --prices` lists the models whose price is known, each at its provider's server
    Hint: docs/configuration.md lists every key
    exit 2
    ");
    world.edit("demo/dgm.toml", "free = false", "free = true");
    world.goes_on("demo");
}
