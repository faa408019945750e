//! Disks that are full, and disks that cannot be written.

use super::run::{NOW, child_files, names, run_on, seed_files, start};
use dgm::archive::{self, ArchiveError, Reader, Severity, Writer};
use dgm::domain::{RunId, TreePath, VariantId};
use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own.
struct Disk {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let disk = Self {
            at,
            _folder: folder,
        };
        disk.mount(&format!("size={size}"));
        disk
    }

    fn mount(&self, options: &str) {
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.at)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "this test needs a small file system, so it must be allowed to mount one \
             (run it as root): {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Twice mounted where it was made read-only by hand: ends when nothing is there.
        drop(Command::new("umount").arg(&self.at).output());
    }
}

/// Bytes that do not compress.
fn noise(size: usize, mut state: u64) -> Vec<u8> {
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(size)
    .collect()
}

/// Writes less and less, until nothing fits.
fn fill(disk: &Disk) {
    let filler = disk.at.join("filler");
    let error = dgm::sys::durable::write(&filler, &noise(16 << 20, 1)).expect_err("it is too big");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    for size in [4 << 20, 1 << 20, 256 << 10, 64 << 10, 16 << 10, 4 << 10] {
        for number in 0..8 {
            let path = disk.at.join(format!("filler-{size}-{number}"));
            drop(dgm::sys::durable::write(&path, &noise(size, 1)));
        }
    }
}

#[test]
fn a_full_disk_is_said_clearly_and_loses_nothing() {
    let disk = Disk::new("8m");
    let dir = disk.at.join("demo");
    run_on(&dir).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    fill(&disk);
    let facts = writer.facts().unwrap();
    let full = |error: ArchiveError| {
        assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("could not write `{}/", dir.display())),
            "{text}"
        );
        assert!(text.ends_with("`: no space left on device"), "{text}");
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("free some space and run the same command again")
        );
    };
    full(
        writer
            .put_blob(&noise(100_000, 2))
            .expect_err("the disk is full"),
    );
    let mut big = child_files();
    big.insert(TreePath::new("big").unwrap(), noise(100_000, 3), false);
    full(
        writer
            .commit_variant(VariantId(2), &big, None, "x", NOW)
            .expect_err("the disk is full"),
    );
    let seed = writer
        .lineage()
        .unwrap()
        .variant(VariantId::SEED)
        .unwrap()
        .commit
        .clone();
    full(
        writer
            .note(&seed, &"x".repeat(100))
            .expect_err("the disk is full"),
    );
    let long = |run: u32| start(run, &"x".repeat(1 << 20));
    full(writer.record(&[long(2)]).expect_err("the disk is full"));
    let other = disk.at.join("other");
    let error = Writer::create(&other, "seed = 1\n", NOW).expect_err("the disk is full");
    assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
    assert!(!archive::exists(&other));
    assert_eq!(writer.facts().unwrap(), facts);
    assert_eq!(Reader::open(&dir).unwrap().facts().unwrap(), facts);
    drop(writer);
    for name in names(&disk.at) {
        if name.starts_with("filler") {
            std::fs::remove_file(disk.at.join(name)).unwrap();
        }
    }
    let mut writer = Writer::open(&dir).unwrap();
    assert_eq!(writer.facts().unwrap(), facts);
    writer.put_blob(&noise(100_000, 2)).unwrap();
    writer.record(&[long(2)]).unwrap();
    drop(Writer::create(&other, "seed = 1\n", NOW).unwrap());
    drop(writer);
    let found = archive::fsck(&dir, true).unwrap();
    assert!(
        found
            .iter()
            .all(|f| f.severity == Severity::Leftover && f.repaired),
        "{found:?}"
    );
    assert_eq!(archive::fsck(&dir, false).unwrap(), []);
}

#[test]
fn an_archive_on_a_read_only_disk_can_be_read() {
    let disk = Disk::new("16m");
    let (clean, copied) = (disk.at.join("clean archive?"), disk.at.join("copied"));
    run_on(&clean).unwrap();
    // Copied while a writer was at work: its last facts are in the log only.
    let mut writer = Writer::open(&clean).unwrap();
    let run = RunId(2);
    writer.record(&[start(run.0, "")]).unwrap();
    let copy = Command::new("cp")
        .arg("-r")
        .arg(&clean)
        .arg(&copied)
        .status()
        .unwrap();
    assert!(copy.success());
    std::fs::remove_file(copied.join("archive.db-shm")).unwrap();
    let facts = writer.facts().unwrap();
    drop(writer);
    let before = names(&clean);
    disk.mount("remount,ro");
    for dir in [&clean, &copied] {
        assert!(archive::exists(dir));
        let reader = Reader::open(dir).unwrap();
        assert_eq!(reader.facts().unwrap(), facts, "{}", dir.display());
        let seed = reader
            .lineage()
            .unwrap()
            .variant(VariantId::SEED)
            .unwrap()
            .commit
            .clone();
        assert_eq!(reader.files(&seed).unwrap(), seed_files());
        let error = Writer::open(dir).expect_err("nothing can be written");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(archive::fsck(dir, false).unwrap(), []);
    }
    assert_eq!(names(&clean), before);
}
