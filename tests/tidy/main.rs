//! The shape of the source: who may import whom and who owns which crate; beside it, circles of
//! imports, names that stand for two types, what a file has to be like, and the code map.
//!
//! Everything is read from tokens, so that paths inside macros count and strings do not.

mod circles;
mod files;
mod homonyms;
mod imports;
mod map;
mod modules;
mod source;
mod tokens;

use source::sources;
use std::collections::BTreeMap;

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

/// The first component of a file's name, without its ending.
fn module(name: &str) -> &str {
    let first = name.split('/').next().unwrap_or(name);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Fails when there are more problems than are known; a number of known ones may only shrink.
fn report_beyond(known: usize, problems: &[String]) {
    let count = problems.len();
    let text = problems.join("\n");
    assert!(
        count <= known,
        "\n{text}\n{count} problems, {known} are known\n"
    );
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
