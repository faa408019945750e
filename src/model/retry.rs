//! When a failed call is tried again, and after what pause. The only place that decides it.

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
    /// Longest pause.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 3,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
        }
    }
}

impl Retry {
    /// Returns how long to wait after the `tried`-th try (from 1), or none to give up.
    ///
    /// Half of the pause is chance, so that jobs that failed together do not come back
    /// together. The draw depends on the seed alone; a call's ordinal is a good one.
    pub fn pause(self, tried: u32, seed: u64) -> Option<Duration> {
        if tried >= self.tries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(tried.saturating_sub(1));
        let longest = self
            .first_pause
            .saturating_mul(doubled)
            .min(self.longest_pause);
        let mut chance = StdRng::seed_from_u64(seed);
        Some(longest.mul_f64(chance.random_range(0.5..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Retry;
    use std::time::Duration;

    #[test]
    fn pauses_grow_are_bounded_and_differ() {
        let retry = Retry {
            tries: 20,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(8),
        };
        for (tried, longest) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (10, 8.0), (19, 8.0)] {
            for seed in 0..20 {
                let pause = retry
                    .pause(tried, seed)
                    .expect("tries are left")
                    .as_secs_f64();
                assert!(
                    pause >= longest / 2.0 && pause <= longest,
                    "{tried}: {pause}"
                );
            }
        }
        assert_ne!(retry.pause(1, 1), retry.pause(1, 2));
        assert_eq!(retry.pause(1, 1), retry.pause(1, 1));
        assert_eq!(retry.pause(20, 1), None);
    }
}
