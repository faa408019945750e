//! What is particular to a language, as far as the importer must know it.

use super::Mode;
use std::borrow::Cow;

/// What is particular to a language.
#[derive(Debug)]
pub(super) struct Rules {
    /// Image in which its tests run.
    pub image: &'static str,
    /// Returns whether a file is hidden although the exercise does not list it as a test.
    pub hides: fn(&str) -> bool,
    /// Lifts the skip markers of a test file, as far as the mode lifts them.
    pub unskip: fn(&str, Mode) -> String,
    /// Returns the number of tests in a test file that are not skipped.
    pub count_tests: fn(&str) -> usize,
    /// Returns where a file of the reference goes, by the files to write; none leaves it out.
    pub place: fn(&str, &[String]) -> Option<String>,
    /// Files of the reference that an exercise may have and does not list, and where they go.
    pub unlisted: &'static [(&'static str, &'static str)],
    /// Folder in which an agent may write more files than the exercise names, if there is one.
    pub folder: Option<&'static str>,
    /// What the tests' runner must know: its files in `tests/`.
    pub runner: &'static [(&'static str, &'static str)],
    /// Libraries that single exercises need, by exercise.
    pub needs: &'static [(&'static str, &'static str)],
    /// Exercises whose untouched stub passes: they measure something else than solving.
    pub stub_passes: &'static [&'static str],
    /// Seconds for the tests, and for the tests that must fail.
    pub seconds: (u32, u32),
    /// MiB of memory for agent and tests; none is the run's default.
    pub memory_mb: Option<u32>,
    /// Threads that tests may start; none is the run's default of processes.
    pub threads: Option<u32>,
    /// What the instruction says of libraries and of how to try things.
    pub libraries: &'static str,
}

/// Leaves a test file as it is: nothing in it is skipped.
pub(super) fn nothing_skipped(text: &str, _mode: Mode) -> String {
    text.to_owned()
}

/// Puts the only file of a reference in the place of the only file to write.
pub(super) fn only_one(_example: &str, solution: &[String]) -> Option<String> {
    solution.first().cloned()
}

/// Replaces a word that begins where no name goes on before it.
pub(super) fn replace_word<'a>(text: &'a str, from: &str, to: &str) -> Cow<'a, str> {
    if !text.contains(from) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let goes_on = rest[..at]
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back())
            .is_some_and(|before| before.is_alphanumeric() || "_$.".contains(before));
        out.push_str(&rest[..at]);
        out.push_str(if goes_on { from } else { to });
        rest = &rest[at + from.len()..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::replace_word;

    #[test]
    fn replaces_whole_words() {
        let text = "xit(1); exit(2); a.xit(3);\nxit(4); (xit(5))";
        assert_eq!(
            replace_word(text, "xit(", "it("),
            "it(1); exit(2); a.xit(3);\nit(4); (it(5))"
        );
        assert_eq!(replace_word("", "xit(", "it("), "");
    }
}
