//! What the rules do with what logs hold in the wild.

mod chance;
mod parsers;
mod patterns;

use super::parser::TABLE;
use super::{EvalType, Grade, GradeFacts, Log, Parser, Resolution, Tier, grade};
use std::collections::{BTreeMap, BTreeSet};

fn facts(parser: &str) -> GradeFacts {
    GradeFacts {
        instance_id: "owner__name-1".to_owned(),
        version: "1.0".to_owned(),
        parser: Parser::named(parser).expect("it is known"),
        eval_type: EvalType::PassAndFail,
        fail_to_pass: Vec::new(),
        pass_to_pass: Vec::new(),
    }
}

fn framed(body: &str) -> String {
    format!("+ : '>>>>> Start Test Output'\n{body}\n+ : '>>>>> End Test Output'\n")
}

/// The statuses of a log; none where there is no result.
fn statuses(facts: &GradeFacts, log: &str) -> Option<BTreeMap<String, String>> {
    match grade(facts, &Log::read(log.as_bytes())) {
        Grade::Found { statuses, .. } => Some(
            statuses
                .iter()
                .map(|(test, status)| (test.to_owned(), status.to_owned()))
                .collect(),
        ),
        Grade::NotFound { .. } => None,
    }
}

fn why(facts: &GradeFacts, log: &str) -> String {
    match grade(facts, &Log::read(log.as_bytes())) {
        Grade::Found { .. } => panic!("it has a result"),
        Grade::NotFound { why, .. } => why,
    }
}

#[test]
fn a_log_needs_its_marks() {
    let facts = facts("parse_log_pytest");
    let good = framed("PASSED a");
    assert!(statuses(&facts, &good).is_some());
    for (mark, reason) in [
        (">>>>> Patch Apply Failed", "the patch did not apply"),
        (">>>>> Reset Failed", "the repository could not be reset"),
        (">>>>> Tests Errored", "the tests could not be run"),
        (">>>>> Tests Timed Out", "the tests did not end in time"),
    ] {
        assert_eq!(why(&facts, &format!("{good}{mark}")), reason);
        let harmless = format!("{good}{}", mark.to_lowercase());
        assert!(statuses(&facts, &harmless).is_some());
    }
    let no_start = good.replace("Start Test", "start test");
    assert_eq!(
        why(&facts, &no_start),
        "the log has no mark of the test output's start"
    );
    let no_end = good.replace("End Test", "end test");
    assert_eq!(
        why(&facts, &no_end),
        "the log has no mark of the test output's end"
    );
    assert!(why(&facts, &framed("")).contains("names no test"));
}

#[test]
fn only_what_stands_between_the_marks_counts() {
    let facts = facts("parse_log_pytest");
    let tests = |log: &str| {
        let found = statuses(&facts, log).expect("it has a result");
        found.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        tests(&format!("PASSED out\n{}PASSED late\n", framed("PASSED in"))),
        "in"
    );
    // Nothing between them: the whole log.
    assert_eq!(tests(&format!("PASSED out\n{}", framed(""))), "out");
    // From the first start to the next mark of either kind.
    let twice = ">>>>> Start Test Output\nPASSED a\n>>>>> Start Test Output\nPASSED b\n\
                 >>>>> End Test Output\nPASSED c\n>>>>> End Test Output\n";
    assert_eq!(tests(twice), "a");
    let reversed = ">>>>> End Test Output\nPASSED a\n>>>>> Start Test Output\nPASSED b\n";
    assert_eq!(tests(reversed), "b");
}

#[test]
fn an_exit_code_contradicts_a_log_without_failures() {
    let facts = facts("parse_log_pytest");
    let log = |body: &str, code: &str| format!("{}>>>>> Test Exit Code:{code}\n", framed(body));
    for code in [
        " 1",
        "2",
        " -1",
        " \n 7",
        " 10",
        " ٣",
        " x\n>>>>> Test Exit Code: 1",
    ] {
        assert!(
            why(&facts, &log("PASSED a", code)).contains("command failed"),
            "{code}"
        );
        assert!(statuses(&facts, &log("FAILED a", code)).is_some(), "{code}");
        assert!(statuses(&facts, &log("ERROR a", code)).is_some(), "{code}");
        // A status that is none is no failure either.
        assert!(statuses(&facts, &log("ERROR: a", code)).is_none(), "{code}");
    }
    for code in [
        " 0",
        "00",
        " -0",
        " x",
        "",
        " ٠",
        " 0\n>>>>> Test Exit Code: 1",
    ] {
        assert!(
            statuses(&facts, &log("PASSED a", code)).is_some(),
            "{code:?}"
        );
    }
}

