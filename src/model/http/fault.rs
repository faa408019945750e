//! From what went wrong to whose fault it is: the table of `docs/models.md`, as code.

use super::{ServerAbout, trust};
use crate::model::{ModelError, clip, error_object, verdict};
use crate::sys::clock::now_ms;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// Characters of a server's answer that a message quotes.
const QUOTED: usize = 600;

impl ServerAbout {
    /// Returns what a request becomes that got no response.
    pub(super) fn unsent(&self, error: reqwest::Error) -> ModelError {
        let error = error.without_url();
        let server = &self.server;
        if let Some(distrusted) = trust::distrusted(server, &error) {
            return distrusted;
        }
        if error.is_connect() {
            let what = match error.is_timeout() {
                true => format!(
                    "no connection to `{server}` within {} s",
                    self.connect_timeout.as_secs_f64()
                ),
                false => format!("no connection to `{server}`: {}", causes(&error)),
            };
            return failed(what, false);
        }
        failed(
            format!("no answer from `{server}`: {}", causes(&error)),
            true,
        )
    }

    /// Returns what a request becomes whose response does not begin in time.
    pub(super) fn silent(&self, patience: Duration) -> ModelError {
        let what = format!(
            "`{}` did not begin to answer within {} s",
            self.server,
            patience.as_secs_f64()
        );
        failed(what, true)
    }

    /// Returns what an answer becomes that goes silent in the middle.
    pub(super) fn stalled(&self, is_idle: bool) -> ModelError {
        let server = &self.server;
        let what = match is_idle {
            true => format!(
                "`{server}` stopped in the middle of its answer and said nothing for {} s",
                self.idle_timeout.as_secs_f64()
            ),
            false => format!(
                "`{server}` did not finish its answer within {} s",
                self.timeout.as_secs_f64()
            ),
        };
        failed(what, true)
    }

    /// Returns what an answer becomes whose connection breaks in the middle.
    pub(super) fn cut(&self, error: reqwest::Error) -> ModelError {
        let causes = causes(&error.without_url());
        failed(
            format!("the answer of `{}` was cut off: {causes}", self.server),
            true,
        )
    }

    /// Returns what an answer becomes that is too large.
    pub(super) fn too_large(&self, limit: usize) -> ModelError {
        ModelError::Failed {
            what: format!(
                "the answer of `{}` is larger than {} MiB",
                self.server,
                limit >> 20
            ),
            retryable: false,
            may_be_charged: true,
            retry_after: None,
        }
    }

    /// Returns what an answer becomes that cannot be read.
    pub(super) fn malformed(&self, error: &dyn Error, text: &str) -> ModelError {
        let what = match text.trim() {
            "" => format!("the answer of `{}` is empty", self.server),
            text => format!(
                "the answer of `{}` is no JSON: {error}: {}",
                self.server,
                clip(text, QUOTED)
            ),
        };
        failed(what, true)
    }
}

/// Returns what a response becomes whose status is no success.
pub(super) fn from_status(
    about: &ServerAbout,
    status: u16,
    headers: &HeaderMap,
    text: &str,
) -> ModelError {
    let said = said(text);
    let object = said.as_object();
    let message = error_object::message(&said);
    let server = &about.server;
    let told = format!("`{server}` answers {status}: {}", clip(message, QUOTED));
    let unusable = |hint: &str| ModelError::Unusable {
        what: format!("{told}; {hint}"),
    };
    let failed = |may_be_charged| ModelError::Failed {
        what: told.clone(),
        retryable: true,
        may_be_charged,
        retry_after: retry_after(headers),
    };
    let code = |name: &str| object.and_then(|fields| fields.get(name)?.as_str());
    let kinds = [code("code"), code("type")];
    let is_flagged = ["flagged", "moderation", "content policy"]
        .iter()
        .any(|word| message.to_lowercase().contains(word));
    let is_poor = kinds.contains(&Some("insufficient_quota"))
        || kinds.contains(&Some("billing_error"))
        || message.contains("credit balance is too low");
    match status {
        // Some servers say it with a status of their own fault.
        400.. if error_object::is_context_overflow(&said) => {
            let status = if status < 500 { status } else { 400 };
            verdict::refusal(status, said)
        }
        _ if is_poor && status < 500 => unusable("the account has nothing left to pay with"),
        300..400 => {
            let place = headers.get(LOCATION).and_then(|place| place.to_str().ok());
            let place = clip(place.unwrap_or("another place"), 200);
            unusable(&format!(
                "it sends requests on to {place}, which the key does not follow: correct `base_url`"
            ))
        }
        401 | 403 if !(status == 403 && is_flagged) => unusable(&match &about.key_name {
            Some(name) => format!("check the key in {name}"),
            None => "it wants a key: name the variable that holds it with `api_key_env`, or a \
                     file with `api_key_file`"
                .to_owned(),
        }),
        402 => unusable("the account has nothing left to pay with"),
        404 | 405 => unusable(&format!(
            "check `base_url` and the name of the model, `{}`",
            about.model
        )),
        407 => unusable("check the proxy that the environment names"),
        // The request may have been read; whether it was worked on is not known.
        408 => failed(true),
        429 | 529 => ModelError::Busy {
            what: told.clone(),
            may_be_charged: false,
            retry_after: retry_after(headers),
        },
        503 if headers.contains_key(RETRY_AFTER) => ModelError::Busy {
            what: told.clone(),
            may_be_charged: false,
            retry_after: retry_after(headers),
        },
        409 | 425 => failed(false),
        400..500 => verdict::refusal(status, said),
        // The server itself says that it has not done it.
        500 | 503 => failed(false),
        // A proxy says it of a server behind it, which may have.
        _ => failed(true),
    }
}

