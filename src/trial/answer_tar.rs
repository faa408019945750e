//! An answer as bytes, kept so that it can be judged again: a tar with what counts of the
//! change, and of an image's files those that it changes, as they were; or what each step left
//! in its image. A patch for people would not do: it leaves out what is no text.
//!
//! Invariant: what is read back is what was kept, or an error; nothing is guessed.

use super::answer::{Answer, KeptAnswer, KeptStep};
use crate::benchmark::{Delivery, Task};
use crate::domain::{Change, FileTree, TreePath};
use crate::sandbox::{Collected, Found, RootLayer, Taken};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
#[serde(tag = "kind", rename_all = "snake_case")]
enum Contents {
    /// See [`KeptAnswer::Files`].
    Files {
        /// Folder of an image in which the change lies.
        folder: Option<String>,
        deleted: Vec<String>,
        /// Number of written files: a tar that ends early does not say so.
        written: usize,
        /// Number of files as they were; none where the task's own workspace says it.
        before: Option<usize>,
    },
    /// See [`KeptAnswer::Steps`].
    Steps { steps: Vec<StepContents> },
}

#[derive(Deserialize, Serialize)]
struct StepContents {
    /// For each layer, the paths that it takes away.
    layers: Vec<Vec<String>>,
    artifacts: Vec<ArtifactContents>,
}

#[derive(Deserialize, Serialize)]
struct ArtifactContents {
    /// None: nothing was there.
    is_folder: Option<bool>,
    files: usize,
}

impl KeptAnswer {
    /// Returns the answer as bytes.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Files(answer) => files_to_bytes(answer),
            Self::Steps(steps) => steps_to_bytes(steps),
        }
    }

    /// Reads an answer to a task.
    pub fn from_bytes(task: &Task, bytes: &[u8]) -> io::Result<Self> {
        let mut entries: BTreeMap<String, (Vec<u8>, bool)> = BTreeMap::new();
        for entry in Archive::new(Cursor::new(bytes)).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let executable = entry.header().mode()? & 0o100 != 0;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            entries.insert(name, (content, executable));
        }
        let Some((contents, _)) = entries.remove(ABOUT) else {
            return Err(io::Error::other(format!("it holds no `{ABOUT}`")));
        };
        let kept = match (serde_json::from_slice(&contents)?, task.delivery) {
            (contents @ Contents::Files { .. }, Delivery::Workspace | Delivery::Folder) => {
                Self::Files(files(task, contents, &mut entries)?)
            }
            (Contents::Steps { steps }, Delivery::InImage) => {
                Self::Steps(self::steps(&steps, &mut entries)?)
            }
            (Contents::Files { .. }, Delivery::InImage)
            | (Contents::Steps { .. }, Delivery::Workspace | Delivery::Folder) => {
                return Err(io::Error::other("it answers a task of another kind"));
            }
        };
        match entries.keys().next() {
            None => Ok(kept),
            Some(name) => Err(io::Error::other(format!(
                "it holds `{name}`, which is unknown"
            ))),
        }
    }
}

fn files_to_bytes(answer: &Answer) -> io::Result<Vec<u8>> {
    let before = answer.folder.is_some().then(|| replaced(answer));
    let deleted = answer.change.deleted.iter();
    let mut tar = begin(&Contents::Files {
        folder: answer.folder.clone(),
        deleted: deleted.map(|path| path.as_str().to_owned()).collect(),
        written: answer.change.written.len(),
        before: before.as_ref().map(FileTree::len),
    })?;
    add_all(&mut tar, FILES, &answer.change.written)?;
    if let Some(before) = &before {
        add_all(&mut tar, BEFORE, before)?;
    }
    tar.into_inner()
}

/// Returns the files that a change writes over or deletes, as they were.
fn replaced(answer: &Answer) -> FileTree {
    let written = answer.change.written.iter().map(|(path, _)| path);
    let mut files = FileTree::new();
    for path in written.chain(&answer.change.deleted) {
        if let Some(file) = answer.before.get(path.as_str()) {
            files.insert(path.clone(), file.bytes.clone(), file.executable);
        }
    }
    files
}

fn steps_to_bytes(steps: &[KeptStep]) -> io::Result<Vec<u8>> {
    let contents = steps.iter().map(|step| StepContents {
        layers: step
            .layers
            .iter()
            .map(|layer| layer.removed.clone())
            .collect(),
        artifacts: step
            .artifacts
            .iter()
            .map(|taken| ArtifactContents {
                is_folder: match taken.found {
                    Found::Nothing => None,
                    Found::File => Some(false),
                    Found::Folder => Some(true),
                },
                files: taken.files.files.len(),
            })
            .collect(),
    });
    let mut tar = begin(&Contents::Steps {
        steps: contents.collect(),
    })?;
    for (number, step) in steps.iter().enumerate() {
        for (index, layer) in step.layers.iter().enumerate() {
            add(&mut tar, &layer_name(number, index), &layer.tar, false)?;
        }
        for (index, taken) in step.artifacts.iter().enumerate() {
            add_all(&mut tar, &artifact_name(number, index), &taken.files.files)?;
        }
    }
    tar.into_inner()
}

fn layer_name(step: usize, index: usize) -> String {
    format!("steps/{step}/layers/{index}.tar")
}

fn artifact_name(step: usize, index: usize) -> String {
    format!("steps/{step}/artifacts/{index}/")
}

fn begin(contents: &Contents) -> io::Result<Builder<Vec<u8>>> {
    let mut tar = Builder::new(Vec::new());
    add(&mut tar, ABOUT, &serde_json::to_vec(contents)?, false)?;
    Ok(tar)
}

