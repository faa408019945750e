//! Logs, patches and transcripts: content-addressed, compressed, written once.
//!
//! Invariant: a file named by a digest has that content, whole. It appears by renaming.

use super::error::{ArchiveError, Result};
use super::layout::Layout;
use crate::domain::BlobId;
use crate::sys::durable;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Folder inside `blobs/` where files are before they are whole.
const TEMPORARY: &str = "tmp";

/// The store of blobs of one archive.
#[derive(Clone, Debug)]
pub(super) struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Returns the store in an archive's folder.
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            dir: layout.blobs(),
        }
    }

    /// Makes the folders.
    pub(super) fn init(&self) -> Result<()> {
        let temporary = self.temporary();
        durable::create_dir_all(&temporary)
            .and_then(|()| durable::sync_folder(&self.dir))
            .map_err(|error| ArchiveError::write(&temporary, error))
    }

    /// Returns the folder where files are before they are whole.
    pub(super) fn temporary(&self) -> PathBuf {
        self.dir.join(TEMPORARY)
    }

    /// Stores contents durably, all at once, and returns their addresses.
    pub(super) fn put(&self, contents: &[&[u8]]) -> Result<Vec<BlobId>> {
        let ids: Vec<BlobId> = contents.iter().map(|bytes| digest(bytes)).collect();
        let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for (id, bytes) in ids.iter().zip(contents) {
            let path = self.path(id)?;
            // One that is there is believed only after reading it: writing again costs little,
            // and heals what a broken disk left.
            if files.iter().any(|(other, _)| *other == path) || self.get(id).is_ok() {
                continue;
            }
            let compressed = zstd::bulk::compress(bytes, 0);
            let compressed = compressed.map_err(|error| ArchiveError::write(&path, error))?;
            files.push((path, compressed));
        }
        durable::write_all_via(&self.temporary(), &files).map_err(|error| {
            let path = files.first().map_or(&self.dir, |(path, _)| path);
            ArchiveError::write(path, error)
        })?;
        Ok(ids)
    }

    /// Returns the bytes at an address, checked against it.
    pub(super) fn get(&self, id: &BlobId) -> Result<Vec<u8>> {
        let path = self.path(id)?;
        let fault = |error| ArchiveError::read(&path, error);
        let file = std::fs::File::open(&path).map_err(fault)?;
        let mut bytes = Vec::new();
        zstd::stream::Decoder::new(file)
            .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
            .map_err(fault)?;
        if digest(&bytes) != *id {
            return Err(ArchiveError::Damaged(format!(
                "the content of `{}` does not match its name",
                path.display()
            )));
        }
        Ok(bytes)
    }

    /// Returns whether there is a file at an address, without reading it.
    pub(super) fn has(&self, id: &BlobId) -> bool {
        self.path(id).is_ok_and(|path| path.is_file())
    }

    /// Returns every address that has a file, with the file's path.
    pub(super) fn all(&self) -> Result<Vec<(BlobId, PathBuf)>> {
        let mut found = Vec::new();
        for shard in list(&self.dir)? {
            if !shard.is_dir() || shard == self.temporary() {
                continue;
            }
            let prefix = name(&shard).to_owned();
            for path in list(&shard)? {
                let rest = name(&path).strip_suffix(".zst").unwrap_or_default();
                let hex = format!("{prefix}{rest}");
                if is_digest(&hex) {
                    found.push((BlobId::from_hex(hex), path));
                }
            }
        }
        Ok(found)
    }

    fn path(&self, id: &BlobId) -> Result<PathBuf> {
        let hex = id.as_str();
        if !is_digest(hex) {
            return Err(ArchiveError::Damaged(format!(
                "`{}` is no address of a blob",
                hex.escape_debug()
            )));
        }
        let (shard, rest) = hex.split_at(2);
        Ok(self.dir.join(shard).join(format!("{rest}.zst")))
    }
}

/// Returns the address of bytes.
pub(super) fn digest(bytes: &[u8]) -> BlobId {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").expect("writing to a string never fails");
    }
    BlobId::from_hex(hex)
}

/// Returns the paths in a folder, in order of name; nothing where there is no folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |error: io::Error| ArchiveError::read(folder, error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(fault)?;
    paths.sort_unstable();
    Ok(paths)
}

/// Returns the last component of a path where it is text.
pub(super) fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default()
}

fn is_digest(hex: &str) -> bool {
    hex.len() == 64
        && hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test breaks files on purpose")]
mod tests {
    use super::{Blobs, digest, list};
    use crate::archive::Layout;
    use crate::domain::BlobId;

    #[test]
    fn returns_what_was_put_and_writes_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Layout::new(folder.path()));
        blobs.init().unwrap();
        for bytes in [&b""[..], b"a log", &[0; 100_000]] {
            let id = blobs.put(&[bytes]).unwrap().remove(0);
            assert_eq!(id, digest(bytes));
            assert_eq!(blobs.get(&id).unwrap(), bytes);
            let (_, path) = blobs
                .all()
                .unwrap()
                .into_iter()
                .find(|(found, _)| *found == id)
                .unwrap();
            let written = std::fs::metadata(&path).unwrap().modified().unwrap();
            assert_eq!(blobs.put(&[bytes]).unwrap(), [id]);
            assert_eq!(
                std::fs::metadata(&path).unwrap().modified().unwrap(),
                written
            );
        }
        assert!(list(&blobs.temporary()).unwrap().is_empty());
    }

    #[test]
    fn stores_several_at_once_and_each_content_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Layout::new(folder.path()));
        blobs.init().unwrap();
        let known = blobs.put(&[b"known"]).unwrap();
        let contents: [&[u8]; 4] = [b"new", b"known", b"", b"new"];
        let ids = blobs.put(&contents).unwrap();
        assert_eq!(ids, contents.map(digest));
        assert_eq!(ids[1], known[0]);
        for (id, bytes) in ids.iter().zip(contents) {
            assert_eq!(blobs.get(id).unwrap(), bytes);
        }
        assert_eq!(blobs.all().unwrap().len(), 3);
        assert!(list(&blobs.temporary()).unwrap().is_empty());
        assert_eq!(blobs.put(&[]).unwrap(), []);
    }

    #[test]
    fn notices_a_damaged_file_and_heals_it() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Layout::new(folder.path()));
        blobs.init().unwrap();
        let id = blobs.put(&[b"precious"]).unwrap().remove(0);
        let path = blobs.all().unwrap().remove(0).1;
        for damage in [
            &b""[..],
            b"rubbish",
            &zstd::bulk::compress(b"other", 0).unwrap(),
        ] {
            std::fs::write(&path, damage).unwrap();
            blobs.get(&id).expect_err("it is damaged");
            blobs.put(&[b"precious"]).unwrap();
            assert_eq!(blobs.get(&id).unwrap(), b"precious");
        }
    }

    #[test]
    fn an_address_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Layout::new(folder.path()));
        for odd in [
            "",
            "..",
            "../../etc/passwd",
            &"A".repeat(64),
            &"é".repeat(32),
        ] {
            blobs.get(&BlobId::from_hex(odd)).expect_err(odd);
            assert!(!blobs.has(&BlobId::from_hex(odd)), "{odd}");
        }
    }
}
