//! The rules of the published algorithm, one by one.

use super::admission::{Admission, admit};
use super::entry::choose_entry;
use super::selection::{Selection, probabilities};
use super::stages::{NextStep, Stages};
use super::{Dgm, Policy as _, generator};
use crate::domain::{Count, Entry, JobId, Outcome, Pattern, TaskId, VariantId, Verdict};
use crate::lineage::Lineage;
use crate::policy::fixture::{World, family};
use crate::policy::{Action, Assignment, Choice, Expansion, PolicySettings, Snapshot, Stage, make};
use std::collections::BTreeMap;

use Outcome::{Empty, InfraError, Resolved, Unresolved};

fn stages() -> Stages {
    Stages {
        stages: settings(true).stages,
        repeats: 1,
    }
}

fn settings(barrier: bool) -> PolicySettings {
    let stage = |names: &[&str]| Stage {
        tasks: names.iter().map(|name| TaskId::new(*name)).collect(),
        go_on: 0.4,
    };
    PolicySettings {
        name: "dgm".to_owned(),
        seed: 7,
        generations: 2,
        attempts: 2,
        barrier,
        workers: 2,
        selection: "score_child_prop".to_owned(),
        admission: "keep_all".to_owned(),
        eval_noise: 0.0,
        stages: vec![stage(&["t0", "t1", "t2", "t3", "t4"]), stage(&["u0", "u1"])],
        repeats: 1,
    }
}

fn dgm(barrier: bool) -> Dgm {
    Dgm::new(&settings(barrier)).expect("the names are known")
}

/// What it does while these attempts are under way.
fn decide(policy: &Dgm, lineage: &Lineage, busy: &[u32]) -> Action {
    let busy = busy.iter().map(|id| JobId::Attempt(VariantId(*id)));
    policy.decide(&Snapshot {
        lineage,
        busy: &busy.collect(),
    })
}

/// What it decides, which is nothing but attempts.
fn expanded(action: Action) -> Vec<Expansion> {
    let Action::Decide(choices) = action else {
        panic!("it expands")
    };
    let attempt = |choice| match choice {
        Choice::Attempt(expansion) => expansion,
        Choice::Evaluation(_) => panic!("it draws no evaluations"),
    };
    choices.into_iter().map(attempt).collect()
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
        let mut rng = generator(3, u64::from(number));
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
        let entry = choose_entry(&lineage, VariantId::SEED, &mut generator(1, number));
        assert!(matches!(
            entry,
            Some(Entry::Task(_) | Entry::Pattern(Pattern::Stochasticity))
        ));
    }
    let nothing = World::default().admitted(0, None, &[]).lineage;
    assert_eq!(
        choose_entry(&nothing, VariantId::SEED, &mut generator(1, 1)),
        None
    );
}

#[test]
fn a_child_goes_on_where_it_resolved_enough_and_the_seed_always() {
    let missing = |world: &World, id| match stages().next(&world.lineage, VariantId(id)) {
        NextStep::Missing(keys) => keys
            .into_iter()
            .map(|(key, _)| key.task.to_string())
            .collect(),
        NextStep::Finished => Vec::new(),
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
    let policy = dgm(true);
    let mut world = family();
    for id in 0..3 {
        world.evaluate(id, "t4", 0, Unresolved);
        world.evaluate(id, "u0", 1, Unresolved);
        world.evaluate(id, "u1", 1, Unresolved);
    }
    let first = expanded(decide(&policy, &world.lineage, &[]));
    let shown = first.iter().map(|e| (e.attempt.0, e.group, e.why.as_str()));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [(1, 1, "round 1/2"), (2, 1, "round 1/2")]
    );
    world.decide(3, 1, 0);
    world.decide(4, 1, 0);
    // What is decided is gone on with, once at a time.
    let start = |id| Action::Start(Assignment::Improve(VariantId(id)));
    assert_eq!(decide(&policy, &world.lineage, &[]), start(3));
    assert_eq!(decide(&policy, &world.lineage, &[3]), start(4));
    assert_eq!(decide(&policy, &world.lineage, &[3, 4]), Action::Wait);
}

