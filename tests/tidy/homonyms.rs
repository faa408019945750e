//! Names that stand for more than one type.

use crate::modules::program;
use crate::source::{Source, sources};
use crate::{module, report_beyond};
use std::collections::{BTreeMap, BTreeSet};

/// Names that are known to stand for two types of one module. It may only shrink, to none.
const TWICE_IN_ONE_MODULE: usize = 7;

/// How many names in a hundred may stand for types of two modules. It may only shrink, to 3.
const PERCENT: usize = 6;

/// Names that stand for the same thing of each file by convention: a command's arguments.
const CONVENTIONS: &[&str] = &["Args"];

/// The files that define a type of each name.
fn definitions(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut defined: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in program(sources).into_values() {
        let own = |name: &&String| !CONVENTIONS.contains(&name.as_str());
        for name in source.types.iter().filter(own) {
            defined.entry(name).or_default().insert(&source.name);
        }
    }
    defined
}

/// Names with more than one file, a line for each; all of them, or those twice in one module.
fn homonyms(sources: &[Source], in_one_module: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, files) in definitions(sources) {
        let modules: BTreeSet<&str> = files.iter().map(|file| module(file)).collect();
        let many = if in_one_module {
            modules.len() < files.len()
        } else {
            files.len() > 1
        };
        if many {
            let files: Vec<&str> = files.into_iter().collect();
            lines.push(format!("`{name}`: {}", files.join(", ")));
        }
    }
    lines
}

#[test]
fn a_name_is_one_type_in_its_module() {
    report_beyond(TWICE_IN_ONE_MODULE, &homonyms(sources("src"), true));
}

#[test]
fn few_names_are_types_of_two_modules() {
    let names = definitions(sources("src")).len();
    report_beyond(names * PERCENT / 100, &homonyms(sources("src"), false));
}

#[test]
fn homonyms_are_found() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a/mod.rs",
            "mod c; #[cfg(test)] mod tests; struct A; struct B; fn f() { struct D; }",
        ),
        ("a/c.rs", "enum A {} trait C { type B; } struct D;"),
        ("a/tests.rs", "struct B;"),
        ("b.rs", "type C = u8;"),
    ];
    let sources = files.map(|(name, text)| Source::read(name.to_owned(), text.to_owned()));
    assert_eq!(definitions(&sources).len(), 4);
    assert_eq!(homonyms(&sources, true), ["`A`: a/c.rs, a/mod.rs"]);
    assert_eq!(
        homonyms(&sources, false),
        ["`A`: a/c.rs, a/mod.rs", "`C`: a/c.rs, b.rs"]
    );
}
