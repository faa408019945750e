//! SWE-bench: grading against the official grades, rows of every shape, and whole runs.

mod import;
mod parity;
mod patch;
mod run;
mod whole;

use std::path::{Path, PathBuf};

/// Returns where shared data lies.
fn shared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    assert!(
        path.exists(),
        "the shared data `{}` is not there",
        path.display()
    );
    path
}
