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
    score_interval(f64::from(resolved) / n, n)
}

/// Wilson's interval for a share of `n` observations; `n` need not be whole.
fn score_interval(p: f64, n: f64) -> Interval {
    let z2 = Z_95 * Z_95;
    let center = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Interval {
        low: (center - half).max(0.0),
        high: (center + half).min(1.0),
    }
}

/// A mean over clusters, such as tasks that were tried several times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustered {
    /// Mean of the clusters' shares: every cluster weighs the same.
    pub mean: f64,
    /// Its 95 % interval, as if other clusters of their kind had been drawn.
    pub interval: Interval,
}

/// Returns the mean over clusters of `(resolved, counted)` with its 95 % interval; none where
/// nothing was counted in any.
///
/// Repeats of one task are not independent: what matters is how much tasks differ. The
/// variance is that of the clusters' shares over their number (Miller 2024, "Adding error bars
/// to evals", arXiv 2411.00640, section 2.2). It is turned into an effective number of
/// observations, p (1 - p) / variance, for which Wilson's interval is taken (Dean and Pagano
/// 2015, "Evaluating confidence interval methods for binomial proportions in clustered
/// surveys", J. Survey Statistics and Methodology 3); the number is never more than that of
/// the observations, and that of the clusters where all shares are 0, or all are 1.
pub fn clustered(clusters: &[(u32, u32)]) -> Option<Clustered> {
    let known: Vec<(f64, f64)> = clusters
        .iter()
        .filter(|(_, counted)| *counted > 0)
        .map(|(resolved, counted)| (f64::from(*resolved), f64::from(*counted)))
        .collect();
    if known.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 tasks")]
    let m = known.len() as f64;
    let all: f64 = known.iter().map(|(_, counted)| counted).sum();
    let mean = known
        .iter()
        .map(|(resolved, counted)| resolved / counted)
        .sum::<f64>()
        / m;
    let squares = known
        .iter()
        .map(|(resolved, counted)| (resolved / counted - mean).powi(2));
    let variance = squares.sum::<f64>() / (m - 1.0) / m;
    let spread = mean * (1.0 - mean);
    let effective = if spread < 1e-12 || known.len() < 2 {
        m
    } else if variance < 1e-12 {
        all
    } else {
        (spread / variance).min(all)
    };
    let interval = score_interval(mean, effective);
    Some(Clustered { mean, interval })
}

/// Returns the 95 % interval of the difference of two independent shares, the first minus the
/// second: Newcombe's hybrid score interval (1998, "Interval estimation for the difference
/// between independent proportions: comparison of eleven methods", Statistics in Medicine 17,
/// method 10), made of Wilson's intervals [l, u] of both:
///
/// ```text
/// d - sqrt((p1 - l1)^2 + (u2 - p2)^2)   to   d + sqrt((u1 - p1)^2 + (p2 - l2)^2)
/// ```
pub fn newcombe(first: (u32, u32), second: (u32, u32)) -> Interval {
    let share = |(resolved, counted): (u32, u32)| match counted {
        0 => 0.5,
        counted => f64::from(resolved) / f64::from(counted),
    };
    let (p1, p2) = (share(first), share(second));
    let (a, b) = (wilson(first.0, first.1), wilson(second.0, second.1));
    let difference = p1 - p2;
    Interval {
        low: (difference - (p1 - a.low).hypot(b.high - p2)).max(-1.0),
        high: (difference + (a.high - p1).hypot(p2 - b.low)).min(1.0),
    }
}

/// Returns the chance that at least one of `k` tries resolves a task, estimated without bias
/// from `resolved` of `counted` tries: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, "Evaluating
/// large language models trained on code", arXiv 2107.03374, section 2.1). None where there
/// were fewer than `k` tries.
pub fn pass_at(k: u32, resolved: u32, counted: u32) -> Option<f64> {
    if k == 0 || counted < k {
        return None;
    }
    let failed = counted.saturating_sub(resolved);
    let all_fail = (0..k).map(|index| {
        let left = f64::from(failed.saturating_sub(index));
        left / f64::from(counted - index)
    });
    Some(1.0 - all_fail.product::<f64>())
}

#[cfg(test)]
mod tests {
    use super::{clustered, newcombe, pass_at, wilson};
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

    fn near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 5e-5,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn differences_agree_with_the_published_examples() {
        // Newcombe 1998, table II, method 10.
        for (first, second, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0000),
            ((10, 10), (0, 10), 0.6075, 1.0000),
        ] {
            let interval = newcombe(first, second);
            near(interval.low, low);
            near(interval.high, high);
        }
        let unknown = newcombe((3, 4), (0, 0));
        assert!(unknown.low < -0.2 && unknown.high > 0.75, "{unknown:?}");
    }

    #[test]
    fn pass_at_k_counts_the_ways_to_fail() {
        assert_eq!(pass_at(1, 0, 0), None);
        assert_eq!(pass_at(3, 1, 2), None);
        near(pass_at(1, 3, 10).expect("ten tries"), 0.3);
        // 1 - C(7, 2) / C(10, 2) = 1 - 21 / 45.
        near(pass_at(2, 3, 10).expect("ten tries"), 24.0 / 45.0);
        near(pass_at(8, 3, 10).expect("ten tries"), 1.0);
    }

    #[test]
    fn repeats_that_agree_tell_no_more_than_their_tasks() {
        let once = clustered(&[(1, 1), (0, 1), (1, 1), (0, 1)]).expect("it counts");
        let often = clustered(&[(9, 9), (0, 9), (9, 9), (0, 9)]).expect("it counts");
        near(often.mean, 0.5);
        near(often.interval.low, once.interval.low);
        assert!(often.interval.low < wilson(18, 36).low - 0.1);
        // Where tasks do not differ, repeats tell as much as further tasks.
        let alike = clustered(&[(5, 10), (5, 10)]).expect("it counts");
        near(alike.interval.low, wilson(10, 20).low);
        // All resolved: the tasks are what is known.
        let all = clustered(&[(9, 9), (9, 9)]).expect("it counts");
        near(all.interval.low, wilson(2, 2).low);
        assert_eq!(clustered(&[(0, 0)]), None);
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

        #[test]
        fn differences_hold_their_estimate_and_turn_around(
            (n, m) in (1_u32..300, 1_u32..300),
            (a, b) in (0.0_f64..=1.0, 0.0_f64..=1.0),
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are in [0, 1]")]
            let part = |n: u32, share: f64| (f64::from(n) * share) as u32;
            let (first, second) = ((part(n, a), n), (part(m, b), m));
            let interval = newcombe(first, second);
            let mean = |(x, n): (u32, u32)| f64::from(x) / f64::from(n);
            let difference = mean(first) - mean(second);
            prop_assert!(interval.low <= difference + 1e-12 && difference <= interval.high + 1e-12);
            let turned = newcombe(second, first);
            prop_assert!((turned.low + interval.high).abs() < 1e-9);
        }

        #[test]
        fn clusters_are_never_surer_than_their_observations(
            clusters in proptest::collection::vec((0_u32..6, 0_u32..6), 1..20),
        ) {
            let clusters: Vec<(u32, u32)> =
                clusters.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            if let Some(found) = clustered(&clusters) {
                prop_assert!(0.0 <= found.interval.low && found.interval.high <= 1.0);
                prop_assert!(found.interval.low <= found.mean + 1e-9);
                prop_assert!(found.mean <= found.interval.high + 1e-9);
            }
        }
    }
}
