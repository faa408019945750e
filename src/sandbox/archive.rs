//! Tar streams in and out, without trusting what comes out.
//!
//! Invariant: what is collected is a [`FileTree`] of regular files under checked paths;
//! everything else that was there is named in `refused`, and nothing is ever unpacked to disk.
//!
//! Reading works on bytes that are already here and bounded by the caller. File contents are
//! slices of them, so no size that a header claims is ever believed or allocated.

use super::limits::Limits;
use super::placed::Placed;
use crate::domain::{FileTree, TreePath};
use std::collections::HashSet;
use std::sync::Arc;
use tar::{Archive, Builder, EntryType, Header};

/// Folders that are never collected, wherever they lie: repository data and caches that
/// running Python leaves behind.
pub(super) const NOISE: [&str; 3] = [".git", "__pycache__", ".pytest_cache"];

/// Sentences in [`Collected::refused`] at most; the last one counts the rest.
const REFUSED_MAX: usize = 50;
/// Bytes of a foreign name that are repeated in a sentence.
const NAME_MAX: usize = 200;
/// GNU tar reads records of this size; an archive padded to it is never waited for.
const RECORD: usize = 10_240;

/// Files collected from one folder of a sandbox.
///
/// `.git`, `__pycache__` and `.pytest_cache` are left out without a word. Whoever grades an
/// answer must look at `truncated` first: the files are then a part of what was there, and
/// a missing file does not mean that it was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The regular files, relative to the folder.
    pub files: FileTree,
    /// What was there but was refused, one sentence each (symlink `x` → …), bounded.
    pub refused: Vec<String>,
    /// Whether the collection is not whole: size or number limits cut it short, or what ran
    /// inside ended the run before its files could be read. `refused` then says which.
    pub truncated: bool,
}

/// Returns an archive of files under their absolute folders, the same bytes for the same
/// files. It has no entries for folders: unpacking it changes the mode of none that exist.
pub(super) fn write(placed: &[Placed]) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for Placed { at, files } in placed {
        let folder = at.trim_start_matches('/');
        for (path, file) in files.iter() {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(file.bytes.len() as u64);
            header.set_mode(if file.executable { 0o755 } else { 0o644 });
            header.set_uid(1000);
            header.set_gid(1000);
            header.set_mtime(0);
            builder.append_data(&mut header, format!("{folder}/{path}"), &*file.bytes)?;
        }
    }
    let mut bytes = builder.into_inner()?;
    bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
    Ok(bytes)
}

/// Returns what an archive made inside a sandbox holds, one [`Collected`] for each folder.
/// `whole` tells whether its end was seen; without it every folder counts as truncated.
pub(super) fn read(
    bytes: &[u8],
    whole: bool,
    folders: &[String],
    limits: &Limits,
) -> Vec<Collected> {
    let mut reader = TarReader::new(folders, limits);
    if let Err(stop) = reader.read(bytes, None) {
        reader.cut(stop);
    } else if !whole {
        reader.cut(Stop::Broken);
    }
    reader.folders.into_iter().map(Folder::finish).collect()
}

/// Gathers one folder's files from many archives, each of a single file or folder.
pub(super) struct Gather<'a>(TarReader<'a>);

impl<'a> Gather<'a> {
    /// Returns one that holds nothing.
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self(TarReader::new(&[String::new()], limits))
    }

    /// Adds what an archive holds; its names are relative to `below`, which is relative to
    /// the folder and empty for the folder itself. `whole` tells whether its end was seen.
    pub(super) fn add(&mut self, bytes: &[u8], whole: bool, below: &str) {
        if let Err(stop) = self.0.read(bytes, Some(below)) {
            self.0.cut(stop);
        } else if !whole {
            self.0.cut(Stop::Bytes);
        }
    }

    /// Notes that there is more than was looked at.
    pub(super) fn too_many(&mut self) {
        self.0.cut(Stop::Files);
    }

    /// Returns how many more bytes are kept.
    pub(super) fn room(&self) -> u64 {
        self.0.bytes_left
    }

    /// Returns the files.
    pub(super) fn finish(self) -> Collected {
        let folder = self.0.folders.into_iter().next();
        folder.map(Folder::finish).unwrap_or_default()
    }
}

/// Returns whether a path is one that is never collected.
pub(super) fn is_noise_path(path: &str) -> bool {
    path.split('/').any(|part| NOISE.contains(&part))
}

/// Why reading ended early.
#[derive(Clone, Copy)]
enum Stop {
    Broken,
    Bytes,
    Files,
}

