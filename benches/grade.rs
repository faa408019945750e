//! How long grading a log takes.
//!
//! `cargo bench --bench grade [-- MEGABYTES [ROUNDS]]`. For each parser three logs of that size:
//! `tests` holds nothing but lines of tests, which is the most work a log can make; `noise` holds
//! a tenth of them between what tests print; `none` holds no test at all. Grading a log is
//! decoding it, looking for its marks, reading its tests and the verdict over 500 of them. The
//! goal is 20 ms for 5 MB. What is measured is the time on the processor.

#![expect(clippy::print_stdout, reason = "a benchmark's numbers are its output")]

use dgm::benchmark::swebench::{EvalType, Grade, GradeFacts, Log, Parser, grade};

/// A parser, and a line of a test that passed with a place for its number.
const LINES: &[(&str, &str)] = &[
    (
        "parse_log_pytest",
        "PASSED tests/test_module_#.py::TestCase::test_name[param-#]",
    ),
    (
        "parse_log_requests",
        "PASSED tests/test_module_#.py::test_name[/a/path/#]",
    ),
    (
        "parse_log_sphinx",
        "PASSED tests/test_module.py::test_name[a # b]",
    ),
    (
        "parse_log_scikit",
        "tests/test_module.py::test_name[\x1b[32m#] PASSED",
    ),
    (
        "parse_log_matplotlib",
        "PASSED lib/tests/test_#.py::test_a[MouseButton.LEFT-#]",
    ),
    (
        "parse_log_seaborn",
        "tests/test_module.py::test_name[#] PASSED        [ 12%]",
    ),
    (
        "parse_log_django",
        "test_name_# (model_forms.tests.ModelFormTests) ... ok",
    ),
    ("parse_log_sympy", "test_solve_linear_# ok"),
    ("parse_log_cargo", "test module::tests::test_name_# ... ok"),
    (
        "parse_log_gotest",
        "--- PASS: TestName/with_a_case_# (0.00s)",
    ),
    (
        "parse_log_maven",
        "+ mvnd test -Dtest=org.name.ClassTest#\n[INFO] BUILD SUCCESS",
    ),
    (
        "parse_log_gradle_custom",
        "org.name.ClassTest > testName# PASSED",
    ),
    ("parse_log_ant", "[junit] [PASS] some.name.of.a.test#"),
    ("parse_log_phpunit", " ✔ Name of a test with number #"),
    (
        "parse_log_jest",
        "    ✓ does what it should number # (12 ms)",
    ),
    (
        "parse_log_jest_json",
        "[PASSED] suite > does what it should number #",
    ),
    (
        "parse_log_vitest",
        " ✓ packages/a/b.spec.ts > suite > name # 12ms",
    ),
    ("parse_log_tap", "ok # name of a test number #"),
    ("parse_log_karma", "      ✔ does what it should number #"),
    (
        "parse_log_react_pdf",
        "PASS packages/name/tests/file_#.test.js (1.23 s)",
    ),
    (
        "parse_log_highlightjs",
        "    ✓ does what it should number # (12ms)",
    ),
    (
        "parse_log_quarto_cli",
        "[smoke] > name # ... \x1b[0m\x1b[32mok\x1b[0m (1s)",
    ),
    ("parse_log_redis", "[ok]: name of a test number # (12 ms)"),
    ("parse_log_jq", "PASS: tests/name_#"),
    ("parse_log_micropython_test", "pass  basics/name_#.py"),
    (
        "parse_log_googletest",
        "[       OK ] suite_name.test_name_# (0 ms)",
    ),
    ("parse_log_minitest", "TestClass#test_name_#. = 0.01 s = ."),
    ("parse_log_cucumber", "features/name_#.feature ...."),
    (
        "parse_log_ruby_unit",
        "test: name of a test number #:\t.: (0.012345)",
    ),
    (
        "parse_log_rspec_transformed_json",
        "does what it should number # - passed",
    ),
    ("parse_log_marked", "#) name of test # that failed"),
    (
        "parse_log_chart_js",
        "Chrome 99.0.1 (Linux x86_64) name of a test # FAILED",
    ),
    (
        "parse_log_openlayers",
        "Chrome Headless 99.0 (Linux x86_64) name # FAILED",
    ),
    (
        "parse_log_bpmn_js",
        "HeadlessChrome 99.0.1 (Linux 0.0.0) name # FAILED",
    ),
    (
        "parse_log_eslint",
        "  #) name of rule #\n       AssertionError: x",
    ),
    (
        "parse_log_p5js",
        "  #) suite\n       name of test #:\n     Error",
    ),
    (
        "parse_log_grommet",
        "PASS packages/name/tests/file_#.test.js (1.23 s)",
    ),
];
/// Parsers that want something around the tests, or that read two formats: parser, id and
/// version of the instance, what stands before, a line, what stands after.
const FRAMED: &[[&str; 6]] = &[
    [
        "parse_log_calypso",
        "a__a-1",
        "1",
        " ./node_modules/.bin/jest \n  suite\n",
        "    ✓ does what it should number # (12ms)",
        "",
    ],
    [
        "parse_log_doctest",
        "a__a-1",
        "1",
        "<doctest>",
        "<TestCase name=\"#\"><SubCase name=\"b\"><Expression success=\"true\"><Original>a == #\
         </Original></Expression></SubCase></TestCase>",
        "</doctest>",
    ],
    [
        "parse_log_jekyll",
        "jekyll__jekyll-9141",
        "1",
        "",
        "TestClass#test_name_#. = 0.01 s = .",
        "",
    ],
    [
        "parse_log_lighthouse",
        "a__a-1",
        "9.5",
        "running 2 test files\nsuite\n",
        "  ✔ does what it should number # (12ms)",
        "",
    ],
    [
        "parse_log_lighthouse",
        "a__a-1",
        "2.0",
        "./node_modules/.bin/mocha --reporter json\n\"passes\": [\n",
        "{\n\"title\": \"#\",\n\"fullTitle\": \"suite test #\",\n\"duration\": 2\n},",
        "]",
    ],
    [
        "parse_log_next",
        "a__a-1",
        "1",
        " xvfb-run \nStarting browser Chrome\n  suite\n",
        "    ✓ does what it should number #",
        "",
    ],
    [
        "parse_log_next",
        "a__a-1",
        "1.27",
        "Running: a (1 of 1)\n\n\n  suite\n",
        "    ✓ does what it should number # (12ms)",
        "",
    ],
    [
        "parse_log_prismjs",
        "a__a-1",
        "1",
        "./node_modules/.bin/mocha tests/run.js --reporter json\n{\"failures\": [], \"passes\": [\
         {\"fullTitle\": \"first\"}",
        ",{\"title\": \"test #\", \"fullTitle\": \"suite test #\", \"duration\": 2, \"err\": {}}",
        "]}",
    ],
];
/// What tests print.
const NOISE: &str =
    "2024-01-01 00:00:00,000 - INFO - some.module.name: a message - of [some] length (#)";

