//! The rules of the published algorithm, one by one.

use super::fixture::World;
use super::{
    Action, Admission, Dgm, DgmSettings, EvalPolicy, Next, Policy as _, RegradePolicy, Seen,
    Selection, Stage, Stages, admit, choose_entry, generator, probabilities,
};
use crate::domain::{
    Cause, Entry, EvaluationKey, Fact, Fault, JobId, Judgement, Outcome, Pattern, Purpose, Regrade,
    RunId, TaskId, VariantId, Verdict,
};
use crate::lineage::Lineage;
use std::collections::{BTreeMap, BTreeSet};

use Outcome::{Empty, InfraError, Resolved, Unresolved};

fn stages() -> Stages {
    let stage = |names: &[&str]| Stage {
        tasks: names.iter().map(|name| TaskId::new(*name)).collect(),
        go_on: 0.4,
    };
    Stages {
        stages: vec![stage(&["t0", "t1", "t2", "t3", "t4"]), stage(&["u0", "u1"])],
        repeats: 1,
    }
}

fn settings(barrier: bool) -> DgmSettings {
    DgmSettings {
        seed: 7,
        rounds: 2,
        attempts: 2,
        barrier,
        width: 2,
        selection: Selection::ScoreChildProp,
        admission: Admission::KeepAll,
        stages: stages(),
    }
}

fn decide(policy: &Dgm, lineage: &Lineage) -> Action {
    policy.decide(&Seen {
        lineage,
        busy: &BTreeSet::new(),
    })
}

/// A seed that resolves 1 of 4 with two children, one that resolves 3 of 4, none of its own.
fn family() -> World {
    World::default()
        .admitted(0, None, &[Resolved, Unresolved, Unresolved, Empty])
        .admitted(1, Some(0), &[Resolved, Resolved, Resolved, Unresolved])
        .admitted(
            2,
            Some(0),
            &[Unresolved, Unresolved, Unresolved, Unresolved],
        )
}

#[test]
fn parents_are_weighted_by_score_and_by_few_children() {
    let lineage = family().lineage;
    let sigmoid = |score: f64| 1.0 / (1.0 + (-10.0 * (score - 0.5_f64)).exp());
    let raw = [sigmoid(0.25) / 3.0, sigmoid(0.75), sigmoid(0.0)];
    let total: f64 = raw.iter().sum();
    let found = probabilities(&lineage, Selection::ScoreChildProp, 0, 2);
    for ((id, chance), (index, raw)) in found.iter().zip(raw.iter().enumerate()) {
        assert_eq!(id.0 as usize, index);
        assert!((chance - raw / total).abs() < 1e-12, "{id}: {chance}");
    }
}

#[test]
fn best_takes_the_highest_scores_and_then_draws_among_them() {
    let lineage = family().lineage;
    let sure = |slot| {
        let found = probabilities(&lineage, Selection::Best, slot, 2);
        found
            .into_iter()
            .find(|(_, chance)| (chance - 1.0).abs() < 1e-12)
            .map(|(id, _)| id.0)
    };
    assert_eq!((sure(0), sure(1)), (Some(1), Some(0)));
    let alone = World::default().admitted(0, None, &[Resolved]).lineage;
    let second = probabilities(&alone, Selection::Best, 1, 2);
    assert!(
        (second[0].1 - 1.0).abs() < 1e-12,
        "a pool smaller than the round is drawn again"
    );
}

