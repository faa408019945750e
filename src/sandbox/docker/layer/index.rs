//! Reads which paths a repository tracks, from its index.
//!
//! Invariant: an index that holds anything that is not understood is no index; nobody takes
//! what is tracked there for what is not.

use std::collections::BTreeSet;

/// Bytes of an entry before its flags: times, numbers, modes, the object's id (SHA-1).
const FIXED: usize = 60;
/// Bytes of the digest at the end.
const DIGEST: usize = 20;
/// Flag of an entry that has two more bytes of them.
const EXTENDED: u16 = 0x4000;

/// Returns the paths of an index, versions 2 to 4.
pub(super) fn paths(index: &[u8]) -> Option<BTreeSet<String>> {
    let end = index.len().checked_sub(DIGEST)?;
    let mut cursor = Cursor {
        bytes: index.get(..end)?,
        at: 0,
    };
    if cursor.take(4)? != b"DIRC" {
        return None;
    }
    let version = cursor.number()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = cursor.number()?;
    let mut paths = BTreeSet::new();
    let mut name = Vec::new();
    for _ in 0..count {
        cursor.entry(version, &mut name)?;
        // A path that is no text is none that could be asked about.
        if let Ok(path) = std::str::from_utf8(&name) {
            paths.insert(path.to_owned());
        }
    }
    while cursor.at < end {
        // Small letters say that the rest means nothing without them: parts lie elsewhere.
        if !cursor.take(4)?.first()?.is_ascii_uppercase() {
            return None;
        }
        let size = cursor.number()?;
        cursor.take(usize::try_from(size).ok()?)?;
    }
    Some(paths)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Reads an entry; `name` is that of the one before, and becomes this one's.
    fn entry(&mut self, version: u32, name: &mut Vec<u8>) -> Option<()> {
        let begun = self.at;
        self.take(FIXED)?;
        let flags = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        if flags & EXTENDED != 0 {
            self.take(2)?;
        }
        if version == 4 {
            let kept = name.len().checked_sub(self.distance()?)?;
            name.truncate(kept);
        } else {
            name.clear();
        }
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        name.extend_from_slice(self.take(length)?);
        // One zero byte ends the name; the older versions fill up to eight.
        self.take(match version {
            4 => 1,
            _ => 8 - (self.at - begun) % 8,
        })?;
        Some(())
    }

    /// Reads how many bytes at the end of the name before do not count.
    fn distance(&mut self) -> Option<usize> {
        let mut byte = self.take(1)?[0];
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.take(1)?[0];
            value =
                (value.checked_add(1)?.checked_mul(128)?).checked_add(usize::from(byte & 0x7f))?;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::paths;
    use proptest::prelude::{any, proptest};
    use std::path::Path;
    use std::process::Command;

    fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .output();
        let output = output.expect("git is there");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// Returns the index of a repository with some files.
    fn index(more: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = folder.path();
        git(folder, &["init", "-q"]);
        let long = format!("{}/{}", "d".repeat(200), "e".repeat(190));
        for name in ["a", "a.b", "b/c", "b/cc", "é", &long] {
            let id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
            let entry = format!("100644,{id},{name}");
            git(folder, &["update-index", "--add", "--cacheinfo", &entry]);
        }
        if !more.is_empty() {
            git(folder, more);
        }
        std::fs::read(folder.join(".git/index")).expect("git wrote it")
    }

    #[test]
    fn reads_what_git_writes() {
        let long = format!("{}/{}", "d".repeat(200), "e".repeat(190));
        for version in ["2", "3", "4"] {
            let index = index(&["update-index", "--index-version", version]);
            let paths = paths(&index).expect("it can be read");
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            assert_eq!(paths, ["a", "a.b", "b/c", "b/cc", &long, "é"], "{version}");
        }
        // Flags of the third version.
        let extended = index(&["update-index", "--skip-worktree", "b/c"]);
        assert_eq!(extended[7], 3);
        assert_eq!(paths(&extended).map(|paths| paths.len()), Some(6));
        let split = index(&["update-index", "--split-index"]);
        assert_eq!(paths(&split), None, "its entries lie in another file");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_index_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), version in 2_u8..5) {
            paths(&bytes);
            let head = [b"DIRC\0\0\0".as_slice(), &[version, 0, 0, 0, 3]].concat();
            paths(&[head, bytes].concat());
        }
    }
}
