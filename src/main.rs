//! The `dgm` program; everything is in the library.

fn main() {}