#[test]
fn who_is_not_admitted_is_no_parent() {
    let mut world = family();
    world.make(3, Some(1));
    world.evaluate(3, "t0", 0, Resolved);
    let found = probabilities(&world.lineage, Selection::Random, 0, 1);
    assert_eq!(
        found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn entries_come_with_the_published_chances() {
    let lineage = family().lineage;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let draws = 20_000_u32;
    for number in 0..draws {
        let mut rng = generator(3, VariantId(number));
        let entry = choose_entry(&lineage, VariantId::SEED, &mut rng).expect("it was evaluated");
        *counts.entry(entry.encode()).or_default() += 1;
    }
    let share = |name: &str| f64::from(counts.get(name).copied().unwrap_or(0)) / f64::from(draws);
    // One of four ended empty: a quarter of the draws; of the rest a quarter; the rest is
    // uniform over the two tasks that were not resolved.
    for (name, expected) in [
        ("pattern:solve_empty_patches", 0.25),
        ("pattern:solve_stochasticity", 0.1875),
        ("pattern:solve_contextlength", 0.0),
        ("task:t0", 0.0),
        ("task:t1", 0.281_25),
        ("task:t2", 0.281_25),
        ("task:t3", 0.0),
    ] {
        assert!(
            (share(name) - expected).abs() < 0.015,
            "{name}: {}",
            share(name)
        );
    }
}

#[test]
fn a_parent_that_resolved_everything_still_has_an_entry() {
    let lineage = World::default()
        .admitted(0, None, &[Resolved, Resolved])
        .lineage;
    for number in 0..50 {
        let entry = choose_entry(
            &lineage,
            VariantId::SEED,
            &mut generator(1, VariantId(number)),
        );
        assert!(matches!(
            entry,
            Some(Entry::Task(_) | Entry::Pattern(Pattern::Stochasticity))
        ));
    }
    let nothing = World::default().admitted(0, None, &[]).lineage;
    assert_eq!(
        choose_entry(&nothing, VariantId::SEED, &mut generator(1, VariantId(1))),
        None
    );
}

#[test]
fn a_child_goes_on_where_it_resolved_enough_and_the_seed_always() {
    let missing = |world: &World, id| match stages().next(&world.lineage, VariantId(id)) {
        Next::Missing(keys) => keys
            .into_iter()
            .map(|(key, _)| key.task.to_string())
            .collect(),
        Next::Finished => Vec::new(),
    };
    let low = [Resolved, Unresolved, Unresolved, Unresolved, Unresolved];
    let enough = [Resolved, Resolved, Unresolved, Unresolved, Unresolved];
    let world = World::default()
        .admitted(0, None, &low)
        .admitted(1, Some(0), &low)
        .admitted(2, Some(0), &enough);
    assert_eq!(missing(&world, 0), ["u0", "u1"]);
    assert!(missing(&world, 1).is_empty());
    assert_eq!(missing(&world, 2), ["u0", "u1"]);
}

#[test]
fn admission_asks_for_the_whole_first_stage_and_one_change() {
    let world = World::default()
        .admitted(0, None, &[Resolved; 5])
        .admitted(
            1,
            Some(0),
            &[Resolved, Resolved, InfraError, Resolved, Resolved],
        )
        .admitted(2, Some(0), &[Empty; 5])
        .admitted(3, Some(0), &[Unresolved; 5]);
    let verdict = |id, admission| admit(&world.lineage, &stages(), admission, VariantId(id));
    let reason = |verdict| match verdict {
        Verdict::Rejected(reason) => reason,
        Verdict::Admitted => "admitted".to_owned(),
    };
    assert_eq!(
        reason(verdict(1, Admission::KeepAll)),
        "1 evaluations of the first stage gave no measurement"
    );
    assert_eq!(
        reason(verdict(2, Admission::KeepAll)),
        "it changed nothing on any task"
    );
    assert_eq!(verdict(3, Admission::KeepAll), Verdict::Admitted);
    let strict = Admission::KeepBetter { noise: 0.1 };
    assert!(reason(verdict(3, strict)).contains("below the seed's"));
    assert_eq!(verdict(0, strict), Verdict::Admitted);
}

#[test]
fn with_a_barrier_a_round_is_decided_at_once_and_the_next_waits() {
    let policy = Dgm::new(settings(true));
    let mut world = family();
    for id in 0..3 {
        world.evaluate(id, "t4", 0, Unresolved);
        world.evaluate(id, "u0", 1, Unresolved);
        world.evaluate(id, "u1", 1, Unresolved);
    }
    let Action::Expand(first) = decide(&policy, &world.lineage) else {
        panic!("it expands")
    };
    assert_eq!(
        first
            .iter()
            .map(|e| (e.attempt.0, e.round))
            .collect::<Vec<_>>(),
        [(1, 1), (2, 1)]
    );
    world.decide(3, 1, 0);
    world.decide(4, 1, 0);
    assert_eq!(decide(&policy, &world.lineage), Action::Wait);
}

#[test]
fn without_a_barrier_attempts_are_decided_one_by_one_up_to_the_width() {
    let policy = Dgm::new(settings(false));
    let mut world = World::default().admitted(0, None, &[Unresolved; 5]);
    world.evaluate(0, "u0", 1, Unresolved);
    world.evaluate(0, "u1", 1, Unresolved);
    for (number, round) in [(1, 1), (2, 1)] {
        let Action::Expand(found) = decide(&policy, &world.lineage) else {
            panic!("it expands")
        };
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].attempt.0, found[0].round), (number, round));
        world.decide(number, round, 0);
    }
    assert_eq!(decide(&policy, &world.lineage), Action::Wait);
}

#[test]
fn further_evaluations_never_take_the_place_of_a_stages() {
    let mut world = family();
    let id = VariantId(1);
    let before = world.lineage.score(id);
    assert_eq!(
        missing(&world, 1, Purpose::Extra, 2),
        ["t0 1000", "t0 1001"]
    );
    record(
        &mut world,
        1,
        Purpose::Extra,
        &[(1000, Unresolved), (1001, Resolved)],
    );
    assert_eq!(world.lineage.score(id), before);
    assert_eq!(world.lineage.extra_score(id).counted, 2);
}

