//! The regulator told what happens and when, step by step and by chance.

use super::{Condition, LONGEST_ASKED, LONGEST_PROBE, QUIET, Regulator, SHARED, Ticket};
use crate::model::pace::{Advice, Signal};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use std::collections::BTreeMap;
use std::time::Duration;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failure() -> Signal {
    Signal::Failure {
        what: "no route".to_owned(),
    }
}

fn slow_down(retry_after: Option<u64>) -> Signal {
    Signal::SlowDown {
        retry_after: retry_after.map(at),
        what: "too many requests".to_owned(),
    }
}

/// Asks for a call and returns its ticket, which is let through at once.
fn go(regulator: &mut Regulator, call: u64, now: Duration) -> Ticket {
    let ticket = regulator.ask(call);
    assert_eq!(regulator.advance(now), [ticket]);
    ticket
}

/// Makes a try end.
fn end(regulator: &mut Regulator, ticket: Ticket, heard: Signal, now: Duration) -> Advice {
    let advice = regulator.hear(ticket, heard, now);
    regulator.leave(ticket, now);
    advice
}

/// Returns one at which three calls have failed at 0 s.
fn out() -> Regulator {
    let mut regulator = Regulator::default();
    for call in 0..SHARED as u64 {
        let ticket = go(&mut regulator, call, at(0));
        end(&mut regulator, ticket, failure(), at(0));
    }
    regulator
}

#[test]
fn nothing_waits_while_the_provider_is_well() {
    let mut regulator = Regulator::default();
    let tickets: Vec<Ticket> = (0..1000)
        .map(|call| go(&mut regulator, call, at(1)))
        .collect();
    for ticket in tickets {
        end(&mut regulator, ticket, Signal::Answer, at(2));
    }
    assert_eq!(regulator.condition(), Condition::Well);
    assert_eq!(regulator.next_change(at(2)), None);
}

#[test]
fn one_call_that_fails_again_and_again_slows_nobody_down() {
    let mut regulator = Regulator::default();
    for second in 0..20 {
        let ticket = go(&mut regulator, 7, at(second));
        let advice = end(&mut regulator, ticket, failure(), at(second));
        assert_eq!(advice, Advice::Own);
    }
    assert_eq!(regulator.condition(), Condition::Well);
    assert_eq!(regulator.trouble(), Some("no route"));
    let ticket = go(&mut regulator, 8, at(20));
    end(&mut regulator, ticket, Signal::Answer, at(20));
    assert_eq!(regulator.trouble(), None);
}

#[test]
fn failures_far_apart_are_no_outage() {
    let mut regulator = Regulator::default();
    for call in 0..10 {
        let now = at(call * 601);
        let ticket = go(&mut regulator, call, now);
        assert_eq!(end(&mut regulator, ticket, failure(), now), Advice::Own);
    }
    assert_eq!(regulator.condition(), Condition::Well);
}

#[test]
fn a_slow_down_halves_once_for_all_and_keeps_the_longest_pause() {
    let mut regulator = Regulator::default();
    let tickets: Vec<Ticket> = (0..8).map(|call| go(&mut regulator, call, at(0))).collect();
    end(&mut regulator, tickets[0], slow_down(Some(5)), at(1));
    end(&mut regulator, tickets[1], slow_down(Some(30)), at(1));
    end(&mut regulator, tickets[2], Signal::Answer, at(1));
    end(&mut regulator, tickets[3], slow_down(None), at(1));
    for ticket in &tickets[4..] {
        end(&mut regulator, *ticket, Signal::Answer, at(2));
    }
    let waiting: Vec<Ticket> = (8..20).map(|call| regulator.ask(call)).collect();
    assert_eq!(regulator.advance(at(30)), []);
    assert_eq!(regulator.next_change(at(30)), Some(at(31)));
    assert_eq!(regulator.advance(at(31)), waiting[..4]);
    // What was let through together is complained about together: halved once more.
    end(&mut regulator, waiting[0], slow_down(Some(1)), at(32));
    end(&mut regulator, waiting[1], slow_down(Some(1)), at(32));
    assert_eq!(regulator.advance(at(33)), []);
    end(&mut regulator, waiting[2], Signal::Answer, at(33));
    assert_eq!(regulator.advance(at(33)), [waiting[4]]);
    assert!(matches!(regulator.condition(), Condition::Slowed { .. }));
}

