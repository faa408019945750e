//! Whole runs of the program in the real local sandbox with the scripted model: the same
//! again, because of the agent's code, on from where it stopped.

use crate::support::{Plan, Running, World, assert_same, audit, story};
use dgm::archive::Reader;
use dgm::domain::{Evaluation, JobId, RunId, VariantId};
use dgm::lineage::Lineage;
use std::path::Path;
use std::process::Command;

/// Rounds that wait for each other: the same with any number of workers.
const ROUNDS: Plan = Plan {
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

/// Everything as soon as a worker is free: the same with one worker.
const STREAM: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text", "unit-factors"]],
    generations: 2,
    barrier: false,
    workers: 1,
    ..ROUNDS
};

/// Two children that are compared in order of number.
const TWO: Plan = Plan {
    generations: 1,
    ..ROUNDS
};

/// One child.
const ONE: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    ..ROUNDS
};

/// Evolves an archive from nothing without any interruption.
fn evolved(plan: &Plan) -> (World, String) {
    let world = World::new(plan);
    let archive = world.evolve("demo");
    let (told, asked) = (story(&archive), world.asked("demo"));
    audit(&archive, asked, "undisturbed");
    let spend = Reader::open(&archive).unwrap().lineage().unwrap();
    let total = spend.spend().total(|_| true);
    assert_eq!((total.calls, total.unsettled), (asked as u64, 0));
    world.assert_nothing_is_left();
    (world, told)
}

#[test]
fn two_runs_with_two_workers_and_one_with_one_are_the_same() {
    let (_, first) = evolved(&ROUNDS);
    let (_, second) = evolved(&ROUNDS);
    assert_same(&second, &first, "again");
    let (_, alone) = evolved(&Plan {
        workers: 1,
        ..ROUNDS
    });
    assert_same(&alone, &first, "one worker");
}

#[test]
fn two_runs_without_barrier_are_the_same_with_one_worker() {
    let (_, first) = evolved(&STREAM);
    let (_, second) = evolved(&STREAM);
    assert_same(&second, &first, "again");
}

/// Results of a variant by task, as far as another one has been evaluated.
fn results(lineage: &Lineage, of: VariantId, like: &[Evaluation]) -> Vec<String> {
    like.iter()
        .map(|other| {
            let key = dgm::domain::EvaluationKey {
                variant: of,
                ..other.key.clone()
            };
            let evaluation = lineage.evaluation(&key).expect("the seed runs every stage");
            format!(
                "{} {} {} {:?} {:?}",
                key.task,
                evaluation.judgement.outcome,
                evaluation.judgement.passed,
                evaluation.judgement.reward,
                evaluation.patch
            )
        })
        .collect()
}

fn lineage_of(archive: &Path) -> Lineage {
    Reader::open(archive).unwrap().lineage().unwrap()
}

#[test]
fn the_best_variant_is_better_because_of_its_source() {
    let (world, _) = evolved(&ROUNDS);
    let lineage = lineage_of(&world.path("demo"));
    let best = lineage.best().unwrap();
    let parent = lineage
        .variant(best)
        .unwrap()
        .parent
        .expect("a child is the best");
    let of = |id| lineage.evaluations_of(id).cloned().collect::<Vec<_>>();
    let (by_best, by_parent) = (of(best), of(parent));
    let resolved = |all: &[Evaluation]| {
        let both = all.iter().filter(|one| {
            [&by_best, &by_parent]
                .iter()
                .all(|list| list.iter().any(|other| other.key.task == one.key.task))
        });
        both.filter(|one| one.judgement.passed).count()
    };
    assert!(
        resolved(&by_best) > resolved(&by_parent),
        "on the tasks of both"
    );

    world.done(&format!("checkout demo {best} child"));
    world.done(&format!("checkout demo {best} reverted"));
    let (patch, _) = world.done(&format!("diff demo {best}"));
    assert!(!patch.is_empty());
    dgm::sys::durable::write(&world.path("child.patch"), patch.as_bytes()).unwrap();
    let reverse = Command::new("git")
        .args(["apply", "--reverse", "../child.patch"])
        .current_dir(world.path("reverted"))
        .status();
    assert!(reverse.unwrap().success());

    for (source, variant, evaluations) in
        [("child", best, by_best), ("reverted", parent, by_parent)]
    {
        let archive = format!("of-{source}");
        world.done(&format!(
            "evolve {archive} --config config.toml --agent {source} --generations 0"
        ));
        let alone = lineage_of(&world.path(&archive));
        assert_eq!(
            alone.variant(VariantId::SEED).unwrap().tree,
            lineage.variant(variant).unwrap().tree
        );
        assert_eq!(
            results(&alone, VariantId::SEED, &evaluations),
            results(&lineage, variant, &evaluations),
            "{source}"
        );
    }
}

/// Starts a run and waits until it has asked the model once more, which does not answer.
fn held(world: &World) -> Running {
    let asked = world.asked("demo");
    world.hold("demo", true);
    let mut run = world.start("evolve demo --config config.toml");
    run.wait_until("asks the model", |_| world.asked("demo") > asked);
    run
}

