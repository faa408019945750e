//! The tree of modules that the crate's root leads to.

use crate::source::Source;
use std::collections::BTreeMap;

/// A module's path below the crate.
pub(crate) type ModulePath = Vec<String>;

/// The modules of the program, without those that are only tests.
pub(crate) fn program(sources: &[Source]) -> BTreeMap<ModulePath, &Source> {
    let all: BTreeMap<ModulePath, &Source> = sources
        .iter()
        .map(|source| (module_path(&source.name), source))
        .collect();
    let mut modules = BTreeMap::new();
    let mut open = vec![ModulePath::new()];
    while let Some(at) = open.pop() {
        let Some(source) = all.get(&at) else { continue };
        open.extend(source.children.iter().map(|child| below(&at, child)));
        modules.insert(at, *source);
    }
    modules
}

/// The path of a module's child.
pub(crate) fn below(module: &[String], child: &str) -> ModulePath {
    let mut below = module.to_vec();
    below.push(child.to_owned());
    below
}

/// The module that a file holds.
fn module_path(name: &str) -> ModulePath {
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    if stem == "lib" {
        return ModulePath::new();
    }
    let mut parts: ModulePath = stem.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}
