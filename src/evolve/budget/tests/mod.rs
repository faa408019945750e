//! Schedules of many callers: no budget is ever exceeded, nobody waits for nothing, everything
//! settles, and what is said to be used is the sum of the rows.

mod concurrency;

use super::{Budgets, Granted, Treasury};
use crate::domain::{
    Amount, CallId, CallIntent, CallSettlement, CallStatus, EvaluationKey, Fact, JobId, Role,
    RunId, TaskId, Tokens, Usd, VariantId,
};
use crate::lineage::Lineage;
use crate::model::{Allowance, Denied, Intent, Scope};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeMap;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A caller wants to make a call of an attempt, of an evaluation, or by hand.
    Ask { subject: u8, tokens: u64, cost: i64 },
    /// One of the open calls ends like this, having used a part of its bound.
    End { which: usize, how: u8, part: u8 },
    /// The process dies and another goes on.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (any::<u8>(), 0..200_u64, 0..200_i64).prop_map(|(subject, tokens, cost)| Step::Ask {
        subject,
        tokens,
        cost,
    });
    let end = (any::<usize>(), any::<u8>(), any::<u8>()).prop_map(|(which, how, part)| Step::End {
        which,
        how,
        part,
    });
    proptest::prop_oneof![8 => ask, 8 => end, 1 => proptest::strategy::Just(Step::Crash)]
}

fn allowance() -> impl Strategy<Value = Allowance> {
    use proptest::option::of;
    (of(1..60_u64), of(1..3000_u64), of(1..3000_i64)).prop_map(|(calls, tokens, cost)| Allowance {
        calls,
        tokens,
        cost: cost.map(Usd),
    })
}

/// The archive, the callers, and the accounts of the process that lives now.
struct World {
    budgets: Budgets,
    facts: Vec<Fact>,
    treasury: Treasury<u64>,
    next: CallId,
    /// Who waits for an answer, by a number of their own, with what they asked.
    asking: BTreeMap<u64, Intent>,
    asked: u64,
    /// Calls that left and have not ended in this process.
    open: BTreeMap<CallId, Intent>,
    refused: u64,
}

impl World {
    fn new(budgets: Budgets) -> Self {
        Self {
            budgets,
            facts: Vec::new(),
            treasury: Treasury::new(&budgets, &Lineage::default()),
            next: CallId(1),
            asking: BTreeMap::new(),
            asked: 0,
            open: BTreeMap::new(),
            refused: 0,
        }
    }

    fn lineage(&self) -> Lineage {
        Lineage::from_facts(self.facts.clone())
    }

    fn ask(&mut self, subject: u8, tokens: u64, cost: i64) {
        // 64 callers at once are enough.
        if self.asking.len() + self.open.len() >= 64 {
            return;
        }
        let intent = Intent {
            subject: match subject % 5 {
                0 | 1 => JobId::Attempt(VariantId(u32::from(subject % 2) + 1)),
                2 | 3 => JobId::Evaluation(EvaluationKey {
                    variant: VariantId::SEED,
                    task: TaskId::new("t"),
                    repeat: 0,
                }),
                _ => JobId::Manual,
            },
            execution: 1,
            role: Role::Solve,
            model: "m".to_owned(),
            at_most: Usd(cost),
            at_most_tokens: tokens,
        };
        self.asked += 1;
        self.asking.insert(self.asked, intent.clone());
        self.treasury.ask(intent, self.asked);
        self.grant();
    }

    fn grant(&mut self) {
        let settled = self.treasury.settled();
        let mut id = self.next;
        let Granted { granted, denied } = self.treasury.grant(&mut self.next);
        for (intent, who) in granted {
            assert!(self.asking.remove(&who).is_some(), "answered twice");
            self.facts.push(Fact::CallIntended(CallIntent {
                id,
                run: RunId(1),
                execution: intent.execution,
                subject: intent.subject.clone(),
                role: intent.role,
                model: intent.model.clone(),
                at_most: intent.at_most,
                at_most_tokens: intent.at_most_tokens,
                at_ms: 0,
            }));
            self.open.insert(id, intent);
            id = CallId(id.0 + 1);
        }
        for (denied, who) in denied {
            let intent = self.asking.remove(&who).expect("answered once");
            self.refused += 1;
            let Denied::Budget { scope, .. } = denied else {
                panic!("{denied:?}")
            };
            if scope == Scope::Run {
                let sum = settled + intent.reserved();
                assert!(self.budgets.run.exceeded(sum).is_some(), "it fits: {sum:?}");
                assert!(self.treasury.exhausted().is_some());
            }
        }
        if self.open.is_empty() {
            assert_eq!(self.treasury.waiting(), 0, "somebody waits for nobody");
        }
        assert_eq!(self.treasury.waiting(), self.asking.len());
    }

