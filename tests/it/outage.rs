//! Runs whose provider goes down: they wait, lose nothing, and end where it never comes back.

use crate::support::{Plan, Upstream, World};
use dgm::archive::Reader;
use dgm::domain::{Fact, Fault, Outcome};
use std::path::Path;

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate", "slug-text"], &["kelvin-scale"]],
    generations: 2,
    attempts: 2,
    barrier: true,
    workers: 2,
    backend: "local",
};

/// One task for the seed alone.
const SEED: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 0,
    attempts: 1,
    workers: 1,
    ..PLAN
};

/// A world in which no failure of the infrastructure is forgiven: one that counted would be
/// the end of a job.
fn strict(plan: &Plan) -> World {
    let world = World::new(plan);
    world.configure("[sandbox]", "infra_retries = 0\n[sandbox]");
    world
}

/// What a run has found: everything but how often it had to ask.
fn found(dir: &Path) -> String {
    let lineage = Reader::open(dir).unwrap().lineage().unwrap();
    let mut lines = Vec::new();
    for variant in lineage.variants() {
        lines.push(format!("{variant:?} {:?}", lineage.standing(variant.id)));
    }
    for attempt in lineage.attempts() {
        let decision = &attempt.decision;
        let end = attempt.end.as_ref().expect("the run has reached its goal");
        lines.push(format!(
            "{} from {} by {} {:?}: {:?} {:?} {:?}",
            decision.attempt,
            decision.parent,
            decision.entry,
            decision.candidates,
            attempt.proposal.as_ref().map(|(proposal, _)| proposal),
            end.failure,
            end.patch,
        ));
    }
    for evaluation in lineage.evaluations() {
        lines.push(format!(
            "{:?} {} {} {:?} {:?}",
            evaluation.key,
            evaluation.judgement.outcome,
            evaluation.judgement.passed,
            evaluation.judgement.reward,
            evaluation.patch,
        ));
    }
    lines.join("\n")
}

fn assert_in_order(world: &World, archive: &str) {
    let (said, _) = world.done(&format!("fsck {archive}"));
    assert_eq!(said, "the archive is in order\n");
}

#[test]
fn a_run_goes_on_after_an_outage_as_if_there_had_been_none() {
    let world = strict(&PLAN);
    let expected = found(&world.evolve("calm"));
    let mut run = world.start("evolve torn --config config.toml");
    for times in 1..=2 {
        let before = world.asked("torn");
        run.wait_until("asks the model", |_| world.asked("torn") > before + 6);
        world.out("torn", true);
        run.wait_until("is paused", |run| {
            run.talk().matches("paused since 20").count() == times
        });
        world.out("torn", false);
        run.wait_until("goes on", |run| {
            run.talk().matches("going on after ").count() == times
        });
    }
    assert_eq!(run.code(), Some(0), "{}", run.talk());
    assert!(run.talk().contains("(`"), "{}", run.talk());
    assert!(
        run.talk().contains("no route to the model"),
        "{}",
        run.talk()
    );
    assert_eq!(found(&world.path("torn")), expected);
    assert_in_order(&world, "torn");
    world.assert_nothing_is_left();
}

#[test]
fn a_provider_that_never_comes_back_ends_the_run_and_nothing_is_lost() {
    let world = strict(&PLAN);
    let expected = found(&world.evolve("calm"));
    world.configure(
        "[models.diagnose]",
        "[models]\noutage_hours = 0.001\n[models.diagnose]",
    );
    let mut run = world.start("evolve torn --config config.toml");
    run.wait_until("asks the model", |_| world.asked("torn") > 20);
    world.out("torn", true);
    assert_eq!(run.code(), Some(4), "{}", run.talk());
    let talk = run.talk();
    for part in [
        "has not answered for",
        "go on with `dgm evolve torn`",
        "dgm doctor --models",
    ] {
        assert!(talk.contains(part), "{talk}");
    }
    let reader = Reader::open(&world.path("torn")).unwrap();
    let ends: Vec<String> = reader
        .facts()
        .unwrap()
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::RunEnded(end) => Some(end.reason),
            _ => None,
        })
        .collect();
    assert!(
        matches!(&ends[..], [end] if end.contains("has not answered for")),
        "{ends:?}"
    );
    // It is still out: what is tried again changes nothing.
    assert_eq!(world.output("evolve torn").status.code(), Some(4));
    world.out("torn", false);
    world.done("evolve torn");
    assert_eq!(found(&world.path("torn")), expected);
    assert_in_order(&world, "torn");
    world.assert_nothing_is_left();
}

/// A world whose models are served over HTTP by a server that wants this key.
const KEY: &str = "sk-of-the-outage-tests";

fn served(plan: &Plan) -> (World, Upstream) {
    let world = strict(plan);
    let upstream = Upstream::start(world.path("."), &[KEY]);
    world.serve(&upstream.url(), "api_key_env = \"MODEL_KEY\"");
    (world, upstream)
}

