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
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
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
            Command::List(args) => args.run(ui),
            Command::Check(args) => args.run(ui),
            Command::Build(args) => args.run(ui),
            Command::Images(args) => args.run(ui),
            Command::Import(args) => args.run(ui),
            Command::Grade(args) => args.run(ui),
        }
    }
}
