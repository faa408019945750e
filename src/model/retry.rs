//! When a failed try is followed by another, and after what pause. The only place that
//! decides it; `docs/models.md` has the table.

use super::ModelError;
use super::pace::{Advice, Signal};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;

/// How often and how patiently a call is tried again after a failure of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all.
    pub tries: u32,
    /// Pause before the second try; it doubles with every further one.
    pub first_pause: Duration,
    /// Longest pause, unless the provider asks for a longer one.
    pub longest_pause: Duration,
    /// Time after the first try in which another one may begin.
    pub within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
            within: Duration::from_mins(10),
        }
    }
}

/// What is known after a try that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    /// Tries so far.
    pub(super) tries: u32,
    /// Time since the first one began.
    pub(super) took: Duration,
    /// What the provider's pace says.
    pub(super) advice: Advice,
    /// What the draw depends on; a call's ordinal is a good one.
    pub(super) seed: u64,
}

impl Retry {
    /// Returns how long to wait before the next try, or none to give up.
    ///
    /// A failure that all share is waited for where the pace is kept, however long it takes:
    /// nothing was charged, and the next try leaves when it is time. What may have been
    /// charged is repeated within the call's own patience only.
    pub(super) fn pause(self, error: &ModelError, tried: Tried) -> Option<Duration> {
        let (may_be_charged, asked) = match error {
            ModelError::Busy {
                may_be_charged,
                retry_after,
                ..
            }
            | ModelError::Failed {
                retryable: true,
                may_be_charged,
                retry_after,
                ..
            } => (*may_be_charged, *retry_after),
            ModelError::Failed { .. }
            | ModelError::Refused { .. }
            | ModelError::Unusable { .. } => {
                return None;
            }
        };
        if tried.advice == Advice::Wait && !may_be_charged {
            return Some(Duration::ZERO);
        }
        if tried.tries >= self.tries {
            return None;
        }
        let pause = match tried.advice {
            Advice::Wait => Duration::ZERO,
            Advice::Own => self.drawn(tried).max(asked.unwrap_or_default()),
        };
        (tried.took.saturating_add(pause) <= self.within).then_some(pause)
    }

    /// Half of the pause is chance, so that jobs that failed together do not come back
    /// together.
    fn drawn(self, tried: Tried) -> Duration {
        let doubled = 2_u32.saturating_pow(tried.tries.saturating_sub(1));
        let longest = self
            .first_pause
            .saturating_mul(doubled)
            .min(self.longest_pause);
        let mut chance = StdRng::seed_from_u64(tried.seed);
        longest.mul_f64(chance.random_range(0.5..=1.0))
    }
}

impl Signal {
    /// Returns what a try says of its provider.
    pub(super) fn of<T>(result: &Result<T, ModelError>) -> Self {
        match result {
            Ok(_) | Err(ModelError::Refused { .. }) => Self::Answer,
            Err(ModelError::Unusable { what }) => Self::Barred { what: what.clone() },
            Err(ModelError::Busy {
                what, retry_after, ..
            }) => Self::SlowDown {
                retry_after: *retry_after,
                what: what.clone(),
            },
            // What another try cannot mend is this request's.
            Err(ModelError::Failed {
                retryable: false, ..
            }) => Self::Answer,
            Err(ModelError::Failed { what, .. }) => Self::Failure { what: what.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Retry, Tried};
    use crate::model::ModelError;
    use crate::model::pace::Advice;
    use serde_json::json;
    use std::time::Duration;

    const RETRY: Retry = Retry {
        tries: 20,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(8),
        within: Duration::from_secs(100),
    };

    fn tried(tries: u32, advice: Advice, seed: u64) -> Tried {
        Tried {
            tries,
            took: Duration::ZERO,
            advice,
            seed,
        }
    }

    fn failed(retryable: bool, may_be_charged: bool, asked: Option<u64>) -> ModelError {
        ModelError::Failed {
            what: "broken".to_owned(),
            retryable,
            may_be_charged,
            retry_after: asked.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_grow_are_bounded_and_differ() {
        let error = failed(true, false, None);
        let pause = |tries, seed| RETRY.pause(&error, tried(tries, Advice::Own, seed));
        for (tries, longest) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (10, 8.0), (19, 8.0)] {
            for seed in 0..20 {
                let pause = pause(tries, seed).expect("tries are left").as_secs_f64();
                assert!(
                    pause >= longest / 2.0 && pause <= longest,
                    "{tries}: {pause}"
                );
            }
        }
        assert_ne!(pause(1, 1), pause(1, 2));
        assert_eq!(pause(1, 1), pause(1, 1));
        assert_eq!(pause(20, 1), None);
    }

    #[test]
    fn only_what_another_try_may_mend_is_tried_again() {
        let again = |error: &ModelError, advice| RETRY.pause(error, tried(1, advice, 1)).is_some();
        let refused = ModelError::Refused {
            status: 400,
            error: json!({}),
        };
        let what = "the key".to_owned();
        let unusable = ModelError::Unusable { what };
        for advice in [Advice::Own, Advice::Wait] {
            assert!(again(&failed(true, false, None), advice));
            assert!(again(&failed(true, true, None), advice));
            assert!(!again(&failed(false, false, None), advice));
            assert!(!again(&refused, advice) && !again(&unusable, advice));
        }
    }

    #[test]
    fn what_all_share_is_waited_for_unless_it_may_be_charged() {
        let pause = |error: &ModelError| RETRY.pause(error, tried(50, Advice::Wait, 1));
        let busy_if = |may_be_charged| ModelError::Busy {
            what: "slow down".to_owned(),
            may_be_charged,
            retry_after: Some(Duration::from_secs(1000)),
        };
        let busy = busy_if(false);
        // The pace keeps the pause that was asked for.
        assert_eq!(pause(&busy), Some(Duration::ZERO));
        assert_eq!(pause(&failed(true, false, None)), Some(Duration::ZERO));
        assert_eq!(pause(&failed(true, true, None)), None);
        assert_eq!(pause(&busy_if(true)), None);
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_the_calls_time() {
        let pause = |asked| RETRY.pause(&failed(true, false, asked), tried(1, Advice::Own, 1));
        assert_eq!(pause(Some(60)), Some(Duration::from_secs(60)));
        assert_eq!(pause(Some(101)), None);
        assert!(pause(Some(0)) >= Some(Duration::from_millis(500)));
        let late = Tried {
            took: Duration::from_secs(100),
            ..tried(1, Advice::Own, 1)
        };
        assert_eq!(RETRY.pause(&failed(true, false, None), late), None);
    }
}
