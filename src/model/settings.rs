//! What a role's model is, resolved from the configuration by the caller.

use super::{Price, Rates, Retry, bound, listed_price};
use crate::domain::{Amount, Tokens};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Variable that holds OpenAI's key unless the settings name another.
pub(super) const OPENAI_KEY_ENV: &str = "OPENAI_API_KEY";
/// Variable that holds Anthropic's key unless the settings name another.
pub(super) const ANTHROPIC_KEY_ENV: &str = "ANTHROPIC_API_KEY";

/// Most tokens of one answer where the configuration says nothing.
const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 16_384;

/// Names of the providers there are.
const PROVIDERS: [&str; 3] = ["openai", "anthropic", "command"];

/// Settings of one role's model.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Who serves it: `openai`, `anthropic` or `command`.
    pub provider: String,
    /// Name of the model: what requests carry, and what the books say.
    pub model: String,
    /// Where the provider's server is, if not where its own is.
    pub base_url: Option<String>,
    /// Environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// File that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// Further headers of each request; never secret ones.
    pub headers: BTreeMap<String, String>,
    /// Further fields of each request's body; they take the place of the caller's.
    pub extra_body: Map<String, Value>,
    /// What the server calls the limit of output tokens.
    pub limit_field: LimitField,
    /// Whether the model takes images.
    pub images: bool,
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
    /// Time for a connection to the server.
    pub connect_timeout: Duration,
    /// Longest time in which a server that is answering says nothing.
    pub idle_timeout: Duration,
    /// How often and how patiently a failed call is tried again.
    pub retry: Retry,
}

/// What a server of Chat Completions calls the limit of output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitField {
    /// `max_completion_tokens`, its present name.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, its former name, which is all that some servers know.
    MaxTokens,
}

impl LimitField {
    /// Both, the present one first.
    pub const ALL: [Self; 2] = [Self::MaxCompletionTokens, Self::MaxTokens];

    /// Returns the field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
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
         (US dollars per million tokens), or `free = true` if calls cost nothing; \
         `dgm cost --prices` lists the models whose price is known, each at its provider's server"
    )]
    NoPrice {
        /// Its name.
        model: String,
    },
}

impl SettingsError {
    pub(super) fn unknown_provider(provider: &str) -> Self {
        let known = PROVIDERS.map(|name| format!("`{name}`")).join(", ");
        let near = PROVIDERS
            .iter()
            .map(|name| (strsim::damerau_levenshtein(provider, name), name))
            .filter(|(distance, _)| *distance <= 3)
            .min();
        Self::UnknownProvider {
            provider: provider.to_owned(),
            known: match near {
                Some((_, near)) => format!("{known}; did you mean `{near}`?"),
                None => known,
            },
        }
    }

    pub(super) fn unusable(key: &'static str, what: impl Into<String>) -> Self {
        Self::Unusable {
            key,
            what: what.into(),
        }
    }
}

