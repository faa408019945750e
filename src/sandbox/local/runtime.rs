//! The folder of one `LocalSandbox` on this machine: filters, an `/etc`, agents' sources.
//!
//! A runtime folder belongs to one archive and has a folder for each process and purpose,
//! named `<purpose>-<pid>`. Invariant: one whose name ends with another process's number is
//! left over once the archive's lock is held, and may be removed ([`reap`]).

use super::{kill, seccomp};
use crate::domain::FileTree;
use crate::sandbox::AgentSource;
use anyhow::{Context as _, ensure};
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Agents whose source is kept for the next sandbox.
const AGENTS_KEPT: usize = 32;

const PASSWD: &str = "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/tmp:/bin/sh\n\
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost dgm\n::1 localhost dgm\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files\n";

/// The folder; removed when dropped.
#[derive(Debug)]
pub(super) struct Runtime {
    folder: PathBuf,
    agents: tokio::sync::Mutex<VecDeque<Arc<AgentFolder>>>,
}

/// An agent's source on this machine; removed when the last user drops it.
#[derive(Debug)]
pub(super) struct AgentFolder {
    id: String,
    /// Where it is.
    pub(super) folder: PathBuf,
}

impl Runtime {
    /// Makes the folder below an archive's runtime folder.
    pub(super) fn make(archive: &Path) -> anyhow::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        private_folders(archive)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = archive.join(format!("local{number}-{}", std::process::id()));
        // A dead process may have had this one's number.
        gone(fs::remove_dir_all(&folder))?;
        fs::create_dir(&folder)?;
        let runtime = Self {
            folder,
            agents: tokio::sync::Mutex::default(),
        };
        fs::create_dir(runtime.folder.join("agents"))?;
        let [unknown, denied] = seccomp::filters()?;
        put(&runtime.filter(0), &unknown, false)?;
        put(&runtime.filter(1), &denied, false)?;
        make_etc(&runtime.etc())?;
        Ok(runtime)
    }

    /// Returns the path of a system call filter.
    pub(super) fn filter(&self, number: u8) -> PathBuf {
        self.folder.join(format!("filter{number}"))
    }

    /// Returns the path of the folder that becomes `/etc`.
    pub(super) fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// Returns an agent's source as a folder, written unless it is there already.
    pub(super) async fn agent(&self, source: &AgentSource) -> anyhow::Result<Arc<AgentFolder>> {
        let mut agents = self.agents.lock().await;
        if let Some(at) = agents.iter().position(|agent| agent.id == source.id) {
            let agent = agents.remove(at).context("the agent was just found")?;
            agents.push_back(Arc::clone(&agent));
            return Ok(agent);
        }
        let plain = source.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ensure!(
            plain && !source.id.is_empty(),
            "`{}` is not the id of a tree",
            source.id
        );
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("agents/{}-{number}", source.id));
        let agent = Arc::new(AgentFolder {
            id: source.id.clone(),
            folder: folder.clone(),
        });
        let files = Arc::clone(&source.files);
        tokio::task::spawn_blocking(move || write_tree(&folder, &files)).await??;
        agents.push_back(Arc::clone(&agent));
        if agents.len() > AGENTS_KEPT {
            agents.pop_front();
        }
        Ok(agent)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Whatever cannot be removed now is removed at the next start.
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Drop for AgentFolder {
    fn drop(&mut self) {
        // The whole runtime folder goes in the end.
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Removes what other processes left in an archive's runtime folder; returns how many folders.
pub(super) fn reap(archive: &Path) -> io::Result<usize> {
    let own = std::process::id().to_string();
    let mut count = 0;
    let entries = match fs::read_dir(archive) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.rsplit_once('-'));
        let is_left = owner.is_some_and(|(_, pid)| pid != own && pid.parse::<u32>().is_ok());
        if is_left && entry.file_type()?.is_dir() {
            // Killed at the wrong moment, a process leaves a bubblewrap that has not begun.
            kill::started_with(&entry.path());
            fs::remove_dir_all(entry.path())?;
            count += 1;
        }
    }
    Ok(count)
}

/// Makes a folder that only this user can enter, with its parents. In a place where everybody
/// may make folders, somebody else's must not be taken for ours.
fn private_folders(folder: &Path) -> anyhow::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    for (folder, owners) in folder
        .parent()
        .map(|parent| (parent, [own, 0]))
        .into_iter()
        .chain([(folder, [own, own])])
    {
        if !folder.exists() {
            make_private(folder)?;
        }
        let found = fs::symlink_metadata(folder)?;
        ensure!(
            found.is_dir() && owners.contains(&found.uid()),
            "`{}` is not a folder of this user",
            folder.display()
        );
    }
    Ok(())
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .with_context(|| format!("could not make the folder `{}`", folder.display()))
}

fn make_etc(etc: &Path) -> anyhow::Result<()> {
    fs::create_dir(etc)?;
    for (name, text) in [
        ("passwd", PASSWD),
        ("group", GROUP),
        ("hosts", HOSTS),
        ("nsswitch.conf", NSSWITCH),
    ] {
        put(&etc.join(name), text.as_bytes(), false)?;
    }
    for name in ["ld.so.cache", "localtime"] {
        if let Ok(bytes) = fs::read(Path::new("/etc").join(name)) {
            put(&etc.join(name), &bytes, false)?;
        }
    }
    let alternatives = etc.join("alternatives");
    fs::create_dir(&alternatives)?;
    if let Ok(entries) = fs::read_dir("/etc/alternatives") {
        for entry in entries.flatten() {
            if let Ok(target) = fs::read_link(entry.path()) {
                symlink(target, alternatives.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

fn write_tree(folder: &Path, files: &FileTree) -> io::Result<()> {
    let partial = folder.with_extension("partial");
    fs::create_dir(&partial)?;
    for (path, file) in files.iter() {
        let path = partial.join(path.as_str());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        put(&path, &file.bytes, file.executable)?;
    }
    fs::rename(partial, folder)
}

fn put(path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
