//! Pure numbers: intervals and weighted choice, each with its source. Imports nothing.

mod interval;
mod sample;

pub use interval::{Interval, wilson};
pub use sample::weighted_index;
