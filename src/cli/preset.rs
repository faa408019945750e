//! Configurations that the program brings along.

use super::assets;
use crate::domain::FileTree;
use clap::ValueEnum;

/// A configuration that the program brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// Tiny tasks and the scripted model in the local sandbox: a first look, and CI
    Smoke,
    /// Your benchmark in Docker with its own solutions played: a rehearsal before a real run
    Rehearsal,
}

impl Preset {
    /// Returns its `dgm.toml`.
    pub(super) fn config(self) -> String {
        let name = match self {
            Self::Smoke => "smoke.toml",
            Self::Rehearsal => "rehearsal.toml",
        };
        let presets = assets::benchmarks("presets");
        let file = presets
            .get(name)
            .expect("each preset has its file in benchmarks/presets");
        String::from_utf8_lossy(&file.bytes).into_owned()
    }

    /// Returns the folders it brings into an archive, each with its place there.
    pub(super) fn folders(self) -> Vec<(&'static str, FileTree)> {
        let model = (
            "benchmarks/scripted-model",
            assets::benchmarks("scripted-model"),
        );
        match self {
            Self::Smoke => vec![("benchmarks/smoke", assets::benchmarks("smoke")), model],
            Self::Rehearsal => vec![model],
        }
    }

    /// Returns the place in the archive for a benchmark that the user must name.
    pub(super) fn wants_benchmark(self) -> Option<&'static str> {
        match self {
            Self::Smoke => None,
            Self::Rehearsal => Some("benchmarks/rehearsal"),
        }
    }
}
