//! What tasks may have beyond their own files, as `[sandbox]` allows it.
//!
//! Invariant: no key ever gets into a sandbox; a variable that is one by its name, or that a
//! model reads, is refused.

use super::load::unknown;
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
pub(super) fn resolve(raw: &Raw) -> Result<Permits, ConfigError> {
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
    let allowlist_is_public = match raw.sandbox.allowlist.as_str() {
        "refuse" => false,
        "public" if network == Network::Public => true,
        "public" => {
            let what = "is `public`, but tasks get no network: that needs `network = \"public\"`";
            return Err(ConfigError::value("sandbox.allowlist", what));
        }
        other => return Err(unknown("sandbox.allowlist", other, &["refuse", "public"])),
    };
    let file_rights = match raw.sandbox.capabilities.as_str() {
        "none" => false,
        "files" => true,
        other => return Err(unknown("sandbox.capabilities", other, &["none", "files"])),
    };
    let mut variables = BTreeMap::new();
    for name in &raw.sandbox.env {
        let models = [&raw.models.diagnose, &raw.models.modify, &raw.models.solve];
        let of_model = |model: &&RawModel| model.api_key_env.as_deref() == Some(name.as_str());
        if models.iter().any(of_model) || is_secret_name(name) {
            let what = format!("names `{name}`, a secret by its name: no sandbox ever sees one");
            return Err(ConfigError::value("sandbox.env", what));
        }
        if let Ok(value) = std::env::var(name) {
            variables.insert(name.clone(), value);
        }
    }
    Ok(Permits {
        network,
        allowlist_is_public,
        variables,
        file_rights,
        collect: Some(raw.sandbox.collect_mb.saturating_mul(1 << 20)),
    })
}

/// Returns whether a variable is a secret by its name.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET.iter().any(|part| upper.contains(part))
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::config::{Raw, parse};

    fn raw(sandbox: &str) -> Raw {
        let model = |role: &str| {
            format!("[models.{role}]\nprovider = \"command\"\nmodel = \"m\"\ncommand = [\"x\"]\n")
        };
        let models = ["diagnose", "modify", "solve"].map(model).concat();
        let text = format!(
            "[benchmark]\npath = \"b\"\n[[stages]]\ncount = 1\n[sandbox]\n{sandbox}\n{models}"
        );
        parse(&text).expect("it can be read")
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_said() {
        let permits = resolve(&raw("")).expect("it is fine");
        assert!(permits.variables.is_empty() && !permits.file_rights);
        assert_eq!(permits.collect, Some(64 << 20));
        assert_eq!(permits.network, crate::sandbox::Network::None);
        let given = resolve(&raw(
            "env = [\"PATH\", \"NOT_SET_ANYWHERE\"]\nnetwork = \"public\"",
        ));
        let given = given.expect("it is fine");
        assert_eq!(given.variables.keys().collect::<Vec<_>>(), ["PATH"]);
        assert_eq!(given.network, crate::sandbox::Network::Public);
        assert!(
            !given.allowlist_is_public,
            "a network alone is no leave for this"
        );
        let given = resolve(&raw("network = \"public\"\nallowlist = \"public\""));
        assert!(given.expect("it is fine").allowlist_is_public);
    }

    #[test]
    fn keys_are_refused() {
        for (sandbox, named) in [
            ("env = [\"OPENAI_API_KEY\"]", "`OPENAI_API_KEY`, a secret"),
            ("env = [\"hf_token\"]", "`hf_token`, a secret"),
            ("network = \"allowlist\"", "no proxy"),
            ("network = \"host\"", "known are `none`, `public`"),
            ("allowlist = \"public\"", "needs `network"),
            ("allowlist = \"keep\"", "known are `refuse`, `public`"),
            ("capabilities = \"all\"", "known are `none`, `files`"),
        ] {
            let error = resolve(&raw(sandbox)).expect_err(sandbox).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
