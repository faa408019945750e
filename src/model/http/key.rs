//! The key of a provider: found once, held in a secret, put into one header.
//!
//! Invariant: nothing in this program prints it. It has no `Display`, its `Debug` says only
//! where it came from, and [`redact`] takes it out of whatever a server sends back.

use crate::model::{ModelError, ModelSettings, SettingsError};
use reqwest::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use std::env;
use std::fmt;
use std::path::Path;

/// What stands in a text in place of a key.
const REDACTED: &str = "[key]";
/// Most bytes of a file that holds a key.
const MOST_BYTES: u64 = 64 << 10;

/// A key and where it came from.
#[derive(Clone)]
pub(super) struct Key {
    secret: SecretString,
    name: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

impl Key {
    /// Finds the key that settings name: in a variable, in a file, in the provider's usual
    /// variable where the server is its own, or none.
    pub(super) fn find(
        settings: &ModelSettings,
        usual: &str,
    ) -> Result<Option<Self>, SettingsError> {
        match (&settings.api_key_env, &settings.api_key_file) {
            (Some(_), Some(_)) => Err(SettingsError::unusable(
                "api_key_file",
                "is set, and `api_key_env` as well: one of them is enough",
            )),
            (Some(variable), None) => Self::from_env(variable).map(Some),
            (None, Some(file)) => Self::from_file(&settings.dir.join(file)).map(Some),
            (None, None) if settings.base_url.is_none() => Self::from_env(usual).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn from_env(variable: &str) -> Result<Self, SettingsError> {
        let what = |what: &str| {
            SettingsError::unusable(
                "api_key_env",
                format!(
                    "names the environment variable `{variable}`, which {what}: set it to the \
                     provider's key, or name a file that holds the key with `api_key_file`"
                ),
            )
        };
        if !is_variable(variable) {
            return Err(SettingsError::unusable(
                "api_key_env",
                "must be the name of an environment variable, not the key itself",
            ));
        }
        let value = env::var_os(variable).ok_or_else(|| what("is not set"))?;
        let value = value.into_string().map_err(|_| what("holds no text"))?;
        Self::from_text(value, format!("`{variable}`")).map_err(what)
    }

    fn from_file(file: &Path) -> Result<Self, SettingsError> {
        let what = |what: &str| {
            SettingsError::unusable(
                "api_key_file",
                format!("names `{}`, which {what}", file.display()),
            )
        };
        let text = std::fs::metadata(file)
            .and_then(|metadata| match metadata.len() {
                0..=MOST_BYTES => std::fs::read_to_string(file),
                _ => Err(std::io::Error::other("it is too large to be a key")),
            })
            .map_err(|error| what(&format!("cannot be read: {error}")))?;
        Self::from_text(text, format!("the file `{}`", file.display())).map_err(what)
    }

    fn from_text(text: String, name: String) -> Result<Self, &'static str> {
        let text = Zeroizing::new(text);
        let key = text.trim();
        if key.is_empty() {
            return Err("is empty");
        }
        if !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err("holds no key: spaces, line breaks or other odd characters are in it");
        }
        let secret = SecretString::from(key);
        Ok(Self { secret, name })
    }

    /// Returns where it came from, for messages.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Returns it as the value of a header.
    pub(super) fn header(&self, prefix: &str) -> Result<HeaderValue, ModelError> {
        let text = Zeroizing::new(format!("{prefix}{}", self.secret.expose_secret()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| ModelError::Unusable {
            what: format!("the key in {} cannot be sent", self.name),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Returns whether a name is one of a variable, and not a key that somebody has put there,
/// which must not be printed.
fn is_variable(name: &str) -> bool {
    const LONGEST: usize = 64;
    // Variables are written in capitals; what else is long and holds digits may be a key.
    let is_suspect = name.len() >= 20
        && name.contains(|c: char| c.is_ascii_digit())
        && name.contains(|c: char| c.is_ascii_lowercase());
    name.len() <= LONGEST
        && !is_suspect
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns a text of a server without the key, should the server have sent it back.
pub(super) fn redact(key: Option<&Key>, text: impl Into<String>) -> String {
    let text = text.into();
    match key.map(|key| key.secret.expose_secret()) {
        Some(key) if text.contains(key) => text.replace(key, REDACTED),
        Some(_) | None => text,
    }
}