    fn end(&mut self, which: usize, how: u8, part: u8) {
        let Some(id) = self
            .open
            .keys()
            .nth(which % self.open.len().max(1))
            .copied()
        else {
            return;
        };
        let intent = self.open.remove(&id).expect("it is open");
        let (status, part) = match how % 5 {
            0 | 1 => (CallStatus::Answered, part),
            2 => (CallStatus::Refused, 0),
            3 => (
                CallStatus::Failed,
                if part.is_multiple_of(2) { 0 } else { 255 },
            ),
            _ => (
                CallStatus::Abandoned,
                if part.is_multiple_of(2) { 0 } else { 255 },
            ),
        };
        let share = |whole: u64| whole * u64::from(part) / 255;
        let settlement = CallSettlement {
            id,
            status,
            tokens: Tokens {
                input: share(intent.at_most_tokens),
                ..Tokens::default()
            },
            estimated: false,
            cost: Usd(i64::try_from(share(intent.at_most.0.unsigned_abs())).expect("it is small")),
            latency_ms: 1,
        };
        self.treasury.settle(&settlement);
        // Told twice, it counts once.
        self.treasury.settle(&settlement);
        self.facts.push(Fact::CallSettled(settlement));
        self.grant();
    }

    fn crash(&mut self) {
        self.asking.clear();
        self.open.clear();
        let lineage = self.lineage();
        self.treasury = Treasury::new(&self.budgets, &lineage);
        self.next = lineage.spend().next_id();
    }

