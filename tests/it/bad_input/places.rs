//! Folders in which nothing can be made, and names that stand for nothing.

use super::world::World;
use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn a_folder_that_holds_something_else() {
    let world = World::new();
    world.put("full/thesis.tex", "years of work");
    assert_snapshot!(world.refused("evolve full --preset smoke"), @"
    Error: `full` is not empty, and holds no archive
    Hint: name a folder that does not exist yet
    exit 2
    ");
    assert_snapshot!(world.refused("init full --preset smoke"), @"
    Error: `full` is not empty, and holds no archive
    Hint: name a folder that does not exist yet
    exit 2
    ");
    assert_snapshot!(world.refused("tree full"), @"
    Error: `full` holds no archive
    Hint: run `dgm init DIR` or `dgm evolve DIR` to make one, or name the folder of one
    exit 2
    ");
    assert_snapshot!(world.refused("fsck full"), @"
    Error: `full` holds no archive
    Hint: run `dgm init DIR` or `dgm evolve DIR` to make one, or name the folder of one
    exit 2
    ");
    let kept = std::fs::read_to_string(world.path("full/thesis.tex")).unwrap();
    assert_eq!(kept, "years of work");
}

#[test]
fn a_file() {
    let world = World::new();
    world.put("thesis.tex", "years of work");
    assert_snapshot!(world.refused("evolve thesis.tex --preset smoke"), @"
    Error: `thesis.tex` is no folder
    Hint: name a folder that does not exist yet
    exit 2
    ");
    assert_snapshot!(world.refused("evolve thesis.tex/demo --preset smoke"), @"
    Error: `thesis.tex` is no folder
    Hint: name a folder that does not exist yet
    exit 2
    ");
    let kept = std::fs::read_to_string(world.path("thesis.tex")).unwrap();
    assert_eq!(kept, "years of work");
    assert_eq!(world.names(".thesis"), [""; 0], "something was left");
}

#[test]
fn nothing_said_about_what_to_make() {
    let world = World::new();
    assert_snapshot!(world.refused("evolve demo"), @"
    Error: a new archive needs a configuration
    Hint: try `--preset smoke`, or write a `dgm.toml` and name it with `--config FILE`
    exit 2
    ");
    assert_snapshot!(world.refused("evolve"), @"
    Error: the current directory holds no archive
    Hint: name the folder of one, or make one: `dgm evolve demo --preset smoke`
    exit 2
    ");
    assert_snapshot!(world.refused("evolve demo --preset smok"), @"
    error: invalid value 'smok' for '--preset <PRESET>'
      [possible values: smoke, rehearsal]

      tip: a similar value exists: 'smoke'

    For more information, try '--help'.
    exit 2
    ");
    std::fs::create_dir(world.path("empty")).unwrap();
    let mut here = world.command("evolve --preset smoke");
    let said = world.said(std::mem::replace(
        here.current_dir(world.path("empty")),
        Command::new("false"),
    ));
    assert_snapshot!(said.err, @"
    Error: the current directory holds no archive
    Hint: name the folder of one, or make one: `dgm evolve demo --preset smoke`
    ");
    assert_eq!(said.code, 2);
    assert!(!world.path("demo").exists());
}

/// Root may write everywhere; without this privilege even root may not.
#[test]
fn a_folder_without_permission() {
    let world = World::new();
    world.grow();
    let guarded = world.path("guarded");
    std::fs::create_dir(&guarded).unwrap();
    let mode = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(world.path(path), mode).unwrap();
    };
    mode("guarded", 0o500);
    let without = |line: &str| {
        let inner = world.command(line);
        let mut outer = Command::new("setpriv");
        outer
            .args(["--inh-caps=-dac_override,-dac_read_search"])
            .args(["--bounding-set=-dac_override,-dac_read_search"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(inner.get_current_dir().unwrap())
            .env_clear()
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let said = world.said(outer);
        format!("{}exit {}", said.err, said.code)
    };
    assert_snapshot!(without("evolve guarded/demo --preset smoke"), @r#"
    Error: could not make a folder in `guarded`
    Caused by: Permission denied (os error 13) at path "FOLDER/guarded/.demo.init-RANDOM"
    Hint: choose a place where you may make one
    exit 1
    "#);
    mode("demo", 0o500);
    mode("demo/lock", 0o400);
    mode("demo/archive.db", 0o400);
    assert_snapshot!(without("evolve demo"), @"
    Error: could not open the archive in `demo` for writing
    Caused by: could not lock `demo/lock`
    Caused by: Permission denied (os error 13)
    Hint: check the permissions of the folder
    exit 1
    ");
    mode("demo/archive.db", 0o000);
    assert_snapshot!(without("tree demo"), @"
    Error: could not read `demo/archive.db`
    Caused by: Permission denied (os error 13)
    exit 1
    ");
    mode("demo/archive.db", 0o600);
    mode("demo/lock", 0o600);
    mode("demo", 0o700);
    world.goes_on("demo");
}

#[test]
fn a_variant_that_is_not_there() {
    let world = World::new();
    world.grow();
    assert_snapshot!(world.refused("show demo 7"), @"
    Error: there is no variant #7
    Hint: there is only #0, the seed, so far
    exit 2
    ");
    assert_snapshot!(world.refused("show demo bets"), @"
    Error: `bets` names no variant
    Hint: there is only #0, the seed, so far
    exit 2
    ");
    assert_snapshot!(world.refused("show demo seed helo"), @"
    Error: variant #0 has no evaluation on a task `helo`
    Hint: did you mean `hello`?
    exit 2
    ");
    assert_snapshot!(world.refused("diff demo seed 3"), @"
    Error: there is no variant #3
    Hint: there is only #0, the seed, so far
    exit 2
    ");
    world.goes_on("demo");
}

#[test]
fn a_place_to_check_out_that_is_taken() {
    let world = World::new();
    world.grow();
    world.put("full/thesis.tex", "years of work");
    assert_snapshot!(world.refused("checkout demo seed full"), @"
    Error: `full` is not empty
    Hint: name a new or an empty folder
    exit 2
    ");
    assert_snapshot!(world.refused("checkout demo seed full/thesis.tex"), @"
    Error: `full/thesis.tex` is a file
    Hint: name a new or an empty folder
    exit 2
    ");
    assert_snapshot!(world.refused("checkout demo 7 new"), @"
    Error: there is no variant #7
    Hint: there is only #0, the seed, so far
    exit 2
    ");
    assert!(!world.path("full/agent.sh").exists());
    assert!(!world.path("new").exists());
    world.done("checkout demo seed new");
    world.goes_on("demo");
}
