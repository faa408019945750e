//! Files of this machine that containers see read-only: agents, and an `/etc/hosts`.
//!
//! Invariant: they lie in one folder of this process, `docker…-<pid>` in the archive's runtime
//! folder, which is removed with its owner. One that carries another process's number is left
//! over once the archive's lock is held ([`reap`]).

use crate::domain::FileTree;
use crate::sandbox::AgentSource;
use std::collections::VecDeque;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Agents whose files are kept for the next container.
const KEPT: usize = 32;
/// How the names of our folders begin.
const PREFIX: &str = "docker";
/// A container without network gets no `/etc/hosts` from the engine, and images have none.
const HOSTS: &str = "127.0.0.1 localhost sandbox\n::1 localhost\n";

/// The folder of this process.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
    kept: tokio::sync::Mutex<VecDeque<(String, Arc<TempDir>)>>,
}

impl Files {
    /// Makes the folder.
    pub(super) fn make(runtime: &Path) -> io::Result<Self> {
        fs::create_dir_all(runtime)?;
        let suffix = format!("-{}", std::process::id());
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(&suffix)
            .tempdir_in(runtime)?;
        put(&folder.path().join("hosts"), HOSTS.as_bytes(), false)?;
        Ok(Self {
            folder,
            kept: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the file that becomes `/etc/hosts`.
    pub(super) fn hosts(&self) -> PathBuf {
        self.folder.path().join("hosts")
    }

    /// Returns a folder with the agent's files, written unless it is there already. It stays
    /// for as long as somebody holds it.
    pub(super) async fn agent(&self, agent: &AgentSource) -> io::Result<Arc<TempDir>> {
        // Held while writing: whoever wants the same agent meanwhile waits for it.
        let mut kept = self.kept.lock().await;
        if let Some(at) = kept.iter().position(|(id, _)| *id == agent.id)
            && let Some((id, folder)) = kept.remove(at)
        {
            kept.push_back((id, Arc::clone(&folder)));
            return Ok(folder);
        }
        let folder = Arc::new(tempfile::tempdir_in(self.folder.path())?);
        let (written, files) = (Arc::clone(&folder), Arc::clone(&agent.files));
        tokio::task::spawn_blocking(move || write(written.path(), &files)).await??;
        kept.push_back((agent.id.clone(), Arc::clone(&folder)));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(folder)
    }
}

fn write(folder: &Path, files: &FileTree) -> io::Result<()> {
    for (path, file) in files.iter() {
        let path = folder.join(path.as_str());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        put(&path, &file.bytes, file.executable)?;
    }
    open_to_all(folder)
}

/// Writes a file so that the sandbox's user can read it, whatever our umask is.
fn put(path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(Permissions::from_mode(mode))
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_all(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what other processes left in the runtime folder; returns how many folders.
pub(super) fn reap(runtime: &Path) -> io::Result<usize> {
    let own = format!("-{}", std::process::id());
    let mut removed = 0;
    let entries = match fs::read_dir(runtime) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && !name.ends_with(&own) {
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::{Files, KEPT, reap};
    use crate::domain::{FileTree, TreePath};
    use crate::sandbox::AgentSource;
    use std::fs;
    use std::sync::Arc;

    fn agent(id: &str) -> AgentSource {
        let mut files = FileTree::new();
        let path = TreePath::new("bin/run").expect("a good path");
        files.insert(path, id.as_bytes(), true);
        AgentSource {
            id: id.to_owned(),
            files: Arc::new(files),
        }
    }

    #[tokio::test]
    async fn an_agent_is_written_once_and_stays_while_it_is_held() {
        let runtime = tempfile::tempdir().expect("a temporary folder");
        let files = Files::make(runtime.path()).expect("a folder");
        let first = files.agent(&agent("a")).await.expect("written");
        let again = files.agent(&agent("a")).await.expect("there");
        assert_eq!(first.path(), again.path());
        drop(again);
        for number in 0..=KEPT {
            drop(
                files
                    .get(&agent(&number.to_string()))
                    .await
                    .expect("written"),
            );
        }
        let text = fs::read_to_string(first.path().join("bin/run"));
        assert_eq!(text.expect("still there"), "a");
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
        drop(files);
        let left = fs::read_dir(runtime.path()).expect("the folder").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn only_leftovers_of_other_processes_are_removed() {
        let runtime = tempfile::tempdir().expect("a temporary folder");
        let files = Files::make(runtime.path()).expect("a folder");
        for name in ["dockerx-0", "local0-0", "socket"] {
            fs::create_dir(runtime.path().join(name)).expect("a folder");
        }
        assert_eq!(reap(runtime.path()).expect("readable"), 1);
        assert!(files.folder.path().exists());
        assert!(runtime.path().join("local0-0").exists());
        let missing = runtime.path().join("missing");
        assert_eq!(reap(&missing).expect("nothing there"), 0);
    }
}
