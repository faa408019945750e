//! Machines that lack what a run needs.

use super::world::World;
use insta::assert_snapshot;

#[test]
fn without_an_engine() {
    let world = World::new();
    let dead = world.path("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let program = world.program().env("DOCKER_HOST", &format!("unix://{}", dead.display()));
    let refused = |line: &str| world.said(program.command(line));
    let said = refused("evolve demo --config dgm.toml --agent agent --sandbox docker");
    assert_snapshot!(said.err, @"");
    assert_eq!(said.code, 4);
    assert_snapshot!(refused("bench check bench").err, @"");
    world.goes_on("demo");
}

#[test]
fn without_bubblewrap() {
    let world = World::new();
    let program = world.program().env("PATH", "/nonexistent");
    let said = world.said(program.command("evolve demo --config dgm.toml --agent agent"));
    assert_snapshot!(said.err, @"");
    assert_eq!(said.code, 4);
    world.goes_on("demo");
}

#[test]
fn without_the_image() {
    let world = World::new();
    world.edit("bench/hello/task.toml", "dgm-smoke", "dgm-never-built");
    let said = world.run("evolve demo --config dgm.toml --agent agent --sandbox docker");
    assert_snapshot!(said.err, @"");
    assert_eq!(said.code, 4);
    world.goes_on("demo");
}

#[test]
fn without_the_models_program() {
    let world = World::new();
    world.proposals(&[("Say more.", "echo '# more' >>agent.sh")]);
    world.edit("dgm.toml", "\"sh\", ", "\"/nonexistent/sh\", ");
    let said = world.run("evolve demo --config dgm.toml --agent agent");
    assert_snapshot!(said.err, @"");
    assert_eq!(said.code, 0);
    assert_eq!(world.done("fsck demo"), "the archive is in order\n");
}