impl Stop {
    fn sentence(self, limits: &Limits) -> String {
        match self {
            Self::Broken => "the files could not be read to the end".to_owned(),
            Self::Bytes => format!("the files are larger than {} bytes", limits.collect),
            Self::Files => format!("there are more than {} files", limits.collect_files),
        }
    }
}

struct TarReader<'a> {
    folders: Vec<Folder>,
    limits: &'a Limits,
    bytes_left: u64,
    files_left: usize,
}

impl<'a> TarReader<'a> {
    fn new(folders: &[String], limits: &'a Limits) -> Self {
        Self {
            folders: folders.iter().map(|at| Folder::new(at)).collect(),
            limits,
            bytes_left: limits.collect,
            files_left: limits.collect_files,
        }
    }

    /// Reads an archive; its names begin with a folder's path, or are relative to `below`.
    fn read(&mut self, bytes: &[u8], below: Option<&str>) -> Result<(), Stop> {
        let mut archive = Archive::new(bytes);
        for entry in archive.entries().map_err(|_| Stop::Broken)? {
            let entry = entry.map_err(|_| Stop::Broken)?;
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::XGlobalHeader) {
                continue;
            }
            let name = entry.path_bytes();
            let joined;
            let (folder, path) = match below {
                Some(below) => {
                    let name = name.strip_suffix(b"/").unwrap_or(&name);
                    joined = match below {
                        "" => name.to_vec(),
                        below => [below.as_bytes(), b"/", name].concat(),
                    };
                    (0, joined.as_slice())
                }
                None => match self.place(&name) {
                    Some(placed) => placed,
                    None => continue,
                },
            };
            if path.split(|byte| *byte == b'/').any(is_noise) {
                continue;
            }
            match kind {
                EntryType::Directory => {}
                EntryType::Regular => {
                    let content = content(bytes, entry.raw_file_position(), entry.size())?;
                    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
                    self.keep(folder, path, content, executable)?;
                }
                other => {
                    let target = entry.link_name_bytes();
                    self.folders[folder].refuse(sentence(other, path, target.as_deref()));
                }
            }
        }
        Ok(())
    }

    /// Returns the folder in which a name lies, and the rest of the name.
    fn place<'n>(&mut self, name: &'n [u8]) -> Option<(usize, &'n [u8])> {
        let inner = name.strip_prefix(b"./").unwrap_or(name);
        let found = self.folders.iter().enumerate().find_map(|(index, folder)| {
            let rest = inner.strip_prefix(folder.at.as_bytes())?;
            match rest {
                [] | [b'/'] => Some((index, b".".as_slice())),
                [b'/', path @ ..] => Some((index, path)),
                [..] => None,
            }
        });
        if found.is_none()
            && let Some(first) = self.folders.first_mut()
        {
            first.refuse(format!("`{}` lies in no collected folder", shown(name)));
        }
        found
    }

    fn keep(
        &mut self,
        folder: usize,
        path: &[u8],
        content: &[u8],
        executable: bool,
    ) -> Result<(), Stop> {
        let size = content.len() as u64;
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or(Stop::Bytes)?;
        self.files_left = self.files_left.checked_sub(1).ok_or(Stop::Files)?;
        self.folders[folder].keep(path, content, executable);
        Ok(())
    }

    fn cut(&mut self, stop: Stop) {
        for folder in &mut self.folders {
            folder.collected.truncated = true;
            folder.refuse(stop.sentence(self.limits));
        }
    }
}

struct Folder {
    /// Absolute path without the leading slash.
    at: String,
    collected: Collected,
    /// Every folder that some kept file lies in: a forged archive may use a name for both.
    parents: HashSet<String>,
    /// Refusals beyond those that are listed.
    more: usize,
}

impl Folder {
    fn new(at: &str) -> Self {
        Self {
            at: at.trim_matches('/').to_owned(),
            collected: Collected::default(),
            parents: HashSet::new(),
            more: 0,
        }
    }

    fn keep(&mut self, path: &[u8], content: &[u8], executable: bool) {
        let Ok(text) = std::str::from_utf8(path) else {
            return self.refuse(format!("path `{}` is not UTF-8", shown(path)));
        };
        let path = match TreePath::new(text) {
            Ok(path) => path,
            Err(error) => return self.refuse(format!("path `{}` {}", shown(path), error.why)),
        };
        let slashes = || text.match_indices('/').map(|(at, _)| &text[..at]);
        let files = &self.collected.files;
        if self.parents.contains(text) || slashes().any(|parent| files.get(parent).is_some()) {
            return self.refuse(format!(
                "`{}` is both a file and a folder",
                shown(text.as_bytes())
            ));
        }
        for parent in slashes() {
            if !self.parents.contains(parent) {
                self.parents.insert(parent.to_owned());
            }
        }
        self.collected
            .files
            .insert(path, Arc::<[u8]>::from(content), executable);
    }

