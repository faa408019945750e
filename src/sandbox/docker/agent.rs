//! Folders of this machine that hold an agent's files, for containers to see read-only.
//!
//! Invariant: a folder has its name only once it is whole, so equal ids share one folder
//! whoever made it, and a process killed while making one leaves nothing that is mistaken
//! for an agent.

use crate::sandbox::AgentSource;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Returns the folder with the agent's files, made if it is not there yet.
pub(super) fn folder(runtime: &Path, agent: &AgentSource) -> io::Result<PathBuf> {
    if agent.id.is_empty() || !agent.id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(io::Error::other("the agent's id is not hexadecimal"));
    }
    let folders = runtime.join("agents");
    let place = folders.join(&agent.id);
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(&folders)?;
    let making = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(&folders)?;
    for (path, file) in agent.files.iter() {
        let path = making.path().join(path.as_str());
        if let Some(parent) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        let mut made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        made.write_all(&file.bytes)?;
        // Set, not asked for at creation: the sandbox's user must be able to read it whatever
        // this process's umask is.
        let mode = if file.executable { 0o755 } else { 0o644 };
        made.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    open_to_all(making.path())?;
    let made = making.keep();
    match fs::rename(&made, &place) {
        Ok(()) => Ok(place),
        // Another job was faster; its folder holds the same files.
        Err(_) if place.is_dir() => {
            fs::remove_dir_all(&made)?;
            Ok(place)
        }
        Err(error) => Err(error),
    }
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_all(&entry.path())?;
        }
    }
    Ok(())
}
