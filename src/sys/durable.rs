//! Durable writes: temporary file, fsync, rename, fsync of the folder.
//!
//! Invariant: every durable write of the program (file, git objects with their ref, database
//! transaction) is enclosed by [`crash_point`] calls, before and after. So a test can end
//! the process before and after the n-th write, for every n, and look whether a resumed run
//! loses or repeats anything. Renaming last means that a file is there whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::NamedTempFile;

/// Environment variable that names the crash point at which the process aborts (from 1).
pub const CRASH_AT: &str = "DGM_CRASH_AT";

/// Environment variable that names a file to which every crash point adds a line when it is
/// passed: the place in the source that asked for the write.
pub const CRASH_LOG: &str = "DGM_CRASH_LOG";

static PASSED: AtomicU64 = AtomicU64::new(0);

/// Passes a crash point: aborts the process here if a test asked for it.
#[track_caller]
pub fn crash_point() {
    log_passing(Location::caller());
    static CRASH: OnceLock<Option<u64>> = OnceLock::new();
    let crash_at = CRASH.get_or_init(|| std::env::var(CRASH_AT).ok()?.parse().ok());
    if let Some(crash_at) = crash_at
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *crash_at
    {
        std::process::abort();
    }
}

/// Where a test asked for it, writes down that a crash point was passed.
fn log_passing(place: &Location<'_>) {
    static LOG: OnceLock<Option<File>> = OnceLock::new();
    let open = || {
        let path = std::env::var_os(CRASH_LOG)?;
        OpenOptions::new().create(true).append(true).open(path).ok()
    };
    if let Some(mut log) = LOG.get_or_init(open).as_ref() {
        let line = format!("{}:{}\n", place.file(), place.line());
        log.write_all(line.as_bytes())
            .expect("a log that a test asked for can be written");
    }
}

/// Writes a file so that after a crash it is there whole or not at all.
#[track_caller]
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_via(folder_of(path), path, bytes)
}

/// Returns the folder of a path; a bare name is in the current one.
fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Writes a file as [`write`] does, with the temporary file in a folder of its own on the
/// same file system: where there are very many folders, leftovers are then found at once.
#[track_caller]
pub fn write_via(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    crash_point();
    let folder = folder_of(path);
    let file = draft(temporary, bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)?;
    crash_point();
    Ok(())
}

/// Writes several files as [`write_via`] does, each in a folder of a folder that is there:
/// after a crash each of them is there whole or not at all. All are renamed before the first
/// folder is made durable, and no folder is twice, so that the disk is waited for less often.
#[track_caller]
pub fn write_all_via(temporary: &Path, files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    let mut drafts = Vec::new();
    for (path, bytes) in files {
        crash_point();
        drafts.push((path, draft(temporary, bytes)?));
    }
    let mut folders = BTreeSet::new();
    for (path, file) in drafts {
        let folder = folder_of(path);
        if !folder.is_dir() {
            fs::create_dir(folder)?;
            folders.extend(folder.parent());
        }
        file.persist(path).map_err(|error| error.error)?;
        folders.insert(folder);
        crash_point();
    }
    // What comes after these begins with a crash point of its own: the one after the last sync.
    for folder in folders {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Returns a temporary file whose content is durable.
fn draft(temporary: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // The default of temporary files is a mode that nobody else can read.
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(temporary)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes the entries of a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a folder and its parents, durably.
pub fn create_dir_all(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        Some(_) | None => Ok(()),
    }
}

/// Moves a finished folder to its place, which must not exist or be empty: after a crash it
/// is there whole or not at all.
#[track_caller]
pub fn publish(draft: &Path, place: &Path) -> io::Result<()> {
    crash_point();
    // Its many files are made durable at once; each on its own would take seconds.
    rustix::fs::syncfs(File::open(draft)?)?;
    fs::rename(draft, place)?;
    sync_folder(folder_of(place))?;
    crash_point();
    Ok(())
}