#[test]
fn silence_is_a_result_only_if_something_ran() {
    let silent = GradeFacts {
        eval_type: EvalType::FailOnly,
        fail_to_pass: vec!["a".to_owned()],
        ..facts("parse_log_marked")
    };
    for body in [
        "3 specs, 0 failures",
        "Executed 3 of 3",
        "TOTAL: 3 SUCCESS",
        "12 passing",
        "Tests:  3 passed",
        "Test Suites: 1 failed, 2 total",
        "# tests 3",
        "x': ok",
    ] {
        let framed = framed(body);
        let log = Log::read(framed.as_bytes());
        assert!(grade(&silent, &log).resolved(), "{body}");
    }
    for body in [
        "0 specs, 0 failures",
        "Executed 0 of 0",
        "0 passing",
        "# tests 0",
        "x': okay",
    ] {
        assert_eq!(statuses(&silent, &framed(body)), None, "{body}");
    }
}

#[test]
fn names_that_were_cut_off_stand_for_those_that_agree() {
    let body = "PASSED t[a-1]\nXFAIL t[a-2]\nFAILED t[b-1]\nSKIPPED t[b-2]\nPASSED u[1]\nFAILED u[2]\n\
                SKIPPED v[2]\nFAILED v[1]";
    let verdict = |fail_to_pass: &str, pass_to_pass: &str| {
        let list = |test: &str| match test {
            "" => Vec::new(),
            test => vec![test.to_owned()],
        };
        let facts = GradeFacts {
            fail_to_pass: list(fail_to_pass),
            pass_to_pass: list(pass_to_pass),
            ..facts("parse_log_pytest")
        };
        let framed = framed(body);
        match grade(&facts, &Log::read(framed.as_bytes())) {
            Grade::Found { resolution, .. } => resolution,
            Grade::NotFound { why, .. } => panic!("{why}"),
        }
    };
    for (fail_to_pass, pass_to_pass, want) in [
        ("t[a", "", Resolution::Full),
        ("t[b", "", Resolution::No),
        ("u[", "", Resolution::No),
        // Not cut off: no such test.
        ("t", "", Resolution::No),
        // What came first decides whether it was skipped.
        ("", "v[", Resolution::Full),
        ("", "t[b", Resolution::No),
        ("", "t[b-2]", Resolution::Full),
        ("t[b-2]", "", Resolution::No),
    ] {
        assert_eq!(
            verdict(fail_to_pass, pass_to_pass),
            want,
            "{fail_to_pass} {pass_to_pass}"
        );
    }
}

#[test]
fn a_part_of_the_tests_is_a_part_of_the_way() {
    let facts = |fail: &[&str], pass: &[&str], eval_type| GradeFacts {
        eval_type,
        fail_to_pass: fail.iter().map(|test| (*test).to_owned()).collect(),
        pass_to_pass: pass.iter().map(|test| (*test).to_owned()).collect(),
        ..facts("parse_log_pytest")
    };
    let log = framed("PASSED a\nFAILED b\nERROR c\nERROR: odd");
    let verdict = |facts: &GradeFacts| match grade(facts, &Log::read(log.as_bytes())) {
        Grade::Found {
            resolution, tests, ..
        } => {
            assert_eq!(tests.resolution(), resolution);
            resolution
        }
        Grade::NotFound { why, .. } => panic!("{why}"),
    };
    use EvalType::{FailOnly, PassAndFail};
    for (fail, pass, eval_type, want) in [
        (&["a"][..], &["a"][..], PassAndFail, Resolution::Full),
        (&["a", "b"], &["a"], PassAndFail, Resolution::Partial),
        (&["b"], &["a"], PassAndFail, Resolution::No),
        (&["a"], &["b"], PassAndFail, Resolution::No),
        (&["a"], &["gone"], PassAndFail, Resolution::No),
        (&[], &[], PassAndFail, Resolution::Full),
        // Neither success nor failure.
        (&["a", "odd"], &["odd"], PassAndFail, Resolution::Full),
        (&["a", "gone", "c"], &["gone"], FailOnly, Resolution::Full),
        (&["b"], &[], FailOnly, Resolution::No),
    ] {
        assert_eq!(
            verdict(&facts(fail, pass, eval_type)),
            want,
            "{fail:?} {pass:?}"
        );
    }
}

#[test]
fn a_log_without_result_may_point_to_the_place() {
    let facts = facts("parse_log_pytest");
    for (text, want) in [
        ("Killed", Some(("out_of_memory", Tier::Environment))),
        ("Killed it", None),
        (
            "no tests ran",
            Some(("no_tests_collected", Tier::Ambiguous)),
        ),
        (
            "Cannot find module x\nCould not resolve host: y",
            Some(("network_unreachable", Tier::Environment)),
        ),
        (
            "Timeout error: 3 seconds exceeded.",
            Some(("tests_timed_out", Tier::Ambiguous)),
        ),
    ] {
        match grade(&facts, &Log::read(text.as_bytes())) {
            Grade::Found { .. } => panic!("it has no mark"),
            Grade::NotFound { infra, .. } => {
                assert_eq!(
                    infra.map(|infra| (infra.reason, infra.tier)),
                    want,
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn names_of_parsers_are_known_once() {
    let names: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), TABLE.len());
    for name in names {
        assert_eq!(Parser::named(name).map(Parser::name), Some(name));
    }
    assert!(Parser::named("parse_log_nothing").is_none());
}
