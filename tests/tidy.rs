//! The shape of the source: who may import whom, who owns which crate, how long files are.
//!
//! Everything is read from tokens, so that paths inside macros count and strings do not.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Modules and the modules they may import, in layers from below.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("stats", &[]),
    ("sys", &[]),
    ("lineage", &["domain", "stats"]),
    ("model", &["domain", "sys"]),
    ("sandbox", &["domain", "sys"]),
    ("policy", &["domain", "stats", "lineage"]),
    ("view", &["domain", "stats", "lineage"]),
    ("archive", &["domain", "sys", "lineage"]),
    ("gateway", &["domain", "sys", "model"]),
    ("benchmark", &["domain", "sys", "sandbox"]),
    ("propose", &["domain", "model"]),
    ("agent", &["domain"]),
    (
        "trial",
        &[
            "domain",
            "sys",
            "model",
            "gateway",
            "agent",
            "benchmark",
            "sandbox",
        ],
    ),
    (
        "evolve",
        &[
            "domain",
            "stats",
            "sys",
            "lineage",
            "model",
            "sandbox",
            "policy",
            "archive",
            "gateway",
            "benchmark",
            "propose",
            "agent",
            "trial",
        ],
    ),
    (
        "config",
        &[
            "domain",
            "model",
            "sandbox",
            "policy",
            "benchmark",
            "agent",
            "trial",
            "evolve",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "stats",
            "sys",
            "lineage",
            "model",
            "sandbox",
            "policy",
            "view",
            "archive",
            "gateway",
            "benchmark",
            "propose",
            "agent",
            "trial",
            "evolve",
            "config",
        ],
    ),
];

/// Crates that one part of the source owns.
const OWNERS: &[(&str, &[&str])] = &[
    ("axum", &["gateway/"]),
    ("bollard", &["sandbox/docker"]),
    ("clap", &["cli/"]),
    ("eventsource_stream", &["model/http"]),
    ("git2", &["archive/"]),
    ("reqwest", &["model/http"]),
    ("hashbrown", &["benchmark/swebench"]),
    ("hyper", &["gateway/"]),
    ("hyper_util", &["gateway/"]),
    ("ignore", &["sandbox/docker"]),
    ("memchr", &["benchmark/swebench"]),
    ("parquet", &["benchmark/", "view/export/"]),
    ("regex", &["benchmark/swebench", "model/discreet.rs"]),
    ("rusqlite", &["archive/"]),
    ("rustls", &["model/http"]),
    ("seccompiler", &["sandbox/local"]),
    ("secrecy", &["model/http"]),
    ("sha1", &["benchmark/patch.rs"]),
    ("tracing_subscriber", &["cli/logging.rs"]),
    ("yaml_rust2", &["benchmark/"]),
    ("zstd", &["archive/"]),
];

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "errors", "helpers", "misc", "types", "utils"];

/// Most lines of code in a file, inline tests not counted.
const CAP: usize = 450;

/// What nobody may leave behind; put together here so that this file does not hold it.
fn forbidden() -> Vec<String> {
    [
        ("todo", "!"),
        ("dbg", "!"),
        ("unimplemented", "!"),
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
    .to_vec()
}

/// What is looked at of one file.
struct Source {
    /// Relative to `src/` or `tests/`.
    name: String,
    text: String,
    /// Paths in it, without those of inline tests.
    paths: Vec<Vec<String>>,
    /// Lines of code, without inline tests.
    code: usize,
    /// Modules it declares.
    modules: Vec<String>,
}

fn root() -> &'static Path {
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
fn sources(folder: &'static str) -> &'static [Source] {
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
    let tokens: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let modules = declared_modules(tokens.clone());
    let tokens = without_tests(tokens);
    Source {
        paths: paths(&tokens),
        code: code_lines(&tokens),
        modules,
        name,
        text,
    }
}

/// Leaves out `#[cfg(test)]` items: tests may use what they like.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        if is_test_attribute(&trees, index) {
            index += 2;
            // The item ends with its braces or with a semicolon.
            while index < trees.len() {
                index += 1;
                match &trees[index - 1] {
                    TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                    TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                    _ => {}
                }
            }
            continue;
        }
        kept.push(trees[index].clone());
        index += 1;
    }
    kept.into_iter().collect()
}

