//! The reading commands, whole output.

use crate::support::{Grown, Program};
use insta::assert_snapshot;

#[test]
fn tree() {
    let grown = Grown::new();
    let dgm = Program::new(grown.folder());
    assert_snapshot!(dgm.said("tree demo"), @"");
    let inside = Program::new(&grown.archive());
    assert_eq!(inside.said("tree"), dgm.said("tree demo"));
}
