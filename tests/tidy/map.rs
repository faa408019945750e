//! The code map in `docs/architecture.md` names every part of every module.

use crate::report_beyond;
use crate::source::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Parts that are known to be missing. It may only shrink, to none.
const MISSING_ALLOWED: usize = 0;

/// Which words in backticks the map has for each module: of its item in the list, not of others.
fn code_map(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let from = text.split("\n## Code map\n").nth(1).unwrap_or_default();
    let section = from.split("\n## ").next().unwrap_or_default();
    let items = section.split("\n- ").skip(1);
    let items = items.map(|item| {
        // A blank line ends the item; what follows is about something else.
        let item = item.split("\n\n").next().unwrap_or(item);
        let mut words = item.split('`').skip(1).step_by(2);
        let module = words.next().unwrap_or_default().to_owned();
        let parts = words.flat_map(|word| word.split(|c: char| !(c.is_alphanumeric() || c == '_')));
        let parts = parts.filter(|part| !part.is_empty()).map(str::to_owned);
        (module, parts.collect())
    });
    items.collect()
}

/// Files and folders directly below a module, without its root and its tests.
fn parts(folder: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        let is_code = path.is_dir() || path.extension().is_some_and(|kind| kind == "rs");
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.filter(|stem| is_code && !["mod", "tests"].contains(stem));
        parts.extend(stem.map(str::to_owned));
    }
    // `load.rs` and the folder `load` are one part.
    parts.sort();
    parts.dedup();
    parts
}

/// Parts that the map does not name.
fn missing(text: &str, source: &Path) -> Vec<String> {
    let map = code_map(text);
    let mut problems = Vec::new();
    for module in parts(source) {
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(named) = map.get(&module) else {
            problems.push(format!("`{module}` has no item in the code map"));
            continue;
        };
        let folder = source.join(&module);
        if !folder.is_dir() {
            continue;
        }
        for part in parts(&folder) {
            if !named.contains(&part) {
                problems.push(format!("the item of `{module}` does not name `{part}`"));
            }
        }
    }
    problems
}

#[test]
fn the_code_map_is_complete() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md"));
    let text = text.expect("it can be read");
    report_beyond(MISSING_ALLOWED, &missing(&text, &root().join("src")));
}

#[test]
fn the_code_map_names_only_what_is_there() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md"));
    let text = text.expect("it can be read");
    for module in code_map(&text).keys() {
        let folder = root().join("src").join(module);
        assert!(
            folder.is_dir() || folder.with_extension("rs").is_file(),
            "the code map has `{module}`, the source has not"
        );
    }
}

#[test]
fn the_code_map_is_read_item_by_item() {
    let text = "`x`\n## Code map\n\nWords.\n\n- `a`: `b` and\n  `c::d`, (`e.f`)\n- `g`: `h/i`\n\n\
                Beside `j`.\n\n## Next\n\n- `k`: `l`\n";
    let map = code_map(text);
    assert_eq!(map.keys().collect::<Vec<_>>(), ["a", "g"]);
    assert_eq!(
        map["a"].iter().collect::<Vec<_>>(),
        ["b", "c", "d", "e", "f"]
    );
    assert_eq!(map["g"].iter().collect::<Vec<_>>(), ["h", "i"]);
}
