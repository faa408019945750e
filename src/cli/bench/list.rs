//! `dgm bench list`.

use super::grants::Grants;
use crate::cli::exit::Code;
use crate::cli::ui::Ui;
use crate::cli::workplace;
use crate::view::bench;
use std::path::PathBuf;

/// List the tasks of a benchmark, and what is wrong with those that cannot run
#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of Harbor task directories
    benchmark: PathBuf,
    #[command(flatten)]
    grants: Grants,
    /// Print JSON (`dgm.bench-list/1`)
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let suite = workplace::read_suite(&self.benchmark, &self.grants.permits()?)?;
        let tasks: Vec<bench::Listed> = suite
            .tasks
            .iter()
            .map(|task| bench::Listed {
                name: task.id.to_string(),
                digest: task.digest.clone(),
                image: task.image.clone(),
                local: task.local,
                trouble: None,
            })
            .chain(suite.refused.iter().map(|(name, error)| bench::Listed {
                name: name.clone(),
                digest: String::new(),
                image: None,
                local: false,
                trouble: Some(error.to_string()),
            }))
            .collect();
        ui.data(if self.json {
            bench::list_json(&tasks)
        } else {
            bench::list_text(&tasks, ui.data_style())
        })?;
        for warning in &suite.warnings {
            ui.warn(warning);
        }
        Ok(if suite.refused.is_empty() {
            Code::Done
        } else {
            Code::Failed
        })
    }
}
