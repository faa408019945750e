//! Polyglot's Python exercises.

use super::rules::{Rules, nothing_skipped, only_one};

/// Rules for Python.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-python",
    hides,
    unskip: nothing_skipped,
    count_tests,
    place: only_one,
    unlisted: &[],
    folder: None,
    runner: &[("language.py", include_str!("python/language.py"))],
    needs: &[],
    stub_passes: &[],
    // The published runs give 120 s in all.
    seconds: (75, 30),
    memory_mb: None,
    threads: None,
    libraries: "Use Python's standard library only: nothing else is installed when the tests run.",
};

/// Whatever pytest would collect or load by itself.
fn hides(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_python = name.ends_with(".py");
    is_python && (name.starts_with("test_") || name.ends_with("_test.py"))
        || ["conftest.py", "pytest.ini", "tox.ini", "setup.cfg"].contains(&name)
}

/// Counts the test functions; a test that runs with several values counts once. The tests'
/// runner counts with Python's own parser and gives no reward if the two differ.
fn count_tests(text: &str) -> usize {
    text.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("def test"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{count_tests, hides};

    #[test]
    fn hides_what_pytest_would_load() {
        for path in ["test_utils.py", "a/bowling_test.py", "conftest.py"] {
            assert!(hides(path), "`{path}` is hidden");
        }
        for path in ["bowling.py", "testing.py", "data/test_data.txt"] {
            assert!(!hides(path), "`{path}` is visible");
        }
    }

    #[test]
    fn counts_test_functions() {
        let text = "class A:\n    def test_a(self):\n        pass\n\n    def helper(self):\n\
                    \x20       x = 'def test_no'\n\n    def test_b(self):\n        pass\n";
        assert_eq!(count_tests(text), 2);
    }
}