fn add_all(tar: &mut Builder<Vec<u8>>, folder: &str, files: &FileTree) -> io::Result<()> {
    for (path, file) in files.iter() {
        add(
            tar,
            &format!("{folder}{path}"),
            &file.bytes,
            file.executable,
        )?;
    }
    Ok(())
}

fn add(tar: &mut Builder<Vec<u8>>, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

/// Files of an archive that are not read yet, by name, with whether they are executable.
type Unread = BTreeMap<String, (Vec<u8>, bool)>;

/// Takes the files below a folder out of what is unread; their number must be the one kept.
fn take(unread: &mut Unread, folder: &str, number: usize) -> io::Result<FileTree> {
    let inside = unread.range(folder.to_owned()..);
    let names = inside.map(|(name, _)| name.clone());
    let names: Vec<String> = names.take_while(|name| name.starts_with(folder)).collect();
    let mut files = FileTree::new();
    for name in &names {
        if let Some((bytes, executable)) = unread.remove(name) {
            files.insert(path(&name[folder.len()..])?, bytes, executable);
        }
    }
    match files.len() == number {
        true => Ok(files),
        false => Err(missing()),
    }
}

fn path(text: &str) -> io::Result<TreePath> {
    TreePath::new(text).map_err(io::Error::other)
}

fn missing() -> io::Error {
    io::Error::other("not all of its files are there")
}

fn files(task: &Task, contents: Contents, unread: &mut Unread) -> io::Result<Answer> {
    let Contents::Files {
        folder,
        deleted,
        written,
        before,
    } = contents
    else {
        return Err(missing());
    };
    let change = Change {
        written: take(unread, FILES, written)?,
        deleted: deleted
            .iter()
            .map(|name| path(name))
            .collect::<Result<_, _>>()?,
    };
    Ok(Answer {
        before: match (before, task.delivery) {
            (Some(number), _) => Arc::new(take(unread, BEFORE, number)?),
            (None, Delivery::Workspace) => task.workspace.clone(),
            // Without them it would be another patch.
            (None, Delivery::Folder | Delivery::InImage) => {
                return Err(io::Error::other("it lacks the files as they were"));
            }
        },
        change,
        folder,
    })
}

fn steps(contents: &[StepContents], unread: &mut Unread) -> io::Result<Vec<KeptStep>> {
    let mut steps = Vec::with_capacity(contents.len());
    for (number, step) in contents.iter().enumerate() {
        let mut kept = KeptStep::default();
        for (index, removed) in step.layers.iter().enumerate() {
            let found = unread.remove(&layer_name(number, index));
            kept.layers.push(RootLayer {
                tar: found.ok_or_else(missing)?.0.into(),
                removed: removed.clone(),
                truncated: false,
            });
        }
        for (index, artifact) in step.artifacts.iter().enumerate() {
            let files = take(unread, &artifact_name(number, index), artifact.files)?;
            kept.artifacts.push(Taken {
                found: match artifact.is_folder {
                    None => Found::Nothing,
                    Some(false) => Found::File,
                    Some(true) => Found::Folder,
                },
                files: Collected {
                    files,
                    ..Collected::default()
                },
            });
        }
        steps.push(kept);
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Collected, Found, KeptAnswer, KeptStep, RootLayer, Taken};
    use crate::benchmark::{Delivery, Task, fixture, patch};
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
            let bytes = KeptAnswer::Files(answer.clone()).to_bytes().expect("it can be kept");
            let read = |bytes: &[u8]| match KeptAnswer::from_bytes(&task, bytes) {
                Ok(KeptAnswer::Files(answer)) => Some(answer),
                Ok(KeptAnswer::Steps(_)) => panic!("no steps were kept"),
                Err(_) => None,
            };
            let whole = read(&bytes).expect("it can be read");
            prop_assert_eq!(&whole.change, &answer.change);
            prop_assert_eq!(&whole.folder, &answer.folder);
            prop_assert_eq!(patch(&whole.before, &whole.change), patch(&answer.before, &answer.change));
            if answer.folder.is_none() {
                prop_assert_eq!(whole.after(), answer.after());
            }
            // Whatever is left of it is an error, never another answer.
            for part in [0, 100, bytes.len() / 2] {
                if let Some(read) = read(&bytes[..part.min(bytes.len())]) {
                    prop_assert_eq!(&read.change, &answer.change);
                }
            }
        }
    }

    #[test]
    fn what_steps_left_is_read_back() {
        let task = Task {
            delivery: Delivery::InImage,
            ..task()
        };
        let mut files = FileTree::new();
        files.insert(TreePath::new("out/a").expect("a path"), &b"1"[..], true);
        let steps = vec![
            KeptStep {
                layers: vec![RootLayer {
                    tar: b"a tar".to_vec().into(),
                    removed: vec!["/etc/motd".to_owned()],
                    truncated: false,
                }],
                artifacts: Vec::new(),
            },
            KeptStep {
                layers: Vec::new(),
                artifacts: vec![
                    Taken::default(),
                    Taken {
                        found: Found::Folder,
                        files: Collected {
                            files,
                            ..Collected::default()
                        },
                    },
                ],
            },
        ];
        let bytes = KeptAnswer::Steps(steps.clone()).to_bytes().expect("kept");
        let KeptAnswer::Steps(read) = KeptAnswer::from_bytes(&task, &bytes).expect("readable")
        else {
            panic!("steps were kept");
        };
        assert_eq!(format!("{read:?}"), format!("{steps:?}"));
        let other = KeptAnswer::from_bytes(&self::task(), &bytes).expect_err("another kind");
        assert_eq!(other.to_string(), "it answers a task of another kind");
    }

    #[test]
    fn says_what_is_wrong() {
        let error = KeptAnswer::from_bytes(&task(), b"").expect_err("nothing is no answer");
        assert_eq!(error.to_string(), "it holds no `answer.json`");
    }
}