    fn refuse(&mut self, sentence: String) {
        if self.collected.refused.len() < REFUSED_MAX - 1 {
            self.collected.refused.push(sentence);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Collected {
        if self.more > 0 {
            self.collected
                .refused
                .push(format!("… and {} more", self.more));
        }
        self.collected
    }
}

fn is_noise(component: &[u8]) -> bool {
    NOISE.iter().any(|noise| noise.as_bytes() == component)
}

fn content(bytes: &[u8], start: u64, size: u64) -> Result<&[u8], Stop> {
    let start = usize::try_from(start).map_err(|_| Stop::Broken)?;
    let size = usize::try_from(size).map_err(|_| Stop::Broken)?;
    let end = start.checked_add(size).ok_or(Stop::Broken)?;
    bytes.get(start..end).ok_or(Stop::Broken)
}

fn sentence(kind: EntryType, path: &[u8], target: Option<&[u8]>) -> String {
    let (path, target) = (shown(path), shown(target.unwrap_or_default()));
    match kind {
        EntryType::Symlink => format!("symlink `{path}` → `{target}`"),
        EntryType::Link => format!("hard link `{path}` → `{target}`"),
        EntryType::Fifo => format!("named pipe `{path}`"),
        EntryType::Char | EntryType::Block => format!("device `{path}`"),
        EntryType::GNUSparse => format!("sparse file `{path}`"),
        _ => format!("`{path}` is not a regular file"),
    }
}

/// Returns a foreign name fit for a message: no control characters, bounded.
fn shown(name: &[u8]) -> String {
    let cut = &name[..name.len().min(NAME_MAX)];
    let mut text: String = String::from_utf8_lossy(cut).escape_debug().collect();
    if cut.len() < name.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Collected, read, write};
    use crate::domain::{FileTree, TreePath};
    use crate::sandbox::{Limits, Placed};
    use proptest::prelude::*;
    use std::sync::Arc;
    use tar::{Builder, EntryType, Header};

    fn tree(files: &[(&str, &str, bool)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, text, executable) in files {
            let path = TreePath::new(path).expect("the tests' paths are good");
            tree.insert(path, text.as_bytes(), *executable);
        }
        tree
    }

    fn placed(at: &str, files: FileTree) -> Placed {
        Placed {
            at: at.to_owned(),
            files: Arc::new(files),
        }
    }

    fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &[u8], content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_gnu_mut().expect("made as GNU").name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        builder.append(&header, content).expect("memory takes it");
    }

    fn one(bytes: &[u8], limits: Limits) -> Collected {
        read(bytes, true, &["/work".to_owned()], &limits).remove(0)
    }

    #[test]
    fn writes_the_same_bytes_whatever_the_length_of_a_path() {
        let long = format!("{}/x.txt", "d".repeat(200));
        let files = tree(&[
            ("a/b.sh", "echo", true),
            (&long, "far", false),
            ("z", "", false),
        ]);
        let bytes = write(&[placed("/work", files.clone())]).unwrap();
        assert_eq!(bytes, write(&[placed("/work", files.clone())]).unwrap());
        assert_eq!(one(&bytes, Limits::default()).files, files);
    }

    #[test]
    fn names_what_it_refuses_and_drops_noise() {
        let mut builder = Builder::new(Vec::new());
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        builder
            .append_link(&mut link, "work/etc", "/etc/passwd")
            .unwrap();
        entry(&mut builder, EntryType::Fifo, b"work/pipe", b"");
        entry(&mut builder, EntryType::Block, b"work/disk", b"");
        entry(&mut builder, EntryType::Regular, b"work/../up", b"x");
        entry(&mut builder, EntryType::Regular, b"work//etc/x", b"x");
        entry(&mut builder, EntryType::Regular, b"work/.GIT/config", b"x");
        entry(&mut builder, EntryType::Regular, b"work/\xff", b"x");
        entry(&mut builder, EntryType::Regular, b"/work/absolute", b"x");
        entry(&mut builder, EntryType::Regular, b"work/.git/config", b"x");
        entry(
            &mut builder,
            EntryType::Regular,
            b"work/a/__pycache__/m.pyc",
            b"x",
        );
        entry(&mut builder, EntryType::Regular, b"work/a", b"a file first");
        entry(
            &mut builder,
            EntryType::Regular,
            b"work/a/b",
            b"then a folder",
        );
        let collected = one(&builder.into_inner().unwrap(), Limits::default());
        assert_eq!(collected.files, tree(&[("a", "a file first", false)]));
        assert_eq!(
            collected.refused,
            [
                "symlink `etc` → `/etc/passwd`",
                "named pipe `pipe`",
                "device `disk`",
                "path `../up` has a `..` component",
                "path `/etc/x` is absolute",
                "path `.GIT/config` lies in a `.git` folder",
                "path `\u{fffd}` is not UTF-8",
                "`/work/absolute` lies in no collected folder",
                "`a/b` is both a file and a folder",
            ]
        );
        assert!(!collected.truncated);
    }

