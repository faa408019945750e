//! When a run pauses, goes on and ends by its providers.

use super::{Progress, Providers, SeenHealth, Vigil};
use crate::domain::Role;
use crate::model::{Health, Pace};
use futures_util::FutureExt as _;
use std::sync::mpsc;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_hours(1);

/// A vigil over one provider, told that so many seconds have gone by.
struct Watch {
    vigil: Vigil,
    began: Instant,
}

impl Watch {
    fn new(limit: Duration) -> Self {
        Self {
            vigil: Vigil::new(limit),
            began: Instant::now(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.began + Duration::from_secs(seconds)
    }

    fn slowed(&self, until: u64) -> Health {
        Health::Slowed {
            what: "slow down".to_owned(),
            until: self.at(until),
        }
    }

    fn out(&self) -> Health {
        Health::Out {
            since_ms: 0,
            what: "no route".to_owned(),
            until: self.began,
        }
    }

    /// Returns what is told then, and why it is to end.
    fn look(
        &mut self,
        seconds: u64,
        health: Health,
        is_answering: bool,
    ) -> (Vec<String>, Option<String>) {
        let seen = SeenHealth {
            role: Role::Solve,
            health,
            is_answering,
        };
        let mut told = Vec::new();
        let tell = |progress| {
            told.push(match progress {
                Progress::Slowed(None) => "no longer slowed".to_owned(),
                Progress::Slowed(Some(slow)) => format!("slowed {}", slow.next_ms.is_some()),
                Progress::Paused { next_ms, .. } => format!("paused {}", next_ms.is_some()),
                Progress::Resumed { after } => format!("resumed after {}", after.as_secs()),
                other => format!("{other:?}"),
            });
        };
        let end = self.vigil.look(&[seen], self.at(seconds), tell);
        (told, end)
    }
}

#[test]
fn a_long_time_without_calls_is_told_once() {
    let mut watch = Watch::new(6 * HOUR);
    let short = watch.slowed(20);
    assert_eq!(watch.look(0, short, false).0, ["slowed false"]);
    let long = watch.slowed(50);
    assert_eq!(watch.look(1, long.clone(), false).0, ["slowed true"]);
    assert_eq!(watch.look(2, long, false).0, [""; 0]);
    // Those that were under way name nearly the same time.
    let about = watch.slowed(51);
    assert_eq!(watch.look(3, about, false).0, [""; 0]);
    let next = watch.slowed(100);
    assert_eq!(watch.look(60, next, false).0, ["slowed true"]);
    assert!(watch.vigil.pause.is_none());
    assert_eq!(watch.look(101, Health::Well, true).0, ["no longer slowed"]);
}

#[test]
fn a_provider_that_lets_nobody_in_for_long_pauses_everything() {
    let mut watch = Watch::new(6 * HOUR);
    let held = watch.slowed(3600);
    assert_eq!(watch.look(0, held.clone(), false).0, ["paused true"]);
    assert_eq!(watch.vigil.held_until, Some(watch.at(3600)));
    assert_eq!(watch.vigil.next_look(), Some(watch.at(3600)));
    // Less than a minute before the end it is a pause still, and after it until an answer.
    assert_eq!(watch.look(3590, held.clone(), false).0, [""; 0]);
    assert_eq!(watch.look(3600, held.clone(), false).0, [""; 0]);
    assert_eq!(watch.vigil.held_until, None);
    assert_eq!(watch.look(3700, Health::Well, false).0, [""; 0]);
    assert!(watch.vigil.pause.is_some());
    assert_eq!(
        watch.look(3710, held, true).0,
        ["resumed after 3710", "slowed false"]
    );
    assert!(watch.vigil.pause.is_none());
}

#[test]
fn the_time_runs_out_over_several_pauses_that_it_asks_for() {
    let mut watch = Watch::new(2 * HOUR);
    let first = watch.slowed(3600);
    assert_eq!(
        watch.look(0, first, false),
        (vec!["paused true".to_owned()], None)
    );
    let second = watch.slowed(7210);
    assert_eq!(watch.look(3610, second.clone(), false).0, ["paused true"]);
    assert_eq!(watch.vigil.next_look(), Some(watch.at(7200)));
    let (told, end) = watch.look(7200, second, false);
    assert_eq!(told, [""; 0]);
    let end = end.expect("it has waited for two hours");
    assert!(end.contains("has not answered for 2 h: slow down"), "{end}");
}

#[test]
fn an_outage_pauses_and_ends_with_an_answer_or_the_limit() {
    let mut watch = Watch::new(HOUR);
    let out = watch.out();
    assert_eq!(watch.look(0, out.clone(), false).0, ["paused false"]);
    assert_eq!(watch.vigil.held_until, None);
    assert_eq!(watch.look(5, out.clone(), false), (Vec::new(), None));
    assert_eq!(watch.look(9, Health::Well, true).0, ["resumed after 9"]);
    // A call that fails by itself is no reason to pause.
    assert_eq!(watch.look(10, Health::Well, false), (Vec::new(), None));
    watch.look(20, out.clone(), false);
    let (_, end) = watch.look(20 + 3600, out, false);
    assert!(end.is_some_and(|end| end.contains("for 60 min: no route")));
}

#[test]
fn looking_and_calling_at_once_do_not_wait_for_each_other() {
    let pace = Pace::default();
    let mut providers = Providers::new([(Role::Solve, pace.clone())], HOUR);
    let (done, ended) = mpsc::channel();
    let looked = done.clone();
    std::thread::spawn(move || {
        for _ in 0..20_000 {
            providers.heed(|_| ());
        }
        looked.send(())
    });
    std::thread::spawn(move || {
        for _ in 0..20_000 {
            drop(pace.call().admit().now_or_never());
        }
        done.send(())
    });
    for _ in 0..2 {
        let ended = ended.recv_timeout(Duration::from_secs(120));
        assert_eq!(ended, Ok(()), "both come to their end");
    }
}

#[test]
fn who_is_barred_ends_at_once() {
    let mut watch = Watch::new(HOUR);
    let what = "the key".to_owned();
    let (told, end) = watch.look(0, Health::Barred { what }, false);
    assert_eq!(told, [""; 0]);
    let end = end.expect("nothing can be asked");
    assert!(end.ends_with("cannot be used: the key"), "{end}");
}
