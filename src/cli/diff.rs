//! `dgm diff`.

use super::exit::Code;
use super::place::{self, Shape, find_variant};
use super::ui::Ui;
use crate::archive::Reader;
use crate::view::patch;

const SHAPE: Shape = Shape {
    verb: "diff",
    rest: "A [B]",
    least: 1,
    most: 2,
};

/// Show how the source of two variants differs
///
/// With one variant: what changed against its parent (for the seed: all of it).
#[derive(clap::Args)]
#[command(
    override_usage = "dgm diff [OPTIONS] [DIR] A [B]",
    after_help = "\
Where:
  DIR   folder of the archive; by default the current directory
  A, B  variants: a number (`7` or `#7`), `best`, `seed`, or the beginning of a commit id

Examples:
  dgm diff demo best         what the best variant changed in its parent
  dgm diff demo seed best    everything that led from the seed to the best
  cd demo && dgm diff 7"
)]
pub(super) struct Args {
    /// `[DIR] A [B]`; see [`place`]
    #[arg(required = true, num_args = 1..=3, value_name = "[DIR] A [B]", hide = true)]
    words: Vec<String>,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let (place, words) = place::split(&self.words, &SHAPE)?;
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let find = |name: &String| find_variant(&lineage, name);
        let diff = match words {
            [a, b] => reader.diff(Some(&find(a)?.commit), &find(b)?.commit)?,
            words => {
                let variant = find(&words[0])?;
                let parent = variant.parent.and_then(|parent| lineage.variant(parent));
                reader.diff(parent.map(|parent| &parent.commit), &variant.commit)?
            }
        };
        // A file gets the bytes as they are, so that the diff can be applied.
        if ui.data_is_read() {
            ui.data(patch::paint(&diff, ui.data_style()))?;
        } else {
            ui.data(diff)?;
        }
        Ok(Code::Done)
    }
}
