//! What the program brings along: the seed agent, the smoke benchmark, the scripted model, the
//! presets and the image recipes. They are in the binary, so that an installed `dgm` works
//! without its repository.

use crate::domain::{FileTree, TreePath};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "agents/base"]
struct BaseAgent;

#[derive(RustEmbed)]
#[folder = "benchmarks"]
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
    let folder = folders().find(|folder| image_of(folder) == name)?;
    Some(collect::<Recipes>(&format!("{folder}/")))
}

/// Returns the names of the images that there are recipes for.
pub(super) fn recipes() -> Vec<String> {
    folders().map(|folder| image_of(&folder)).collect()
}

fn folders() -> impl Iterator<Item = String> {
    Recipes::iter().filter_map(|path| path.strip_suffix("/Dockerfile").map(str::to_owned))
}

/// Returns the name of the image that a folder of `sandbox/` is the recipe of.
fn image_of(folder: &str) -> String {
    let name = folder.replace('/', "-");
    if name.starts_with("dgm-") {
        name
    } else {
        format!("dgm-{name}")
    }
}

/// Whether a file is for those who use the program: not what Python compiled in a checkout, nor
/// the script that builds the program.
fn is_shipped(name: &str) -> bool {
    !name.contains("__pycache__") && name != "smoke/run"
}

fn collect<A: RustEmbed>(prefix: &str) -> FileTree {
    let mut tree = FileTree::new();
    for name in A::iter() {
        let path = name.strip_prefix(prefix).filter(|_| is_shipped(&name));
        let Some(path) = path.and_then(|path| TreePath::new(path).ok()) else {
            continue;
        };
        let Some(file) = A::get(&name) else { continue };
        // The binary keeps no modes: a script is what begins as one.
        let executable = file.data.starts_with(b"#!");
        tree.insert(path, file.data.as_ref(), executable);
    }
    tree
}