#[test]
fn asked_again_only_what_is_missing_is_evaluated() {
    let mut world = family();
    let none: [&str; 0] = [];
    record(&mut world, 1, Purpose::Extra, &[(1000, Unresolved)]);
    assert_eq!(missing(&world, 1, Purpose::Extra, 1), none);
    assert_eq!(
        missing(&world, 1, Purpose::Extra, 3),
        ["t0 1001", "t0 1002"]
    );
    // What the infrastructure failed measured nothing, and is not what was asked for.
    record(
        &mut world,
        1,
        Purpose::Extra,
        &[(1001, InfraError), (1002, Outcome::VerifierError)],
    );
    assert_eq!(missing(&world, 1, Purpose::Extra, 3), ["t0 1003"]);
    // What is held out counts by itself, and takes no number twice.
    assert_eq!(missing(&world, 1, Purpose::Holdout, 1), ["t0 1003"]);
    record(&mut world, 1, Purpose::Holdout, &[(1003, Resolved)]);
    assert_eq!(missing(&world, 1, Purpose::Holdout, 1), none);
    assert_eq!(world.lineage.holdout_score(VariantId(1)).resolved, 1);
    // Of several tasks each is evaluated once before one is twice.
    let tasks = ["b", "a"].map(TaskId::new);
    let policy = EvalPolicy::missing(&world.lineage, VariantId(1), Purpose::Extra, &tasks, 2);
    assert_eq!(
        shown(policy.keys()),
        ["b 1000", "a 1000", "b 1001", "a 1001"]
    );
}

fn shown(keys: &[EvaluationKey]) -> Vec<String> {
    keys.iter()
        .map(|key| format!("{} {}", key.task, key.repeat))
        .collect()
}

fn missing(world: &World, variant: u32, purpose: Purpose, attempts: u32) -> Vec<String> {
    let tasks = [TaskId::new("t0")];
    let policy = EvalPolicy::missing(
        &world.lineage,
        VariantId(variant),
        purpose,
        &tasks,
        attempts,
    );
    shown(policy.keys())
}

fn record(world: &mut World, variant: u32, purpose: Purpose, ends: &[(u32, Outcome)]) {
    for (repeat, outcome) in ends {
        let key = EvaluationKey {
            variant: VariantId(variant),
            task: TaskId::new("t0"),
            repeat: *repeat,
        };
        let evaluation = super::fixture::evaluation(key, purpose, *outcome);
        world.lineage.apply(&Fact::Evaluated(evaluation));
    }
}

#[test]
fn an_answer_is_judged_again_once_and_given_up_after_some_tries() {
    let mut world = family();
    record(
        &mut world,
        1,
        Purpose::Extra,
        &[(1000, Unresolved), (1001, Unresolved)],
    );
    let keys: Vec<EvaluationKey> = world
        .lineage
        .evaluations_of(VariantId(1))
        .filter(|found| found.purpose == Purpose::Extra)
        .map(|found| found.key.clone())
        .collect();
    let regraded = |run| {
        Fact::Regraded(Regrade {
            key: keys[0].clone(),
            judgement: Judgement {
                reward: Some(1.0),
                ..Judgement::of(Resolved)
            },
            verifier_log: None,
            verifier_ms: 0,
            run: RunId(run),
            execution: 1,
            at_ms: 0,
        })
    };
    // An earlier process judged one of them already: that is not this one's doing.
    world.lineage.apply(&regraded(2));
    let policy = RegradePolicy::new(&world.lineage, keys.clone(), 1);
    let decide = |world: &World, busy: &[&EvaluationKey]| {
        let busy = busy.iter().map(|key| (*key).clone()).collect();
        let seen = Seen {
            lineage: &world.lineage,
            busy: &busy,
        };
        policy.decide(&seen)
    };
    assert_eq!(decide(&world, &[]), Action::Regrade(keys[0].clone()));
    assert_eq!(
        decide(&world, &[&keys[0]]),
        Action::Regrade(keys[1].clone())
    );
    assert_eq!(decide(&world, &[&keys[0], &keys[1]]), Action::Wait);
    world.lineage.apply(&regraded(3));
    for _ in 0..2 {
        assert_eq!(decide(&world, &[]), Action::Regrade(keys[1].clone()));
        world.lineage.apply(&Fact::Faulted(Fault {
            subject: JobId::Regrade(EvaluationKey {
                variant: VariantId(1),
                task: TaskId::new("t0"),
                repeat: 1001,
            }),
            outcome: InfraError,
            cause: Cause::SandboxFailed,
            detail: String::new(),
            run: RunId(3),
            execution: 1,
            at_ms: 0,
        }));
    }
    assert!(matches!(decide(&world, &[]), Action::Stop(_)));
}
