//! The Polyglot exercises as Harbor task directories.
//!
//! Turns a checkout of the public repository (or an archive of one) into a benchmark that
//! runs without network: stubs and instructions where an agent sees them, tests and reference
//! solutions where it does not. A language is one file of [`Rules`] beside this one, and a
//! folder with what its tests' runner must know.
//!
//! Invariant: no test, reference solution or published approach is in what an agent gets.
//! The result appears under its name whole or not at all, and nothing that this module did
//! not make is ever replaced.

mod cpp;
mod error;
mod exercise;
mod go;
mod java;
mod javascript;
mod language;
mod mode;
mod python;
mod render;
mod rules;
mod rules_of;
mod rust;
mod source;

pub use error::ImportError;
pub use language::Language;
pub use mode::Mode;

use super::publish::Target;
use crate::domain::TaskId;
use exercise::Exercise;
use std::collections::BTreeMap;
use std::path::Path;

/// What an import made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Name of the dataset, such as `polyglot/python-full`.
    pub dataset: String,
    /// The tasks, in order of name.
    pub tasks: Vec<TaskId>,
    /// Images that the tasks run in.
    pub images: Vec<String>,
}

/// Makes a benchmark of the exercises of some languages. `checkout` is the repository's
/// folder or a `.tar.gz` of it; `out` is made, or replaced if an import made it.
pub fn import(
    checkout: &Path,
    out: &Path,
    languages: &[Language],
    mode: Mode,
) -> Result<Imported, ImportError> {
    let mut languages = languages.to_vec();
    languages.sort_unstable();
    languages.dedup();
    if languages.is_empty() {
        return Err(ImportError::NoLanguage);
    }
    let target = Target::check(out, "polyglot")?;
    let mut tasks = BTreeMap::new();
    let mut images = Vec::new();
    for language in &languages {
        let language = *language;
        let rules = rules_of::rules(language);
        images.push(rules.image.to_owned());
        let files = source::read(checkout, language)?;
        for (slug, files) in source::exercises(&files) {
            let exercise = Exercise::read(language, &slug, &files, mode)?;
            let name = format!("{language}__{slug}");
            tasks.insert(name, render::task(&exercise, rules, mode));
        }
    }
    let dataset = dataset_name(&languages, mode);
    let manifest = render::dataset(&dataset, &languages, mode, &tasks);
    target.publish(&tasks, &manifest)?;
    Ok(Imported {
        dataset,
        tasks: tasks.into_keys().map(TaskId::new).collect(),
        images,
    })
}

/// Returns the dataset's name. The mode is part of it: results of different modes are not
/// comparable.
fn dataset_name(languages: &[Language], mode: Mode) -> String {
    if languages.len() == Language::ALL.len() {
        return format!("polyglot/{mode}");
    }
    let names: Vec<&str> = languages.iter().map(|language| language.name()).collect();
    format!("polyglot/{}-{mode}", names.join("-"))
}

#[cfg(test)]
mod tests;
