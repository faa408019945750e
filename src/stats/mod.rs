//! Pure numbers: intervals and weighted choice, each with its source. Imports nothing.

mod interval;
mod sample;

pub use interval::{Clustered, Interval, clustered, newcombe, pass_at, wilson};
pub use sample::weighted_index;
