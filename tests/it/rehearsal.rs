//! A rehearsal of a whole run: real exercises in real containers, the solutions played through
//! whatever tools an agent offers.

use crate::support::Program;
use std::path::Path;

#[test]
fn ten_exercises_are_rehearsed_in_containers() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("shared/data/polyglot-benchmark.tar.gz");
    assert!(
        data.is_file(),
        "this test needs the shared data: `{}` is not there",
        data.display()
    );
    let folder = tempfile::Builder::new()
        .prefix("dgm-")
        .tempdir_in("/tmp")
        .unwrap();
    let mut program = Program::new(folder.path())
        .env("PATH", &std::env::var("PATH").unwrap())
        .env("XDG_RUNTIME_DIR", folder.path().join("r").to_str().unwrap());
    if let Ok(host) = std::env::var("DOCKER_HOST") {
        program = program.env("DOCKER_HOST", &host);
    }
    program.data(&format!(
        "bench import polyglot {} exercises --language python",
        data.display()
    ));
    let built = program.output("bench build --network host");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let line = "evolve trial --preset rehearsal --benchmark exercises --generations 1";
    let output = program.output(line);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");

    let tree: serde_json::Value = serde_json::from_str(&program.data("tree trial --json")).unwrap();
    let seed = &tree["variants"][0];
    assert_eq!(
        seed["score"]["counted"], 10,
        "two stages over ten exercises: {talk}"
    );
    let resolved = seed["score"]["resolved"].as_u64().unwrap();
    assert!(
        (1..10).contains(&resolved),
        "habits and limits hold here as well: {resolved}"
    );
    let best = tree["best"].as_u64().unwrap();
    let best = tree["variants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["number"] == best)
        .unwrap();
    assert!(
        best["score"]["resolved"].as_u64().unwrap() > resolved,
        "better tools make more of the same model:\n{}",
        program.data("tree trial"),
    );
    assert!(program.data("fsck trial").contains("in order"));
}
