//! An answer as bytes, kept so that it can be judged again: a tar with what counts of the
//! change, and of an image's files those that it changes, as they were. A patch for people
//! would not do: it leaves out what is no text.
//!
//! Invariant: what is read back is what was kept, or an error; nothing is guessed.

use super::answer::Answer;
use super::task::{Grader, Task};
use crate::domain::{Change, FileTree, TreePath};
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor, Read as _};
use std::sync::Arc;
use tar::{Archive, Builder, Header};

/// First file of the archive.
const ABOUT: &str = "answer.json";
/// Folder of the written files.
const FILES: &str = "files/";
/// Folder of the files that are written over or deleted, as they were.
const BEFORE: &str = "before/";

/// What the files do not tell.
#[derive(Deserialize, Serialize)]
struct About {
    /// Folder of an image in which the change lies.
    folder: Option<String>,
    deleted: Vec<String>,
    /// Number of written files: a tar that ends early does not say so.
    written: usize,
    /// Number of files as they were; none where the task's own workspace says it.
    #[serde(default)]
    before: Option<usize>,
}

impl Answer {
    /// Returns the answer as bytes.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let before = self.folder.is_some().then(|| self.replaced());
        let about = About {
            folder: self.folder.clone(),
            deleted: self
                .change
                .deleted
                .iter()
                .map(|path| path.as_str().to_owned())
                .collect(),
            written: self.change.written.len(),
            before: before.as_ref().map(FileTree::len),
        };
        let mut tar = Builder::new(Vec::new());
        add(&mut tar, ABOUT, &serde_json::to_vec(&about)?, false)?;
        for (folder, files) in [
            (FILES, Some(&self.change.written)),
            (BEFORE, before.as_ref()),
        ] {
            for (path, file) in files.into_iter().flat_map(FileTree::iter) {
                let path = format!("{folder}{path}");
                add(&mut tar, &path, &file.bytes, file.executable)?;
            }
        }
        tar.into_inner()
    }

    /// Returns the files that the change writes over or deletes, as they were.
    fn replaced(&self) -> FileTree {
        let written = self.change.written.iter().map(|(path, _)| path);
        let mut files = FileTree::new();
        for path in written.chain(&self.change.deleted) {
            if let Some(file) = self.before.get(path.as_str()) {
                files.insert(path.clone(), file.bytes.clone(), file.executable);
            }
        }
        files
    }

    /// Returns whether a kept answer can be judged again by the task's grader. One that wants
    /// a patch needs the files as they were, which older programs did not keep.
    pub fn can_be_judged_again(task: &Task, bytes: &[u8]) -> io::Result<bool> {
        Ok(match task.grader {
            Grader::Verifier => true,
            Grader::Swebench(_) => read(bytes)?.0.before.is_some(),
        })
    }

    /// Reads an answer to a task.
    pub fn from_bytes(task: &Task, bytes: &[u8]) -> io::Result<Self> {
        let (about, change, before) = read(bytes)?;
        let answer = Self::of(task, change);
        Ok(Self {
            before: match about.before {
                Some(_) => Arc::new(before),
                None => answer.before,
            },
            folder: about.folder,
            change: answer.change,
        })
    }
}

/// Reads what was kept: what the files do not tell, the change, the files as they were.
fn read(bytes: &[u8]) -> io::Result<(About, Change, FileTree)> {
    let path = |text: &str| TreePath::new(text).map_err(io::Error::other);
    let (mut about, mut change, mut before) = (None, Change::default(), FileTree::new());
    for entry in Archive::new(Cursor::new(bytes)).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let executable = entry.header().mode()? & 0o100 != 0;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        if name == ABOUT {
            about = Some(serde_json::from_slice::<About>(&content)?);
        } else if let Some(name) = name.strip_prefix(FILES) {
            change.written.insert(path(name)?, content, executable);
        } else if let Some(name) = name.strip_prefix(BEFORE) {
            before.insert(path(name)?, content, executable);
        } else {
            return Err(io::Error::other(format!(
                "it holds `{name}`, which is unknown"
            )));
        }
    }
    let about = about.ok_or_else(|| io::Error::other(format!("it holds no `{ABOUT}`")))?;
    if about.written != change.written.len() || about.before.unwrap_or(0) != before.len() {
        return Err(io::Error::other("not all of its files are there"));
    }
    for name in &about.deleted {
        change.deleted.push(path(name)?);
    }
    Ok((about, change, before))
}

fn add(tar: &mut Builder<Vec<u8>>, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::benchmark::fixture;
    use crate::benchmark::patch::patch;
    use crate::benchmark::task::Task;
    use crate::domain::{Change, FileTree, TreePath};
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
    use std::sync::Arc;

    fn task() -> Task {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("hello");
        fixture::write(&path, &fixture::good());
        Task::load(&path).expect("it loads")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]
        #[test]
        fn what_is_kept_is_read_back(
            files in proptest::collection::btree_map("[a-zé]{1,120}(/[ -.0-~]{1,90}x)?", any::<(Vec<u8>, bool)>(), 0..6),
            deleted in proptest::collection::vec("d/[a-z]{1,9}", 0..3),
            changed in any::<u64>(),
            folder in proptest::option::of("/[a-z]{1,9}"),
        ) {
            let task = task();
            let mut change = Change::default();
            for (path, (bytes, executable)) in files {
                if let Ok(path) = TreePath::new(&path) {
                    change.written.insert(path, bytes, executable);
                }
            }
            change.deleted = deleted.iter().filter_map(|path| TreePath::new(path).ok()).collect();
            let mut answer = Answer { folder, ..Answer::of(&task, change) };
            if answer.folder.is_some() {
                // Of an image: some of the files were there, and another one is as it was.
                let mut before = FileTree::new();
                before.insert(TreePath::new("other").expect("a path"), &b"as it was"[..], false);
                let paths = answer.change.written.iter().map(|(path, _)| path);
                for (number, path) in paths.chain(&answer.change.deleted).enumerate() {
                    if changed >> (number % 64) & 1 == 1 {
                        before.insert(path.clone(), format!("{number}\n").into_bytes(), number % 2 == 0);
                    }
                }
                answer.before = Arc::new(before);
            }
            let bytes = answer.to_bytes().expect("it can be kept");
            let read = Answer::from_bytes(&task, &bytes).expect("it can be read");
            prop_assert_eq!(&read.change, &answer.change);
            prop_assert_eq!(&read.folder, &answer.folder);
            prop_assert_eq!(patch(&read.before, &read.change), patch(&answer.before, &answer.change));
            if answer.folder.is_none() {
                prop_assert_eq!(read.after(), answer.after());
            }
            // Whatever is left of it is an error, never another answer.
            for part in [0, 100, bytes.len() / 2] {
                if let Ok(read) = Answer::from_bytes(&task, &bytes[..part.min(bytes.len())]) {
                    prop_assert_eq!(&read.change, &answer.change);
                }
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let error = Answer::from_bytes(&task(), b"").expect_err("nothing is no answer");
        assert_eq!(error.to_string(), "it holds no `answer.json`");
    }
}
