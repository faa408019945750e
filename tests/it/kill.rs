//! Runs that die, and go on as if they had not: killed at any instant, aborted before and
//! after every durable write.

use crate::support::{Plan, World, assert_same, audit, names, story};
use dgm::archive::Reader;
use dgm::domain::{Fact, Verdict};
use dgm::sandbox::docker::ARCHIVE_LABEL;
use dgm::sys::durable::{CRASH_AT, CRASH_LOG};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SIGABRT: i32 = 6;

/// A run of some length, with two jobs at once.
const LONG: Plan = Plan {
    stages: &[
        &["missing-rebate", "slug-text", "unit-factors"],
        &["kelvin-scale", "interval-merge"],
    ],
    generations: 3,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// One task, one attempt, one job at once: the same writes in the same order every time.
const SHORT: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    workers: 1,
    ..LONG
};

const DOCKER: Plan = Plan {
    backend: "docker",
    workers: 2,
    attempts: 2,
    ..SHORT
};

/// Asserts that an archive whose run has reached its goal is sound.
fn assert_sound(world: &World, archive: &str, expected: &str, when: &str) {
    let dir = world.path(archive);
    assert_same(&story(&dir), expected, when);
    audit(&dir, world.asked(archive), when);
    // Blobs of jobs that died before they were recorded may be left, and nothing else.
    for finding in dgm::archive::fsck(&dir, true).unwrap() {
        let is_blobs = finding.what.contains("of the files in `blobs/`");
        assert!(is_blobs && finding.repaired, "{when}: {finding:?}");
    }
    let (found, _) = world.done(&format!("fsck {archive}"));
    assert_eq!(found, "the archive is in order\n", "{when}");
    let git = Command::new("git")
        .args(["fsck", "--strict", "--no-dangling", "--no-progress"])
        .current_dir(dir.join("agents.git"))
        .output()
        .unwrap();
    assert!(
        git.status.success() && git.stdout.is_empty(),
        "{when}: {git:?}"
    );
}

/// Kills runs until so many have died: some while an archive is made, then at any time.
/// An archive that reaches its goal before that is looked at, and another one takes its place.
fn kill_runs(world: &World, kills: usize, longest: u64, expected: &str) {
    let mut chance = StdRng::seed_from_u64(20);
    let mut killed = 0;
    let mut number = 0;
    while killed < kills {
        let archive = format!("demo{number}");
        let line = format!("evolve {archive} --config config.toml");
        let mut deaths = 0;
        while killed < kills {
            let millis = match deaths {
                early if early < kills / 6 => chance.random_range(0..200),
                _ => chance.random_range(200..longest),
            };
            let mut run = world.start(&line);
            if let Some(status) = run.ended_within(Duration::from_millis(millis)) {
                assert!(status.success(), "{archive}: {status}: {}", run.talk());
                break;
            }
            let died = usize::from(run.kill());
            deaths += died;
            killed += died;
        }
        world.evolve(&archive);
        let when = format!("{archive}, killed {deaths} times");
        assert_sound(world, &archive, expected, &when);
        number += 1;
    }
    world.assert_nothing_is_left();
}

#[test]
fn runs_that_are_killed_at_any_instant_lose_and_repeat_nothing() {
    let world = World::new(&LONG);
    let expected = story(&world.evolve("undisturbed"));
    kill_runs(&world, 20, 3000, &expected);
}

/// Kills a run of which an agent waits for an answer in its sandbox.
fn kill_while_the_model_is_asked(world: &World) {
    world.hold("demo", true);
    let mut run = world.start("evolve demo --config config.toml");
    run.wait_until("asks the model", |_| world.asked("demo") > 0);
    assert!(run.kill());
    world.hold("demo", false);
}