/// Returns the error object that a body holds, in whichever shape a server puts it.
fn said(text: &str) -> Value {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    // Some servers put it into a list of one.
    let body = match body {
        Value::Array(mut items) if items.len() == 1 => items.remove(0),
        body => body,
    };
    let error = match body {
        Value::Object(mut fields) => match fields.shift_remove("error") {
            Some(error) if !error.is_null() => match (&error, fields.shift_remove("message")) {
                (Value::String(kind), Some(message)) => {
                    serde_json::json!({"type": kind, "message": message})
                }
                _ => error,
            },
            _ => match fields.shift_remove("detail") {
                Some(detail) => detail,
                None => Value::Object(fields),
            },
        },
        body => body,
    };
    let bare = |text: &str| match text.trim() {
        "" => "nothing more".to_owned(),
        text => clip(text, QUOTED).into_owned(),
    };
    verdict::error_object(match error {
        Value::Null => Value::String(bare(text)),
        Value::Object(fields) if !fields.contains_key("message") => Value::String(bare(text)),
        error => error,
    })
}

/// Returns how long a server asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(millis) = millis {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let date = |text: &str| {
        let parsed = DateTimeParser::new().parse_timestamp(text);
        parsed.ok().map(jiff::Timestamp::as_millisecond)
    };
    // Measured by the server's own clock where it tells the time.
    let now = text(DATE.as_str()).and_then(date).unwrap_or_else(now_ms);
    let from_now = |then: i64| {
        let millis = u64::try_from(then.saturating_sub(now)).unwrap_or(0);
        Duration::from_millis(millis)
    };
    let Some(said) = text(RETRY_AFTER.as_str()) else {
        return used_up_until(headers).map(from_now);
    };
    if let Ok(seconds) = said.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    date(said).map(from_now)
}

/// Returns when the last of Anthropic's allowances that are used up is full again, in
/// milliseconds since 1970.
fn used_up_until(headers: &HeaderMap) -> Option<i64> {
    let text = |allowance: &str, what: &str| {
        let name = format!("anthropic-ratelimit-{allowance}-{what}");
        headers.get(name)?.to_str().ok()
    };
    ["requests", "tokens", "input-tokens", "output-tokens"]
        .iter()
        .filter(|allowance| text(allowance, "remaining") == Some("0"))
        .filter_map(|allowance| text(allowance, "reset")?.parse::<jiff::Timestamp>().ok())
        .map(jiff::Timestamp::as_millisecond)
        .max()
}

/// Returns an error with all that caused it, in one line.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    clip(&text, QUOTED).into_owned()
}

/// A failure that another try may mend.
fn failed(what: String, may_be_charged: bool) -> ModelError {
    ModelError::Failed {
        what,
        retryable: true,
        may_be_charged,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::retry_after;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use std::time::Duration;

    fn asked(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        retry_after(&headers.collect::<HeaderMap>())
    }

    #[test]
    fn servers_say_how_long_to_wait_in_several_ways() {
        let date = ("date", "Sun, 22 Nov 2026 15:00:00 GMT");
        for (headers, expected) in [
            (vec![], None),
            (vec![("retry-after", "7")], Some(7000)),
            (
                vec![("retry-after-ms", "250"), ("retry-after", "7")],
                Some(250),
            ),
            (
                vec![date, ("retry-after", "Sun, 22 Nov 2026 15:00:09 GMT")],
                Some(9000),
            ),
            (
                vec![date, ("retry-after", "Sun, 22 Nov 2026 14:00:00 GMT")],
                Some(0),
            ),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-1")], None),
            (
                vec![
                    date,
                    ("anthropic-ratelimit-requests-remaining", "12"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-22T16:00:00Z"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    (
                        "anthropic-ratelimit-input-tokens-reset",
                        "2026-11-22T15:00:20Z",
                    ),
                    ("anthropic-ratelimit-output-tokens-remaining", "0"),
                    (
                        "anthropic-ratelimit-output-tokens-reset",
                        "2026-11-22T15:00:10Z",
                    ),
                ],
                Some(20_000),
            ),
        ] {
            assert_eq!(
                asked(&headers),
                expected.map(Duration::from_millis),
                "{headers:?}"
            );
        }
    }
}
