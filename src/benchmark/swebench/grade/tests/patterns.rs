//! What is read without regular expressions is what the official parsers' own would read.

use super::chance::pieces;
use super::facts;
use crate::benchmark::swebench::grade::parser::About;
use crate::benchmark::swebench::grade::text::{python, strip, words};
use proptest::prelude::Strategy;
use proptest::{prop_assert_eq, proptest};
use std::collections::BTreeMap;

/// A parser whose tests are what some patterns find, each after the other.
struct Rule {
    parser: &'static str,
    /// Whether the patterns are for each line, stripped.
    by_line: bool,
    /// Whether names are joined with single spaces.
    joined: bool,
    patterns: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        parser: "parse_log_bpmn_js",
        by_line: false,
        joined: false,
        patterns: &[
            r"2KPhantomJS\s[\d\.]+\s\(Linux\s[\d\.]+\)\s(?P<test>.*)FAILED\n",
            r"2KPhantomJS\s[\d\.]+\s\(Linux\sx86_64\)\s(?P<test>.*)FAILED\n",
            r"Chrome\sHeadless\s.*\s\(Linux\sx86_64\)\s(?P<test>.*)FAILED\n",
            r"HeadlessChrome\s[\d\.]+\s\(Linux\s[\d\.]+\)\s(?P<test>.*)FAILED\n",
        ],
    },
    Rule {
        parser: "parse_log_openlayers",
        by_line: false,
        joined: true,
        patterns: &[
            r"Chrome\sHeadless\s[\d\.]+\s\(Linux\s[\d\._\S]+\)\s(?P<test>.*)\sFAILED\n",
            r"Chrome\s[\d\.]+\s\(Linux\s[\d\._\S]+\)\s(?P<test>.*)FAILED\n",
            r"(?m)^\s{2}\d+\)(?P<test>[\s\S]*?)Error:",
            r"(?m)^case\s(?P<test>.*):\smismatch",
        ],
    },
    Rule {
        parser: "parse_log_eslint",
        by_line: false,
        joined: true,
        patterns: &[r"\s{2}\d+\)(?P<test>[\s\S]*?)\s+(?:.*Error)"],
    },
    Rule {
        parser: "parse_log_chart_js",
        by_line: false,
        joined: false,
        patterns: &[r"(?m)Chrome\s[\d\.]+[^\S\r\n]\(.+?\)[^\S\r\n](?P<test>.*)FAILED$"],
    },
    Rule {
        parser: "parse_log_googletest",
        by_line: true,
        joined: false,
        patterns: &[r"^.*\[\s*(?P<status>OK|FAILED)\s*\]\s(?P<test>.*)\s\(.*\)$"],
    },
    Rule {
        parser: "parse_log_cucumber",
        by_line: true,
        joined: false,
        patterns: &[r"^(?P<test>.*) \.+(?P<status>\.|F)"],
    },
];

/// Pieces of what the patterns speak of.
const PIECES: &[&str] = &[
    "2KPhantomJS 1.0 (Linux 1.0) ",
    "2KPhantomJS\n1 (Linux x86_64) ",
    "Chrome Headless 9 (Linux x86_64) ",
    "Chrome Headless ",
    " (Linux x86_64) ",
    "(Linux x86_64)\n",
    "HeadlessChrome 9 (Linux 0.0) ",
    "Chrome 9 (Linux a) ",
    "Chrome 9 (",
    ") ",
    " a",
    "FAILED\n",
    " FAILED\n",
    "\nFAILED\n",
    "case ",
    "case\n",
    ": mismatch",
    ":\nmismatch",
    "\n  1)",
    "\n\n\n2)",
    " 3) ",
    "Error",
    "Error:",
    "x",
    "\n",
    "   ",
    "[ OK ] ",
    "[FAILED] ",
    " (1 ms)\n",
    "(",
    " ...F",
    " .\n",
    "..",
];

fn text() -> impl Strategy<Value = String> {
    let own = proptest::sample::select(PIECES).prop_map(str::to_owned);
    proptest::collection::vec(proptest::prop_oneof![6 => own, 1 => pieces()], 0..40)
        .prop_map(|pieces| pieces.concat())
}

impl Rule {
    fn read(&self, log: &str) -> BTreeMap<String, String> {
        let parts: Vec<&str> = match self.by_line {
            true => log.split('\n').map(strip).collect(),
            false => vec![log],
        };
        let mut tests = BTreeMap::new();
        for pattern in self.patterns {
            let pattern = python(pattern);
            for found in parts.iter().flat_map(|part| pattern.captures_iter(part)) {
                let name = match self.joined {
                    true => words(&found["test"]).collect::<Vec<_>>().join(" "),
                    false => found["test"].to_owned(),
                };
                let status = found.name("status").map_or("FAILED", |word| word.as_str());
                let passed = ["OK", "."].contains(&status);
                let status = if passed { "PASSED" } else { "FAILED" };
                tests.insert(name, status.to_owned());
            }
        }
        tests
    }
}

proptest! {
    #[test]
    fn finds_what_the_patterns_find(log in text(), number in 0..RULES.len()) {
        let rule = &RULES[number];
        let about = About { instance_id: "a__a-1", version: "1" };
        // Colors are taken away before, and have a test of their own.
        let log = log.replace('\x1b', "");
        let found = facts(rule.parser).parser.parse(&log, about).expect("it always can");
        let found: BTreeMap<String, String> = found
            .iter()
            .map(|(test, status)| (test.to_owned(), status.to_owned()))
            .collect();
        prop_assert_eq!(found, rule.read(&log), "{}", rule.parser);
    }
}
