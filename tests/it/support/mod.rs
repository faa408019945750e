//! What several tests need: the program in an empty world, and an archive with declared truth.

pub(crate) mod docker;
mod grown;
mod program;
mod story;
mod world;

pub(crate) use grown::{Grown, made};
pub(crate) use program::Program;
pub(crate) use story::{assert_same, audit, story};
pub(crate) use world::{Plan, Running, SOON, World, names};
