//! Folders that are no agent.

use super::world::World;
use insta::assert_snapshot;

const NEW: &str = "evolve demo --config dgm.toml --agent agent";

#[test]
fn without_its_manifest() {
    let world = World::new();
    let manifest = std::fs::read_to_string(world.path("agent/agent.toml")).unwrap();
    std::fs::remove_file(world.path("agent/agent.toml")).unwrap();
    assert_snapshot!(world.refused(NEW), @"
    Error: `agent` is no agent: there is no `agent.toml` at the root of the agent's source
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    world.put(
        "agent/agent.toml",
        &manifest.replace("protocol = 1", "protocol = 2"),
    );
    assert_snapshot!(world.refused(NEW), @"
    Error: `agent` is no agent: `agent.toml` asks for protocol 2; this program speaks protocol 1
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    world.put(
        "agent/agent.toml",
        &manifest.replace("command =", "comand ="),
    );
    assert_snapshot!(world.refused(NEW), @"
    Error: `agent` is no agent: `agent.toml`: missing field `command`
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    assert!(!world.path("demo").exists());
    world.put("agent/agent.toml", &manifest);
    world.grow();
    world.goes_on("demo");
}

#[test]
fn that_holds_what_no_archive_may_keep() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc/passwd", world.path("agent/link")).unwrap();
    assert_snapshot!(world.refused(NEW), @"
    Error: could not read the seed agent `agent`
    Caused by: link: is a symbolic link; put the file itself there
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    std::fs::remove_file(world.path("agent/link")).unwrap();
    world.put("agent/.gitmodules", "[submodule \"x\"]\n");
    assert_snapshot!(world.refused(NEW), @"
    Error: `agent` holds what no archive keeps
    Caused by: path `.gitmodules` would declare git submodules
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    std::fs::remove_file(world.path("agent/.gitmodules")).unwrap();
    assert!(!world.path("demo").exists());
    assert_eq!(world.names(".demo"), [""; 0], "something was left");
    world.grow();
    world.goes_on("demo");
}

#[test]
fn that_is_not_there() {
    let world = World::new();
    assert_snapshot!(world.refused("evolve demo --config dgm.toml --agent agnet"), @"
    Error: there is no folder `agnet` with an agent
    Hint: agents/README.md describes what an agent needs; `agents/base` is an example
    exit 2
    ");
    assert!(!world.path("demo").exists());
}
