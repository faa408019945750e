//! The archive as a tree: for a terminal, for programs, for Graphviz.

mod dot;
mod footer;
mod json;
mod text;

pub use dot::dot;
pub use json::json;
pub use text::text;
