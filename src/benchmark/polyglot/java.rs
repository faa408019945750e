//! Polyglot's Java exercises.

use super::Mode;
use super::rules::Rules;

/// Rules for Java. Gradle is not used: the runner calls the compiler and JUnit's launcher.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-java",
    hides,
    unskip,
    count_tests,
    place,
    unlisted: &[],
    folder: Some("src/main/java"),
    runner: &[("language.py", include_str!("java/language.py"))],
    needs: &[("hangman", "rxjava.jar"), ("rest-api", "json.jar")],
    // Both are about better code for the same behavior.
    stub_passes: &["ledger", "tree-building"],
    seconds: (180, 120),
    memory_mb: Some(4096),
    // A thousand at once where nothing slows their start: `bank-account`.
    threads: Some(2048),
    libraries: "Further classes beside it count, too. There is no network and no Gradle: \
                `javac` works, and the libraries that `build.gradle` names are in \
                `/usr/share/java` and `/opt/java`.",
};

fn hides(path: &str) -> bool {
    path.starts_with("src/test/")
}

fn place(example: &str, _solution: &[String]) -> Option<String> {
    let name = example.strip_prefix(".meta/src/reference/java/")?;
    Some(format!("src/main/java/{name}"))
}

/// Takes out the lines that disable a test: Aider those that give a reason, the published DGM
/// runs none.
fn unskip(text: &str, mode: Mode) -> String {
    if mode == Mode::Dgm {
        return text.to_owned();
    }
    text.split_inclusive('\n')
        .filter(|line| {
            let line = line.trim();
            let bare = line == "@Disabled";
            let reason = line.starts_with("@Disabled(\"") && line.ends_with("\")");
            !(reason || bare && mode == Mode::Full)
        })
        .collect()
}

/// Counts the tests that are not disabled; annotations stand in any order.
fn count_tests(text: &str) -> usize {
    let (mut is_test, mut is_disabled) = (false, false);
    let mut count = 0;
    for line in text.lines().map(str::trim) {
        if line == "@Test" {
            is_test = true;
        } else if line.starts_with("@Disabled") {
            is_disabled = true;
        } else if !line.starts_with('@') {
            count += usize::from(is_test && !is_disabled);
            (is_test, is_disabled) = (false, false);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{count_tests, unskip};
    use crate::benchmark::polyglot::Mode;

    #[test]
    fn lifts_what_the_mode_lifts() {
        let text = "    @Test\n    void a() {}\n    @Disabled(\"Remove\")\n    @Test\n    void b() {}\n\
                    \x20   @Disabled\n    @Test\n    void c() {}\n";
        for (mode, count) in [(Mode::Full, 3), (Mode::Aider, 2), (Mode::Dgm, 1)] {
            assert_eq!(count_tests(&unskip(text, mode)), count, "{mode}");
        }
    }
}
