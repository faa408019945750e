//! Patches of our own making, applied by git itself.

use dgm::benchmark::patch;
use dgm::domain::{FileTree, TreePath};
use dgm::sys::durable;
use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn write(folder: &Path, files: &FileTree) {
    for (path, file) in files.iter() {
        let path = folder.join(path.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        durable::write(&path, &file.bytes).unwrap();
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn read(folder: &Path) -> FileTree {
    let mut files = FileTree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                let name = TreePath::new(name).unwrap();
                files.insert(name, fs::read(&path).unwrap(), mode & 0o100 != 0);
            }
        }
    }
    files
}

/// Applies a patch as the first attempt does; returns what git said where it failed.
fn apply(folder: &Path, patch: &[u8]) -> Result<(), String> {
    if patch.is_empty() {
        return Ok(());
    }
    let mut git = Command::new("git")
        .args(["apply", "--verbose", "-"])
        .current_dir(folder)
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(patch).unwrap();
    let output = git.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(
        &[
            "a\n",
            "b\n",
            "c\r\n",
            "\n",
            " \t\n",
            "d",
            "\\ No newline\n",
            "\u{e9}\n",
            "-- a/x\n",
        ][..],
    );
    let text = prop::collection::vec(line, 0..30).prop_map(|lines| lines.concat().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    proptest::prop_oneof![4 => text, 1 => bytes]
}

/// Names of which none is a folder of another.
const NAMES: [&str; 7] = [
    "a.txt",
    "with space",
    "d/e f/g",
    "d/\u{e9}",
    "quo\"te\\",
    "tab\there",
    "new\nline",
];

fn tree() -> impl Strategy<Value = FileTree> {
    let file = proptest::option::weighted(0.6, (content(), any::<bool>()));
    prop::collection::vec(file, NAMES.len()).prop_map(|files| {
        let mut tree = FileTree::new();
        for (name, file) in NAMES.iter().zip(files) {
            if let Some((bytes, executable)) = file {
                tree.insert(TreePath::new(name).unwrap(), bytes, executable);
            }
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn git_makes_of_it_what_was_there(before in tree(), after in tree()) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &before);
        let patch = patch(&before, &before.change_to(&after));
        prop_assert!(std::str::from_utf8(&patch).is_ok(), "a prediction is a text");
        let applied = apply(folder.path(), &patch);
        prop_assert_eq!(applied, Ok(()), "{}", String::from_utf8_lossy(&patch));
        prop_assert_eq!(read(folder.path()), after);
    }
}

#[test]
fn a_folder_takes_the_place_of_a_file_and_back() {
    let tree = |name: &str| {
        let mut tree = FileTree::new();
        tree.insert(TreePath::new(name).unwrap(), &b"x\n"[..], false);
        tree
    };
    for (before, after) in [(tree("a"), tree("a/b")), (tree("a/b"), tree("a"))] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &before);
        let patch = patch(&before, &before.change_to(&after));
        assert_eq!(apply(folder.path(), &patch), Ok(()));
        assert_eq!(read(folder.path()), after);
    }
}
