//! Lists of evaluations, and a policy that draws which evaluation to run.

use super::fixture::{World, family};
use super::generator::generator;
use super::{
    Action, Assignment, Choice, EvalPolicy, Measurement, Policy as _, RegradePolicy, Snapshot,
};
use crate::domain::{
    Cause, Count, EvaluationKey, Fact, Fault, JobId, Judgement, Outcome, Purpose, Regrade, RunId,
    TaskId, VariantId,
};
use crate::lineage::Lineage;
use crate::stats::weighted_index;

use Outcome::{InfraError, Resolved, Unresolved};

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
        let busy = busy.iter().map(|key| JobId::Regrade((*key).clone()));
        policy.decide(&Snapshot {
            lineage: &world.lineage,
            busy: &busy.collect(),
        })
    };
    let regrade = |key: &EvaluationKey| Action::Start(Assignment::Regrade(key.clone()));
    assert_eq!(decide(&world, &[]), regrade(&keys[0]));
    assert_eq!(decide(&world, &[&keys[0]]), regrade(&keys[1]));
    assert_eq!(decide(&world, &[&keys[0], &keys[1]]), Action::Wait);
    world.lineage.apply(&regraded(3));
    for _ in 0..2 {
        assert_eq!(decide(&world, &[]), regrade(&keys[1]));
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
    let remaining = policy.remaining(&world.lineage);
    assert_eq!((remaining.goal.begun, remaining.goal.of), (2, 2));
    assert_eq!(remaining.all_evaluations(), Count::default());
}

/// A policy of another kind than DGM: it draws variants to be evaluated, and never makes any.
struct Bandit {
    seed: u64,
    draws: u32,
}

impl Bandit {
    /// What it does next on an archive, while nothing runs.
    fn next(&self, lineage: &Lineage) -> Action {
        let snapshot = Snapshot {
            lineage,
            busy: &std::collections::BTreeSet::new(),
        };
        if let Some(decided) = snapshot.decided() {
            return Action::Start(decided);
        }
        let number = lineage.decided_evaluations().count();
        let number = u32::try_from(number).expect("there are few");
        if number == self.draws {
            return Action::Stop("all is drawn".to_owned());
        }
        let candidates: Vec<(VariantId, f64)> = lineage
            .variants()
            .map(|variant| (variant.id, 0.25))
            .collect();
        let weights: Vec<f64> = candidates.iter().map(|(_, weight)| *weight).collect();
        let mut rng = generator(self.seed, u64::from(number));
        let index = weighted_index(&weights, &mut rng).expect("there is a variant");
        Action::Decide(vec![Choice::Evaluation(Measurement {
            key: EvaluationKey {
                variant: candidates[index].0,
                task: TaskId::new("t9"),
                repeat: number,
            },
            purpose: Purpose::Stage(0),
            candidates,
            why: format!("draw {}/{}", number + 1, self.draws),
        })])
    }

    /// Runs it to the end; where `dies`, each process dies as soon as a decision is recorded,
    /// and the next one knows only what was.
    fn run(&self, dies: bool) -> (Vec<String>, usize) {
        let mut facts = Vec::new();
        let mut lineage = family().lineage;
        let mut decisions = 0;
        loop {
            let fact = match self.next(&lineage) {
                Action::Decide(choices) => {
                    assert_eq!(choices.len(), 1);
                    decisions += 1;
                    let choice = choices.into_iter().next().expect("there is one");
                    choice.into_fact("bandit".to_owned(), RunId(1), 0)
                }
                Action::Start(Assignment::Evaluate(key, purpose)) => {
                    Fact::Evaluated(super::fixture::evaluation(key, purpose, Resolved))
                }
                Action::Stop(_) => break,
                other => panic!("it does nothing else: {other:?}"),
            };
            lineage.apply(&fact);
            facts.push(fact);
            if dies {
                lineage = family().lineage;
                facts.iter().for_each(|fact| lineage.apply(fact));
            }
        }
        let drawn = lineage.decided_evaluations().map(|decided| {
            let key = &decided.key;
            assert!(lineage.evaluation(key).is_some(), "{key}");
            format!("{key}: {}", decided.why)
        });
        (drawn.collect(), decisions)
    }
}

#[test]
fn a_drawn_evaluation_is_repeated_and_not_drawn_again() {
    let bandit = Bandit { seed: 3, draws: 12 };
    let (drawn, decisions) = bandit.run(false);
    assert_eq!((drawn.len(), decisions), (12, 12));
    let variants: std::collections::BTreeSet<&str> = drawn
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(variants.len() > 1, "{drawn:?}");
    assert_eq!(bandit.run(true), (drawn, decisions));
}
