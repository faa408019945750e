//! The command line: one file per command, each with its `Args` and one `run`.
//!
//! Invariant: commands only connect; what they connect (archive, engine, views) is tested
//! without a process. Adding a command takes its file and one line in [`Command`].

mod assets;
mod bench;
mod caps;
mod checkout;
mod cost;
mod diff;
mod doctor;
mod dry_run;
mod error;
mod eval;
mod evolve;
mod exit;
mod export;
mod fsck;
mod gateway;
mod init;
mod logging;
mod look;
mod making;
mod place;
mod preset;
mod prices;
mod progress;
mod run;
mod runtime;
mod show;
mod traffic;
mod tree;
mod ui;
mod workplace;

use clap::Parser as _;
use exit::Code;
use std::process::ExitCode;
use ui::{Color, Ui};

/// Grow an archive of self-improving coding agents
///
/// An archive is a folder that holds every agent ever made (as git commits), every evaluation
/// with its logs, and what it all cost. Agents improve by editing their own source code; what
/// they do runs in sandboxes without network and without keys.
#[derive(clap::Parser)]
#[command(name = "dgm", version, after_help = exit::HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(clap::Args)]
struct Global {
    /// When to use color
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    #[arg(hide_possible_values = true, help_heading = "Global options")]
    color: Color,
    /// Say less: no progress, only results and errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,
    /// Say more; repeat for details (`RUST_LOG` decides exactly)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    #[arg(help_heading = "Global options")]
    verbose: u8,
}

#[derive(clap::Subcommand)]
enum Command {
    Evolve(evolve::Args),
    Init(init::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    Tree(tree::Args),
    Show(show::Args),
    Diff(diff::Args),
    Checkout(checkout::Args),
    Cost(cost::Args),
    Export(export::Args),
    Gateway(gateway::Args),
    Fsck(fsck::Args),
    Doctor(doctor::Args),
}

impl Command {
    fn run(self, ui: Ui) -> anyhow::Result<Code> {
        match self {
            Self::Evolve(args) => args.run(ui),
            Self::Init(args) => args.run(ui),
            Self::Eval(args) => args.run(ui),
            Self::Bench(args) => args.run(ui),
            Self::Tree(args) => args.run(ui),
            Self::Show(args) => args.run(ui),
            Self::Diff(args) => args.run(ui),
            Self::Checkout(args) => args.run(ui),
            Self::Cost(args) => args.run(ui),
            Self::Export(args) => args.run(ui),
            Self::Gateway(args) => args.run(ui),
            Self::Fsck(args) => args.run(ui),
            Self::Doctor(args) => args.run(ui),
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for: they are data, and clap knows where they go.
            let code = if error.use_stderr() {
                Code::Usage
            } else {
                Code::Done
            };
            return match error.print() {
                Ok(()) => code.into(),
                Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => code.into(),
                Err(_) => Code::Failed.into(),
            };
        }
    };
    logging::start(cli.global.verbose);
    if let Err(error) = crate::sys::memory::keep_private() {
        tracing::warn!(%error, "this process's memory can be read by others of the same user");
    }
    let ui = Ui::new(cli.global.color, cli.global.quiet);
    let code = match cli.command.run(ui) {
        Ok(code) => code,
        Err(error) if error::is_broken_pipe(&error) => Code::Done,
        Err(error) => {
            error::show(&ui, &error);
            error::code(&error)
        }
    };
    code.into()
}
