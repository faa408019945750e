//! What a role's model is, resolved from the configuration by the caller.

use super::{Price, Rates};
use std::path::PathBuf;
use std::time::Duration;

/// Most tokens of one answer where the configuration says nothing.
const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 16_384;

/// Names of the providers there are.
const PROVIDERS: [&str; 1] = ["command"];

/// Settings of one role's model.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Who serves it: `command`.
    pub provider: String,
    /// Name of the model: what requests carry, and what the books say.
    pub model: String,
    /// Program and arguments of provider `command`. A program without `/` is looked for in
    /// `PATH`; a relative path starts at `dir`.
    pub command: Vec<String>,
    /// Folder in which the program is started.
    pub dir: PathBuf,
    /// Environment variables that the program inherits beside the harmless standard ones.
    pub pass_env: Vec<String>,
    /// What tokens cost; none is not known, which is an error.
    pub price: Option<Price>,
    /// Most tokens of one answer.
    pub max_output_tokens: Option<u64>,
    /// Time for one call.
    pub timeout: Duration,
}

/// Why settings make no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is no such provider.
    #[error("unknown provider `{provider}`; known are {known}")]
    UnknownProvider {
        /// As written.
        provider: String,
        /// The names that exist.
        known: String,
    },
    /// A setting is missing.
    #[error("`{key}` is missing: {what}")]
    Missing {
        /// The setting.
        key: &'static str,
        /// What it is for.
        what: &'static str,
    },
    /// A setting cannot be used.
    #[error("`{key}` {what}")]
    Unusable {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing says what the model costs.
    #[error(
        "the price of model `{model}` is not known: set `price = {{ input = …, output = … }}` \
         (US dollars per million tokens), or `free = true` if calls cost nothing"
    )]
    NoPrice {
        /// Its name.
        model: String,
    },
}

impl SettingsError {
    pub(super) fn unknown_provider(provider: &str) -> Self {
        Self::UnknownProvider {
            provider: provider.to_owned(),
            known: PROVIDERS.map(|name| format!("`{name}`")).join(", "),
        }
    }

    fn unusable(key: &'static str, what: impl Into<String>) -> Self {
        Self::Unusable {
            key,
            what: what.into(),
        }
    }
}

impl ModelSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if !PROVIDERS.contains(&self.provider.as_str()) {
            return Err(SettingsError::unknown_provider(&self.provider));
        }
        if self.model.trim().is_empty() {
            return Err(SettingsError::Missing {
                key: "model",
                what: "the name of the model",
            });
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Err(SettingsError::Missing {
                key: "command",
                what: "provider `command` needs a program and its arguments",
            });
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(SettingsError::unusable("command", "holds a NUL byte"));
        }
        if let Some(name) = self.pass_env.iter().find(|name| !is_variable(name)) {
            return Err(SettingsError::unusable(
                "pass_env",
                format!("holds `{name}`, which is no name of an environment variable"),
            ));
        }
        if self.max_output_tokens == Some(0) {
            return Err(SettingsError::unusable(
                "max_output_tokens",
                "must be at least 1",
            ));
        }
        if self.timeout.is_zero() {
            return Err(SettingsError::unusable(
                "timeout_sec",
                "must be more than 0",
            ));
        }
        Ok(())
    }

    pub(super) fn known_price(&self) -> Result<Price, SettingsError> {
        match self.price {
            Some(price) => {
                let negative = |rates: &Rates| rates.named().iter().any(|(_, rate)| rate.0 < 0);
                if price.rates().iter().any(negative) {
                    return Err(SettingsError::unusable("price", "must not be less than 0"));
                }
                Ok(price)
            }
            None => Err(SettingsError::NoPrice {
                model: self.model.clone(),
            }),
        }
    }

    pub(super) fn output_limit(&self) -> u64 {
        self.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS)
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::{ModelSettings, Price, SettingsError};
    use crate::model::Model;
    use std::path::PathBuf;
    use std::time::Duration;

    fn settings() -> ModelSettings {
        ModelSettings {
            provider: "command".to_owned(),
            model: "m".to_owned(),
            command: vec!["cat".to_owned()],
            dir: PathBuf::from("/"),
            pass_env: Vec::new(),
            price: Some(Price::Free),
            max_output_tokens: None,
            timeout: Duration::from_secs(1),
        }
    }

    fn refusal(settings: ModelSettings) -> String {
        Model::new(settings)
            .expect_err("the settings are refused")
            .to_string()
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Model::new(settings()).is_ok());
        assert_eq!(
            refusal(ModelSettings {
                provider: "comand".to_owned(),
                ..settings()
            }),
            "unknown provider `comand`; known are `command`"
        );
        assert_eq!(
            refusal(ModelSettings {
                command: Vec::new(),
                ..settings()
            }),
            "`command` is missing: provider `command` needs a program and its arguments"
        );
        assert_eq!(
            refusal(ModelSettings {
                pass_env: vec!["A=B".to_owned()],
                ..settings()
            }),
            "`pass_env` holds `A=B`, which is no name of an environment variable"
        );
        assert_eq!(
            refusal(ModelSettings {
                max_output_tokens: Some(0),
                ..settings()
            }),
            "`max_output_tokens` must be at least 1"
        );
        let no_price = ModelSettings {
            price: None,
            ..settings()
        };
        assert!(matches!(
            Model::new(no_price),
            Err(SettingsError::NoPrice { model }) if model == "m"
        ));
    }
}
