//! The newcomer's first command, on the real local sandbox: what its tree must show.

use crate::support::Program;
use serde_json::Value;
use std::collections::BTreeSet;

/// Runs the smoke preset as the first command does, and returns folder, program and talk.
fn first_run() -> (tempfile::TempDir, Program, String) {
    // Short, because paths of sockets below it may have no more than 107 bytes.
    let folder = tempfile::Builder::new()
        .prefix("dgm-")
        .tempdir_in("/tmp")
        .unwrap();
    let runtime = folder.path().join("r");
    let path = std::env::var("PATH").unwrap();
    let program = Program::new(folder.path())
        .env("PATH", &path)
        .env("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
    let output = program.output("evolve demo --preset smoke");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(
        tree.contains("★"),
        "the tree is printed at the end:\n{tree}"
    );
    (folder, program, talk)
}

fn json(program: &Program, line: &str) -> Value {
    serde_json::from_str(&program.data(line)).unwrap()
}

#[test]
fn the_first_command_grows_a_tree_that_shows_what_dgm_does() {
    let (_folder, program, talk) = first_run();
    assert!(
        talk.contains("goal reached: all 6 rounds are done"),
        "{talk}"
    );
    assert!(
        talk.contains("--generations"),
        "it says how to go on: {talk}"
    );

    let tree = json(&program, "tree demo --json");
    let variants = tree["variants"].as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(variants.len() >= 8, "{} variants", variants.len());
    let generations: BTreeSet<u64> = variants.iter().map(|v| number(&v["generation"])).collect();
    assert!(
        generations.len() > 3,
        "the seed and three generations: {generations:?}"
    );

    let score = |v: &Value| {
        (
            number(&v["score"]["resolved"]),
            number(&v["score"]["counted"]),
        )
    };
    let find = |id: u64| {
        variants
            .iter()
            .find(|v| number(&v["number"]) == id)
            .unwrap()
    };
    let seed = score(find(0));
    let best = score(find(number(&tree["best"])));
    assert_eq!(seed.1, 12, "the seed is evaluated on every task");
    assert_eq!(best.1, 12, "so is the best");
    assert!(
        best.0 >= 2 * seed.0 && seed.0 > 0,
        "seed {seed:?}, best {best:?}"
    );

    let worse = variants.iter().filter(|v| v["parent"].is_u64()).any(|v| {
        let (child, parent) = (score(v), score(find(number(&v["parent"]))));
        child.0 * parent.1 < parent.0 * child.1
    });
    assert!(worse, "some child is worse than its parent");

    let text = program.data("tree demo");
    for reason in ["does not start", "changed nothing"] {
        assert!(text.contains(reason), "no attempt {reason}:\n{text}");
    }

    let again = program.output("evolve demo --preset smoke");
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success(), "{said}");
    assert!(
        said.contains("goal reached") && said.contains("--generations"),
        "{said}"
    );
    assert_eq!(
        json(&program, "tree demo --json")["variants"],
        tree["variants"]
    );

    let on = program.output("evolve demo --generations 7");
    assert!(on.status.success());
    let more = json(&program, "tree demo --json");
    let attempts = |tree: &Value| number(&tree["totals"]["attempts"]);
    assert_eq!(
        attempts(&more),
        attempts(&tree) + 2,
        "run with more it goes on"
    );
    assert!(program.data("fsck demo").contains("in order"));
}