#[test]
fn pauses_that_nobody_asked_for_grow_until_something_is_answered() {
    let mut regulator = Regulator::default();
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let ticket = go(&mut regulator, 7, now);
        end(&mut regulator, ticket, slow_down(None), now);
        let waiting = regulator.ask(7);
        assert_eq!(regulator.advance(now), []);
        let next = regulator.not_before;
        regulator.leave(waiting, now);
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    let ticket = go(&mut regulator, 7, now);
    end(&mut regulator, ticket, Signal::Answer, now);
    let ticket = go(&mut regulator, 7, now);
    end(&mut regulator, ticket, slow_down(None), now);
    assert_eq!(regulator.not_before, now + at(1));
}

#[test]
fn time_alone_ends_a_slow_down() {
    let mut regulator = Regulator::default();
    let tickets: Vec<Ticket> = (0..64)
        .map(|call| go(&mut regulator, call, at(0)))
        .collect();
    end(&mut regulator, tickets[0], slow_down(Some(10)), at(0));
    for ticket in &tickets[1..] {
        regulator.leave(*ticket, at(0));
    }
    assert!(matches!(regulator.condition(), Condition::Slowed { .. }));
    let mut now = at(0);
    while let Some(next) = regulator.next_change(now) {
        now = next;
        regulator.advance(now);
    }
    assert_eq!(regulator.condition(), Condition::Well);
    assert!(now < at(400), "{now:?}");
}

#[test]
fn an_outage_is_probed_by_one_call_at_a_time_with_growing_pauses() {
    let mut regulator = out();
    assert_eq!(
        regulator.condition(),
        Condition::Well,
        "it may have been a moment"
    );
    let mut now = at(0);
    let mut pauses = Vec::new();
    for call in 3..12 {
        regulator.ask(call);
        regulator.ask(call + 100);
        assert_eq!(regulator.advance(now), []);
        let next = regulator.next_change(now).expect("a probe is due");
        pauses.push((next - now).as_secs());
        now = next;
        let admitted = regulator.advance(now);
        assert_eq!(admitted.len(), 1, "one at a time");
        assert_eq!(regulator.advance(now + at(1000)), []);
        let advice = end(&mut regulator, admitted[0], failure(), now);
        assert_eq!(advice, Advice::Wait);
        assert!(matches!(regulator.condition(), Condition::Out { since, .. } if since == at(0)));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);

    let next = regulator.next_change(now).expect("a probe is due");
    let probe = regulator.advance(next);
    end(&mut regulator, probe[0], Signal::Answer, next);
    assert_eq!(regulator.condition(), Condition::Well);
    assert_eq!(regulator.advance(next).len(), 8, "everybody goes on");
}

#[test]
fn a_call_from_before_can_end_the_outage_and_a_lost_probe_is_replaced() {
    let mut regulator = Regulator::default();
    let early = go(&mut regulator, 99, at(0));
    for call in 0..3 {
        let ticket = go(&mut regulator, call, at(0));
        end(&mut regulator, ticket, failure(), at(0));
    }
    let probe = regulator.ask(5);
    let next = regulator.ask(6);
    assert_eq!(regulator.advance(at(1)), [probe]);
    regulator.leave(probe, at(4));
    assert_eq!(regulator.next_change(at(4)), Some(at(5)));
    assert_eq!(regulator.advance(at(5)), [next]);
    end(&mut regulator, early, Signal::Answer, at(6));
    let free = regulator.ask(7);
    assert_eq!(regulator.advance(at(6)), [free]);
}