    #[test]
    fn lists_a_bounded_number_of_refusals() {
        let mut builder = Builder::new(Vec::new());
        for number in 0..1000 {
            let name = format!("work/{number}");
            entry(&mut builder, EntryType::Fifo, name.as_bytes(), b"");
        }
        let collected = one(&builder.into_inner().unwrap(), Limits::default());
        assert_eq!(collected.refused.len(), 50);
        assert_eq!(collected.refused[49], "… and 951 more");
    }

    #[test]
    fn a_claimed_size_is_not_believed() {
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, EntryType::Regular, b"work/small", b"x");
        let mut bytes = builder.into_inner().unwrap();
        let mut header = Header::from_byte_slice(&bytes[..512]).clone();
        header.set_size(1 << 60);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        let collected = one(&bytes, Limits::default());
        assert!(collected.truncated && collected.files.is_empty());
    }

    #[test]
    fn limits_cut_the_collection_short() {
        let files = tree(&[("a", "1234", false), ("b", "1234", false), ("c", "", false)]);
        let bytes = write(&[placed("/work", files)]).unwrap();
        let small = Limits {
            collect: 7,
            ..Limits::default()
        };
        let few = Limits {
            collect_files: 2,
            ..Limits::default()
        };
        for (limits, left, why) in [
            (small, 1, "the files are larger than 7 bytes"),
            (few, 2, "there are more than 2 files"),
        ] {
            let collected = one(&bytes, limits);
            assert!(collected.truncated);
            assert_eq!(collected.files.len(), left);
            assert_eq!(collected.refused, [why]);
        }
    }

    fn any_tree() -> impl Strategy<Value = FileTree> {
        let path = "[a-c]{1,2}(/[a-cé]{1,2}){0,2}|[a-c]{90,120}/[a-c]{100,140}";
        let file = (
            proptest::collection::vec(any::<u8>(), 0..700),
            any::<bool>(),
        );
        proptest::collection::btree_map(path, file, 0..12).prop_map(|files| {
            let mut tree = FileTree::new();
            for (path, (bytes, executable)) in files {
                let is_folder = tree.iter().any(|(known, _)| {
                    known.as_str().starts_with(&format!("{path}/"))
                        || path.starts_with(&format!("{known}/"))
                });
                if !is_folder {
                    tree.insert(TreePath::new(&path).unwrap(), bytes, executable);
                }
            }
            tree
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(work in any_tree(), logs in any_tree()) {
            let bytes = write(&[placed("/work", work.clone()), placed("/logs/verifier", logs.clone())]).unwrap();
            let folders = ["/work".to_owned(), "/logs/verifier".to_owned()];
            let read = read(&bytes, true, &folders, &Limits::default());
            let whole = |files| Collected { files, refused: Vec::new(), truncated: false };
            prop_assert_eq!(read, vec![whole(work), whole(logs)]);
        }

        #[test]
        fn damage_never_panics(
            work in any_tree(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
            length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = write(&[placed("/work", work)]).unwrap();
            for (at, byte) in damage {
                // Damage is aimed at headers, where it changes the course of reading.
                let at = at.index(bytes.len().min(1536));
                bytes[at] = byte;
                if let Some(block) = bytes.get_mut(at / 512 * 512..at / 512 * 512 + 512)
                    && byte % 2 == 0
                {
                    let mut header = Header::from_byte_slice(block).clone();
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
            bytes.truncate(length.index(bytes.len() + 1));
            let collected = one(&bytes, Limits::default());
            prop_assert!(collected.files.size() <= bytes.len() as u64);
            prop_assert!(collected.refused.len() <= 50);
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            one(&bytes, Limits::default());
        }
    }
}
