//! The same work on many things, on several threads.
//!
//! Invariant: the results stand in the order of the things, whichever was done first. Only for
//! work that touches nothing shared: no durable write, no request.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Threads for each core: most of such work waits for the disk now and then.
const FOR_EACH_CORE: usize = 4;
/// Most threads.
const MOST: usize = 32;
/// Things for each thread at least; a thread costs as much as some of them.
const FEW: usize = 8;

/// Returns what the work makes of each thing.
pub fn map<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (cores * FOR_EACH_CORE).min(MOST).min(things.len() / FEW);
    if threads < 2 {
        return things.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(place) else {
                return done;
            };
            done.push((place, work(thing)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let results = workers.into_iter().flat_map(|worker| {
            let panicked = |cause| std::panic::resume_unwind(cause);
            worker.join().unwrap_or_else(panicked)
        });
        results.collect()
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::map;
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn results_stand_in_the_order_of_the_things() {
        for count in [0, 1, 7, 16, 1000] {
            let things: Vec<usize> = (0..count).collect();
            let want: Vec<usize> = things.iter().map(|thing| thing * 3).collect();
            assert_eq!(map(&things, |thing| thing * 3), want);
        }
    }

    #[test]
    fn many_things_are_done_on_several_threads() {
        let seen = Mutex::new(BTreeSet::new());
        let things = [(); 64];
        map(&things, |()| {
            let name = format!("{:?}", thread::current().id());
            seen.lock().expect("nobody panics").insert(name);
            // Nobody goes on before another one has come.
            while seen.lock().expect("nobody panics").len() < 2 {
                thread::yield_now();
            }
        });
        assert!(seen.into_inner().expect("nobody panics").len() > 1);
    }

    #[test]
    fn a_panic_is_passed_on() {
        let things: Vec<usize> = (0..100).collect();
        let panicked = std::panic::catch_unwind(|| map(&things, |thing| assert!(*thing < 50)));
        assert!(panicked.is_err());
    }
}
