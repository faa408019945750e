//! What to start next: a pure function of facts, what is running, and the time.

use crate::domain::{EvaluationKey, JobId, Purpose, VariantId};
use crate::lineage::Lineage;
use crate::policy::{Action, Expansion, Policy, Seen};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// What is going on and not recorded: gone when the process dies, and then planned again.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    /// Jobs that run.
    pub running: BTreeSet<JobId>,
    /// Jobs that wait for another try, until when.
    pub waiting: BTreeMap<JobId, Instant>,
}

/// One step of the dispatcher.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Start an attempt that is decided.
    Improve(VariantId),
    /// Start an evaluation.
    Evaluate(EvaluationKey, Purpose),
    /// Start to judge an answer again.
    Regrade(EvaluationKey),
    /// Record these decisions, then plan again.
    Decide(Vec<Expansion>),
    /// Nothing to start until something ends, or until a waiting job's time comes.
    Wait,
    /// Nothing to start ever again.
    Stop(String),
}

/// Plans one step for one free worker.
pub(super) fn plan(
    lineage: &Lineage,
    policy: &dyn Policy,
    volatile: &Volatile,
    now: Instant,
) -> Step {
    let is_free = |job: &JobId| {
        !volatile.running.contains(job)
            && volatile.waiting.get(job).is_none_or(|until| *until <= now)
    };
    // Only a policy that judges variants makes attempts go on: `dgm eval` leaves them alone.
    if policy.stages().is_some() {
        let decided = lineage
            .open_attempts()
            .map(|attempt| attempt.decision.attempt)
            .find(|id| is_free(&JobId::Attempt(*id)));
        if let Some(id) = decided {
            return Step::Improve(id);
        }
    }
    let busy: BTreeSet<EvaluationKey> = volatile
        .running
        .iter()
        .chain(
            volatile
                .waiting
                .iter()
                .filter(|(_, until)| **until > now)
                .map(|(job, _)| job),
        )
        .filter_map(|job| match job {
            JobId::Evaluation(key) | JobId::Regrade(key) => Some(key.clone()),
            JobId::Attempt(_) | JobId::Manual => None,
        })
        .collect();
    match policy.decide(&Seen {
        lineage,
        busy: &busy,
    }) {
        Action::Expand(expansions) => Step::Decide(expansions),
        Action::Evaluate(key, purpose) => Step::Evaluate(key, purpose),
        Action::Regrade(key) => Step::Regrade(key),
        Action::Wait => Step::Wait,
        Action::Stop(reason) => Step::Stop(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Volatile, plan};
    use crate::domain::{
        AttemptEnd, CommitId, Decision, EvaluationKey, Fact, Failure, Gate, JobId, Outcome,
        Purpose, RunId, TaskId, TreeId, Variant, VariantId, Verdict,
    };
    use crate::lineage::Lineage;
    use crate::policy::fixture::{World, evaluation};
    use crate::policy::{Admission, Dgm, DgmSettings, Next, Policy as _, Selection, Stage, Stages};
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    use tokio::time::Instant;

    fn policy(barrier: bool) -> Dgm {
        let stage = |from: u32, to: u32| Stage {
            tasks: (from..to).map(|n| TaskId::new(format!("t{n}"))).collect(),
            go_on: 0.4,
        };
        Dgm::new(DgmSettings {
            seed: 5,
            rounds: 6,
            attempts: 3,
            barrier,
            width: 3,
            selection: Selection::ScoreChildProp,
            admission: Admission::KeepAll,
            stages: Stages {
                stages: vec![stage(0, 4), stage(4, 9)],
                repeats: 1,
            },
        })
    }

    /// What a job does depends on what it is, never on when.
    fn outcome(key: &EvaluationKey) -> Outcome {
        let number: u32 = key.task.as_str()[1..].parse().expect("tasks are numbered");
        match (key.variant.0 * 7 + number * 3) % 5 {
            0 | 1 => Outcome::Resolved,
            2 => Outcome::Empty,
            _ => Outcome::Unresolved,
        }
    }

    fn ended(lineage: &Lineage, id: VariantId) -> Vec<Fact> {
        let parent = lineage.attempt(id).expect("it was decided").decision.parent;
        let fails = id.0.is_multiple_of(4);
        let failure = fails.then(|| (Failure::Gate(Gate::Changed), String::new()));
        let (run, execution, at_ms) = (RunId(1), 1, 0);
        let mut facts = vec![Fact::AttemptEnded(AttemptEnd {
            attempt: id,
            failure,
            log: None,
            transcript: None,
            patch: None,
            gate_log: None,
            run,
            execution,
            at_ms,
        })];
        if !fails {
            facts.push(Fact::VariantMade(Variant {
                id,
                commit: CommitId::new(format!("{:040x}", id.0)),
                tree: TreeId::new(format!("{:040x}", id.0)),
                parent: Some(parent),
                generation: lineage.variant(parent).expect("it exists").generation + 1,
                summary: String::new(),
                created_ms: 0,
            }));
        }
        facts
    }

    fn judge_finished(policy: &Dgm, lineage: &mut Lineage) {
        let stages = policy.stages().expect("it has stages").clone();
        let open: Vec<VariantId> = lineage
            .variants()
            .map(|variant| variant.id)
            .filter(|id| !lineage.is_admitted(*id))
            .filter(|id| stages.next(lineage, *id) == Next::Finished)
            .collect();
        for variant in open {
            lineage.apply(&Fact::Judged {
                variant,
                verdict: Verdict::Admitted,
                at_ms: 0,
            });
        }
    }

    /// A whole run without a process: jobs end in an order that `order` draws, and now and
    /// then everything that runs is lost, as when the process is killed.
    fn simulate(barrier: bool, workers: usize, order: u64) -> Vec<(u32, u32, u32, String)> {
        let policy = policy(barrier);
        let mut rng = StdRng::seed_from_u64(order);
        let mut world = World::default();
        world.make(0, None);
        let mut lineage = world.lineage;
        let mut volatile = Volatile::default();
        let mut running: Vec<(JobId, Option<Purpose>)> = Vec::new();
        loop {
            judge_finished(&policy, &mut lineage);
            let mut stopped = false;
            while running.len() < workers {
                let (job, purpose) = match plan(&lineage, &policy, &volatile, Instant::now()) {
                    Step::Improve(id) => (JobId::Attempt(id), None),
                    Step::Evaluate(key, purpose) => (JobId::Evaluation(key), Some(purpose)),
                    Step::Decide(expansions) => {
                        for expansion in expansions {
                            lineage.apply(&Fact::Decided(Decision {
                                attempt: expansion.attempt,
                                round: expansion.round,
                                parent: expansion.parent,
                                entry: expansion.entry,
                                policy: policy.name(),
                                weights: expansion.weights,
                                run: RunId(1),
                                at_ms: 0,
                            }));
                        }
                        continue;
                    }
                    Step::Regrade(_) => panic!("nothing is to be judged again"),
                    Step::Wait => break,
                    Step::Stop(_) => {
                        stopped = true;
                        break;
                    }
                };
                assert!(
                    volatile.running.insert(job.clone()),
                    "{job} is started once at a time"
                );
                running.push((job, purpose));
            }
            if running.is_empty() {
                assert!(stopped, "nothing runs, and the policy waits");
                break;
            }
            if rng.random_range(0..20) == 0 {
                running.clear();
                volatile = Volatile::default();
                continue;
            }
            let (job, purpose) = running.swap_remove(rng.random_range(0..running.len()));
            volatile.running.remove(&job);
            match job {
                JobId::Evaluation(key) => {
                    assert!(
                        lineage.evaluation(&key).is_none(),
                        "nothing is evaluated twice"
                    );
                    let purpose = purpose.expect("an evaluation has a purpose");
                    let outcome = outcome(&key);
                    lineage.apply(&Fact::Evaluated(evaluation(key, purpose, outcome)));
                }
                JobId::Regrade(_) | JobId::Manual => panic!("nothing is to be judged again"),
                JobId::Attempt(id) => {
                    for fact in ended(&lineage, id) {
                        lineage.apply(&fact);
                    }
                }
            }
        }
        rows(&lineage)
    }

    /// What must not depend on timing: each attempt with its parent, the score of its child,
    /// its entry and the chances it was drawn with.
    fn rows(lineage: &Lineage) -> Vec<(u32, u32, u32, String)> {
        lineage
            .attempts()
            .map(|attempt| {
                let decision = &attempt.decision;
                let score = lineage.score(decision.attempt);
                (
                    decision.attempt.0,
                    decision.parent.0,
                    score.resolved * 100 + score.counted,
                    format!("{} {:?}", decision.entry, decision.weights),
                )
            })
            .collect()
    }

    #[test]
    fn a_run_makes_every_attempt_once() {
        let rows = simulate(true, 1, 0);
        assert_eq!(
            rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            (1..=18).collect::<Vec<_>>()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 40, failure_persistence: None, ..ProptestConfig::default()
        })]

        /// With rounds, neither the number of workers, nor the order in which jobs end, nor
        /// the death of the process changes what a run decides and finds.
        #[test]
        fn rounds_make_a_run_independent_of_timing(workers in 1_usize..9, order in any::<u64>()) {
            prop_assert_eq!(simulate(true, workers, order), simulate(true, 1, 0));
        }

        #[test]
        fn without_rounds_every_attempt_is_still_made_once(
            workers in 1_usize..9,
            order in any::<u64>(),
        ) {
            let numbers: Vec<u32> =
                simulate(false, workers, order).iter().map(|row| row.0).collect();
            prop_assert_eq!(numbers, (1..=18).collect::<Vec<u32>>());
        }
    }
}