#[test]
fn children_of_a_round_have_their_turn_in_order_of_number() {
    let mut world = family();
    for id in 3..5 {
        world.decide(id, 1, 0);
    }
    world.decide(5, 2, 0);
    let turns = |barrier, world: &World| {
        let policy = dgm(barrier);
        [3, 4, 5].map(|id| policy.is_due(&world.lineage, VariantId(id)))
    };
    assert_eq!(turns(true, &world), [true, false, true]);
    assert_eq!(turns(false, &world), [true, true, true]);
    world.draft(4, 9);
    assert_eq!(turns(true, &world), [true, false, true]);
    // A draft is nothing that is still to be made.
    let action = decide(&dgm(true), &world.lineage, &[3, 5]);
    assert_eq!(action, Action::Wait);
    world.fail(3);
    assert_eq!(turns(true, &world), [true, true, true]);
}

#[test]
fn without_a_barrier_attempts_are_decided_one_by_one_up_to_the_width() {
    let policy = dgm(false);
    let mut world = World::default().admitted(0, None, &[Unresolved; 5]);
    world.evaluate(0, "u0", 1, Unresolved);
    world.evaluate(0, "u1", 1, Unresolved);
    for (number, round) in [(1, 1), (2, 1)] {
        let found = expanded(decide(&policy, &world.lineage, &[1]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].attempt.0, found[0].group), (number, round));
        world.decide(number, round, 0);
    }
    assert_eq!(decide(&policy, &world.lineage, &[1, 2]), Action::Wait);
}

#[test]
fn a_variant_is_judged_when_its_stages_are_done() {
    let mut world = World::default().admitted(0, None, &[Resolved; 5]);
    let verdict = |world: &World| dgm(true).verdict(&world.lineage, VariantId::SEED);
    assert_eq!(verdict(&world), None);
    world.evaluate(0, "u0", 1, Unresolved);
    world.evaluate(0, "u1", 1, Unresolved);
    assert_eq!(verdict(&world), Some(Verdict::Admitted));
}

#[test]
fn what_is_left_is_told_in_its_own_words() {
    let remaining = dgm(true).remaining(&Lineage::default());
    assert_eq!(remaining.attempts, Count::exactly(4));
    let goal = &remaining.goal;
    assert_eq!((goal.unit, goal.begun, goal.of), ("rounds", 0, 2));
    let raise = goal.raise.as_ref().map(|raise| (raise.option, raise.value));
    assert_eq!(raise, Some(("generations", 6)));
    // The seed runs every stage; of six children none, some, or all do.
    let labels = remaining.evaluations.iter().map(|group| &*group.label);
    assert_eq!(labels.collect::<Vec<_>>(), ["stage 0", "stage 1"]);
    let left = remaining.evaluations.iter().map(|group| group.left);
    let count = |least, likely, most| Count {
        least,
        likely,
        most,
    };
    assert_eq!(
        left.collect::<Vec<_>>(),
        [count(5, 5 + 12, 5 + 20), count(2, 2 + 2, 2 + 8)]
    );
    // A round that has begun, with one attempt open and one undecided.
    let mut world = family();
    world.decide(3, 1, 0);
    let remaining = dgm(false).remaining(&world.lineage);
    assert_eq!(remaining.goal.begun, 1);
    assert_eq!(remaining.attempts, Count::exactly(4));
    world.fail(3);
    let remaining = dgm(false).remaining(&world.lineage);
    assert_eq!(remaining.attempts, Count::exactly(3));
}

#[test]
fn a_name_that_nothing_has_is_told_with_those_that_there_are() {
    let wrong = |change: fn(&mut PolicySettings)| {
        let mut settings = settings(true);
        change(&mut settings);
        let error = make(&settings).err().expect("it is unknown");
        (error.key, error.value, error.known.len())
    };
    let name = || "x".to_owned();
    let found = [
        wrong(|settings| settings.name = "x".to_owned()),
        wrong(|settings| settings.selection = "x".to_owned()),
        wrong(|settings| settings.admission = "x".to_owned()),
    ];
    let expected = [
        ("policy.name", name(), 1),
        ("policy.selection", name(), 4),
        ("policy.admission", name(), 2),
    ];
    assert_eq!(found, expected);
}
