//! How often something was resolved, of how many counted tries.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Resolved evaluations out of counted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Evaluations that count as 1.
    pub resolved: u32,
    /// Evaluations that count at all.
    pub counted: u32,
}

impl Tally {
    /// Returns resolved / counted, or 0 where nothing was counted.
    pub fn mean(self) -> f64 {
        if self.counted == 0 {
            0.0
        } else {
            f64::from(self.resolved) / f64::from(self.counted)
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            resolved: self.resolved + other.resolved,
            counted: self.counted + other.counted,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}
