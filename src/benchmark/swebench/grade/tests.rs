//! What each parser and each rule does with what logs hold in the wild.

use super::parser::TABLE;
use super::{EvalType, Grade, GradeFacts, Log, Parser, Resolution, Tier, grade};
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};
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
fn every_parser_reads_its_runner() {
    let cases: &[(&str, &str, &[(&str, &str)])] = &[
        (
            "pytest",
            "PASSED a.py::t[x y]\nFAILED a.py::f - boom\nFAILED - odd\nPASSED [100%]\n\
             SKIPPED [3] a.py:1: no\n PASSED indented\nXFAIL a.py::x\nERROR: not found\nPASSED",
            &[
                ("a.py::t[x", "PASSED"),
                ("a.py::f", "FAILED"),
                ("odd", "FAILED"),
                ("[100%]", "PASSED"),
                ("a.py::x", "XFAIL"),
                ("not", "ERROR:"),
            ],
        ),
        (
            "requests",
            "PASSED t[/a/b/c]\nPASSED t[//a/b]\nPASSED t[/a*b/c]\nPASSED t[a]tail\nPASSED t[open",
            &[
                ("t[/c]", "PASSED"),
                ("t[//a/b]", "PASSED"),
                ("t[/a*b/c]", "PASSED"),
                ("t[a]", "PASSED"),
                ("t[open", "PASSED"),
            ],
        ),
        (
            "sphinx",
            "\x1b[32mPASSED\x1b[0m a.py::t[1  2] extra\nFAILED a.py::f - b - c\na.py::old   PASSED\n\
             a.py::xPASSED\nSKIPPED [1] x",
            &[
                ("a.py::t[1 2] extra", "PASSED"),
                ("a.py::f", "FAILED"),
                ("a.py::old", "PASSED"),
            ],
        ),
        (
            "matplotlib",
            "PASSED t[MouseButton.LEFT-MouseButton.RIGHT]\nFAILED u - MouseButton.LEFT",
            &[("t[1-3]", "PASSED"), ("u", "FAILED")],
        ),
        (
            "seaborn",
            "FAILED a - x\nb PASSED [ 1%]\nPASSED c\nd e PASSED f",
            &[("a", "FAILED"), ("b", "PASSED"), ("c", "PASSED")],
        ),
        (
            "django",
            "test_a (m.C) ... ok\ntest_b (m.C)\nIt says so. ... FAIL\ntest_c (m.C) ... skipped 'x'\n\
             test_d (m.C) ... ERROR\ntest_e (m.C) ... noise\nok\nFAIL: test_f (m.C)\n\
             test_g (m.C) ... Internal Server Error: /x/\nok\n\
             x --version is equivalent to version\n\
             Applying sites.0002_alter_domain_unique...test_no_migrations (m.C) ... ok",
            &[
                ("test_a (m.C)", "PASSED"),
                ("It says so.", "FAILED"),
                ("test_c (m.C)", "SKIPPED"),
                ("test_d (m.C)", "ERROR"),
                ("test_e (m.C)", "PASSED"),
                ("test_f", "FAILED"),
                ("test_g (m.C)", "PASSED"),
                ("--version is equivalent to version", "PASSED"),
                ("test_no_migrations (m.C)", "PASSED"),
            ],
        ),
        (
            "sympy",
            "test_a ok\ntest_b F\ntest_c E\ntest_d slow ok [OK]\n\
             ____ sympy/core/tests/test_x.py:test_y ____\n  test_e ok",
            &[
                ("test_a", "PASSED"),
                ("test_b", "FAILED"),
                ("test_c", "ERROR"),
                ("test_e", "PASSED"),
                ("sympy/core/tests/test_x.py:test_y", "FAILED"),
            ],
        ),
        (
            "cargo",
            "test a::b ... ok\ntest c ... FAILED\ntest d ... ignored\ntest e ... noise ok\n\
             test f - should panic ... ok",
            &[("a::b", "PASSED"), ("c", "FAILED")],
        ),
        (
            "gotest",
            "--- PASS: TestA (0.00s)\n    --- FAIL: TestA/b (c) (0.01s)\n--- SKIP: S (0s)\nFAIL",
            &[
                ("TestA", "PASSED"),
                ("TestA/b (c)", "FAILED"),
                ("S", "SKIPPED"),
            ],
        ),
        (
            "maven",
            "+ mvnd test -Dtest=A#x -B\n+ mvnd test -Dtest=B#y\n[INFO] BUILD SUCCESS\nBUILD FAILURE\n\
             BUILD SUCCESS\n+ mvnd -Dtest=C",
            &[("A#x", "PASSED"), ("B#y", "FAILED"), ("C", "PASSED")],
        ),
        (
            "gradle_custom",
            "A > b PASSED\nA > c\nnoise\nFAILED\n> Task :test FAILED",
            &[("A > b", "PASSED"), ("A > c", "FAILED")],
        ),
        (
            "ant",
            "[junit] [PASS] a b\n  [junit] [ERR] c\n[junit] none",
            &[("a b", "PASSED"), ("c", "FAILED")],
        ),
        (
            "jest",
            "  ✓ adds (12 ms)\n  ✕ fails\n  ○ skipped one\n  ✓ has (parts)",
            &[
                ("adds", "PASSED"),
                ("fails", "FAILED"),
                ("skipped one", "SKIPPED"),
                ("has (parts)", "PASSED"),
            ],
        ),
        (
            "vitest",
            "✓ a > b 12ms\n × c\n ↓ d [skipped]\n ✓ e 3",
            &[
                ("a > b", "PASSED"),
                ("c", "FAILED"),
                ("d", "SKIPPED"),
                ("e", "PASSED"),
            ],
        ),
        (
            "calypso",
            "x ./node_modules/.bin/jest y\n  suite\n    inner\n      ✓ works (3ms)\n      ✕ not\n\
             Test Suites: 1\n      ✓ late",
            &[
                ("suite - inner - works", "PASSED"),
                ("suite - inner - not", "FAILED"),
            ],
        ),
        (
            "react_pdf",
            "PASS a/b.js (1.2 s)\nFAIL c.js (30ms)\nPASS d.js",
            &[("a/b.js", "PASSED"), ("c.js", "FAILED"), ("d.js", "PASSED")],
        ),
        (
            "grommet",
            "PASS a.js (1.2 s)\nFAIL b.js\nFAIL a.js",
            &[("a.js", "PASSED"), ("b.js", "FAILED")],
        ),
        (
            "karma",
            "✔ early\nStarting browser\n  Suite\n    Inner\n      ✔ one\n  back\n    ✖ two\nSUMMARY:\n    ✔ late",
            &[("Suite > Inner > one", "PASSED"), ("Suite > two", "FAILED")],
        ),
        (
            "tap",
            "ok 1 a b\nnot ok 2 c\n  ok 3 - d\nok x e",
            &[("a b", "PASSED"), ("c", "FAILED"), ("- d", "PASSED")],
        ),
        (
            "highlightjs",
            "  suite\n    ✓ one (12ms)\n    ✔ two\n    1) three\n\n  2 passing\n  1) suite",
            &[
                ("suite.one", "PASSED"),
                ("suite.two", "PASSED"),
                ("suite.three", "FAILED"),
            ],
        ),
        (
            "prismjs",
            "+ ./node_modules/.bin/mocha tests/run.js --reporter json\n{\"failures\": [{\"fullTitle\": \
             \"a b\"}], \"passes\": [{\"fullTitle\": \"c\"}]}\n",
            &[("a b", "FAILED"), ("c", "PASSED")],
        ),
        (
            "chart_js",
            "\x1b[1mChrome 99.0\x1b[0m (Linux x86_64) a b FAILED\nExecuted 3 of 3",
            &[("a b ", "FAILED")],
        ),
        (
            "openlayers",
            "Chrome Headless 99.0 (Linux x86_64) a  b FAILED\n  1) c\n  d\n Error: x\ncase e: mismatch",
            &[("a b", "FAILED"), ("c d", "FAILED"), ("e", "FAILED")],
        ),
        (
            "bpmn_js",
            "HeadlessChrome 9.9 (Linux 0.0.0) a b FAILED\n",
            &[("a b ", "FAILED")],
        ),
        (
            "eslint",
            "  1) rule\n       bad\n      AssertionError [x]: y",
            &[("rule bad", "FAILED")],
        ),
        ("marked", "1) a b\n 2) c\n3)d", &[("a b", "FAILED")]),
        (
            "p5js",
            "<g>\n  9) no: x\n</g>\n{\n  8) no: x\n}\n  1) suite\n       test:\n  2) flat\n no:\n",
            &[("suite:test", "FAILED")],
        ),
        (
            "quarto_cli",
            "[smoke] a /tmp/x1/ ... \x1b[32mok\n[unit] b /tmp/x2/ ... \x1b[31mFAILED\n[unit] c\n\
             ERRORS\n[unit] d ... \x1b[32mok",
            &[
                ("[smoke] a /tmp/0", "PASSED"),
                ("[unit] b /tmp/1", "FAILED"),
                ("[unit] c", "FAILED"),
            ],
        ),
        (
            "redis",
            "[ok]: a (12 ms)\n[err]: b in tests/x.tcl\n[skip]: c\n[ignore]: d",
            &[
                ("a", "PASSED"),
                ("b", "FAILED"),
                ("c", "SKIPPED"),
                ("d", "SKIPPED"),
            ],
        ),
        (
            "jq",
            "PASS: a\n FAIL: b",
            &[("a", "PASSED"), ("b", "FAILED")],
        ),
        (
            "micropython_test",
            "pass  a\nFAIL  b\nskip  c",
            &[("a", "PASSED"), ("b", "FAILED"), ("c", "SKIPPED")],
        ),
        (
            "googletest",
            "1: [       OK ] a.b (0 ms)\n[  FAILED  ] c (1 ms)\n[  FAILED  ] c",
            &[("a.b", "PASSED"), ("c", "FAILED")],
        ),
        (
            "doctest",
            "<doctest><TestCase name=\"a &lt;\"><SubCase name='b'><Expression success=\"true\"/>\
             </SubCase><SubCase><Expression success=\"false\"></Expression></SubCase></TestCase>\
             </doctest>",
            &[("a < > b", "PASSED"), ("a < > None", "FAILED")],
        ),
        (
            "phpunit",
            "✔ early\nName (Space\\Name)\n ✔ One\n ✘ Two\n ↩ Three",
            &[
                ("None > early", "PASSED"),
                ("Name > One", "PASSED"),
                ("Name > Two", "FAILED"),
                ("Name > Three", "SKIPPED"),
            ],
        ),
        (
            "minitest",
            "A#test_x. = 0.01 s = .\nA#test_y. = 0.01 s = F",
            &[("A#test_x", "PASSED"), ("A#test_y", "FAILED")],
        ),
        (
            "cucumber",
            "features/a.feature ....\nfeatures/b.feature ..F.",
            &[
                ("features/a.feature", "PASSED"),
                ("features/b.feature", "FAILED"),
            ],
        ),
        (
            "ruby_unit",
            "test: a[b]:\t.: (0.1)\n  c:\tF\n d:  O: x\n e: Ex",
            &[("a[b]", "PASSED"), ("c", "FAILED"), ("d", "SKIPPED")],
        ),
        (
            "rspec_transformed_json",
            "a - b - passed\nc - failed\nd - pending",
            &[("a - b", "PASSED"), ("c", "FAILED")],
        ),
    ];
    for (parser, body, want) in cases {
        let facts = facts(&format!("parse_log_{parser}"));
        let found = statuses(&facts, &framed(body));
        let want: BTreeMap<String, String> = want
            .iter()
            .map(|(test, status)| ((*test).to_owned(), (*status).to_owned()))
            .collect();
        assert_eq!(found, Some(want), "{parser}");
    }
}