fn is_test_attribute(trees: &[TokenTree], index: usize) -> bool {
    let (TokenTree::Punct(hash), Some(TokenTree::Group(group))) =
        (&trees[index], trees.get(index + 1))
    else {
        return false;
    };
    hash.as_char() == '#' && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// Lines that hold a token of code; comments and blank lines hold none.
fn code_lines(tokens: &TokenStream) -> usize {
    let mut lines = BTreeSet::new();
    collect_lines(tokens, &mut lines);
    lines.len()
}

fn collect_lines(tokens: &TokenStream, lines: &mut BTreeSet<usize>) {
    let mut trees = tokens.clone().into_iter().peekable();
    while let Some(tree) = trees.next() {
        match &tree {
            // A doc comment is an attribute to the compiler, and a comment to us.
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                trees.next_if(|tree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '!'));
                let is_doc = |tree: &TokenTree| {
                    matches!(tree, TokenTree::Group(group)
                        if group.stream().to_string().starts_with("doc ="))
                };
                if trees.next_if(is_doc).is_none() {
                    lines.insert(hash.span().start().line);
                }
            }
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().start().line);
                collect_lines(&group.stream(), lines);
            }
            other => {
                lines.extend(other.span().start().line..=other.span().end().line);
            }
        }
    }
}

/// Paths in order, as lists of their first segments: `a::b`, and `a::{b, c}` as two.
fn paths(tokens: &TokenStream) -> Vec<Vec<String>> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Group(group) => {
                found.extend(paths(&group.stream()));
                index += 1;
            }
            TokenTree::Ident(_) => index = path(&trees, index, &mut found),
            _ => index += 1,
        }
    }
    found
}

/// Reads one path from an identifier on; returns where it ends.
fn path(trees: &[TokenTree], start: usize, found: &mut Vec<Vec<String>>) -> usize {
    let mut segments = Vec::new();
    let mut index = start;
    loop {
        match trees.get(index) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                for mut tail in paths_of_list(group.stream()) {
                    tail.splice(0..0, segments.iter().cloned());
                    found.push(tail);
                }
                return index + 1;
            }
            _ => break,
        }
        index += 1;
        if !(is_colon(trees.get(index)) && is_colon(trees.get(index + 1))) {
            break;
        }
        index += 2;
    }
    found.push(segments);
    index.max(start + 1)
}

fn paths_of_list(tokens: TokenStream) -> Vec<Vec<String>> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Ident(_) => index = path(&trees, index, &mut found),
            TokenTree::Punct(star) if star.as_char() == '*' => {
                found.push(vec!["*".to_owned()]);
                index += 1;
            }
            _ => index += 1,
        }
    }
    found
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// The first component of a file's name, without its ending.
fn module(name: &str) -> &str {
    let first = name.split('/').next().unwrap_or(name);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn modules_import_only_lower_layers() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut problems = Vec::new();
    for source in sources("src") {
        let own = module(&source.name);
        if own == "lib" || own == "main" {
            continue;
        }
        let Some(allowed) = allowed.get(own) else {
            problems.push(format!(
                "{}: `{own}` has no line in the table of layers",
                source.name
            ));
            continue;
        };
        for path in &source.paths {
            let [first, second, ..] = path.as_slice() else {
                continue;
            };
            if first == "crate" && second != own && !allowed.contains(&second.as_str()) {
                problems.push(format!(
                    "{}: `{own}` may not import `{second}`",
                    source.name
                ));
            }
        }
    }
    problems.dedup();
    report(&problems);
}

#[test]
fn the_table_of_layers_has_no_cycle() {
    for (index, (module, imports)) in LAYERS.iter().enumerate() {
        for import in *imports {
            let below = LAYERS[..index].iter().any(|(lower, _)| lower == import);
            assert!(
                below,
                "`{module}` imports `{import}`, which does not stand above it"
            );
        }
    }
}

#[test]
fn crates_have_one_owner() {
    let mut problems = Vec::new();
    for source in sources("src") {
        for path in &source.paths {
            let owner = OWNERS
                .iter()
                .find(|(krate, _)| path.len() > 1 && path[0] == *krate);
            let Some((krate, owners)) = owner else {
                continue;
            };
            if !owners.iter().any(|owner| source.name.starts_with(owner)) {
                problems.push(format!("{}: `{krate}` belongs to {owners:?}", source.name));
            }
        }
    }
    problems.dedup();
    report(&problems);
}

