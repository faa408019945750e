//! The files of a folder and what the checks look at in each.

use crate::imports::{self, Import};
use crate::tokens::{code_lines, declared_modules, defined_types, paths, without_tests};
use proc_macro2::TokenStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What is looked at of one file.
pub(crate) struct Source {
    /// Relative to `src/` or `tests/`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Paths in it, without those of inline tests.
    pub(crate) paths: Vec<Vec<String>>,
    /// Lines of code, without inline tests.
    pub(crate) code: usize,
    /// Modules it declares.
    pub(crate) modules: Vec<String>,
    /// Modules it declares for more than its tests.
    pub(crate) children: Vec<String>,
    /// Names it imports, without those of inline tests.
    pub(crate) imports: Vec<Import>,
    /// Paths outside of its imports, without those of inline tests.
    pub(crate) mentions: Vec<Vec<String>>,
    /// Types it defines outside of functions and inline tests.
    pub(crate) types: Vec<String>,
}

/// The folder of the crate.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Reads a folder once, whichever test comes first.
pub(crate) fn sources(folder: &'static str) -> &'static [Source] {
    static SRC: OnceLock<Vec<Source>> = OnceLock::new();
    static TESTS: OnceLock<Vec<Source>> = OnceLock::new();
    let read = if folder == "src" { &SRC } else { &TESTS };
    read.get_or_init(|| {
        let folder = root().join(folder);
        let mut paths = Vec::new();
        rust_files(&folder, &mut paths);
        paths.sort();
        paths.iter().map(|path| source(&folder, path)).collect()
    })
}

fn source(folder: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("sources are UTF-8");
    let name = path
        .strip_prefix(folder)
        .expect("it is below")
        .display()
        .to_string();
    Source::read(name, text)
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn read(name: String, text: String) -> Self {
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let modules = declared_modules(tokens.clone());
        let tokens = without_tests(tokens);
        let (imports, rest) = imports::split(tokens.clone());
        Self {
            paths: paths(&tokens),
            code: code_lines(&tokens),
            modules,
            children: declared_modules(tokens.clone()),
            imports,
            mentions: paths(&rest),
            types: defined_types(tokens),
            name,
            text,
        }
    }
}
