//! Gathers what the diagnosing model may see of a parent's runs.
//!
//! Invariant: of a verifier only names and outcomes of tests are taken; its log, which may
//! quote hidden tests, stays here, as do the tests themselves, unless the configuration lets
//! them out.

use crate::archive::Reader;
use crate::benchmark::Suite;
use crate::domain::{
    BlobId, Decision, Disclosure, Entry, Evaluation, FileTree, Outcome, Pattern, Purpose,
};
use crate::lineage::Lineage;
use crate::propose::{Evidence, HiddenFiles, Material, Run, TestResult};
use std::sync::Arc;

/// Most runs that a pattern is shown.
const MOST_RUNS: usize = 8;
/// Most test results of one run.
const MOST_TESTS: usize = 200;

/// Collects the evidence for one decided attempt.
pub(super) fn collect(
    lineage: &Lineage,
    reader: &Reader,
    suite: &Suite,
    decision: &Decision,
    source: &Arc<FileTree>,
    disclosure: Disclosure,
) -> anyhow::Result<Evidence> {
    let run = |evaluation: &Evaluation| run(reader, suite, evaluation, disclosure);
    let measured = || {
        lineage
            .evaluations_of(decision.parent)
            .filter(|evaluation| {
                evaluation.judgement.outcome.counts()
                    && matches!(evaluation.purpose, Purpose::Stage(_))
            })
    };
    let material = match &decision.entry {
        Entry::Task(task) => {
            let found = measured().find(|evaluation| evaluation.key.task == *task);
            match found {
                Some(evaluation) => Material::Run(Box::new(run(evaluation)?)),
                None => Material::Runs(Vec::new()),
            }
        }
        Entry::Pattern(pattern) => Material::Runs(
            measured()
                .filter(|evaluation| shows(*pattern, evaluation))
                .take(MOST_RUNS)
                .map(run)
                .collect::<anyhow::Result<_>>()?,
        ),
    };
    Ok(Evidence {
        entry: decision.entry.clone(),
        material,
        earlier: earlier(lineage, decision),
        source: source.clone(),
    })
}

fn shows(pattern: Pattern, evaluation: &Evaluation) -> bool {
    match pattern {
        Pattern::EmptyPatches => evaluation.judgement.outcome == Outcome::Empty,
        Pattern::Stochasticity => !evaluation.judgement.passed,
        Pattern::ContextLength => evaluation.context_overflow,
    }
}

/// Earlier attempts on the same parent. Those of the same group are left out: whether they
/// have ended already would depend on timing.
fn earlier(lineage: &Lineage, decision: &Decision) -> Vec<String> {
    lineage
        .attempts_of(decision.parent)
        .filter(|attempt| attempt.decision.group < decision.group)
        .filter_map(|attempt| {
            let title = attempt
                .proposal
                .as_ref()
                .map(|(proposal, _)| proposal.title())?;
            let end = attempt.end.as_ref()?;
            let how = match &end.failure {
                Some((failure, _)) => failure.to_string(),
                None => {
                    let score = lineage.score(attempt.decision.attempt);
                    format!(
                        "made a variant that resolves {} of {}",
                        score.resolved, score.counted
                    )
                }
            };
            Some(format!("{title}: {how}"))
        })
        .collect()
}

fn run(
    reader: &Reader,
    suite: &Suite,
    evaluation: &Evaluation,
    disclosure: Disclosure,
) -> anyhow::Result<Run> {
    let text = |id: &Option<BlobId>| -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&bytes(reader, id.as_ref())?).into_owned())
    };
    let task = suite.get(&evaluation.key.task);
    let instruction = task
        .map(|task| task.instruction.clone())
        .unwrap_or_default();
    let verifier_log = text(&evaluation.verifier_log)?;
    let disclosed = task.and_then(|task| task.disclose(disclosure));
    let hidden = disclosed.map(|disclosed| HiddenFiles {
        tests: disclosed.tests,
        test_output: verifier_log.clone(),
        solution: disclosed.solution,
    });
    Ok(Run {
        task: evaluation.key.task.clone(),
        instruction,
        outcome: evaluation.judgement.outcome,
        detail: evaluation.judgement.detail.clone(),
        patch: text(&evaluation.patch)?,
        tests: test_results(&verifier_log),
        hidden,
        agent_log: text(&evaluation.agent_log)?,
        transcript: bytes(reader, evaluation.transcript.as_ref())?,
    })
}

fn bytes(reader: &Reader, id: Option<&BlobId>) -> anyhow::Result<Vec<u8>> {
    match id {
        Some(id) => Ok(reader.blob(id)?),
        None => Ok(Vec::new()),
    }
}

/// Returns the test results that a log names in the summary forms of pytest (`PASSED name`),
/// TAP (`ok 1 - name`) and cargo (`test name ... ok`). Only the name is kept: what follows
/// it may quote the test.
fn test_results(log: &str) -> Vec<TestResult> {
    let mut results: Vec<TestResult> = Vec::new();
    for line in log.lines() {
        let Some((name, passed)) = test_result(line.trim()) else {
            continue;
        };
        if results.len() < MOST_TESTS && results.iter().all(|result| result.name != name) {
            results.push(TestResult {
                name: name.chars().take(200).collect(),
                passed,
            });
        }
    }
    results
}

fn test_result(line: &str) -> Option<(&str, bool)> {
    for (word, passed) in [("PASSED ", true), ("FAILED ", false), ("ERROR ", false)] {
        if let Some(rest) = line.strip_prefix(word) {
            return rest.split_whitespace().next().map(|name| (name, passed));
        }
    }
    for (word, passed) in [("not ok ", false), ("ok ", true)] {
        if let Some((_, name)) = line
            .strip_prefix(word)
            .and_then(|rest| rest.split_once(" - "))
        {
            return name.split_whitespace().next().map(|name| (name, passed));
        }
    }
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match result {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::test_results;

    #[test]
    fn takes_names_and_outcomes_and_nothing_that_follows() {
        let log = "\
collected 2 items
PASSED test_a.py::test_one
FAILED test_a.py::test_two - AssertionError: assert 'secret' == 'x'
ok 1 - adds
not ok 2 - subtracts because the hidden value is 7
test bowling::strike ... ok
test bowling::spare ... FAILED
ERROR test_b.py
";
        let found: Vec<(String, bool)> = test_results(log)
            .into_iter()
            .map(|test| (test.name, test.passed))
            .collect();
        let expected = [
            ("test_a.py::test_one", true),
            ("test_a.py::test_two", false),
            ("adds", true),
            ("subtracts", false),
            ("bowling::strike", true),
            ("bowling::spare", false),
            ("test_b.py", false),
        ]
        .map(|(name, passed)| (name.to_owned(), passed));
        assert_eq!(found, expected);
    }
}
