//! Polyglot's Rust exercises.

use super::rules::{Rules, nothing_skipped};

/// Rules for Rust. The runner asks for the ignored tests, too, as everybody does.
pub(super) const RULES: Rules = Rules {
    image: "dgm-polyglot-rust",
    hides,
    unskip: nothing_skipped,
    count_tests,
    place,
    unlisted: &[(".meta/Cargo-example.toml", "Cargo.toml")],
    folder: None,
    runner: &[("language.py", include_str!("rust/language.py"))],
    needs: &[],
    stub_passes: &[],
    seconds: (180, 120),
    memory_mb: Some(4096),
    threads: None,
    libraries: "There is no network: beside the standard library only the crates in \
                `/opt/crates` can be used. `cargo build` and `cargo test` work.",
};

/// Tests, what they read, and measurements.
fn hides(path: &str) -> bool {
    path.starts_with("tests/") || path.starts_with("benches/")
}

fn place(example: &str, solution: &[String]) -> Option<String> {
    let name = if example.ends_with(".rs") {
        "src/lib.rs"
    } else {
        "Cargo.toml"
    };
    solution.iter().find(|file| *file == name).cloned()
}

/// Counts the tests; what a feature of the crate switches off is none.
fn count_tests(text: &str) -> usize {
    let mut count = 0;
    let mut depth = 0_i64;
    let mut attributes: Vec<&str> = Vec::new();
    let mut off_from: Option<i64> = None;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default().trim();
        let attribute = code
            .strip_prefix("#[")
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(attribute) = attribute {
            attributes.push(attribute);
        } else if !code.is_empty() {
            let off = attributes
                .iter()
                .any(|name| name.starts_with("cfg(feature"));
            if off && off_from.is_none() && code.contains('{') {
                off_from = Some(depth);
            }
            let function = code.strip_prefix("pub ").unwrap_or(code);
            if off_from.is_none() && function.starts_with("fn ") && attributes.contains(&"test") {
                count += 1;
            }
            attributes.clear();
        }
        for character in code.chars() {
            depth += match character {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
        }
        if off_from.is_some_and(|from| depth <= from) && code.contains('}') {
            off_from = None;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::count_tests;

    #[test]
    fn counts_tests_that_are_switched_on() {
        let text = "#[test]\nfn a() {\n}\n\n#[test]\n#[ignore]\nfn b() {\n    if x {\n    }\n}\n\n\
                    // #[test]\nfn helper() {\n}\n\n#[cfg(feature = \"io\")]\n#[test]\nfn c() {\n}\n\n\
                    #[cfg(feature = \"io\")]\nmod more {\n    #[test]\n    fn d() {\n    }\n}\n\n\
                    mod last {\n    #[test]\n    fn e() {\n    }\n}\n";
        assert_eq!(count_tests(text), 3);
    }
}