#[test]
fn what_a_killed_run_started_dies_and_its_folders_are_removed_at_the_next_start() {
    let world = World::new(&SHORT);
    kill_while_the_model_is_asked(&world);
    // The model's program belongs to no sandbox: it ends when it has given its answer.
    world.wait_until_alone();
    let runtime = world.path("r/dgm");
    let folder = runtime.join(&names(&runtime)[0]);
    assert_eq!(names(&folder).len(), 2, "filters and sockets");
    assert_eq!(names(&folder.join("s")).len(), 1, "a socket");
    let (_, talk) = world.done("evolve demo --generations 0");
    assert!(talk.contains("leftovers of a run that had died"), "{talk}");
    world.assert_nothing_is_left();
}

/// Runs the engine's own client and returns the words it says.
fn docker(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output();
    let output = output.expect("the command `docker` is there (tests/bring docker)");
    assert!(output.status.success(), "docker {arguments:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Returns the containers with the label of an archive.
fn containers(archive: &Path) -> Vec<String> {
    let reader = Reader::open(archive).unwrap();
    let filter = format!("label={ARCHIVE_LABEL}={}", reader.id());
    docker(&["ps", "--all", "--quiet", "--filter", &filter])
}

/// A world whose sandboxes are containers. Those of a test that failed go with it.
struct DockerWorld(World);

impl DockerWorld {
    fn new() -> Self {
        let world = World::new(&DOCKER);
        // Needs an engine and its base image: `tests/bring docker`.
        world.done("bench build dgm-smoke --network host");
        Self(world)
    }
}

impl Drop for DockerWorld {
    fn drop(&mut self) {
        for name in names(&self.0.path("")) {
            let archive = self.0.path(&name);
            if dgm::archive::exists(&archive) {
                for id in containers(&archive) {
                    docker(&["rm", "--force", "--volumes", &id]);
                }
            }
        }
    }
}

#[test]
fn docker_runs_that_are_killed_lose_repeat_and_leave_nothing() {
    let docker = DockerWorld::new();
    let world = &docker.0;
    let expected = story(&world.evolve("undisturbed"));
    kill_runs(world, 5, 4000, &expected);
    // What the engine was still making for a run that died is removed at the next start.
    for name in names(&world.path("")) {
        if name.starts_with("demo") {
            let archive = world.evolve(&name);
            assert_eq!(containers(&archive), [""; 0], "{name}");
        }
    }
}

#[test]
fn containers_of_a_killed_run_are_removed_at_the_next_start() {
    let docker = DockerWorld::new();
    let world = &docker.0;
    kill_while_the_model_is_asked(world);
    assert_ne!(containers(&world.path("demo")), [""; 0]);
    let (_, talk) = world.done("evolve demo --generations 0");
    assert!(talk.contains("leftovers of a run that had died"), "{talk}");
    assert_eq!(containers(&world.path("demo")), [""; 0]);
    world.assert_nothing_is_left();
}

/// Runs a command line with every crash point written down; returns their places in order.
fn crash_points(world: &World, line: &str) -> Vec<String> {
    let log = world.path("crash-points");
    let output = world.command(line).env(CRASH_LOG, &log).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// Returns at most this many numbers from 1 to the last, evenly, the first and the last
/// always among them.
fn sampled(last: usize, most: usize) -> Vec<usize> {
    if last <= most {
        return (1..=last).collect();
    }
    (0..most).map(|i| 1 + i * (last - 1) / (most - 1)).collect()
}

/// Aborts a command line at a crash point.
fn abort_at(world: &World, line: &str, at: usize) {
    let output = world.command(line).env(CRASH_AT, at.to_string()).output();
    let output = output.unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{at}: {output:?}");
}

/// Aborts a command line at a crash point, if it comes that far; else it succeeds.
fn may_abort_at(world: &World, line: &str, at: usize) {
    let output = world.command(line).env(CRASH_AT, at.to_string()).output();
    let output = output.unwrap();
    assert!(
        output.status.success() || output.status.signal() == Some(SIGABRT),
        "{at}: {output:?}"
    );
}

/// Asserts that whatever is durable in an archive passed the crash points before and after.
fn assert_all_is_enclosed(dir: &Path, points: &[String]) {
    let reader = Reader::open(dir).unwrap();
    let passed = |file: &str| {
        let file = format!("src/{file}:");
        points
            .iter()
            .filter(|place| place.starts_with(&file))
            .count()
    };
    let blobs = names(&dir.join("blobs"));
    let blobs = blobs.iter().filter(|name| name.len() == 2);
    let blobs: usize = blobs
        .map(|name| names(&dir.join("blobs").join(name)).len())
        .sum();
    assert_eq!(passed("archive/blob.rs"), 2 * blobs, "blobs");

    let facts = reader.facts().unwrap();
    let count = |is: fn(&Fact) -> bool| facts.iter().filter(|fact| is(fact)).count();
    let commits = count(|fact| matches!(fact, Fact::VariantMade(_)));
    let notes = count(|fact| {
        matches!(
            fact,
            Fact::Judged {
                verdict: Verdict::Admitted,
                ..
            }
        )
    });
    // The repository itself, its settings, and then the variants and notes.
    assert_eq!(passed("archive/git.rs"), 2 * (2 + commits + notes), "git");
    assert_eq!(passed("cli/init.rs"), 2, "the archive's place");
    // One job at once: one fact for each transaction, but for a child and its attempt's end,
    // and for a call's settlement, which nobody waits for: it may share one with what follows.
    let children = count(|fact| matches!(fact, Fact::AttemptEnded(end) if end.failure.is_none()));
    let settlements = count(|fact| matches!(fact, Fact::CallSettled(_)));
    // Before that, the configuration and the empty database.
    let most = 2 * (facts.len() - children) + 4;
    let passed = passed("archive/writer.rs");
    assert!(
        (most - 2 * settlements..=most).contains(&passed),
        "{passed} of {most} for {} facts",
        facts.len()
    );
    assert_eq!(points.len() % 2, 0);
}

#[test]
fn dying_before_and_after_every_write_of_a_run_loses_and_repeats_nothing() {
    let world = World::new(&SHORT);
    let points = crash_points(&world, "evolve undisturbed --config config.toml");
    assert_all_is_enclosed(&world.path("undisturbed"), &points);
    let expected = story(&world.path("undisturbed"));
    // How many settlements share a transaction is chance: another run may pass fewer points,
    // but never fewer than one that lets all of them share.
    let lineage = Reader::open(&world.path("undisturbed"))
        .unwrap()
        .lineage()
        .unwrap();
    let settlements = lineage.spend().calls().count();
    let sure = points.len() - 2 * settlements;
    let chosen = sampled(points.len(), 60);
    let dies = |at: usize| {
        let archive = format!("demo{at}");
        let line = format!("evolve {archive} --config config.toml");
        if at <= sure {
            abort_at(&world, &line, at);
        } else {
            may_abort_at(&world, &line, at);
        }
        world.evolve(&archive);
        let when = format!("aborted at {at}, {}", points[at - 1]);
        assert_sound(&world, &archive, &expected, &when);
    };
    std::thread::scope(|scope| {
        for half in 0..2 {
            let mine = chosen.iter().copied().skip(half).step_by(2);
            scope.spawn(move || mine.for_each(dies));
        }
    });
    world.assert_nothing_is_left();
}

/// Returns the files of an archive that no run has touched: those that its id and the clock
/// do not change.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                folders.push(path);
            } else if name != "archive.db" && name != "lock" {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

#[test]
fn dying_while_an_archive_is_made_leaves_a_whole_one_or_none() {
    let world = World::new(&SHORT);
    let points = crash_points(&world, "init undisturbed --preset smoke");
    let expected = contents(&world.path("undisturbed"));
    for at in 1..=points.len() {
        let line = format!("init demo{at} --preset smoke");
        let dir = world.path(&format!("demo{at}"));
        abort_at(&world, &line, at);
        if !dir.exists() {
            world.done(&line);
        }
        assert_eq!(
            contents(&dir),
            expected,
            "aborted at {at}, {}",
            points[at - 1]
        );
        world.done(&format!("fsck demo{at}"));
    }
    world.assert_nothing_is_left();
}
