//! Full disks: what was recorded stays, and the same command goes on when there is space.

use super::world::World;
use insta::assert_snapshot;
use std::path::PathBuf;
use std::process::Command;

/// A small file system at a place in a world.
struct Disk(PathBuf);

impl Disk {
    fn new(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        disk.mount(&format!("size={size}"));
        disk
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.0);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "this test needs a small file system, so it must be allowed to mount one \
             (run it as root): {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

/// Hides which file of the archive was the one that did not fit.
fn hide_file(text: &str) -> String {
    let Some((before, after)) = text.split_once("could not write `") else {
        return text.to_owned();
    };
    let (path, rest) = after.split_once('`').unwrap();
    assert!(path.starts_with("disk/demo/"), "{path}");
    format!("{before}could not write `FILE`{rest}")
}

#[test]
fn that_is_full_before_the_archive_is_made() {
    let world = World::new();
    let disk = Disk::new(world.path("disk"), "64k");
    assert_snapshot!(world.refused("evolve disk/demo --config dgm.toml --agent agent"), @"
    Error: could not write `FOLDER/disk/.demo.init-RANDOM/archive.db`: no space left on device
    Caused by: disk I/O error
    Caused by: Error code 4874: disk I/O error
    Hint: free some space and run the same command again; what was recorded before is safe
    exit 1
    ");
    assert_eq!(
        std::fs::read_dir(&disk.0).unwrap().count(),
        0,
        "something was left"
    );
    disk.mount("remount,size=64m");
    world.done("evolve disk/demo --config dgm.toml --agent agent");
    world.goes_on("disk/demo");
}

#[test]
fn that_is_full_in_the_middle_of_a_run() {
    let world = World::new();
    let names: Vec<String> = (10..20).map(|number| format!("t{number}")).collect();
    for name in &names {
        world.task(
            name,
            "head -c 600000 /dev/urandom | base64 >&2; echo yes >answer.txt",
        );
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.stage(&names);
    world.edit("dgm.toml", "log_kb = 64", "log_kb = 1024");
    let disk = Disk::new(world.path("disk"), "4m");
    let line = "evolve disk/demo --config dgm.toml --agent agent --quiet";
    let said = world.run(line);
    assert_snapshot!(hide_file(&said.err), @r#"
    Error: could not write `FILE`: no space left on device
    Caused by: No space left on device (os error 28) at path "FOLDER/disk/demo/blobs/tmp/.tmpRANDOM"
    Hint: free some space and run the same command again; what was recorded before is safe
    "#);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    let evaluated = || {
        let seed = world.json("show disk/demo seed --json");
        seed["evaluations"].as_array().unwrap().clone()
    };
    let before = evaluated();
    assert!((1..10).contains(&before.len()), "{before:?}");
    // Again, and nothing is worse.
    assert_eq!(world.run(line).code, 1);
    assert_eq!(evaluated(), before);
    disk.mount("remount,size=64m");
    world.done("evolve disk/demo --quiet");
    let after = evaluated();
    assert_eq!(after.len(), 10);
    assert_eq!(after[..before.len()], before);
    world.goes_on("disk/demo");
}
