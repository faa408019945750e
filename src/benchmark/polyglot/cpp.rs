//! Polyglot's C++ exercises.

use super::rules::{Rules, nothing_skipped};

/// Rules for C++. What is not guarded runs always; the rest when `EXERCISM_RUN_ALL_TESTS` is
/// set, as every mode does.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-cpp",
    hides,
    unskip: nothing_skipped,
    count_tests,
    place,
    unlisted: &[],
    folder: None,
    runner: &[
        ("language.py", include_str!("cpp/language.py")),
        ("once.py", include_str!("cpp/once.py")),
    ],
    needs: &[],
    stub_passes: &[],
    // Catch, the test framework, takes most of a minute where cores are busy.
    seconds: (240, 180),
    memory_mb: Some(4096),
    threads: None,
    libraries: "Use C++17; warnings are errors. `cmake` and `make` work, and `test/` holds the \
                test framework.",
};

fn hides(path: &str) -> bool {
    path.ends_with("_test.cpp")
}

/// A header goes where the header is, the rest where the rest is.
fn place(example: &str, solution: &[String]) -> Option<String> {
    let ending = &example[example.rfind('.')?..];
    solution.iter().find(|file| file.ends_with(ending)).cloned()
}

/// Counts the tests; benchmarks are off.
fn count_tests(text: &str) -> usize {
    let mut count = 0;
    let mut is_benchmark = false;
    for line in text.lines() {
        if line.starts_with("#if defined(EXERCISM_INCLUDE_BENCHMARK)") {
            is_benchmark = true;
        } else if line.starts_with("#endif") {
            is_benchmark = false;
        } else if !is_benchmark && line.trim_start().starts_with("TEST_CASE(") {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{count_tests, place};

    #[test]
    fn counts_tests_without_benchmarks() {
        let text = "TEST_CASE(\"a\") {\n}\n#if defined(EXERCISM_RUN_ALL_TESTS)\nTEST_CASE(\n    \"b\") {\n}\n\
                    #endif\n\n#if defined(EXERCISM_INCLUDE_BENCHMARK)\nTEST_CASE(\"c\") {\n}\n#endif\n";
        assert_eq!(count_tests(text), 2);
    }

    #[test]
    fn a_reference_goes_by_its_ending() {
        let solution = ["leap.cpp".to_owned(), "leap.h".to_owned()];
        let placed = |example| place(example, &solution);
        assert_eq!(placed(".meta/example.h").as_deref(), Some("leap.h"));
        assert_eq!(placed(".meta/example.cpp").as_deref(), Some("leap.cpp"));
    }
}
