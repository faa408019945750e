//! Reports as SWE-bench's harness writes them: of one instance, and of a run (schema 2).
//!
//! Invariant: keys, lists and their order are those of `swebench` 5.0.2, so that whatever reads
//! its reports reads these. A likely cause outside of the answer is advice: it moves no instance
//! from one list to another.

use crate::view::{grade, json};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What may have been wrong with the place instead of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfraReport {
    /// Its name in reports.
    pub reason: &'static str,
    /// Whether no answer can do this.
    pub is_environment: bool,
}

/// The grade of one instance's log.
#[derive(Debug)]
pub struct GradedInstance<'a> {
    /// The instance.
    pub id: &'a str,
    /// Whether it is resolved.
    pub resolved: bool,
    /// The tests that count; none where the log holds no result.
    pub tests: Option<grade::TestsStatus<'a>>,
    /// What points to the place, where the log holds no result.
    pub cause: Option<InfraReport>,
}

/// Returns the report of one instance (`report.json`).
pub fn swebench_instance(graded: &GradedInstance<'_>) -> String {
    let mut report = json!({
        "patch_is_None": false,
        "patch_exists": true,
        "patch_successfully_applied": graded.tests.is_some(),
        "resolved": graded.resolved,
        "infra_failure": graded.cause.is_some_and(|cause| cause.is_environment),
    });
    if let Some(cause) = graded.cause {
        report["infra_failure_reason"] = json!(cause.reason);
    }
    if let Some(tests) = &graded.tests {
        let split =
            |split: &grade::Split<'_>| json!({"success": split.success, "failure": split.failure});
        // Nobody fills the last two, and everybody has them.
        report["tests_status"] = json!({
            "FAIL_TO_PASS": split(&tests.fail_to_pass),
            "PASS_TO_PASS": split(&tests.pass_to_pass),
            "FAIL_TO_FAIL": split(&grade::Split::default()),
            "PASS_TO_FAIL": split(&grade::Split::default()),
        });
    }
    json::text(&json!({graded.id: report}))
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graded {
    /// There was none to grade.
    Empty,
    /// It did not apply, or the tests did not come to their end.
    Error,
    /// Every test that counts is as it should be.
    Resolved,
    /// Anything else.
    Unresolved,
}

/// A run over the instances of a benchmark.
#[derive(Clone, Debug, Default)]
pub struct SwebenchRun {
    /// All instances that were to be answered.
    pub instances: BTreeSet<String>,
    /// Those that were.
    pub graded: BTreeMap<String, Graded>,
    /// What points to the place in the logs of those that are not resolved.
    pub causes: BTreeMap<String, InfraReport>,
}

/// Returns the report of a run.
pub fn swebench_run(run: &SwebenchRun) -> String {
    let ids = |wanted: &[Graded]| -> Vec<&str> {
        let found = run.graded.iter().filter(|(_, how)| wanted.contains(how));
        found.map(|(id, _)| id.as_str()).collect()
    };
    let completed = ids(&[Graded::Resolved, Graded::Unresolved]);
    let resolved = ids(&[Graded::Resolved]);
    let unresolved = ids(&[Graded::Unresolved]);
    let empty = ids(&[Graded::Empty]);
    let error = ids(&[Graded::Error]);
    let caused = |is_environment: bool| -> Vec<&str> {
        let causes = run.causes.iter();
        let found = causes.filter(|(_, cause)| cause.is_environment == is_environment);
        found.map(|(id, _)| id.as_str()).collect()
    };
    let (infra, ambiguous) = (caused(true), caused(false));
    let incomplete = run.instances.iter();
    let incomplete = incomplete.filter(|id| !run.graded.contains_key(*id));
    let reasons = run.causes.iter().map(|(id, cause)| (id, cause.reason));
    json::text(&json!({
        "total_instances": run.instances.len(),
        "submitted_instances": run.graded.len(),
        "completed_instances": completed.len(),
        "resolved_instances": resolved.len(),
        "unresolved_instances": unresolved.len(),
        "infra_failure_instances": infra.len(),
        "ambiguous_failure_instances": ambiguous.len(),
        "empty_patch_instances": empty.len(),
        "error_instances": error.len(),
        "completed_ids": completed,
        "incomplete_ids": incomplete.collect::<Vec<_>>(),
        "empty_patch_ids": empty,
        "submitted_ids": run.graded.keys().collect::<Vec<_>>(),
        "resolved_ids": resolved,
        "unresolved_ids": unresolved,
        "infra_failure_ids": infra,
        "ambiguous_failure_ids": ambiguous,
        "failure_reasons": reasons.collect::<BTreeMap<_, _>>(),
        "error_ids": error,
        "schema_version": 2,
    }))
}
