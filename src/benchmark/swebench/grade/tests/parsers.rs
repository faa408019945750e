//! What each parser makes of what its runner prints.

use super::{facts, framed, statuses, why};
use crate::benchmark::swebench::grade::GradeFacts;
use std::collections::BTreeMap;

/// A parser, what its runner prints, and what becomes of each test.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CASES: &[Case] = &[
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

#[test]
fn every_parser_reads_its_runner() {
    for (parser, body, want) in CASES {
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
fn a_report_of_mocha_s_is_read_as_python_reads_it() {
    let facts = facts("parse_log_prismjs");
    let log = |report: &str| {
        framed(&format!(
            "./node_modules/.bin/mocha tests/run.js --reporter json\n{report}\n"
        ))
    };
    for (report, test) in [
        // What comes last holds.
        (
            r#"{"failures": 1, "failures": [], "passes": [{"fullTitle": "a"}]}"#,
            "a",
        ),
        (
            r#"{"failures": [], "passes": [{"fullTitle": 1, "fullTitle": "a\u00e9"}]}"#,
            "aé",
        ),
        (
            r#"{"tests": [1, [null]], "failures": [], "passes": [{"err": {}, "fullTitle": "a"}]}"#,
            "a",
        ),
    ] {
        let found = statuses(&facts, &log(report)).expect(report);
        assert_eq!(found.get(test).map(String::as_str), Some("PASSED"));
    }
    for report in [
        r#"{"failures": [], "passes": [["a"]]}"#,
        r#"{"failures": [], "passes": [{"title": "a"}]}"#,
        r#"{"failures": [], "passes": [{"fullTitle": 1}]}"#,
        r#"{"passes": [{"fullTitle": "a"}]}"#,
        r#"{"failures": [], "passes": {}}"#,
        r#"{"failures": [], "passes": []"#,
    ] {
        assert!(
            why(&facts, &log(report)).contains("left no report"),
            "{report}"
        );
    }
}
