//! What to do next: the policy's word on the facts and on what is under way.

use crate::domain::JobId;
use crate::lineage::Lineage;
use crate::policy::{Action, Policy, Snapshot};
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

impl Volatile {
    /// Notes that a job runs.
    pub(super) fn start(&mut self, job: JobId) {
        self.waiting.remove(&job);
        self.running.insert(job);
    }

    /// Returns the jobs that cannot be started now.
    fn busy(&self, now: Instant) -> BTreeSet<JobId> {
        let waiting = self.waiting.iter().filter(|(_, until)| **until > now);
        let waiting = waiting.map(|(job, _)| job);
        self.running.iter().chain(waiting).cloned().collect()
    }
}

/// Plans one step for one free worker.
pub(super) fn plan(
    lineage: &Lineage,
    policy: &dyn Policy,
    volatile: &Volatile,
    now: Instant,
) -> Action {
    policy.decide(&Snapshot {
        lineage,
        busy: &volatile.busy(now),
    })
}

#[cfg(test)]
mod tests {
    use super::{Volatile, plan};
    use crate::domain::{
        AttemptEnd, CommitId, EvaluationKey, Fact, Failure, Gate, Outcome, RunId, TaskId, TreeId,
        Variant, VariantId,
    };
    use crate::lineage::Lineage;
    use crate::policy::fixture::{World, evaluation};
    use crate::policy::{Action, Assignment, Policy, PolicySettings, Stage, make};
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    use std::sync::Arc;
    use tokio::time::Instant;

    fn policy(barrier: bool) -> Arc<dyn Policy> {
        let stage = |from: u32, to: u32| Stage {
            tasks: (from..to).map(|n| TaskId::new(format!("t{n}"))).collect(),
            go_on: 0.4,
        };
        let settings = PolicySettings {
            name: "dgm".to_owned(),
            seed: 5,
            generations: 6,
            attempts: 3,
            barrier,
            workers: 3,
            selection: "score_child_prop".to_owned(),
            admission: "keep_all".to_owned(),
            eval_noise: 0.0,
            stages: vec![stage(0, 4), stage(4, 9)],
            repeats: 1,
        };
        make(&settings).expect("the names are known")
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

    fn judge_finished(policy: &dyn Policy, lineage: &mut Lineage) {
        let judged: Vec<_> = lineage
            .evaluating()
            .filter_map(|variant| Some((variant, policy.verdict(lineage, variant)?)))
            .collect();
        for (variant, verdict) in judged {
            lineage.apply(&Fact::Judged {
                variant,
                verdict,
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
        let mut running: Vec<Assignment> = Vec::new();
        loop {
            judge_finished(policy.as_ref(), &mut lineage);
            let mut stopped = false;
            while running.len() < workers {
                match plan(&lineage, policy.as_ref(), &volatile, Instant::now()) {
                    Action::Start(assignment) => {
                        let job = assignment.job();
                        assert!(
                            !volatile.running.contains(&job),
                            "{job} is started once at a time"
                        );
                        volatile.start(job);
                        running.push(assignment);
                    }
                    Action::Decide(choices) => {
                        for choice in choices {
                            lineage.apply(&choice.into_fact(policy.name(), RunId(1), 0));
                        }
                    }
                    Action::Wait => break,
                    Action::Stop(_) => {
                        stopped = true;
                        break;
                    }
                }
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
            let assignment = running.swap_remove(rng.random_range(0..running.len()));
            volatile.running.remove(&assignment.job());
            match assignment {
                Assignment::Evaluate(key, purpose) => {
                    assert!(
                        lineage.evaluation(&key).is_none(),
                        "nothing is evaluated twice"
                    );
                    let outcome = outcome(&key);
                    lineage.apply(&Fact::Evaluated(evaluation(key, purpose, outcome)));
                }
                Assignment::Regrade(_) => panic!("nothing is to be judged again"),
                Assignment::Improve(id) => {
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
                    format!("{} {:?}", decision.entry, decision.candidates),
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
