//! What tasks are let have beyond their own files, where no configuration says it.

use crate::benchmark::Permits;
use crate::cli::error::usage;
use crate::config::is_secret_name;
use crate::sandbox::Network;

/// What tasks may have.
#[derive(clap::Args)]
pub(super) struct Grants {
    /// Network for tasks that want one: `none` or `public`
    #[arg(long, default_value = "none", value_parser = ["none", "public"])]
    network: String,
    /// What tasks that want some hosts only get: `refuse` (not run), or with `--network public`
    /// the whole network: `public`
    #[arg(long, default_value = "refuse", value_parser = ["refuse", "public"])]
    allowlist: String,
    /// Variables of this machine that tasks may name, as `[sandbox] env` does it for an archive
    #[arg(long, value_name = "NAME", num_args = 1..)]
    env: Vec<String>,
}

impl Grants {
    /// Returns what tasks may have.
    pub(super) fn permits(&self) -> anyhow::Result<Permits> {
        let mut permits = Permits {
            network: match self.network.as_str() {
                "public" => Network::Public,
                _ => Network::None,
            },
            allowlist_is_public: self.allowlist == "public",
            ..Permits::default()
        };
        for name in &self.env {
            if is_secret_name(name) {
                return usage(
                    format!("`--env` names `{name}`, a secret by its name"),
                    "no sandbox ever sees a secret: write what the task needs into the task",
                );
            }
            match std::env::var(name) {
                Ok(value) => permits.variables.insert(name.clone(), value),
                Err(_) => {
                    return usage(
                        format!("`--env` names `{name}`, which is not set"),
                        "set it, or leave it out",
                    );
                }
            };
        }
        Ok(permits)
    }
}
