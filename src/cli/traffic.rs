//! `--record` and `--replay`: keeping what models are sent and answer, and answering from it.

use super::error::{Hint as _, usage};
use super::init::Source;
use super::ui::Ui;
use crate::archive::{Layout, Reader};
use crate::domain::VariantId;
use crate::evolve::{ReplaySource, Unrecorded};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// What is done with the traffic of model calls.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct TrafficArgs {
    /// Keep what models are sent and what they answer, to replay the run from
    #[arg(long, conflicts_with = "replay")]
    pub(super) record: bool,
    /// Answer from the recordings of this archive: no provider is asked, nothing is charged
    #[arg(long, value_name = "ARCHIVE")]
    pub(super) replay: Option<PathBuf>,
}

impl TrafficArgs {
    /// Reads the recordings that are to be replayed, and says so.
    pub(super) fn source(&self, ui: Ui) -> anyhow::Result<Option<ReplaySource>> {
        let Some(dir) = &self.replay else {
            return Ok(None);
        };
        let source = ReplaySource::open(dir)?;
        if source.calls == 0 {
            return usage(
                format!("`{}` holds no recordings", dir.display()),
                "record a run with `--record`, or with `record = true` under `[models]`",
            );
        }
        ui.status(&format!(
            "replaying {} recorded calls of `{}`: no provider is asked, nothing is charged",
            source.calls,
            dir.display()
        ));
        Ok(Some(source))
    }
}

/// From what a new archive is made that replays another one, unless the command line says:
/// from that one's configuration and seed.
pub(super) struct Remake {
    pub(super) source: Source,
    /// Holds the seed until the archive is made.
    _seed: Option<tempfile::TempDir>,
}

impl Remake {
    /// Completes what the command line says.
    pub(super) fn of(said: &Source, replay: Option<&Path>) -> anyhow::Result<Self> {
        let mut source = said.clone();
        let Some(dir) = replay.filter(|_| said.config.is_none() && said.preset.is_none()) else {
            let _seed = None;
            return Ok(Self { source, _seed });
        };
        let reader = Reader::open(dir)?;
        source.config = Some(Layout::new(dir).config());
        let mut kept = None;
        if source.agent.is_none() {
            let lineage = reader.lineage()?;
            let seed = lineage.variant(VariantId::SEED);
            let seed = seed.context("the archive to replay has no seed")?;
            let folder = tempfile::tempdir().context("could not make a folder for the seed")?;
            reader.checkout(&seed.commit, folder.path(), false)?;
            source.agent = Some(folder.path().to_owned());
            kept = Some(folder);
        }
        Ok(Self {
            source,
            _seed: kept,
        })
    }
}

/// Says how a replay went, and what to do where it could not go on.
pub(super) fn replayed<T>(
    ui: Ui,
    source: Option<&ReplaySource>,
    finished: anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Some(source) = source else {
        return finished;
    };
    let counts = source.replay.replayed();
    let alike = match counts.steadied {
        0 => String::new(),
        calls => format!(", {calls} of them but for times, addresses and temporary names"),
    };
    let place = &source.place;
    ui.status(&format!(
        "replayed {} of {} recorded calls of `{place}`{alike}; nothing was charged",
        counts.calls, source.calls
    ));
    match finished {
        Err(error) if error.is::<Unrecorded>() => Err(error)
            .context("the replay cannot go on")
            .hint("docs/replay.md says what makes two runs differ; what had ended is recorded"),
        finished => finished,
    }
}
