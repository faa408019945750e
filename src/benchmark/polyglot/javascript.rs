//! Polyglot's JavaScript exercises.

use super::Mode;
use super::rules::{Rules, only_one, replace_word};

/// Rules for JavaScript.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-javascript",
    hides,
    unskip,
    count_tests,
    place: only_one,
    unlisted: &[],
    folder: None,
    runner: &[("language.py", include_str!("javascript/language.py"))],
    needs: &[],
    // It is about better code for the same behavior.
    stub_passes: &["ledger"],
    seconds: (150, 90),
    memory_mb: Some(4096),
    threads: None,
    libraries: "There is no network. The packages that `package.json` names are in \
                `/npm-install/node_modules`: `ln -s /npm-install/node_modules .` makes \
                `node_modules/.bin/jest` work.",
};

/// Whatever jest would collect.
fn hides(path: &str) -> bool {
    [".spec.js", ".test.js"]
        .iter()
        .any(|ending| path.ends_with(ending))
        || path.contains("__tests__/")
}

/// Aider replaces one of the five ways to skip that these files use.
fn unskip(text: &str, mode: Mode) -> String {
    let text = replace_word(text, "xtest(", "test(");
    if mode != Mode::Full {
        return text.into_owned();
    }
    let text = replace_word(&text, "xit(", "it(");
    let text = replace_word(&text, "xdescribe(", "describe(");
    let text = replace_word(&text, "test.skip(", "test(");
    let text = replace_word(&text, "it.skip(", "it(");
    replace_word(&text, "describe.skip(", "describe(").into_owned()
}

fn count_tests(text: &str) -> usize {
    text.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("test(") || line.starts_with("it("))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{count_tests, unskip};
    use crate::benchmark::polyglot::Mode;

    #[test]
    fn lifts_what_the_mode_lifts() {
        let text = "test('a');\n  xtest('b');\n  xit('c');\ntest.skip('d');\nxdescribe('e');\n";
        let full = unskip(text, Mode::Full);
        assert_eq!(
            full,
            "test('a');\n  test('b');\n  it('c');\ntest('d');\ndescribe('e');\n"
        );
        assert_eq!(count_tests(&full), 4);
        for mode in [Mode::Aider, Mode::Dgm] {
            assert_eq!(count_tests(&unskip(text, mode)), 2);
        }
    }
}