fn interrupt(run: &mut Running) {
    run.interrupt();
    run.wait_until("hears Ctrl-C", |run| run.talk().contains("stopping: "));
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let (_, expected) = evolved(&ONE);
    let world = World::new(&ONE);
    let archive = world.path("demo");

    // One writer only; readers as many as like.
    let mut run = held(&world);
    let refused = world.output("evolve demo");
    let talk = String::from_utf8(refused.stderr).unwrap();
    let holder = format!(
        "another process (pid {}) is writing to this archive",
        run.pid()
    );
    assert!(talk.contains(&holder), "{talk}");
    assert_eq!(refused.status.code(), Some(1));
    world.done("tree demo");

    // The first Ctrl-C lets what runs end.
    interrupt(&mut run);
    world.hold("demo", false);
    assert_eq!(run.code(), Some(130), "{}", run.talk());
    let advice = "interrupted; nothing is lost: go on with `dgm evolve demo`\n";
    assert!(run.talk().ends_with(advice), "{}", run.talk());
    let lineage = lineage_of(&archive);
    assert_eq!(lineage.evaluations().count(), 1);
    assert_eq!((lineage.faults(), lineage.attempts().count()), (&[][..], 0));
    assert_eq!(lineage.spend().total(|_| true).unsettled, 0);
    world.assert_nothing_is_left();

    // The second one stops it.
    let mut run = held(&world);
    interrupt(&mut run);
    run.interrupt();
    assert_eq!(run.code(), Some(130), "{}", run.talk());
    world.assert_nothing_is_left();

    // So does the end of the grace period.
    let config = std::fs::read_to_string(archive.join("dgm.toml")).unwrap();
    let hasty = config.replace("grace_sec = 300", "grace_sec = 0");
    assert_ne!(config, hasty);
    dgm::sys::durable::write(&archive.join("dgm.toml"), hasty.as_bytes()).unwrap();
    world.hold("demo", false);
    let mut run = held(&world);
    interrupt_at_once(&mut run);
    world.assert_nothing_is_left();
    world.hold("demo", false);

    // In the end it is as if nothing had happened.
    let (_, talk) = world.done("evolve demo");
    let goal =
        "goal reached: all 1 rounds are done; go on with `dgm evolve demo --generations 5`\n";
    assert!(talk.ends_with(goal), "{talk}");
    assert_same(&story(&archive), &expected, "interrupted");
    audit(&archive, world.asked("demo"), "interrupted");

    // Run again it does nothing, and with a further goal it goes on.
    let asked = world.asked("demo");
    let (_, again) = world.done("evolve demo");
    assert_eq!(again, goal);
    assert_eq!(world.asked("demo"), asked);
    world.done("evolve demo --generations 2");
    let rounds = lineage_of(&archive)
        .attempts()
        .map(|attempt| attempt.decision.group)
        .collect::<Vec<_>>();
    assert_eq!(rounds, [1, 2]);
    world.assert_nothing_is_left();
}

fn interrupt_at_once(run: &mut Running) {
    run.interrupt();
    assert_eq!(run.code(), Some(130), "{}", run.talk());
}

/// Evolves the seed of an archive, and then kills a run in which the second attempt of a round
/// has come to a child while the first one still waits for its model. None: it was the other
/// way round.
fn killed_between_two_ends() -> Option<World> {
    let world = World::new(&TWO);
    world.done("evolve demo --config config.toml --generations 0");
    world.hold_one("demo", true);
    let mut run = world.start("evolve demo");
    let archive = world.path("demo");
    let has_ended = |number| {
        let lineage = lineage_of(&archive);
        let attempt = lineage.attempt(VariantId(number));
        attempt.is_some_and(|attempt| attempt.draft.is_some() || attempt.end.is_some())
    };
    run.wait_until("ends an attempt", |_| has_ended(1) || has_ended(2));
    assert!(run.kill());
    world.hold_one("demo", false);
    world.wait_until_alone();
    (!has_ended(1)).then_some(world)
}

#[test]
fn a_child_that_waits_for_another_is_never_paid_for_again() {
    let (_, expected) = evolved(&TWO);
    // Which of two jobs asks first is chance; mostly it is the one that was started first.
    let world = (0..20).find_map(|_| killed_between_two_ends());
    let world = world.expect("the first attempt asks first once in a while");
    let archive = world.path("demo");

    // What was found is there, and it is no variant yet.
    let (first, second) = (VariantId(1), VariantId(2));
    let lineage = lineage_of(&archive);
    let draft = lineage.attempt(second).unwrap().draft.clone();
    let draft = draft.expect("it came to a child");
    assert!(lineage.attempt(second).unwrap().end.is_none());
    assert!(lineage.variant(second).is_none());
    let (found, _) = world.done("fsck demo");
    assert_eq!(found, "the archive is in order\n");
    let (shown, _) = world.done("show demo 2");
    assert!(shown.contains("came to a child that waits"), "{shown}");

    world.done("evolve demo");
    assert_same(&story(&archive), &expected, "killed between two ends");
    audit(&archive, world.asked("demo"), "killed between two ends");
    let lineage = lineage_of(&archive);
    let asked = |id, run| {
        let calls = lineage.spend().calls();
        let own = calls
            .filter(|(intent, _)| intent.subject == JobId::Attempt(id) && intent.run == RunId(run));
        own.count()
    };
    assert!(asked(second, 2) > 0);
    assert_eq!(asked(second, 3), 0, "nothing is asked twice");
    assert!(asked(first, 3) > 0);
    let variant = lineage.variant(second).expect("it is new");
    assert_eq!(
        (&variant.commit, &variant.tree),
        (&draft.commit, &draft.tree)
    );
    let (found, _) = world.done("fsck demo");
    assert_eq!(found, "the archive is in order\n");
    world.assert_nothing_is_left();
}