#[test]
fn who_is_barred_is_told_and_a_later_answer_takes_it_back() {
    let mut regulator = Regulator::default();
    let ticket = go(&mut regulator, 1, at(0));
    let what = "the key is wrong".to_owned();
    let advice = end(&mut regulator, ticket, Signal::Barred { what }, at(0));
    assert_eq!(advice, Advice::Own);
    let what = "the key is wrong";
    assert_eq!(regulator.condition(), Condition::Barred { what });
    let ticket = go(&mut regulator, 2, at(1));
    end(&mut regulator, ticket, Signal::Answer, at(1));
    assert_eq!(regulator.condition(), Condition::Well);
}

/// One thing that happens to the regulator.
#[derive(Clone, Debug)]
enum Happens {
    Ask(u64),
    Hear(usize, Signal),
    Leave(usize),
    LeaveQueue(usize),
    Time(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let heard = prop_oneof![
        3 => Just(Signal::Answer),
        2 => proptest::option::of(0_u64..10_000).prop_map(slow_down),
        4 => Just(failure()),
        1 => Just(Signal::Barred { what: String::new() }),
    ];
    prop_oneof![
        4 => (0_u64..20).prop_map(Happens::Ask),
        4 => (any::<usize>(), heard).prop_map(|(which, heard)| Happens::Hear(which, heard)),
        2 => any::<usize>().prop_map(Happens::Leave),
        1 => any::<usize>().prop_map(Happens::LeaveQueue),
        3 => (0_u64..100_000).prop_map(Happens::Time),
    ]
}

fn pick(tickets: &[Ticket], which: usize) -> Option<Ticket> {
    (!tickets.is_empty()).then(|| tickets[which % tickets.len()])
}

/// A provider that is out for a while, then stands so many calls at once.
#[derive(Clone, Debug)]
struct Provider {
    back_at: Duration,
    stands: usize,
    takes: Duration,
    retry_after: Option<u64>,
}

/// Runs so many calls, each with as many tries as it takes, and returns when the last was
/// answered, in which order first tries were let through, and how many tries there were.
fn run(provider: &Provider, calls: u64, regulator: &mut Regulator) -> (Duration, Vec<u64>, u64) {
    let mut now = Duration::ZERO;
    let mut call_of: BTreeMap<Ticket, u64> = BTreeMap::new();
    let mut flying: Vec<(Duration, Ticket, bool)> = Vec::new();
    let mut order = Vec::new();
    let (mut answered, mut tries) = (0, 0);
    for call in 0..calls {
        call_of.insert(regulator.ask(call), call);
    }
    while answered < calls {
        for ticket in regulator.advance(now) {
            tries += 1;
            if !order.contains(&call_of[&ticket]) {
                order.push(call_of[&ticket]);
            }
            let is_over = flying.len() >= provider.stands;
            flying.push((now + provider.takes, ticket, is_over));
        }
        let ends = flying.iter().map(|flight| flight.0);
        let next = ends.chain(regulator.next_change(now)).min();
        now = next.expect("while calls wait, something will happen");
        while let Some(at) = flying.iter().position(|flight| flight.0 <= now) {
            let (_, ticket, is_over) = flying.remove(at);
            let heard = if now < provider.back_at {
                failure()
            } else if is_over {
                slow_down(provider.retry_after)
            } else {
                answered += 1;
                Signal::Answer
            };
            let again = heard != Signal::Answer;
            end(regulator, ticket, heard, now);
            if again {
                let call = call_of[&ticket];
                call_of.insert(regulator.ask(call), call);
            }
        }
    }
    (now, order, tries)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever happens: the order of asking is kept, a pause that was asked for too, one
    /// probe is out at a time, and whoever waits while nothing is in flight is let through
    /// by time alone, before long.
    #[test]
    fn nobody_is_forgotten(steps in proptest::collection::vec(happens(), 1..200)) {
        let mut regulator = Regulator::default();
        let mut now = Duration::ZERO;
        let (mut queue, mut flying) = (Vec::new(), Vec::new());
        let mut not_before = Duration::ZERO;
        for step in steps {
            let mut silent_since_outage = regulator.out.is_some();
            match step {
                Happens::Ask(call) => queue.push(regulator.ask(call)),
                Happens::Hear(which, heard) => if let Some(ticket) = pick(&flying, which) {
                    if let Signal::SlowDown { retry_after: Some(asked), .. } = &heard {
                        not_before = not_before.max(now + (*asked).min(LONGEST_ASKED));
                    }
                    silent_since_outage &= heard != Signal::Answer;
                    regulator.hear(ticket, heard, now);
                },
                Happens::Leave(which) => if let Some(ticket) = pick(&flying, which) {
                    flying.retain(|flight| *flight != ticket);
                    regulator.leave(ticket, now);
                },
                Happens::LeaveQueue(which) => if let Some(ticket) = pick(&queue, which) {
                    queue.retain(|waiting| *waiting != ticket);
                    regulator.leave(ticket, now);
                },
                Happens::Time(milliseconds) => now += Duration::from_millis(milliseconds),
            }
            let admitted = regulator.advance(now);
            prop_assert_eq!(&admitted[..], &queue[..admitted.len()]);
            queue.drain(..admitted.len());
            prop_assert!(admitted.is_empty() || now >= not_before);
            prop_assert!(!silent_since_outage || admitted.len() <= 1);
            flying.extend(admitted);
            let next = regulator.next_change(now);
            prop_assert!(next.is_none_or(|next| next > now));
            let longest = LONGEST_ASKED.max(LONGEST_PROBE) + QUIET;
            prop_assert!(next.is_none_or(|next| next <= now + longest));
            prop_assert!(!flying.is_empty() || queue.is_empty() || next.is_some());
        }
        // From here on the provider is well: everybody gets through, and it is as before.
        let patience = now + LONGEST_ASKED + Duration::from_mins(10);
        loop {
            for ticket in flying.drain(..) {
                end(&mut regulator, ticket, Signal::Answer, now);
            }
            flying = regulator.advance(now);
            queue.retain(|waiting| !flying.contains(waiting));
            match regulator.next_change(now) {
                Some(next) => now = next,
                None if flying.is_empty() => break,
                None => {}
            }
        }
        prop_assert!(queue.is_empty());
        prop_assert!(now <= patience, "{:?}", now);
        let is_free = matches!(
            regulator.condition(),
            Condition::Well | Condition::Barred { .. }
        );
        prop_assert!(is_free, "{:?}", regulator);
    }

    /// Against a provider that was out and then stands few calls at once, every call is
    /// answered, in good time, and the provider is not asked much more often than needed.
    #[test]
    fn every_call_is_answered_in_the_end(
        back_after in 0_u64..20_000,
        stands in 1_usize..20,
        takes in 1_u64..30,
        retry_after in proptest::option::of(0_u64..60),
        calls in SHARED as u64 + 1..100,
    ) {
        let provider = Provider {
            back_at: at(back_after),
            stands,
            takes: at(takes),
            retry_after,
        };
        let mut regulator = Regulator::default();
        let (ended, order, tries) = run(&provider, calls, &mut regulator);
        prop_assert_eq!(order, (0..calls).collect::<Vec<_>>());
        // Found back within one pause of the probes; then at the worst one by one.
        let waves = calls.div_ceil(stands as u64) * 4 + 20;
        let wave = at(takes) + at(retry_after.unwrap_or(30).max(30));
        let latest = provider.back_at + LONGEST_PROBE + at(takes) + wave * u32::try_from(waves)
            .expect("it is small");
        prop_assert!(ended <= latest, "{:?} > {:?}", ended, latest);
        let probes = 10 + back_after / LONGEST_PROBE.as_secs();
        // Linear in the calls: where one stands at a time, each is asked for some nine times.
        prop_assert!(tries <= calls * 10 + probes, "{} tries", tries);
    }
}
