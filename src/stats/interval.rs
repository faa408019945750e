//! Intervals for proportions.

/// A closed interval on the unit line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Two-sided 97.5 % quantile of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Returns the 95 % score interval of Wilson (1927, "Probable inference, the law of
/// succession, and statistical inference", JASA 22) for `resolved` of `counted`.
///
/// Without any observation the answer is the whole unit line: nothing is known.
pub fn wilson(resolved: u32, counted: u32) -> Interval {
    if counted == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let n = f64::from(counted);
    let p = f64::from(resolved) / n;
    let z2 = Z_95 * Z_95;
    let center = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Interval {
        low: (center - half).max(0.0),
        high: (center + half).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::wilson;
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    #[test]
    fn agrees_with_the_designs_example() {
        let interval = wilson(3, 10);
        assert!((interval.low - 0.108).abs() < 5e-4, "{interval:?}");
        assert!((interval.high - 0.603).abs() < 5e-4, "{interval:?}");
    }

    #[test]
    fn knows_nothing_without_observations() {
        let interval = wilson(0, 0);
        assert!(interval.low.abs() < f64::EPSILON && (interval.high - 1.0).abs() < f64::EPSILON);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn holds_the_mean_and_is_symmetric(counted in 1_u32..2000, part in 0.0_f64..=1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "part is in [0, 1]")]
            let resolved = (f64::from(counted) * part) as u32;
            let interval = wilson(resolved, counted);
            let mean = f64::from(resolved) / f64::from(counted);
            prop_assert!(interval.low <= mean + 1e-12 && mean <= interval.high + 1e-12);
            let mirrored = wilson(counted - resolved, counted);
            prop_assert!((interval.low - (1.0 - mirrored.high)).abs() < 1e-9);
        }
    }
}
