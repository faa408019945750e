//! Task directories for this module's tests.

use crate::sys::durable;
use std::path::Path;

/// A `task.toml` that can run.
pub(crate) const MANIFEST: &str = "version = \"1.0\"\n\n[metadata.dgm]\n\
    workspace = \"environment/workspace\"\nimage = \"some-image\"\nlocal = true\n\
    answer = [\"*.txt\"]\n\n[environment]\nnetwork_mode = \"no-network\"\n";

/// Files of a task that can run.
pub(crate) fn good() -> Vec<(&'static str, String)> {
    vec![
        ("task.toml", MANIFEST.to_owned()),
        ("instruction.md", "Say hello.\n".to_owned()),
        ("environment/workspace/hello.txt", "\n".to_owned()),
        (
            "tests/test.sh",
            "echo 1 > /logs/verifier/reward.txt\n".to_owned(),
        ),
        ("solution/solve.sh", "echo hello > hello.txt\n".to_owned()),
    ]
}

/// Writes files below a folder.
pub(crate) fn write(folder: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(parent).expect("the folder can be made");
        durable::write(&path, text.as_bytes()).expect("the file can be written");
    }
}
