//! `dgm bench build`.

use crate::cli::assets;
use crate::cli::error::usage;
use crate::cli::exit::Code;
use crate::cli::runtime::block_on;
use crate::cli::ui::Ui;
use crate::domain::FileTree;
use crate::sandbox::docker::Engine;
use crate::sandbox::docker::image::{BuildNetwork, Built, build};
use anyhow::Context as _;
use std::path::PathBuf;

/// Build the images that tasks run in
///
/// The recipes are the folders of `sandbox/`; each starts from `debian:bookworm-slim` or
/// `debian:trixie-slim`. Where no container registry can be reached, `sandbox/make-base` makes
/// these images from Debian's packages.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dgm bench build                     every image
  dgm bench build dgm-smoke           one
  dgm bench build --network host      where containers have no network of their own")]
pub(super) struct Args {
    /// Names of images [default: all]
    images: Vec<String>,
    /// Network of the build: `default` or `host`
    #[arg(long, default_value = "default", value_parser = ["default", "host"])]
    network: String,
    /// File with certificates that a build trusts while it fetches; no image keeps them
    ///
    /// For machines behind a proxy that ends TLS.
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE")]
    ca: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: Ui) -> anyhow::Result<Code> {
        let names = if self.images.is_empty() {
            assets::recipes()
        } else {
            self.images.clone()
        };
        let mut recipes: Vec<(String, FileTree)> = Vec::new();
        for name in names {
            let Some(recipe) = assets::recipe(&name) else {
                return usage(
                    format!("there is no recipe for an image `{name}`"),
                    format!("there are: {}", assets::recipes().join(", ")),
                );
            };
            recipes.push((name, recipe));
        }
        let network = BuildNetwork {
            host: self.network == "host",
            certificates: match &self.ca {
                Some(path) => std::fs::read(path)
                    .with_context(|| format!("could not read `{}`", path.display()))?,
                None => Vec::new(),
            },
        };
        block_on(async {
            let engine = Engine::connect().await?;
            for (name, recipe) in &recipes {
                ui.status(&format!("{name}: building"));
                let mut progress = |line: &str| tracing::info!(image = name, "{line}");
                let built = build(&engine, recipe, name, &network, &mut progress).await?;
                ui.data(match built {
                    Built::UpToDate => format!("{name}: up to date\n"),
                    Built::Built => format!("{name}: built\n"),
                })?;
            }
            Ok(Code::Done)
        })
    }
}