#[test]
fn some_parsers_ask_for_more_than_the_log() {
    let mut jekyll = facts("parse_log_jekyll");
    let log = framed("A#b. = 0.1 = .\nfeatures/a ....");
    assert!(why(&jekyll, &log).contains("no runner is known"));
    for (id, test) in [
        ("jekyll__jekyll-9141", "A#b"),
        ("jekyll__jekyll-8761", "features/a"),
    ] {
        id.clone_into(&mut jekyll.instance_id);
        assert!(statuses(&jekyll, &log).is_some_and(|tests| tests.contains_key(test)));
    }
    let mut immutable = facts("parse_log_immutable_js");
    for (id, log) in [("i__i-2006", "✓ a (1 ms)"), ("i__i-2005", "[PASSED] a")] {
        id.clone_into(&mut immutable.instance_id);
        assert!(statuses(&immutable, &framed(log)).is_some_and(|tests| tests.contains_key("a")));
    }
    for (parser, version, log, test) in [
        (
            "lighthouse",
            "9.5",
            "running 2 test files\ns\n  t\n    ✔ a (3ms)\n1 passing",
            "t - a",
        ),
        ("lighthouse", "5.0", "PASS a.js (1ms)", "a.js"),
        (
            "lighthouse",
            "2.0",
            "./node_modules/.bin/mocha --reporter json\n\"passes\": [\n\"fullTitle\": \"a b\",\n]",
            "a b",
        ),
        (
            "next",
            "1.27",
            "Running: x)\n\n\n  suite\n    ✓ a (1ms)\n",
            "suite: a",
        ),
        (
            "next",
            "1.20",
            "y xvfb-run z\nStarting browser Chrome\n  s\n    ✓ a\nTOTAL",
            "s - a",
        ),
    ] {
        let facts = GradeFacts {
            version: version.to_owned(),
            ..facts(&format!("parse_log_{parser}"))
        };
        let found = statuses(&facts, &framed(log)).expect("it has a result");
        assert!(found.contains_key(test), "{parser} {version}: {found:?}");
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

/// Pieces that parsers look for, so that chance hits more than the first condition.
const PIECES: &[&str] = &[
    "PASSED",
    "FAILED",
    "SKIPPED",
    "ERROR",
    " - ",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "\t",
    "\r\n",
    "[",
    "]",
    "(",
    ")",
    "é",
    "\u{2028}",
    "\u{1b}[31m",
    "ok",
    " ... ",
    " ... ok",
    "FAIL:",
    "ERROR:",
    "____ a.py:test ____",
    "test_a",
    "✓ ",
    "✔ ",
    "✕ ",
    "✗ ",
    "1) ",
    "Error",
    ":",
    "3 passing",
    "PASS ",
    "FAIL ",
    "(12ms)",
    "(1.2 s)",
    "-Dtest=",
    "BUILD SUCCESS",
    "--- PASS: ",
    "(0.00s)",
    "<doctest>",
    "</doctest>",
    "<TestCase name=\"a\">",
    "<SubCase>",
    "</SubCase>",
    "</TestCase>",
    "<Expression success='",
    "&",
    ";",
    "<g>",
    "</g>",
    "{",
    "}",
    "\"",
    "Starting browser",
    "SUMMARY:",
    " ./node_modules/.bin/jest ",
    "./node_modules/.bin/mocha tests/run.js --reporter json",
    "/tmp/a/",
    "[unit]",
    "Chrome 9 (Linux x) ",
    ". ",
    "=",
    "test: ",
    " > ",
    "Running:x)\n\n\n  ",
    ">>>>> Start Test Output",
    ">>>>> End Test Output",
    ">>>>> Test Exit Code: 1",
    "\0",
];

fn text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES).prop_map(str::to_owned);
    let other = "[ -~é\\n]{0,3}";
    prop::collection::vec(proptest::prop_oneof![4 => piece, 1 => other], 0..80)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_panics(log in text(), version in "1\\.27|9\\.5|2\\.0|5", number in 0..TABLE.len()) {
        let facts = GradeFacts {
            version,
            ..facts(TABLE[number].0)
        };
        let framed = framed(&log);
        let log = Log::read(framed.as_bytes());
        let first = format!("{:?}", grade(&facts, &log).resolved());
        prop_assert_eq!(first, format!("{:?}", grade(&facts, &log).resolved()));
    }

    #[test]
    fn any_bytes_are_a_log(bytes in prop::collection::vec(any::<u8>(), 0..400), number in 0..TABLE.len()) {
        let facts = facts(TABLE[number].0);
        let log = Log::read(&bytes);
        prop_assert!(!log.as_str().contains('\r'));
        prop_assert!(!grade(&facts, &log).resolved() || log.as_str().contains(">>>>> "));
    }

    #[test]
    fn a_test_more_that_failed_never_helps(log in text(), number in 0..TABLE.len()) {
        let mut facts = facts(TABLE[number].0);
        let framed = framed(&log);
        let log = Log::read(framed.as_bytes());
        facts.fail_to_pass = vec!["a".to_owned()];
        let one = grade(&facts, &log).resolved();
        facts.fail_to_pass.push("no such test".to_owned());
        prop_assert!(one || !grade(&facts, &log).resolved());
    }
}