#[test]
fn a_server_that_goes_down_and_comes_back_changes_nothing() {
    let (world, mut upstream) = served(&PLAN);
    let line = |archive: &str| format!("evolve {archive} --config config.toml");
    let mut calm = world.start_with(&line("calm"), &[("MODEL_KEY", KEY)]);
    assert_eq!(calm.code(), Some(0), "{}", calm.talk());
    let before = upstream.asked();
    let mut run = world.start_with(&line("torn"), &[("MODEL_KEY", KEY)]);
    run.wait_until("asks the model", |_| upstream.asked() > before + 10);
    upstream.set_up(false);
    run.wait_until("is paused", |run| run.talk().contains("paused since 20"));
    upstream.set_up(true);
    assert_eq!(run.code(), Some(0), "{}", run.talk());
    assert!(run.talk().contains("going on after "), "{}", run.talk());
    assert_eq!(found(&world.path("torn")), found(&world.path("calm")));
    assert_in_order(&world, "torn");
}

#[test]
fn a_key_that_is_refused_ends_the_run_at_once() {
    let (world, upstream) = served(&PLAN);
    let line = "evolve demo --config config.toml";
    let mut run = world.start_with(line, &[("MODEL_KEY", "sk-another-one")]);
    assert_eq!(run.code(), Some(4), "{}", run.talk());
    let talk = run.talk();
    for part in [
        "answers 401",
        "cannot be used",
        "go on with `dgm evolve demo`",
    ] {
        assert!(talk.contains(part), "{talk}");
    }
    assert!(!talk.contains("sk-another-one"), "{talk}");
    assert!(
        upstream.asked() <= 2,
        "once by each of the jobs: {}",
        upstream.asked()
    );
    let lineage = Reader::open(&world.path("demo"))
        .unwrap()
        .lineage()
        .unwrap();
    assert_eq!(
        (lineage.evaluations().count(), lineage.attempts().count()),
        (0, 0)
    );
    let mut run = world.start_with("evolve demo", &[("MODEL_KEY", KEY)]);
    assert_eq!(run.code(), Some(0), "{}", run.talk());
    assert_in_order(&world, "demo");
}

#[test]
fn an_agent_whose_time_passes_while_its_calls_wait_is_run_again() {
    let world = strict(&SEED);
    // Far more than the task takes, and no more than a test can wait for.
    world.edit(
        "tasks/missing-rebate/task.toml",
        "timeout_sec = 300",
        "timeout_sec = 20",
    );
    world.out("late", true);
    let mut run = world.start("evolve late --config config.toml");
    let faults = || {
        let reader = Reader::open(&world.path("late")).ok()?;
        let facts = reader.facts().ok()?.into_iter();
        let faults = facts.filter_map(|fact| match fact {
            Fact::Faulted(fault) => Some(fault),
            _ => None,
        });
        Some(faults.collect::<Vec<_>>())
    };
    run.wait_until("gives the agent up", |_| {
        faults().is_some_and(|faults| !faults.is_empty())
    });
    world.out("late", false);
    assert_eq!(run.code(), Some(0), "{}", run.talk());
    let faults = faults().unwrap();
    let is_infra = faults
        .iter()
        .all(|fault| fault.outcome == Outcome::InfraError);
    assert!(is_infra, "{faults:?}");
    let lineage = Reader::open(&world.path("late"))
        .unwrap()
        .lineage()
        .unwrap();
    let outcomes: Vec<Outcome> = lineage
        .evaluations()
        .map(|found| found.judgement.outcome)
        .collect();
    assert!(
        matches!(outcomes[..], [Outcome::Resolved | Outcome::Unresolved]),
        "{outcomes:?}"
    );
}

/// Returns the executions of an archive's jobs that did not count.
fn faults(world: &World, archive: &str) -> Vec<Fault> {
    let reader = Reader::open(&world.path(archive)).unwrap();
    let faults = reader.facts().unwrap().into_iter();
    let faults = faults.filter_map(|fact| match fact {
        Fact::Faulted(fault) => Some(fault),
        _ => None,
    });
    faults.collect()
}

#[test]
fn a_provider_that_asks_to_be_left_alone_for_long_pauses_the_run() {
    let (world, upstream) = served(&SEED);
    // Far more than the task takes, and no more than a test can wait for: the agent's time is
    // over before that of the run is.
    world.edit(
        "tasks/missing-rebate/task.toml",
        "timeout_sec = 300",
        "timeout_sec = 20",
    );
    world.configure(
        "[models.diagnose]",
        "[models]\noutage_hours = 0.008\n[models.diagnose]",
    );
    upstream.set_busy(3600);
    let line = "evolve late --config config.toml";
    let mut run = world.start_with(line, &[("MODEL_KEY", KEY)]);
    assert_eq!(run.code(), Some(4), "{}", run.talk());
    let talk = run.talk();
    for part in [
        "paused since 20",
        "takes no call before 20",
        "answers 429: Rate limit reached",
        "has not answered for",
        "go on with `dgm evolve late`",
    ] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    // What was under way when it began was all that was ever started.
    let faults = faults(&world, "late");
    assert!(matches!(faults[..], [_]), "{faults:?}");
    if faults[0].outcome == Outcome::InfraError {
        let retry = "#0 on missing-rebate: failed (";
        assert!(talk.contains(retry), "{talk}");
        assert!(talk.contains("again when the provider answers"), "{talk}");
    }
    assert_eq!(upstream.asked(), 1);
    upstream.set_busy(0);
    let mut run = world.start_with("evolve late", &[("MODEL_KEY", KEY)]);
    assert_eq!(run.code(), Some(0), "{}", run.talk());
    assert_in_order(&world, "late");
}
