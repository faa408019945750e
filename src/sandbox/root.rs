//! What a sandbox's file system is made of, and what is kept of it.
//!
//! Invariant: what is kept of an image's file system is taken from outside, after the last
//! process inside is dead. So nothing that runs inside can imitate it or keep it back.

use super::Collected;
use crate::domain::FileTree;
use std::sync::Arc;
use std::time::Duration;

/// What a sandbox's file system is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// Read-only, but for empty file systems of a fixed size in memory at the working
    /// directory and the writable folders: for tasks whose files come with the task.
    Sealed,
    /// The image's own file system, writable, with the working directory as the image has it:
    /// for tasks whose files lie in their image. Only a backend with images can give it.
    Image(ImageRoot),
}

impl Root {
    /// Returns the image's part, if the root is the image's own.
    pub fn image(&self) -> Option<&ImageRoot> {
        match self {
            Self::Sealed => None,
            Self::Image(image) => Some(image),
        }
    }
}

/// How a run uses the file system of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRoot {
    /// User of everything inside, a name or a number; none: the image's own.
    pub user: Option<String>,
    /// What the run starts from in place of the image: what an earlier run left.
    pub from: Option<State>,
    /// What is laid over the image before anything else, in order; only without [`Self::from`].
    pub layers: Vec<RootLayer>,
    /// Absolute paths that are removed before the start.
    pub removed: Vec<String>,
    /// Whether the image's entry point runs beside the command, as its services do.
    pub services: bool,
    /// Command for a shell that must succeed before anything else is waited for.
    pub prepare: Option<String>,
    /// What must succeed before the command starts, one after the other.
    pub health: Vec<Health>,
    /// What can be reached.
    pub network: Network,
    /// Whether root, if that is the user, may do with files and users of the sandbox what
    /// root may: read and write what others own, give it away, become another user.
    pub file_rights: bool,
    /// Time within which the command must have been started.
    pub setup: Duration,
    /// What is kept.
    pub keep: Keep,
    /// Whether what is kept of the difference leaves out what git leaves alone in the working
    /// directory: files that the image's repository ignores and does not track.
    pub ignoring: bool,
    /// Absolute paths of files and folders that are taken out, see [`Taken`].
    pub take: Vec<String>,
}

impl Default for ImageRoot {
    fn default() -> Self {
        Self {
            user: None,
            from: None,
            layers: Vec::new(),
            removed: Vec::new(),
            services: true,
            prepare: None,
            health: Vec::new(),
            network: Network::None,
            file_rights: false,
            setup: Duration::from_mins(10),
            keep: Keep::default(),
            ignoring: false,
            take: Vec::new(),
        }
    }
}

/// Place of files that go into the working directory, wherever an image has it.
pub const IN_WORKDIR: &str = ".";

/// What is kept of an image's file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// What differs below the working directory from what the run started with.
    pub difference: bool,
    /// All of it, to start another run from.
    pub state: bool,
    /// All that differs from what the run started with, to lay it over the image again.
    pub layer: bool,
}

/// What can be reached from inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing but the sandbox itself.
    #[default]
    None,
    /// Whatever the engine's default network reaches.
    Public,
}

/// A command that must succeed before anything else starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The command, for a shell.
    pub command: String,
    /// Time between two tries.
    pub interval: Duration,
    /// Time for one try.
    pub timeout: Duration,
    /// Time from the start in which a failure does not count.
    pub start_period: Duration,
    /// Time between two tries within it.
    pub start_interval: Duration,
    /// Failures in a row after which it is given up.
    pub retries: u32,
}

/// What differs below a working directory from what a run started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The working directory, absolute.
    pub workdir: String,
    /// The files that were changed or deleted, as they were.
    pub before: FileTree,
    /// The files that were changed or added, as they are.
    pub after: Collected,
    /// Whether anything at all was changed, outside of the working directory included.
    pub anything: bool,
}

/// A file or folder that was taken out of an image's file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// What stood at the path.
    pub found: Found,
    /// The file, or those of the folder, relative to the folder around it.
    pub files: Collected,
}

/// All that a run changed of an image's file system, so that it can be laid over it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootLayer {
    /// The files as a tar, with their absolute paths, owners and modes.
    pub tar: Arc<[u8]>,
    /// Absolute paths that were removed.
    pub removed: Vec<String>,
    /// Whether there is more than is collected: then nothing is kept.
    pub truncated: bool,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    #[default]
    Nothing,
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A file system that a run left, to start another one from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Name that only the backend understands.
    pub(super) name: String,
}
