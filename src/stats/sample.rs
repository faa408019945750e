//! Choice with weights on a generator that the caller owns.

use rand::RngExt as _;

/// Draws an index with probability proportional to its weight, or `None` where no weight is
/// positive and finite.
pub fn weighted_index(weights: &[f64], rng: &mut impl rand::Rng) -> Option<usize> {
    let usable = |weight: &f64| weight.is_finite() && *weight > 0.0;
    let total: f64 = weights.iter().filter(|weight| usable(weight)).sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for (index, weight) in weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| usable(weight))
    {
        last = Some(index);
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    // Rounding can leave a rest above zero after the last weight: it belongs to the last one.
    last
}

#[cfg(test)]
mod tests {
    use super::weighted_index;
    use rand::SeedableRng as _;

    #[test]
    fn draws_with_the_given_frequencies() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut counts = [0_u32; 4];
        for _ in 0..40_000 {
            let index = weighted_index(&[1.0, 0.0, 3.0, f64::NAN], &mut rng);
            counts[index.expect("two weights are positive")] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        let share = f64::from(counts[2]) / 40_000.0;
        assert!((share - 0.75).abs() < 0.01, "{share}");
    }

    #[test]
    fn draws_nothing_from_nothing() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        assert_eq!(weighted_index(&[], &mut rng), None);
        assert_eq!(weighted_index(&[0.0, -1.0], &mut rng), None);
    }
}
