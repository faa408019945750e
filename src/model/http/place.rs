//! Where a provider's server is: pure.

use crate::model::SettingsError;
use crate::model::settings::{LOOKS_SECRET, names_secret};
use reqwest::Url;

const KEY: &str = "base_url";

/// Returns where Chat Completions are, below a base as people write it: with or without
/// `/v1`, with or without a slash at its end. A base with another path is meant as it is.
pub(in crate::model) fn chat_url(base: &str) -> Result<Url, SettingsError> {
    below(base, |path| match path {
        "" => "/v1/chat/completions".to_owned(),
        path => format!("{path}/chat/completions"),
    })
}

/// Returns where Messages are, below a base with or without `/v1`.
pub(in crate::model) fn messages_url(base: &str) -> Result<Url, SettingsError> {
    below(base, |path| {
        let path = path.strip_suffix("/v1").unwrap_or(path);
        format!("{path}/v1/messages")
    })
}

fn below(base: &str, path: impl Fn(&str) -> String) -> Result<Url, SettingsError> {
    let unusable = |what: String| SettingsError::unusable(KEY, what);
    let mut url = Url::parse(base.trim())
        .map_err(|error| unusable(format!("is `{base}`, which is no address: {error}")))?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err(unusable(format!(
            "is `{base}`, but must begin with `https://` or `http://`"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable(
            "holds a user name or a password: keys come from `api_key_env` or `api_key_file`"
                .to_owned(),
        ));
    }
    if let Some((name, _)) = url
        .query_pairs()
        .find(|(name, value)| !value.is_empty() && names_secret(name))
    {
        return Err(unusable(format!("holds `{name}`, which {LOOKS_SECRET}")));
    }
    let whole = path(url.path().trim_end_matches('/'));
    url.set_path(&whole);
    url.set_fragment(None);
    Ok(url)
}

/// Returns an address without its query, which could hold what is nobody's business.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// Returns whether an address is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{chat_url, is_loopback, messages_url, shown};

    #[test]
    fn takes_a_base_as_people_write_it() {
        for (base, expected) in [
            ("http://a:8000", "http://a:8000/v1/chat/completions"),
            ("http://a:8000/", "http://a:8000/v1/chat/completions"),
            ("http://a:8000/v1", "http://a:8000/v1/chat/completions"),
            (" http://a:8000/v1/ ", "http://a:8000/v1/chat/completions"),
            ("https://a/api/v1", "https://a/api/v1/chat/completions"),
            (
                "https://a/v1beta/openai/",
                "https://a/v1beta/openai/chat/completions",
            ),
            (
                "https://a/openai?version=1",
                "https://a/openai/chat/completions?version=1",
            ),
        ] {
            let url = chat_url(base).expect("an address");
            assert_eq!(url.as_str(), expected);
        }
        for (base, expected) in [
            ("https://a", "https://a/v1/messages"),
            ("https://a/v1/", "https://a/v1/messages"),
            ("https://a/anthropic", "https://a/anthropic/v1/messages"),
        ] {
            let url = messages_url(base).expect("an address");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn says_what_is_no_address() {
        let said = [
            "localhost:8000",
            "a b",
            "file:///x",
            "http://me:pw@a",
            "https://a/v1?version=1&key=abc",
            "https://a/v1?api%5Fkey=abc",
        ]
        .map(|base| chat_url(base).expect_err("refused").to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        `base_url` is `localhost:8000`, but must begin with `https://` or `http://`
        `base_url` is `a b`, which is no address: relative URL without a base
        `base_url` is `file:///x`, but must begin with `https://` or `http://`
        `base_url` holds a user name or a password: keys come from `api_key_env` or `api_key_file`
        `base_url` holds `key`, which looks like a secret: keys come from `api_key_env` or `api_key_file`
        `base_url` holds `api_key`, which looks like a secret: keys come from `api_key_env` or `api_key_file`
        ");
    }

    #[test]
    fn knows_this_machine_and_hides_queries() {
        for (base, is_here) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:80", true),
            ("http://example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                is_loopback(&chat_url(base).expect("one")),
                is_here,
                "{base}"
            );
        }
        let url = chat_url("https://a/v1?deployment=mine").expect("an address");
        assert_eq!(shown(&url), "https://a/v1/chat/completions");
    }
}
