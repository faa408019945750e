//! What several tests need: the program in an empty world, an archive with declared truth, a
//! provider.

pub(crate) mod docker;
mod grown;
mod program;
mod story;
mod upstream;
mod world;

pub(crate) use grown::{Grown, made};
pub(crate) use program::Program;
pub(crate) use story::{assert_same, audit, story};
pub(crate) use upstream::Upstream;
pub(crate) use world::{Plan, Running, SOON, World, names};
