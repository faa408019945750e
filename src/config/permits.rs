//! What tasks may have of this machine: a network, variables, rights over files.
//!
//! Invariant: nothing that is a key, by its name or because a model uses it, is among it.

use super::resolve::unknown;
use super::{ConfigError, Raw, RawModel};
use crate::benchmark::Permits;
use crate::sandbox::Network;
use std::collections::BTreeMap;

/// Parts of names that say that a value is a secret.
const SECRET: [&str; 7] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "AUTH",
];

/// Returns what tasks may have. Keys are never among it: a sandbox sees none.
pub(super) fn permits(raw: &Raw) -> Result<Permits, ConfigError> {
    let network = match raw.sandbox.network.as_str() {
        "none" => Network::None,
        "public" => Network::Public,
        "allowlist" => {
            let what = "is `allowlist`: there is no proxy that could keep it; known are `none`, \
                        `public`";
            return Err(ConfigError::value("sandbox.network", what));
        }
        other => return Err(unknown("sandbox.network", other, &["none", "public"])),
    };
    let file_rights = match raw.sandbox.capabilities.as_str() {
        "none" => false,
        "files" => true,
        other => return Err(unknown("sandbox.capabilities", other, &["none", "files"])),
    };
    let mut variables = BTreeMap::new();
    for name in &raw.sandbox.env {
        let upper = name.to_ascii_uppercase();
        let models = [&raw.models.diagnose, &raw.models.modify, &raw.models.solve];
        let of_model = |model: &&RawModel| model.api_key_env.as_deref() == Some(name.as_str());
        if models.iter().any(of_model) || SECRET.iter().any(|part| upper.contains(part)) {
            let what = format!("names `{name}`, a secret by its name: no sandbox ever sees one");
            return Err(ConfigError::value("sandbox.env", what));
        }
        if let Ok(value) = std::env::var(name) {
            variables.insert(name.clone(), value);
        }
    }
    Ok(Permits {
        network,
        variables,
        file_rights,
    })
}
