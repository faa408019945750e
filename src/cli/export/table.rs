//! Evaluations as tables.

use super::args::Args;
use super::chosen::write;
use crate::archive::Reader;
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::domain::Evaluation;
use crate::lineage::Lineage;
use crate::view::export;
use anyhow::Context as _;

/// Writes comma-separated values.
pub(super) fn csv(
    args: &Args,
    ui: Ui,
    reader: &Reader,
    lineage: &Lineage,
    evaluations: &[&Evaluation],
) -> anyhow::Result<Code> {
    let rows = export::rows(reader.id(), lineage, evaluations);
    write(args, ui, export::csv(&rows).as_bytes())
}

/// Writes a Parquet file.
pub(super) fn parquet(
    args: &Args,
    ui: Ui,
    reader: &Reader,
    lineage: &Lineage,
    evaluations: &[&Evaluation],
) -> anyhow::Result<Code> {
    if args.out.is_none() && ui.data_is_read() {
        return usage(
            "a Parquet file is nothing to read on a terminal",
            "name a file with `--out`",
        );
    }
    let rows = export::rows(reader.id(), lineage, evaluations);
    let bytes = export::parquet(&rows).context("could not make a Parquet file")?;
    write(args, ui, &bytes)
}