    /// Returns what is used and what unsettled calls can use, of all calls and of an attempt,
    /// as the rows say.
    fn by_rows(&self) -> (Amount, BTreeMap<VariantId, Amount>) {
        let lineage = self.lineage();
        let mut all = Amount::default();
        let mut by_attempt = BTreeMap::new();
        for (intent, settlement) in lineage.spend().calls() {
            let amount = match settlement {
                Some(settlement) => settlement.used(),
                None => intent.reserved(),
            };
            all = all + amount;
            if let JobId::Attempt(id) = intent.subject {
                let own: &mut Amount = by_attempt.entry(id).or_default();
                *own = *own + amount;
            }
        }
        (all, by_attempt)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_schedule_exceeds_a_budget(
        run in allowance(),
        attempt in allowance(),
        steps in vec(step(), 0..160),
    ) {
        let budgets = Budgets { run, attempt, ..Budgets::default() };
        let mut world = World::new(budgets);
        for step in steps {
            match step {
                Step::Ask { subject, tokens, cost } => world.ask(subject, tokens, cost),
                Step::End { which, how, part } => world.end(which, how, part),
                Step::Crash => world.crash(),
            }
            let (all, by_attempt) = world.by_rows();
            prop_assert_eq!(run.exceeded(all), None, "{:?}", all);
            for (id, amount) in by_attempt {
                prop_assert_eq!(attempt.exceeded(amount), None, "{}: {:?}", id, amount);
            }
        }
        // Everybody gets an answer when those before them have ended.
        while !world.open.is_empty() {
            world.end(0, 0, 100);
        }
        prop_assert!(world.asking.is_empty(), "{:?}", world.asking);
        let (all, _) = world.by_rows();
        let (settled, unsettled) = world.lineage().spend().used();
        prop_assert_eq!(settled + unsettled, all);
        prop_assert_eq!(world.treasury.settled(), all);
    }

    #[test]
    fn without_limits_nobody_waits(steps in vec(step(), 0..100)) {
        let mut world = World::new(Budgets::default());
        for step in steps {
            match step {
                Step::Ask { subject, tokens, cost } => world.ask(subject, tokens, cost),
                Step::End { which, how, part } => world.end(which, how, part),
                Step::Crash => world.crash(),
            }
            prop_assert_eq!((world.asking.len(), world.refused), (0, 0));
        }
    }
}

fn intent(subject: JobId, cost: i64) -> Intent {
    Intent {
        subject,
        execution: 1,
        role: Role::Solve,
        model: "m".to_owned(),
        at_most: Usd(cost),
        at_most_tokens: 0,
    }
}

fn dollars(limit: i64) -> Allowance {
    Allowance {
        cost: Some(Usd(limit)),
        ..Allowance::default()
    }
}

#[test]
fn a_large_call_is_not_passed_by_small_ones_forever() {
    let budgets = Budgets {
        run: dollars(100),
        ..Budgets::default()
    };
    let mut treasury = Treasury::new(&budgets, &Lineage::default());
    let mut next = CallId(1);
    for (who, cost) in [("first", 60), ("large", 80), ("small", 10)] {
        treasury.ask(intent(JobId::Manual, cost), who);
    }
    let names = |granted: Vec<(Intent, &'static str)>| -> Vec<&str> {
        granted.into_iter().map(|(_, who)| who).collect()
    };
    assert_eq!(names(treasury.grant(&mut next).granted), ["first"]);
    treasury.settle(&CallSettlement {
        id: CallId(1),
        status: CallStatus::Answered,
        tokens: Tokens::default(),
        estimated: false,
        cost: Usd(10),
        latency_ms: 1,
    });
    assert_eq!(names(treasury.grant(&mut next).granted), ["large", "small"]);
}

#[test]
fn an_attempt_that_used_its_own_allowance_does_not_end_the_run() {
    let budgets = Budgets {
        run: dollars(100),
        attempt: dollars(10),
        ..Budgets::default()
    };
    let mut treasury = Treasury::new(&budgets, &Lineage::default());
    treasury.ask(intent(JobId::Attempt(VariantId(1)), 500), "of an attempt");
    let mut next = CallId(1);
    let denied = treasury.grant(&mut next).denied;
    let [(Denied::Budget { scope, what }, _)] = denied.as_slice() else {
        panic!("{denied:?}")
    };
    assert_eq!(*scope, Scope::Attempt);
    assert_eq!(
        what,
        "the attempt's allowance of $0.0000 does not cover this call: $0.0000 used, $0.0005 more at most"
    );
    assert_eq!(treasury.exhausted(), None);
    treasury.ask(intent(JobId::Manual, 500), "by hand");
    let denied = treasury.grant(&mut next).denied;
    assert!(
        matches!(
            denied.as_slice(),
            [(
                Denied::Budget {
                    scope: Scope::Run,
                    ..
                },
                _
            )]
        ),
        "{denied:?}"
    );
    let exhausted = treasury.exhausted().expect("the run's budget is");
    assert_eq!(exhausted.key.to_string(), "budget.usd");
}

/// Asks for one call of the first attempt; returns what was said, and what is to be raised.
fn ask_once(treasury: &mut Treasury<u64>, role: Role, tokens: u64) -> (Option<Scope>, String) {
    let intent = Intent {
        subject: JobId::Attempt(VariantId(1)),
        execution: 1,
        role,
        model: "m".to_owned(),
        at_most: Usd(0),
        at_most_tokens: tokens,
    };
    treasury.ask(intent, 0);
    let decided = treasury.grant(&mut CallId(1));
    let scope = decided.denied.first().map(|(denied, _)| match denied {
        Denied::Budget { scope, .. } => *scope,
        Denied::Stopping => panic!("nobody stops"),
    });
    let exhausted = treasury.exhausted();
    (
        scope,
        exhausted.map(|it| it.key.to_string()).unwrap_or_default(),
    )
}

#[test]
fn a_diagnosis_that_can_never_be_paid_ends_the_run_and_an_agents_request_never_does() {
    let budgets = Budgets {
        attempt: Allowance {
            tokens: Some(1000),
            ..Allowance::default()
        },
        ..Budgets::default()
    };
    let new = || Treasury::new(&budgets, &Lineage::default());
    // Whatever an agent asks for first.
    for role in [Role::Modify, Role::Solve] {
        let said = ask_once(&mut new(), role, 1_000_000);
        assert_eq!(said, (Some(Scope::Attempt), String::new()));
    }
    let key = "budget.tokens_per_attempt".to_owned();
    let said = ask_once(&mut new(), Role::Diagnose, 1001);
    assert_eq!(said, (Some(Scope::Run), key));
    // One that had something of it says nothing about the others.
    let mut begun = new();
    assert_eq!(
        ask_once(&mut begun, Role::Diagnose, 400),
        (None, String::new())
    );
    begun.settle(&CallSettlement {
        id: CallId(1),
        status: CallStatus::Answered,
        tokens: Tokens {
            input: 300,
            ..Tokens::default()
        },
        estimated: false,
        cost: Usd(0),
        latency_ms: 1,
    });
    let said = ask_once(&mut begun, Role::Diagnose, 1000);
    assert_eq!(said, (Some(Scope::Attempt), String::new()));
}
