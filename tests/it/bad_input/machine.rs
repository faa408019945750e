//! Machines that lack what a run needs.

use super::world::World;
use insta::assert_snapshot;

#[test]
fn without_an_engine() {
    let world = World::new();
    let dead = world.path("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let program = world
        .program()
        .env("DOCKER_HOST", &format!("unix://{}", dead.display()));
    let refused = |line: &str| world.said(program.command(line));
    let said = refused("evolve demo --config dgm.toml --agent agent --sandbox docker");
    assert_snapshot!(said.err, @"
    made the archive `demo`
    Error: no container engine answers at `unix://FOLDER/dead.sock`: Connection refused (os error 111)
    Hint: start the engine (`systemctl start docker`, or `dockerd` as root), or choose `--sandbox local`, which needs none
    ");
    assert_eq!(said.code, 4);
    assert_snapshot!(refused("bench check bench").err, @"
    Error: no container engine answers at `unix://FOLDER/dead.sock`: Connection refused (os error 111)
    Hint: start the engine (`systemctl start docker`, or `dockerd` as root), or choose `--sandbox local`, which needs none
    ");
    world.goes_on("demo");
}

#[test]
fn without_bubblewrap() {
    let world = World::new();
    let program = world.program().env("PATH", "/nonexistent");
    let said = world.said(program.command("evolve demo --config dgm.toml --agent agent"));
    assert_snapshot!(said.err, @"
    made the archive `demo`
    Error: bubblewrap (`bwrap`) is not installed
    Hint: install it: `apt-get install bubblewrap`
    ");
    assert_eq!(said.code, 4);
    world.goes_on("demo");
}

#[test]
fn without_the_image() {
    let world = World::new();
    world.edit("bench/hello/task.toml", "dgm-smoke", "dgm-never-built");
    let said = world.run("evolve demo --config dgm.toml --agent agent --sandbox docker");
    assert_snapshot!(said.err, @"
    made the archive `demo`
    Error: image `dgm-never-built` is not there
    Hint: build what the tasks need with `dgm bench build`
    ");
    assert_eq!(said.code, 4);
    world.goes_on("demo");
}

#[test]
fn without_the_models_program() {
    let world = World::new();
    world.edit("dgm.toml", "\"sh\", ", "\"/nonexistent/sh\", ");
    let said = world.run("evolve demo --config dgm.toml --agent agent");
    assert_snapshot!(said.err, @"
    made the archive `demo`
    Error: the model of the role `diagnose` cannot be asked
    Caused by: `command` names the program `/nonexistent/sh`, which is not there
    Hint: correct `models.diagnose` in the archive's `dgm.toml`
    ");
    assert_eq!(said.code, 2);
    world.edit("demo/dgm.toml", "\"/nonexistent/sh\"", "\"dmg-model\"");
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: the model of the role `diagnose` cannot be asked
    Caused by: `command` names the program `dmg-model`, which is not there
    Hint: correct `models.diagnose` in the archive's `dgm.toml`
    exit 2
    ");
    // Who only evaluates asks one model, and that one is there.
    world.done("eval demo seed");
    let solve = |world: &World, from: &str, to: &str| {
        let text = std::fs::read_to_string(world.path("demo/dgm.toml")).unwrap();
        let (head, tail) = text.rsplit_once(from).unwrap();
        world.put("demo/dgm.toml", &format!("{head}{to}{tail}"));
    };
    solve(&world, "\"false\"", "\"no-model\"");
    assert_snapshot!(world.refused("eval demo seed -k 2"), @"
    Error: the model of the role `solve` cannot be asked
    Caused by: `command` names the program `no-model`, which is not there
    Hint: correct `models.solve` in the archive's `dgm.toml`
    exit 2
    ");
    solve(&world, "\"no-model\"", "\"false\"");
    world.edit("demo/dgm.toml", "\"dmg-model\"", "\"sh\"");
    world.goes_on("demo");
}
