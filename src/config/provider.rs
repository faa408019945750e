//! How a role's provider is reached: the part of `[models.ROLE]` about servers and keys.

use super::load::unknown;
use super::{ConfigError, RawModel, RawModels};
use crate::model::{LimitField, ModelSettings, Retry};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Returns the settings of a model as far as they are about its provider.
pub(super) fn server(
    raw: &RawModel,
    key: &dyn Fn(&str) -> String,
) -> Result<ModelSettings, ConfigError> {
    if raw.api_key.is_some() {
        return Err(ConfigError::value(
            &key("api_key"),
            "holds a key, which must not stand in this file: put the key into an environment \
             variable and name that with `api_key_env`, or into a file of its own and name \
             that with `api_key_file`",
        ));
    }
    let seconds = |name: &str, value: f64| {
        Duration::try_from_secs_f64(value)
            .map_err(|_| ConfigError::value(&key(name), format!("is {value}, which is no time")))
    };
    let limit_field = LimitField::ALL
        .into_iter()
        .find(|field| field.name() == raw.limit_field);
    let names = LimitField::ALL.map(LimitField::name);
    Ok(ModelSettings {
        base_url: raw.base_url.clone(),
        api_key_env: raw.api_key_env.clone(),
        api_key_file: raw.api_key_file.clone(),
        headers: raw.headers.clone(),
        extra_body: extra_body(&raw.extra_body)
            .map_err(|what| ConfigError::value(&key("extra_body"), what))?,
        limit_field: limit_field
            .ok_or_else(|| unknown(&key("limit_field"), &raw.limit_field, &names))?,
        images: raw.images,
        timeout: seconds("timeout_sec", raw.timeout_sec)?,
        connect_timeout: seconds("connect_timeout_sec", raw.connect_timeout_sec)?,
        idle_timeout: seconds("idle_timeout_sec", raw.idle_timeout_sec)?,
        retry: Retry {
            tries: raw.retries.saturating_add(1),
            ..Retry::default()
        },
        ..ModelSettings::new(&raw.provider, &raw.model)
    })
}

/// Refuses to give one model's key to another one's program.
pub(super) fn check_keys(models: &RawModels) -> Result<(), ConfigError> {
    let named = [
        ("diagnose", &models.diagnose),
        ("modify", &models.modify),
        ("solve", &models.solve),
    ];
    let keys: BTreeSet<&str> = named
        .iter()
        .filter_map(|(_, model)| model.api_key_env.as_deref())
        .collect();
    for (role, model) in named {
        let passed = model
            .pass_env
            .iter()
            .find(|name| keys.contains(name.as_str()));
        if let Some(name) = passed {
            return Err(ConfigError::value(
                &format!("models.{role}.pass_env"),
                format!(
                    "names `{name}`, which holds the key of another role's provider and \
                     reaches no program"
                ),
            ));
        }
    }
    Ok(())
}

/// Returns a table as JSON; what JSON cannot hold is said.
fn extra_body(table: &toml::Table) -> Result<Map<String, Value>, &'static str> {
    let fields = table.iter().map(|(name, value)| {
        let value = json(value)?;
        Ok((name.clone(), value))
    });
    fields.collect()
}

fn json(value: &toml::Value) -> Result<Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(Value::Number)
            .ok_or("holds a number that JSON does not have")?,
        toml::Value::Boolean(is) => Value::from(*is),
        toml::Value::Datetime(_) => return Err("holds a date, which JSON does not have"),
        toml::Value::Array(items) => items.iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => Value::Object(extra_body(table)?),
    })
}

#[cfg(test)]
mod tests {
    use super::{check_keys, server};
    use crate::config::{Raw, RawModel, parse};
    use crate::model::{LimitField, ModelSettings};
    use serde_json::json;

    const KEY: &str = "sk-0123456789-very-secret";

    fn text(model: &str) -> String {
        let role = |role: &str, model: &str| format!("[models.{role}]\n{model}\n");
        let plain = "provider = \"command\"\nmodel = \"m\"\npass_env = [\"KEY_VARIABLE\"]";
        format!(
            "[benchmark]\npath = \"x\"\n[[stages]]\ncount = 1\n{}{}{}",
            role("diagnose", plain),
            role("modify", plain),
            role("solve", model)
        )
    }

    fn raw(model: &str) -> Raw {
        parse(&text(model)).expect("it can be read")
    }

    fn resolved(model: &str) -> Result<ModelSettings, String> {
        let raw: RawModel = raw(model).models.solve;
        server(&raw, &|name| format!("models.solve.{name}")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_is_described() {
        let settings = resolved(
            r#"provider = "openai"
            model = "large"
            base_url = "http://localhost:8000"
            api_key_file = "key"
            headers = { X-Title = "dgm" }
            extra_body = { reasoning = { effort = "high" }, top_k = 3, seeds = [1, 2.5, true] }
            limit_field = "max_tokens"
            images = false
            retries = 0
            idle_timeout_sec = 1.5"#,
        )
        .expect("it is right");
        assert_eq!(settings.base_url.as_deref(), Some("http://localhost:8000"));
        assert_eq!(settings.headers["X-Title"], "dgm");
        assert_eq!(
            json!(settings.extra_body),
            json!({"reasoning": {"effort": "high"}, "top_k": 3, "seeds": [1, 2.5, true]})
        );
        assert_eq!(settings.limit_field, LimitField::MaxTokens);
        assert!(!settings.images);
        assert_eq!(settings.retry.tries, 1);
        assert!((settings.idle_timeout.as_secs_f64() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn says_what_is_wrong_and_never_the_key() {
        let start = "provider = \"openai\"\nmodel = \"m\"\n";
        let said = [
            format!("api_key = \"{KEY}\""),
            "limit_field = \"most\"".to_owned(),
            "timeout_sec = -1".to_owned(),
            "extra_body = { at = 2026-11-22 }".to_owned(),
            "extra_body = { at = inf }".to_owned(),
        ]
        .map(|line| resolved(&format!("{start}{line}")).expect_err("it is refused"));
        insta::assert_snapshot!(said.join("\n"), @r"
        `models.solve.api_key` holds a key, which must not stand in this file: put the key into an environment variable and name that with `api_key_env`, or into a file of its own and name that with `api_key_file`
        `models.solve.limit_field` is `most`; known are `max_completion_tokens`, `max_tokens`
        `models.solve.timeout_sec` is -1, which is no time
        `models.solve.extra_body` holds a date, which JSON does not have
        `models.solve.extra_body` holds a number that JSON does not have
        ");
        for name in ["apikey", "key", "openai_api_key", "token", "secret"] {
            for value in [
                format!("\"{KEY}\""),
                format!("'{KEY}'"),
                format!("['{KEY}']"),
            ] {
                let text = text(&format!("{start}{name} = {value}"));
                let error = parse(&text).expect_err("it is refused").to_string();
                assert!(
                    error.contains(name) && !error.contains("secret-"),
                    "{error}"
                );
                assert!(!error.contains("0123456789"), "{error}");
            }
        }
    }

    #[test]
    fn no_program_gets_a_key() {
        let models = raw("provider = \"openai\"\nmodel = \"m\"\napi_key_env = \"KEY_VARIABLE\"");
        let error = check_keys(&models.models).expect_err("it is refused");
        assert_eq!(
            error.to_string(),
            "`models.diagnose.pass_env` names `KEY_VARIABLE`, which holds the key of another \
             role's provider and reaches no program"
        );
        let models = raw("provider = \"openai\"\nmodel = \"m\"");
        check_keys(&models.models).expect("nothing is wrong");
    }
}
