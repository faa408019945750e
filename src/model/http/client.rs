//! The client of one model: connections, encryption, proxies, headers.

use super::{place, trust};
use crate::model::settings::LOOKS_SECRET;
use crate::model::{ModelSettings, SettingsError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use std::sync::Once;
use std::time::Duration;

/// Connections that wait for the next request.
const MOST_IDLE: usize = 256;
/// Time for which an encrypted connection waits.
const IDLE: Duration = Duration::from_secs(60);
/// The same for local servers, many of which hang up after five seconds: a request that
/// meets a connection just being closed may or may not have been read.
const IDLE_PLAIN: Duration = Duration::from_secs(3);

/// Headers that are not the configuration's to set.
const OWN: [&str; 7] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];
/// What names of headers hold that carry secrets.
const SECRET: [&str; 7] = [
    "authorization",
    "cookie",
    "key",
    "token",
    "secret",
    "password",
    "credential",
];

/// Makes a client for a model whose server is at `url`.
pub(super) fn make(settings: &ModelSettings, url: &Url) -> Result<Client, SettingsError> {
    static CRYPTOGRAPHY: Once = Once::new();
    CRYPTOGRAPHY.call_once(|| {
        // Where somebody has installed one already, that one serves.
        let _installed = rustls::crypto::ring::default_provider().install_default();
    });
    let is_plain = url.scheme() == "http";
    let builder = || -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(concat!("dgm/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(MOST_IDLE)
            .pool_idle_timeout(if is_plain { IDLE_PLAIN } else { IDLE })
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30));
        match place::is_loopback(url) {
            // A proxy is for what lies beyond this machine.
            true => builder.no_proxy(),
            false => builder,
        }
    };
    let made = match builder().build() {
        // A machine without certificates can still talk to servers that show none.
        Err(_) if is_plain => builder().tls_certs_only([]).build(),
        made => made,
    };
    made.map_err(|error| {
        let causes = trust::without_roots(&super::fault::causes(&error));
        SettingsError::unusable(
            "base_url",
            format!(
                "is `{}`, but no client can be made: {causes}",
                place::shown(url)
            ),
        )
    })
}

/// Returns the headers that settings add.
pub(super) fn headers(settings: &ModelSettings) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let unusable = |what: &str| SettingsError::unusable("headers", format!("`{name}` {what}"));
        let lower = name.to_ascii_lowercase();
        if SECRET.iter().any(|part| lower.contains(part)) {
            return Err(unusable(LOOKS_SECRET));
        }
        if OWN.contains(&lower.as_str()) {
            return Err(unusable("is set by the program itself"));
        }
        let name = HeaderName::from_bytes(lower.as_bytes())
            .map_err(|_| unusable("is no name of a header"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| unusable("has a value that no header can have"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::headers;
    use crate::model::ModelSettings;

    #[test]
    fn takes_no_secrets_and_nothing_of_its_own() {
        let with = |name: &str, value: &str| {
            let mut settings = ModelSettings::new("openai", "m");
            settings.headers.insert(name.to_owned(), value.to_owned());
            headers(&settings)
        };
        let taken = with("HTTP-Referer", "https://a").expect("a harmless header");
        assert_eq!(taken["http-referer"], "https://a");
        let said = [
            ("Authorization", "Bearer x"),
            ("X-Api-Key", "x"),
            ("Content-Length", "1"),
            ("a b", "x"),
            ("a", "x\ny"),
        ]
        .map(|(name, value)| with(name, value).expect_err("refused").to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        `headers` `Authorization` looks like a secret: keys come from `api_key_env` or `api_key_file`
        `headers` `X-Api-Key` looks like a secret: keys come from `api_key_env` or `api_key_file`
        `headers` `Content-Length` is set by the program itself
        `headers` `a b` is no name of a header
        `headers` `a` has a value that no header can have
        ");
    }
}
