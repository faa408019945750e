//! Parsing, with messages that say where and what was probably meant.

use super::Raw;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not what `dgm.toml` may be; the message shows the place.
    #[error("{message}")]
    Syntax {
        /// Message with line, column and excerpt.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A value does not fit.
    #[error("`{key}` {what}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

impl ConfigError {
    pub(super) fn value(key: &str, what: impl Into<String>) -> Self {
        Self::Value {
            key: key.to_owned(),
            what: what.into(),
        }
    }
}

/// Parses the text of a `dgm.toml`.
pub fn parse(text: &str) -> Result<Raw, ConfigError> {
    let mut raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        hint: did_you_mean(error.message()),
        message: without_secrets(error.to_string().trim_end()),
    })?;
    match (&raw.benchmark.holdout, raw.bench.holdout.take()) {
        (None, other) => raw.benchmark.holdout = other,
        (Some(_), None) => {}
        (Some(_), Some(_)) => {
            let what = "stands there twice: also as `[benchmark.holdout]`";
            return Err(ConfigError::value("bench.holdout", what));
        }
    }
    Ok(raw)
}

/// Returns a message that quotes a line of the file without the value of a key that somebody
/// has put there under whatever name.
fn without_secrets(message: &str) -> String {
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        ["key", "token", "secret", "password"]
            .iter()
            .any(|word| name.contains(word))
    };
    let lines = message.lines().map(|line| match line.split_once('=') {
        Some((name, value)) if is_secret(name) && value.contains(['"', '\'']) => {
            format!("{name}= …")
        }
        Some(_) | None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" and returns the nearest one.
fn did_you_mean(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    rest.split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .min()
        .map(|(_, known)| format!("did you mean `{known}`?"))
}

pub(super) fn unknown(key: &str, value: &str, known: &[&str]) -> ConfigError {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    ConfigError::value(key, format!("is `{value}`; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn finds_what_was_meant() {
        let message = "unknown field `generatons`, expected one of `random_seed`, `generations`";
        assert_eq!(
            did_you_mean(message).as_deref(),
            Some("did you mean `generations`?")
        );
        assert_eq!(
            did_you_mean("unknown field `zzz`, expected `generations`"),
            None
        );
        assert_eq!(did_you_mean("invalid type"), None);
    }
}
