//! Values to text and JSON: the archive as a drawn tree, one variant explained, the books.
//!
//! Invariant: pure. Nothing here opens, waits, asks the clock or looks at the terminal; what a
//! text may use is in [`Style`]. The same [`Lineage`](crate::lineage::Lineage) gives the same
//! text, whatever the order in which its facts came. JSON shapes carry
//! `"schema": "dgm.<name>/1"` and only grow.

pub mod bench;
pub mod budget;
pub mod by_hand;
pub mod check;
pub mod checks;
pub mod cost;
mod digest;
pub mod eval;
mod evidence;
pub mod export;
mod figure;
pub mod grade;
mod json;
mod line;
mod means;
pub mod models;
mod page;
pub mod patch;
pub mod plan;
pub mod prices;
mod replays;
pub mod show;
mod style;
mod table;
pub mod tree;

pub use evidence::of_variant as evidence_of;
pub use figure::{duration, moment, size};
pub use line::{clean, clean_block};
pub use style::{Ink, Style};
