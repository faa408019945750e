//! Runs that are recorded, and replayed without the model.

use crate::support::{Plan, World, assert_same, audit, story};
use dgm::archive::{Reader, Writer, fsck};
use dgm::domain::Fact;
use serde_json::Value;
use std::path::Path;

/// Rounds that wait for each other: the same with any number of workers.
const ROUNDS: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text"]],
    generations: 2,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

const ONE: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    ..ROUNDS
};

fn recorded(world: &World) {
    world.done("evolve demo --config config.toml --record");
}

fn assert_in_order(archive: &Path) {
    assert_eq!(fsck(archive, false).unwrap(), []);
}

#[test]
fn a_recorded_run_replayed_gives_the_same_archive() {
    let world = World::new(&ROUNDS);
    recorded(&world);
    let demo = world.path("demo");
    let asked = world.asked("demo");
    let recordings = Reader::open(&demo).unwrap().recordings().unwrap();
    assert_eq!(recordings.len(), asked, "every call is recorded");
    assert!(recordings.iter().any(|recording| recording.base.is_some()));
    assert_in_order(&demo);

    // Nothing of the model is left, and nothing is said of how the archive is made.
    std::fs::remove_file(world.path("model.sh")).unwrap();
    let (tree, talk) = world.done("evolve again --replay demo");
    let all = format!("replayed {asked} of {asked} recorded calls of `demo`; nothing was charged");
    assert!(talk.contains(&all), "{talk}");
    let first = format!(
        "replaying {asked} recorded calls of `demo`: no provider is asked, nothing is charged"
    );
    assert!(talk.contains(&first), "{talk}");
    assert_same(&story(&world.path("again")), &story(&demo), "replayed");
    audit(&world.path("again"), asked, "replayed");
    assert_in_order(&world.path("again"));
    assert!(tree.contains("nothing of it was charged"), "{tree}");
    let (cost, _) = world.done("cost again");
    assert!(cost.contains("nothing of it was charged"), "{cost}");
    for line in ["cost again --json", "tree again --json"] {
        let json: Value = serde_json::from_str(&world.done(line).0).unwrap();
        assert_eq!(json["replayed"]["runs"][0]["place"], "demo", "{line}");
        assert_eq!(json["replayed"]["calls"], asked, "{line}");
    }
    let (cost, _) = world.done("cost demo --json");
    let json: Value = serde_json::from_str(&cost).unwrap();
    assert_eq!(json["replayed"], Value::Null);
    world.assert_nothing_is_left();
}

#[test]
fn an_interrupted_recording_replays_as_if_nothing_had_happened() {
    let world = World::new(&ONE);
    world.hold("demo", true);
    let mut run = world.start("evolve demo --config config.toml --record");
    run.wait_until("asks the model", |_| world.asked("demo") > 0);
    assert!(run.kill());
    world.hold("demo", false);
    world.done("evolve demo --record");
    world.done("evolve again --replay demo");
    let demo = world.path("demo");
    assert_same(&story(&world.path("again")), &story(&demo), "replayed");
    world.assert_nothing_is_left();
}

#[test]
fn what_was_not_recorded_ends_the_run_and_is_shown() {
    let world = World::new(&ONE);
    recorded(&world);
    // A task that says something else makes the agent ask something else.
    let task = world.path("tasks/missing-rebate/instruction.md");
    let text = std::fs::read_to_string(&task).unwrap();
    let changed = format!("{text}\nBe quick.\n");
    dgm::sys::durable::write(&task, changed.as_bytes()).unwrap();
    let output = world.output("evolve again --replay demo");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    for part in [
        "Error: the replay cannot go on\n",
        "Caused by: the solve model of the evaluation of #0 on `missing-rebate`, repeat 0 was asked \
         what was not recorded",
        "the nearest recorded request is that of call 1",
        "the first difference is at `messages[1].content`:\n  recorded: ",
        "Be quick.",
        "Hint: ",
    ] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    // Nothing counts that was not what it had been; the archive can go on.
    let lineage = Reader::open(&world.path("again"))
        .unwrap()
        .lineage()
        .unwrap();
    assert_eq!(lineage.evaluations().count(), 0);
    assert_in_order(&world.path("again"));
    dgm::sys::durable::write(&task, text.as_bytes()).unwrap();
    world.done("evolve again --replay demo");
    assert_same(
        &story(&world.path("again")),
        &story(&world.path("demo")),
        "gone on",
    );
    world.assert_nothing_is_left();
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let world = World::new(&ONE);
    drop(Writer::create(&world.path("empty"), "", 0).unwrap());
    for (line, part, code) in [
        (
            "evolve again --replay empty",
            "the archive to replay has no seed",
            1,
        ),
        ("evolve again --replay nowhere", "nowhere", 2),
        (
            "evolve again --replay empty --record",
            "cannot be used with",
            2,
        ),
        (
            "evolve again --config config.toml --replay empty",
            "`empty` holds no recordings",
            2,
        ),
    ] {
        let output = world.output(line);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.contains(part), "{line}: {talk}");
        assert_eq!(output.status.code(), Some(code), "{line}: {talk}");
    }
}

#[test]
fn a_growing_conversation_takes_room_in_proportion_to_its_length() {
    let world = World::new(&ONE);
    recorded(&world);
    let reader = Reader::open(&world.path("demo")).unwrap();
    let facts = reader.facts().unwrap();
    let recorded = facts.iter().filter_map(|fact| match fact {
        Fact::Recorded(recording) => Some(recording),
        _ => None,
    });
    let mut known = std::collections::BTreeMap::new();
    for recording in recorded {
        let stored: Value =
            serde_json::from_slice(&reader.blob(&recording.request).unwrap()).unwrap();
        let own = stored["messages"].as_array().unwrap().len() as u64;
        let kept = recording.base.map_or(0, |(base, kept)| {
            assert!(known[&base] >= kept, "the base has what is left out");
            kept
        });
        assert_eq!(own + kept, recording.messages);
        // A turn adds the reply and the results of its calls.
        if kept > 0 {
            assert!(
                own <= 6 && stored.get("tools").is_none(),
                "{own} messages again"
            );
        }
        known.insert(recording.call, recording.messages);
    }
    assert!(known.values().any(|messages| *messages > 4), "{known:?}");
}

#[test]
fn nothing_is_made_to_replay_what_was_not_recorded() {
    let world = World::new(&ONE);
    world.evolve("demo");
    let output = world.output("evolve again --replay demo");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("`demo` holds no recordings"), "{talk}");
    assert!(!talk.contains("made the archive"), "{talk}");
    assert!(!world.path("again").exists());
}
