//! Where children are made and tried out.

use crate::domain::FileTree;
use crate::sandbox::Limits;
use crate::trial::{AgentTurn, SandboxHost};
use std::sync::Arc;
use std::time::Duration;

/// Folder in which an agent changes its own source.
const WORKDIR: &str = "/workspace";

/// Where children are made.
#[derive(Clone)]
pub(super) struct Workshop {
    pub host: SandboxHost,
    pub image: String,
    pub limits: Limits,
    pub modify_timeout: Duration,
}

impl Workshop {
    /// Returns a turn in the image in which agents are made.
    pub(super) fn turn(&self, job: String, instruction: String, files: Arc<FileTree>) -> AgentTurn {
        let mut turn = AgentTurn::sealed(job, instruction, WORKDIR, files);
        turn.image = Some(self.image.clone());
        turn
    }
}