impl ModelSettings {
    /// Returns what a provider and the name of a model leave open, at its defaults: no
    /// price, no program, the provider's own server and the usual variable for its key.
    pub fn new(provider: &str, model: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            base_url: None,
            api_key_env: None,
            api_key_file: None,
            headers: BTreeMap::new(),
            extra_body: Map::new(),
            limit_field: LimitField::default(),
            images: true,
            command: Vec::new(),
            dir: PathBuf::from("."),
            pass_env: Vec::new(),
            price: None,
            max_output_tokens: None,
            timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(180),
            retry: Retry::default(),
        }
    }

    /// Returns whether the same server, or program, serves both with the same model: then what
    /// it says of one call holds for the other's, too.
    pub fn is_served_like(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.base_url == other.base_url
            && self.model == other.model
            && self.command == other.command
            && self.dir == other.dir
    }

    /// Returns the environment variable that its key comes from, if it comes from one.
    pub fn key_variable(&self) -> Option<&str> {
        let usual = match self.provider.as_str() {
            "openai" => OPENAI_KEY_ENV,
            "anthropic" => ANTHROPIC_KEY_ENV,
            _ => return None,
        };
        // The usual one holds the key to the provider's own server.
        let is_own = self.base_url.is_none() && self.api_key_file.is_none();
        let named = self.api_key_env.as_deref();
        named.or_else(|| is_own.then_some(usual))
    }

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
        match self.provider.as_str() {
            "command" => self.check_command()?,
            _ => self.check_server()?,
        }
        if self.max_output_tokens == Some(0) {
            return Err(SettingsError::unusable(
                "max_output_tokens",
                "must be at least 1",
            ));
        }
        for (key, time) in [
            ("timeout_sec", self.timeout),
            ("connect_timeout_sec", self.connect_timeout),
            ("idle_timeout_sec", self.idle_timeout),
        ] {
            if time.is_zero() {
                return Err(SettingsError::unusable(key, "must be more than 0"));
            }
        }
        Ok(())
    }

    fn check_command(&self) -> Result<(), SettingsError> {
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
        self.refuse_others(&[
            ("base_url", self.base_url.is_some()),
            ("api_key_env", self.api_key_env.is_some()),
            ("api_key_file", self.api_key_file.is_some()),
            ("headers", !self.headers.is_empty()),
            ("extra_body", !self.extra_body.is_empty()),
        ])
    }

    fn check_server(&self) -> Result<(), SettingsError> {
        if let Some(name) = secret_in(&self.extra_body) {
            return Err(SettingsError::unusable(
                "extra_body",
                format!("`{name}` {LOOKS_SECRET}"),
            ));
        }
        let own = ["model", "messages", "stream", "stream_options", "n"];
        if let Some(name) = own.iter().find(|name| self.extra_body.contains_key(**name)) {
            return Err(SettingsError::unusable(
                "extra_body",
                format!("holds `{name}`, which the program itself sets"),
            ));
        }
        let limits = LimitField::ALL.map(LimitField::name);
        if let Some(name) = limits
            .iter()
            .find(|name| self.extra_body.contains_key(**name))
        {
            return Err(SettingsError::unusable(
                "extra_body",
                format!("holds `{name}`: set `max_output_tokens` instead"),
            ));
        }
        self.refuse_others(&[
            ("command", !self.command.is_empty()),
            ("pass_env", !self.pass_env.is_empty()),
        ])
    }

    /// Refuses settings that mean nothing to the provider.
    fn refuse_others(&self, others: &[(&'static str, bool)]) -> Result<(), SettingsError> {
        match others.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((key, _)) => Err(SettingsError::unusable(
                key,
                format!("means nothing to provider `{}`", self.provider),
            )),
        }
    }

    /// Returns what its tokens cost: as configured, or as the table says.
    pub fn known_price(&self) -> Result<Price, SettingsError> {
        match self.price {
            Some(price) => {
                let negative = |rates: &Rates| rates.named().iter().any(|(_, rate)| rate.0 < 0);
                if price.rates().iter().any(negative) {
                    return Err(SettingsError::unusable("price", "must not be less than 0"));
                }
                Ok(price)
            }
            None => listed_price(&self.provider, self.base_url.as_deref(), &self.model)
                .map(|listed| listed.price)
                .ok_or_else(|| SettingsError::NoPrice {
                    model: self.model.clone(),
                }),
        }
    }

    /// Returns what is reserved for a call with an empty prompt that may have as many output
    /// tokens as any: the host makes none that is smaller. Where the price is not known,
    /// which is an error of its own wherever calls are charged, it costs nothing.
    pub fn least_call(&self) -> Amount {
        let output = self.output_limit();
        let empty = json!({
            "model": self.model, "messages": [], "max_completion_tokens": output,
        });
        let tokens = Tokens {
            input: bound::input_at_most(&empty),
            output,
            ..Tokens::default()
        };
        let price = self.known_price().unwrap_or(Price::Free);
        Amount {
            calls: 1,
            tokens: tokens.total(),
            cost: price.at_most(tokens),
        }
    }

    pub(super) fn output_limit(&self) -> u64 {
        self.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS)
    }
}

/// What is said of a secret in the configuration, which is copied and recorded.
pub(super) const LOOKS_SECRET: &str =
    "looks like a secret: keys come from `api_key_env` or `api_key_file`";

/// What names of secrets end with, in lower case and without what parts their words. Not
/// `token` alone: `max_tokens` and many of its like are none.
const SECRET_ENDS: [&str; 14] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "authorization",
    "authtoken",
    "bearer",
    "credential",
    "credentials",
    "passwd",
    "password",
    "secret",
    "secretkey",
    "subscriptionkey",
];

/// Returns whether a text by this name is a secret.
pub(super) fn names_secret(name: &str) -> bool {
    let words = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = words.map(|c| c.to_ascii_lowercase()).collect();
    ["key", "token", "auth", "code", "sig"].contains(&name.as_str())
        || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Returns the name of the first secret among fields, and those below them.
fn secret_in(fields: &Map<String, Value>) -> Option<&str> {
    fields.iter().find_map(|(name, value)| match value {
        Value::String(text) if !text.is_empty() && names_secret(name) => Some(name.as_str()),
        Value::Object(fields) => secret_in(fields),
        Value::Array(list) => list.iter().filter_map(Value::as_object).find_map(secret_in),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::{ModelSettings, Price, SettingsError};
    use crate::model::Model;

    fn settings() -> ModelSettings {
        ModelSettings {
            command: vec!["cat".to_owned()],
            price: Some(Price::Free),
            ..ModelSettings::new("command", "m")
        }
    }

    fn refusal(settings: ModelSettings) -> String {
        Model::new(settings)
            .expect_err("the settings are refused")
            .to_string()
    }

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in [
            "api_key",
            "apiKey",
            "X-Api-Key",
            "openai_api_key",
            "key",
            "token",
            "access_token",
            "client_secret",
            "password",
            "Authorization",
            "subscription-key-secret",
        ] {
            assert!(super::names_secret(name), "{name}");
        }
        for name in [
            "max_tokens",
            "prompt_cache_key",
            "stop_token_ids",
            "skip_special_tokens",
            "keys",
            "api-version",
            "tokenizer",
            "monkey",
            "author",
            "",
        ] {
            assert!(!super::names_secret(name), "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Model::new(settings()).is_ok());
        assert_eq!(
            refusal(ModelSettings {
                provider: "comand".to_owned(),
                ..settings()
            }),
            "unknown provider `comand`; known are `openai`, `anthropic`, `command`; \
             did you mean `command`?"
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
