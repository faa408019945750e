//! What in a log without a result points to the place instead of the patch.
//!
//! Advice for a reader only: it changes no verdict and no count.

use super::text::python;
use regex::Regex;
use std::sync::LazyLock;

/// How sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// No patch of the repository does this.
    Environment,
    /// A patch can do this as well.
    Ambiguous,
}

/// What may have been wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infra {
    /// Its name in reports.
    pub reason: &'static str,
    /// How sure that is.
    pub tier: Tier,
}

/// Signs of what can go wrong; the first one found holds.
const SIGNS: [(&str, Tier, &str); 8] = [
    (
        "browser_launch_failed",
        Tier::Environment,
        "Failed to launch|Failed to connect to the bus",
    ),
    (
        "display_unavailable",
        Tier::Environment,
        "cannot open display|Missing X server|unable to open X display",
    ),
    (
        "out_of_memory",
        Tier::Environment,
        "(?m)Cannot allocate memory|OutOfMemoryError|^Killed$",
    ),
    (
        "container_unavailable",
        Tier::Environment,
        "Error response from daemon|Cannot connect to the Docker daemon",
    ),
    (
        "network_unreachable",
        Tier::Environment,
        "Could not resolve host|Temporary failure in name resolution",
    ),
    (
        "missing_module",
        Tier::Ambiguous,
        "Cannot find module|MODULE_NOT_FOUND|ModuleNotFoundError",
    ),
    (
        "no_tests_collected",
        Tier::Ambiguous,
        "no tests ran|collected 0 items",
    ),
    (
        "tests_timed_out",
        Tier::Ambiguous,
        r"Timeout error: \d+ seconds exceeded",
    ),
];

/// Returns what a log points to.
pub(super) fn classify(log: &str) -> Option<Infra> {
    static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        SIGNS
            .iter()
            .map(|(_, _, pattern)| python(pattern))
            .collect()
    });
    let found = PATTERNS.iter().position(|pattern| pattern.is_match(log))?;
    let (reason, tier, _) = SIGNS[found];
    Some(Infra { reason, tier })
}
