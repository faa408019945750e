//! Where untrusted code runs: one command in a fresh place, files in, files and a log out.
//!
//! Invariants: a sandbox has no network and never sees a key; it gets the files it is given
//! and nothing else of this machine; everything in it is dead and gone when [`Sandbox::run`]
//! returns or its future is dropped; what is left after a killed `dgm` is removed by
//! [`Sandbox::reap`]. What comes out is data from a hostile place: bounded, regular files only.
//!
//! One call is one whole life (create, run, collect, remove). There is no session to keep
//! open, so a backend may run it anywhere: nothing here assumes this machine.

mod archive;
mod calls;
pub mod docker;
mod flow;
mod limits;
pub mod local;
mod placed;
mod root;

use crate::domain::FileTree;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub use archive::Collected;
pub use limits::Limits;
pub use placed::Placed;
pub use root::{
    Difference, Found, Health, IN_WORKDIR, ImageRoot, Keep, Network, Root, RootLayer, State, Taken,
};

/// Place of the agent's own source inside a sandbox, read-only.
pub const AGENT_DIR: &str = "/agent";
/// Place of the gateway's socket inside a sandbox.
pub const SOCKET_PATH: &str = "/run/dgm/model.sock";
/// Writable place for the agent's own notes; sized, gone afterwards.
pub const SCRATCH_DIR: &str = "/tmp/dgm-scratch";
/// Bytes that `/dev/shm` holds: semaphores of programs with several processes need some.
const SHARED_MEMORY: u64 = 64 << 20;

/// An agent's source to be mounted read-only at [`AGENT_DIR`].
#[derive(Clone, Debug)]
pub struct AgentSource {
    /// Hexadecimal digest: equal ids are equal files, so a backend may cache.
    pub id: String,
    /// The files.
    pub files: Arc<FileTree>,
}

impl AgentSource {
    /// Returns the source of an agent that has no id yet: its id is a digest of its files.
    pub fn of(files: Arc<FileTree>) -> Self {
        let mut digest = Sha256::new();
        for (path, file) in files.iter() {
            digest.update(path.as_str());
            digest.update([0, u8::from(file.executable)]);
            digest.update((file.bytes.len() as u64).to_le_bytes());
            digest.update(&file.bytes);
        }
        let id = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { id, files }
    }
}

/// One run in a sandbox.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name of the job, for labels and messages: letters, digits, `-`, `_`, `.` only.
    pub job: String,
    /// Image name; a backend without images ignores it (the caller has checked that it may).
    pub image: Option<String>,
    /// The agent, if this run has one.
    pub agent: Option<AgentSource>,
    /// Files delivered before the start.
    pub placed: Vec<Placed>,
    /// What its file system is made of.
    pub root: Root,
    /// Absolute folder, current directory of the command. Sealed: created if missing, writable.
    /// None: the one that the image names, where the root is the image's own.
    pub workdir: Option<String>,
    /// Further absolute folders that must exist and be writable (such as `/logs/verifier`),
    /// and hold nothing but what is placed there.
    pub writable: Vec<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment of the command, beside `PATH`, `HOME` and `TMPDIR`.
    pub env: Vec<(String, String)>,
    /// Folder on this machine that holds the gateway's socket `model.sock`, seen inside as
    /// the folder of [`SOCKET_PATH`].
    pub socket_dir: Option<PathBuf>,
    /// Time for the command. When it is over every process inside is killed; what the command
    /// left is still collected.
    pub deadline: Duration,
    /// Absolute folders whose files are collected after every process inside is dead.
    pub collect: Vec<String>,
    /// Absolute paths of small files in folders that are collected: they are read even where
    /// such a folder holds more than is collected.
    pub vital: Vec<String>,
    /// Limits.
    pub limits: Limits,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code (128 + n: by signal n).
    Code(i32),
    /// Its time was over.
    TimedOut,
    /// The memory limit ended it.
    OutOfMemory,
    /// It was ended because it had written more than the disk limit.
    OutOfDisk,
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How the command ended.
    pub exit: Exit,
    /// Standard output and error of the command, in the order they came, cut to the limit.
    pub log: Vec<u8>,
    /// Bytes that the command printed in all.
    pub log_total: u64,
    /// Collected folders, one for each of [`Spec::collect`], in that order.
    pub collected: Vec<Collected>,
    /// What differs below the working directory from the image, if [`Keep`] asks for it.
    pub difference: Option<Difference>,
    /// What [`ImageRoot::take`] asks for, in that order.
    pub taken: Vec<Taken>,
    /// The whole file system as it was left, if [`Keep`] asks for it. Whoever gets one gives
    /// it back to [`Sandbox::discard`].
    pub state: Option<State>,
    /// All that it changed, if [`Keep`] asks for it.
    pub layer: Option<RootLayer>,
    /// Wall time of the whole life, from creation to removal.
    pub took: Duration,
}

/// Why a run could not be done: never the fault of what ran inside.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The backend cannot be used on this machine at all.
    #[error("{what}")]
    Unavailable {
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// This image is not there.
    #[error("image `{image}` is not there")]
    NoImage {
        /// Its name.
        image: String,
    },
    /// The run was stopped from outside.
    #[error("stopped")]
    Cancelled,
    /// The backend failed this time; another try may succeed.
    #[error("{what}")]
    Failed {
        /// What was being done.
        what: String,
        /// The cause.
        #[source]
        source: anyhow::Error,
    },
}

/// Returns an error with its causes in one line, to be recorded.
pub fn describe(error: &SandboxError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// A backend. Callers may run many at once; a backend takes them as they come.
pub trait Sandbox: Send + Sync {
    /// Returns the backend's name as in the configuration.
    fn name(&self) -> &'static str;

    /// Returns whether each run starts from the image that its spec names.
    fn has_images(&self) -> bool;

    /// Checks that the backend works here, with these images.
    fn check<'a>(&'a self, images: &'a [String]) -> BoxFuture<'a, Result<(), SandboxError>>;

    /// Runs one spec to its end. `cancel` stops it; dropping the future stops it as well.
    fn run<'a>(
        &'a self,
        spec: Spec,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<Ended, SandboxError>>;

    /// Returns the id of an image as runs use it; none: it is not there, or the backend has no
    /// images.
    fn image_id<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Option<String>>;

    /// Removes a state that nobody needs any more. What is not given back is removed by
    /// [`Self::reap`].
    fn discard(&self, state: State) -> BoxFuture<'_, ()>;

    /// Removes what dead processes of this archive left behind; returns how many things.
    /// The caller holds the archive's lock, so whatever carries its label is left over.
    fn reap(&self) -> BoxFuture<'_, Result<usize, SandboxError>>;
}
