//! Archives that may not be written: newer ones, and those that somebody else writes to.

use super::world::{World, hide, refusal};
use crate::support::SOON;
use insta::assert_snapshot;
use rusqlite::Connection;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_newer_format_is_read_and_never_written() {
    let world = World::new();
    world.grow();
    let tree = world.done("tree demo");
    let db = Connection::open(world.path("demo/archive.db")).unwrap();
    db.execute_batch(
        "DROP TRIGGER meta_no_update; UPDATE meta SET value = '4' WHERE key = 'format';
         PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    db.close().unwrap();
    let bytes = || std::fs::read(world.path("demo/archive.db")).unwrap();
    let before = bytes();
    assert_snapshot!(world.refused("evolve demo --generations 1"), @"
    Error: the archive in `demo` has format 4, but this program knows formats up to 3
    Hint: use the `dgm` that made it, or a newer one
    exit 1
    ");
    assert_snapshot!(world.refused("eval demo seed"), @"
    Error: the archive in `demo` has format 4, but this program knows formats up to 3
    Hint: use the `dgm` that made it, or a newer one
    exit 1
    ");
    assert_snapshot!(world.refused("fsck demo --repair"), @"
    Error: the archive in `demo` has format 4, but this program knows formats up to 3
    Hint: use the `dgm` that made it, or a newer one
    exit 1
    ");
    assert_eq!(world.done("tree demo"), tree);
    assert_eq!(bytes(), before);
}

#[test]
fn an_older_format_is_refused_with_a_way_on() {
    let world = World::new();
    world.grow();
    let db = Connection::open(world.path("demo/archive.db")).unwrap();
    db.execute_batch(
        "DROP TRIGGER meta_no_update; UPDATE meta SET value = '2' WHERE key = 'format';
         PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    db.close().unwrap();
    let bytes = || std::fs::read(world.path("demo/archive.db")).unwrap();
    let before = bytes();
    let refused = world.refused("tree demo");
    assert_snapshot!(refused, @"
    Error: the archive in `demo` has format 2, but this program knows format 3 only
    Hint: use the `dgm` that made it, or name a new folder to begin again
    exit 1
    ");
    for line in [
        "evolve demo --generations 1",
        "eval demo seed",
        "fsck demo",
        "fsck demo --repair",
        "export demo best --format harbor --out jobs",
    ] {
        assert_eq!(world.refused(line), refused, "{line}");
    }
    assert_eq!(bytes(), before);
}

#[test]
fn a_second_writer() {
    let world = World::new();
    world.task("hello", "sleep 600");
    let mut first = world
        .command("evolve demo --config dgm.toml --agent agent")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = first.id();
    let begun = Instant::now();
    while std::fs::read_to_string(world.path("demo/lock")).ok() != Some(pid.to_string()) {
        assert!(begun.elapsed() < SOON, "no lock is held");
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = |line: &str| hide(&world.refused(line), pid);
    assert_snapshot!(refused("evolve demo"), @"
    Error: could not open the archive in `demo` for writing
    Caused by: another process (pid PID) is writing to this archive
    Hint: wait until it has ended, or stop it; reading commands work meanwhile
    exit 1
    ");
    assert_snapshot!(refused("eval demo seed"), @"
    Error: could not open the archive in `demo` for writing
    Caused by: another process (pid PID) is writing to this archive
    Hint: wait until it has ended, or stop it; reading commands work meanwhile
    exit 1
    ");
    assert_snapshot!(refused("fsck demo --repair"), @"
    Error: could not open the archive in `demo` for writing
    Caused by: another process (pid PID) is writing to this archive
    Hint: wait until it has ended, or stop it; reading commands work meanwhile
    exit 1
    ");
    assert!(
        world.done("tree demo").contains("#0"),
        "readers are not disturbed"
    );
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &pid.to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(130));
    world.task("hello", "echo yes >answer.txt");
    world.goes_on("demo");
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let world = World::new();
    world.task("hello", "sleep 600");
    world.edit(
        "dgm.toml",
        "[sandbox]",
        "[budget]\nhours = 0.0001\n\n[sandbox]",
    );
    let said = world.run("evolve demo --config dgm.toml --agent agent --quiet");
    assert_eq!(said.code, 3);
    assert_snapshot!(said.err, @"stopped: the time that the archive's runs may last is over; what had ended is recorded, the rest is planned again: raise `budget.hours` in the archive's `dgm.toml`, or say `--budget-hours`, and go on with `dgm evolve demo`");
    world.edit("demo/dgm.toml", "hours = 0.0001", "hours = 1");
    world.task("hello", "echo yes >answer.txt");
    world.goes_on("demo");
}

#[test]
fn a_folder_that_lost_its_database() {
    let world = World::new();
    world.grow();
    std::fs::rename(world.path("demo/archive.db"), world.path("kept")).unwrap();
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: `demo` is not empty, and holds no archive
    Hint: name a folder that does not exist yet
    exit 2
    ");
    assert_snapshot!(refusal(&world.run("tree demo")), @"
    Error: `demo` holds no archive
    Hint: run `dgm init DIR` or `dgm evolve DIR` to make one, or name the folder of one
    exit 2
    ");
    std::fs::rename(world.path("kept"), world.path("demo/archive.db")).unwrap();
    world.goes_on("demo");
}
