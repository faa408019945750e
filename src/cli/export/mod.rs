//! `dgm export`: what an archive knows, in formats of other tools. One file for each family of
//! formats; what they look like is in [`crate::view::export`].

mod args;
mod chosen;
mod harbor;
mod swebench;
mod table;
mod trajectory;

use super::error::usage;
use super::exit::Code;
use super::place::{self};
use super::ui::Ui;
use crate::archive::Reader;
use crate::domain::VariantId;
use crate::view::export;
pub(super) use args::Args;
use args::Format;
use chosen::{announced, choose, write};
use trajectory::Exporter;

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        if self.attempt && self.format != Format::Atif {
            return usage(
                "`--attempt` is for trajectories",
                "say `--format atif`, or leave it out",
            );
        }
        let (place, words) = place::split(&self.words, &self.format.shape())?;
        let reader = Reader::open(&place.dir)?;
        let lineage = reader.lineage()?;
        let chosen = || {
            let variants = words.iter().map(|word| {
                let variant = place::find_variant(&lineage, word)?;
                anyhow::Ok(variant.id)
            });
            choose(
                &self,
                &lineage,
                &variants.collect::<anyhow::Result<Vec<VariantId>>>()?,
            )
        };
        let instances = || swebench::SwebenchExporter::open(&place.dir, &reader, &lineage);
        match self.format {
            Format::Atif => {
                let exporter = Exporter {
                    reader: &reader,
                    lineage: &lineage,
                };
                trajectory::run(&self, ui, &place, words, &exporter)
            }
            Format::Harbor => {
                let exporter = Exporter {
                    reader: &reader,
                    lineage: &lineage,
                };
                harbor::write(&self, ui, &place.dir, &exporter, &chosen()?)
            }
            Format::SwebenchReport => swebench::report(
                &self,
                ui,
                &instances()?,
                &announced(ui, &lineage, chosen()?),
            ),
            Format::Csv => table::csv(&self, ui, &reader, &lineage, &chosen()?),
            Format::Parquet => table::parquet(&self, ui, &reader, &lineage, &chosen()?),
            Format::Predictions => {
                let chosen = announced(ui, &lineage, chosen()?);
                let found = swebench::predictions(ui, &instances()?, &chosen)?;
                write(&self, ui, export::predictions(&found).as_bytes())
            }
            Format::Preds => {
                let chosen = announced(ui, &lineage, chosen()?);
                let found = swebench::predictions(ui, &instances()?, &chosen)?;
                write(&self, ui, export::preds(&found).as_bytes())
            }
        }
    }
}
