//! What several tests need: the program in an empty world, and an archive with declared truth.

mod grown;
mod program;

pub(crate) use grown::{Grown, made};
pub(crate) use program::Program;
