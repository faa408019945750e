//! `dgm bench`: benchmarks, without an archive.

mod build;
mod check;
mod grade;
mod grants;
mod images;
mod import;
mod list;

use super::exit::Code;
use super::ui::Ui;

/// Import, list, check and prepare benchmarks, and grade logs
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(clap::Subcommand)]
enum BenchCommand {
    List(list::Args),
    Check(check::Args),
    Build(build::Args),
    Images(images::Args),
    Import(import::Args),
    Grade(grade::Args),
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match self.command {
            BenchCommand::List(args) => args.run(ui),
            BenchCommand::Check(args) => args.run(ui),
            BenchCommand::Build(args) => args.run(ui),
            BenchCommand::Images(args) => args.run(ui),
            BenchCommand::Import(args) => args.run(ui),
            BenchCommand::Grade(args) => args.run(ui),
        }
    }
}