/// One line of the table.
struct Case {
    facts: GradeFacts,
    head: &'static str,
    line: &'static str,
    foot: &'static str,
}

impl Case {
    fn new([parser, id, version, head, line, foot]: [&'static str; 6]) -> Self {
        Self {
            facts: GradeFacts {
                instance_id: id.to_owned(),
                version: version.to_owned(),
                parser: Parser::named(parser).expect("it is known"),
                eval_type: EvalType::PassAndFail,
                fail_to_pass: vec!["none[".to_owned()],
                pass_to_pass: (0..500).map(|n| format!("test_name_{n}")).collect(),
            },
            head,
            line,
            foot,
        }
    }

    /// Returns a log with a test in every so many lines; none: without a test.
    fn log(&self, bytes: usize, every: Option<usize>) -> String {
        let mut log = format!(">>>>> Start Test Output\n{}", self.head);
        let mut number = 0;
        while log.len() < bytes {
            number += 1;
            let is_test = every.is_some_and(|every| number % every == 0);
            let line = if is_test { self.line } else { NOISE };
            log.push_str(&line.replace('#', &number.to_string()));
            log.push('\n');
        }
        log.push_str(self.foot);
        log.push_str("\n>>>>> End Test Output\n>>>>> Test Exit Code: 0\n");
        log
    }

    /// Returns the median time of some rounds in milliseconds, and how many tests were read.
    fn measure(&self, log: &str, rounds: usize) -> (f64, usize) {
        let mut times = Vec::with_capacity(rounds);
        let mut tests = 0;
        for _ in 0..rounds {
            let begun = processor_ms();
            let read = Log::read(log.as_bytes());
            let graded = grade(&self.facts, &read);
            tests = match &graded {
                Grade::Found { statuses, .. } => statuses.len(),
                Grade::NotFound { .. } => 0,
            };
            drop(graded);
            times.push(processor_ms() - begun);
        }
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2], tests)
    }
}

/// Returns the time that this thread has had a processor, in milliseconds: other load on the
/// machine does not count.
fn processor_ms() -> f64 {
    // The kernel counts to the nanosecond what a thread has used when it waits.
    std::thread::sleep(std::time::Duration::from_nanos(1));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat");
    let text = text.expect("the kernel counts what threads use");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|field| field.parse::<f64>().ok());
    nanoseconds.expect("the first field is a number") / 1e6
}

fn main() {
    let numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let bytes = numbers.first().copied().unwrap_or(5) << 20;
    let rounds = numbers.get(1).copied().unwrap_or(9);
    println!("grading {} MB, median of {rounds}", bytes >> 20);
    println!(
        "{:<34}{:>10}{:>10}{:>10}{:>10}",
        "parser", "tests ms", "noise ms", "none ms", "tests"
    );
    let plain = LINES
        .iter()
        .map(|(parser, line)| [*parser, "a__a-1", "1", "Starting browser\n", *line, ""]);
    for case in plain.chain(FRAMED.iter().copied()).map(Case::new) {
        let (tests, count) = case.measure(&case.log(bytes, Some(1)), rounds);
        let (noise, _) = case.measure(&case.log(bytes, Some(10)), rounds);
        let (none, _) = case.measure(&case.log(bytes, None), rounds);
        let name = case.facts.parser.name();
        println!("{name:<34}{tests:>10.1}{noise:>10.1}{none:>10.1}{count:>10}");
    }
}
