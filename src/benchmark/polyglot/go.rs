//! Polyglot's Go exercises.

use super::rules::{Rules, nothing_skipped, only_one};

/// Rules for Go.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-go",
    hides,
    unskip: nothing_skipped,
    count_tests,
    place: only_one,
    unlisted: &[],
    folder: None,
    runner: &[("language.py", include_str!("go/language.py"))],
    needs: &[],
    // `ledger` and `markdown` are about better code for the same behavior; in `counter` the
    // solution is itself a file of tests, and nothing tests it.
    stub_passes: &["counter", "ledger", "markdown"],
    seconds: (150, 90),
    memory_mb: Some(4096),
    threads: None,
    libraries: "Use Go's standard library only: nothing else is installed when the tests run. \
                `go build`, `go vet` and `go test` work.",
};

/// Tests, and the tables of cases that they go through.
fn hides(path: &str) -> bool {
    path.ends_with("_test.go")
}

/// Counts the test functions; the cases of a table that each of them goes through come on top.
fn count_tests(text: &str) -> usize {
    // A file for a tag that nobody sets: a constraint that holds without any has a negation.
    let is_off = text
        .lines()
        .take_while(|line| !line.starts_with("package "))
        .any(|line| line.starts_with("//go:build ") && !line.contains('!'));
    if is_off {
        return 0;
    }
    text.lines()
        .filter_map(|line| line.strip_prefix("func Test"))
        .filter(|rest| rest.starts_with(|first: char| !first.is_lowercase()))
        .filter(|rest| rest.contains(" *testing.T) {"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::count_tests;

    #[test]
    fn counts_test_functions() {
        let text = "func TestA(t *testing.T) {\n}\nfunc Testify(t *testing.T) {\n}\n\
                    func BenchmarkA(b *testing.B) {\n}\nfunc TestMain(m *testing.M) {\n}\n";
        assert_eq!(count_tests(text), 1);
        for (constraint, count) in [("bonus", 0), ("step1 || (!step2 && !step3)", 1)] {
            let text = format!("//go:build {constraint}\n\npackage x\n\n{text}");
            assert_eq!(count_tests(&text), count, "{constraint}");
        }
    }
}
