//! Children that the gates turn away: each attempt is kept with its reason, and the next one
//! goes on.

use super::world::World;
use insta::assert_snapshot;

#[test]
fn that_cannot_be_kept() {
    let world = World::new();
    world.proposals(&[
        ("Lose the manifest.", "rm agent.toml"),
        (
            "Speak protocol 2.",
            "sed -i 's/protocol = 1/protocol = 2/' agent.toml",
        ),
        ("Point elsewhere.", "ln -s /etc/passwd link"),
        (
            "Declare a submodule.",
            "echo '[submodule \"x\"]' >.gitmodules",
        ),
        ("Grow by 100 MB.", "head -c 104857600 /dev/zero >big"),
        ("Leave a pipe.", "mkfifo pipe"),
        ("Delete everything.", "rm -rf ./* ./.??*"),
        ("Do nothing.", "true"),
        (
            "Only touch the repository's data.",
            "mkdir .git; echo x >.git/config",
        ),
        ("End at once.", "echo 'exit 7' >agent.sh"),
        ("Never end.", "echo better >notes.txt; sleep 600"),
        ("Say more.", "echo '# more' >>agent.sh"),
    ]);
    world.edit("dgm.toml", "[evolve]", "[evolve]\nmodify_timeout_sec = 5");
    world.grow();
    let seed = world.json("show demo seed --json");
    let failed = seed["attempts_failed"].as_array().unwrap();
    let said: Vec<String> = failed
        .iter()
        .map(|attempt| {
            let (number, reason) = (&attempt["number"], attempt["reason"].as_str().unwrap());
            format!(
                "#{number} {reason}: {}",
                attempt["detail"].as_str().unwrap()
            )
        })
        .collect();
    assert_snapshot!(said.join("\n"), @"
    #1 left an unusable source tree: there is no `agent.toml` at the root of the agent's source
    #2 left an unusable source tree: `agent.toml` asks for protocol 2; this program speaks protocol 1
    #3 left an unusable source tree: symlink `link` → `/etc/passwd`
    #4 left an unusable source tree: path `.gitmodules` would declare git submodules
    #5 left an unusable source tree: the source tree is too large to collect
    #6 left an unusable source tree: named pipe `pipe`
    #7 left an unusable source tree: there is no `agent.toml` at the root of the agent's source
    #8 changed nothing: the source is as it was
    #9 changed nothing: the source is as it was
    #10 does not start: exit code 7, and it printed nothing
    ");
    assert_eq!(seed["children"], serde_json::json!([11, 12]));
    world.goes_on("demo");
}