#[test]
fn paths_are_plain() {
    let mut problems = Vec::new();
    for source in sources("src") {
        for path in &source.paths {
            let text = path.join("::");
            if text.contains("super::super") {
                problems.push(format!(
                    "{}: `{text}` climbs twice; start at `crate`",
                    source.name
                ));
            }
            if path.len() > 1 && path.last().is_some_and(|last| last == "*") {
                problems.push(format!(
                    "{}: `{text}` imports what nobody sees",
                    source.name
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn only_module_roots_export_again() {
    let mut problems = Vec::new();
    for source in sources("src") {
        if source.name.ends_with("mod.rs") || source.name == "lib.rs" {
            continue;
        }
        let again =
            |line: &&str| line.starts_with("pub use ") || line.starts_with("pub(crate) use ");
        for line in source.text.lines().filter(again) {
            problems.push(format!("{}: `{line}` belongs into a `mod.rs`", source.name));
        }
    }
    report(&problems);
}

#[test]
fn files_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in sources("src").iter().chain(sources("tests")) {
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: does not open with `//!`", source.name));
        }
        let stem = Path::new(&source.name)
            .file_stem()
            .and_then(|stem| stem.to_str());
        let parts = source.name.split('/').chain(stem);
        for part in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            problems.push(format!("{}: `{part}` says nothing", source.name));
        }
    }
    report(&problems);
}

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for source in sources("src") {
        let lines = source.code;
        if lines > CAP {
            problems.push(format!(
                "{}: {lines} lines of code, {CAP} are allowed",
                source.name
            ));
        }
    }
    report(&problems);
}

#[test]
fn nothing_is_left_to_be_done() {
    let forbidden = forbidden();
    let mut problems = Vec::new();
    for source in sources("src").iter().chain(sources("tests")) {
        for (number, line) in source.text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| has_word(line, word)) {
                problems.push(format!("{}:{}: `{word}`", source.name, number + 1));
            }
        }
    }
    report(&problems);
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let part = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(before) && !part(after)
    })
}

#[test]
fn every_file_is_a_module() {
    let mut problems = Vec::new();
    for (folder, roots) in [
        ("src", ["lib.rs", "main.rs"]),
        ("tests", ["it/main.rs", "tidy.rs"]),
    ] {
        let sources = sources(folder);
        let mut declared: BTreeSet<String> = roots.map(str::to_owned).into();
        for source in sources {
            let parent = Path::new(&source.name);
            let base = match parent.file_name().and_then(|name| name.to_str()) {
                Some("mod.rs" | "lib.rs" | "main.rs") => {
                    parent.parent().unwrap_or(Path::new("")).to_owned()
                }
                _ => parent.with_extension(""),
            };
            for child in &source.modules {
                let child = base.join(child);
                declared.insert(child.with_extension("rs").display().to_string());
                declared.insert(child.join("mod.rs").display().to_string());
            }
        }
        for source in sources {
            if !declared.contains(&source.name) {
                problems.push(format!("{folder}/{}: no module declares it", source.name));
            }
        }
    }
    report(&problems);
}

/// Names of `mod name;`, whatever stands before it.
fn declared_modules(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let declared = trees.windows(3).filter_map(|window| match window {
        [
            TokenTree::Ident(word),
            TokenTree::Ident(name),
            TokenTree::Punct(end),
        ] if word == "mod" && end.as_char() == ';' => Some(name.to_string()),
        _ => None,
    });
    declared.collect()
}

/// The checks above are worth as much as what they are built on.
#[test]
fn tokens_are_read_right() {
    let read = |text: &str| -> Vec<String> {
        let tokens: TokenStream = text.parse().expect("it is Rust");
        let paths = paths(&without_tests(tokens)).into_iter();
        paths.map(|path| path.join("::")).collect()
    };
    let found = read("use crate::{a, b::{c, d}}; fn f() { format!(\"{}\", crate::g::h()) }");
    for path in ["crate::a", "crate::b::c", "crate::b::d", "crate::g::h"] {
        assert!(found.contains(&path.to_owned()), "{path} in {found:?}");
    }
    let found = read("#[cfg(test)] mod tests { use crate::x; } use crate::y::*;");
    assert!(!found.contains(&"crate::x".to_owned()), "{found:?}");
    assert!(found.contains(&"crate::y::*".to_owned()), "{found:?}");
    let text = "//! Doc.\n\n/// Doc\n/// more.\nfn f() {\n    // why\n    g();\n}\n\n#[cfg(test)]\nmod t {\n}\n";
    let tokens: TokenStream = text.parse().expect("it is Rust");
    assert_eq!(code_lines(&without_tests(tokens)), 3);
}
