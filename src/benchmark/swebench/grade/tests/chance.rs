//! Logs made by chance: nothing panics, and what must hold always holds.

use super::{facts, framed};
use crate::benchmark::swebench::grade::parser::TABLE;
use crate::benchmark::swebench::grade::{GradeFacts, Log, grade};
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

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

/// One piece, or a few other characters.
pub(super) fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES).prop_map(str::to_owned);
    let other = "[ -~é\\n]{0,3}";
    proptest::prop_oneof![4 => piece, 1 => other]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(pieces(), 0..80).prop_map(|pieces| pieces.concat())
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
