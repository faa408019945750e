//! What is drawn depends on the facts, not on the order in which they came.

use crate::support::Grown;
use dgm::archive::Reader;
use dgm::domain::Fact;
use dgm::lineage::Lineage;
use dgm::view::{Style, cost, tree};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use proptest::test_runner::TestRunner;

#[test]
fn any_order_of_independent_facts_gives_the_same_tree() {
    let grown = Grown::new();
    let facts = Reader::open(&grown.archive()).unwrap().facts().unwrap();
    let expected = drawn(facts.clone());
    let config = ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    };
    let shuffled = proptest::collection::vec(any::<u64>(), facts.len());
    let run = TestRunner::new(config).run(&shuffled, |keys| {
        prop_assert_eq!(drawn(ordered(&facts, &keys)), expected.clone());
        Ok(())
    });
    run.unwrap();
}

/// Facts by key, except that what a fact depends on comes before it: the decision before what
/// became of it, the intent of a call before its settlement.
fn ordered(facts: &[Fact], keys: &[u64]) -> Vec<Fact> {
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_key(|index| keys[*index]);
    let mut left = order;
    let mut ordered: Vec<Fact> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|index| {
            let needs = &facts[*index];
            !left.iter().any(|other| comes_first(&facts[*other], needs))
        });
        let index = left.remove(ready.expect("invariant: dependencies have no circle"));
        ordered.push(facts[index].clone());
    }
    ordered
}

fn comes_first(first: &Fact, then: &Fact) -> bool {
    match (first, then) {
        (Fact::Decided(decision), Fact::Proposed { attempt, .. }) => decision.attempt == *attempt,
        (Fact::Decided(decision), Fact::AttemptEnded(end)) => decision.attempt == end.attempt,
        (Fact::CallIntended(intent), Fact::CallSettled(settled)) => intent.id == settled.id,
        (_, _) => false,
    }
}

fn drawn(facts: Vec<Fact>) -> [String; 4] {
    let lineage = Lineage::from_facts(facts);
    [
        tree::text(&lineage, Style::plain(120)),
        tree::json(&lineage),
        tree::dot(&lineage),
        cost::json(&lineage, &[], None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_line_of_a_tree_is_wider_than_the_terminal(depth in 1_u32..60, width in 40_usize..160) {
        let lineage = Lineage::from_facts((0..depth).map(|id| crate::support::made(id, id.checked_sub(1))));
        let drawn = tree::text(&lineage, Style::plain(width));
        for line in drawn.lines().take_while(|line| !line.is_empty()) {
            let columns = line.chars().count();
            prop_assert_eq!(columns.max(width), width, "{}", line);
        }
    }
}
