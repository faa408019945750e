//! The generator of one decision's draws.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Returns the generator of the decision of that number, whatever kind it is: a resumed run
/// draws what an uninterrupted one would have drawn.
pub(super) fn generator(seed: u64, decision: u64) -> StdRng {
    // SplitMix64's increment spreads neighboring numbers over the seed space.
    StdRng::seed_from_u64(seed ^ decision.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
