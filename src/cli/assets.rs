//! What the program brings along: the seed agent, the smoke benchmark, the scripted model, the
//! presets and the image recipes. They are in the binary, so that an installed `dgm` works
//! without its repository.

use crate::domain::{FileTree, TreePath};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "agents/base"]
#[exclude = "*__pycache__*"]
struct BaseAgent;

#[derive(RustEmbed)]
#[folder = "benchmarks"]
#[exclude = "*__pycache__*"]
#[exclude = "smoke/run"]
struct Benchmarks;

#[derive(RustEmbed)]
#[folder = "sandbox"]
struct Recipes;

/// Returns the files of the seed agent.
pub(super) fn base_agent() -> FileTree {
    collect::<BaseAgent>("")
}

/// Returns the files below a folder of `benchmarks/`.
pub(super) fn benchmarks(folder: &str) -> FileTree {
    collect::<Benchmarks>(&format!("{folder}/"))
}

/// Returns the recipe of an image, or nothing where there is none of that name.
pub(super) fn recipe(name: &str) -> Option<FileTree> {
    let files = collect::<Recipes>(&format!("{name}/"));
    files.get("Dockerfile").is_some().then_some(files)
}

/// Returns the names of all recipes.
pub(super) fn recipes() -> Vec<String> {
    Recipes::iter()
        .filter_map(|path| path.strip_suffix("/Dockerfile").map(str::to_owned))
        .collect()
}

fn collect<A: RustEmbed>(prefix: &str) -> FileTree {
    let mut tree = FileTree::new();
    for name in A::iter() {
        let Some(path) = name
            .strip_prefix(prefix)
            .and_then(|path| TreePath::new(path).ok())
        else {
            continue;
        };
        let Some(file) = A::get(&name) else { continue };
        // The binary keeps no modes: a script is what begins as one.
        let executable = file.data.starts_with(b"#!");
        tree.insert(path, file.data.as_ref(), executable);
    }
    tree
}
